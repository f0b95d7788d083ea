package walk

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// poolOf is the name of the pool that keeps the values of a member or parameter. It is empty if its
// values are not kept.
func poolOf(name string) string {
	switch name {
	case "parent":
		return "transaction_id"
	case "to", "from", "locations":
		return "location"
	case "price":
		return "amount"
	case "code", "gift_cards":
		return "gift_card_code"
	case "codes", "coupons", "coupon":
		return "coupon_code"
	case "sku", "location", "currency", "amount":
		return name
	case "request_id":
		return ""
	}
	if strings.HasSuffix(name, "_id") {
		return name
	}
	return ""
}

const poolSize = 14

// learn puts a value into a pool. The latest values are drawn most often.
func (m *requestMaker) learn(pool, value string) {
	values := slices.DeleteFunc(m.pools[pool], func(v string) bool { return v == value })
	values = append(values, value)
	if len(values) > poolSize {
		// The first value to leave the pool is one without a known status, because there may be no
		// thing with this id.
		first := max(0, slices.IndexFunc(values, func(v string) bool { return m.status[v] == "" }))
		values = slices.Delete(values, first, first+1)
	}
	m.pools[pool] = values
}

// learnFrom learns from a request that was accepted, and from its response.
func (m *requestMaker) learnFrom(r request, answer any) {
	found := map[string][]string{}
	var body any
	if r.Body != "" {
		_ = json.Unmarshal([]byte(r.Body), &body) // a request of ours
	}
	if body != nil {
		const most = 6
		shapes := append(m.acceptedBodies[r.Operation], body)
		m.acceptedBodies[r.Operation] = shapes[max(0, len(shapes)-most):]
	}
	told := map[string]bool{} // things whose status the response tells
	m.collect(r, "", body, found, map[string]bool{})
	m.collect(r, "", answer, found, told)
	for part := range strings.SplitSeq(r.Target, "/") {
		if r.Method != http.MethodGet && m.status[part] != "" && !told[part] {
			m.status[part] = "after " + r.Operation
		}
	}
	for _, pool := range slices.Sorted(maps.Keys(found)) {
		for _, value := range found[pool] {
			m.learn(pool, value)
			if strings.HasSuffix(pool, "_id") {
				m.seenTogether[value] = found
			}
		}
	}
}

// collect finds the values for the pools in a document, and the statuses of things.
func (m *requestMaker) collect(r request, name string, value any, found map[string][]string, told map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			m.collect(r, key, value[key], found, told)
		}
		if id, ok := value[idOf(r, name)].(string); ok && statusOf(value) != "" {
			m.status[id], told[id] = statusOf(value), true
			delete(m.refused, id)
		}
	case []any:
		for _, inner := range value {
			m.collect(r, name, inner, found, told)
		}
	case string:
		if name == "to" || name == "from" {
			return // of goods it is their condition
		}
		if pool := poolOf(name); pool != "" && value != "" && pool != "currency" && len(value) <= 64 {
			found[pool] = append(found[pool], value)
		}
	}
}

// idOf is the name of the member that has the id of a thing. For the member "order" it is
// "order_id". For the response of the path "/v1/carts/…" it is "cart_id".
func idOf(r request, name string) string {
	if name == "" || name == "items" {
		name, _, _ = strings.Cut(strings.TrimPrefix(r.Target, "/v1/"), "/")
		name, _, _ = strings.Cut(name, "?")
		name = strings.TrimSuffix(name, "s")
	}
	return name + "_id"
}

// statusOf is the status of a thing, followed by its other members whose names end in _state.
func statusOf(thing map[string]any) string {
	status, _ := thing["status"].(string)
	if status == "" {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(thing)) {
		if state, ok := thing[key].(string); ok && strings.HasSuffix(key, "_state") {
			status += " " + state
		}
	}
	return status
}

// noteOutcome notes whether the things that a request names accepted it, by their status before.
func (m *requestMaker) noteOutcome(r request, before map[string]string, ok bool) {
	for _, status := range before {
		luck := m.luck[r.Operation+" "+status]
		if luck == nil {
			luck = &[2]int{}
			m.luck[r.Operation+" "+status] = luck
		}
		if luck[0]++; ok {
			luck[1]++
		}
	}
	for id := range before {
		if ok {
			delete(m.refused, id)
			continue
		}
		if m.refused[id] == nil {
			m.refused[id] = map[string]bool{}
		}
		m.refused[id][r.Operation] = true
	}
}

// statuses returns the statuses of the things that a request names, by id.
func (m *requestMaker) statuses(r request) map[string]string {
	found := map[string]string{}
	for part := range strings.FieldsFuncSeq(r.Target+"/"+r.Body, func(r rune) bool { return r == '/' || r == '"' }) {
		if status := m.status[part]; status != "" {
			found[part] = status
		}
	}
	return found
}

// hasKnownStatus tells whether the status of any id of a pool is known.
func (m *requestMaker) hasKnownStatus(pool string) bool {
	return slices.ContainsFunc(m.pools[pool], func(value string) bool { return m.status[value] != "" })
}

// forget removes some of the values of a refused request from their pools, because they may name
// things that have ended. It removes an id that was not found.
func (m *requestMaker) forget(r request, absent bool) {
	for _, pool := range slices.Sorted(maps.Keys(m.pools)) {
		if !strings.HasSuffix(pool, "_id") && (pool != "sku" || len(m.pools[pool]) <= 5) {
			continue
		}
		m.pools[pool] = slices.DeleteFunc(m.pools[pool], func(value string) bool {
			if absent && m.status[value] == "" && strings.Contains(r.Target, "/"+url.PathEscape(value)+"/") {
				return true
			}
			used := strings.Contains(r.Target, "/"+url.PathEscape(value)) || strings.Contains(r.Body, `"`+value+`"`)
			return used && m.chance(25)
		})
	}
}

// draw draws a value from a pool. It prefers one that was seen together with an id that the request
// has already. Otherwise it draws one of the latest. A value is drawn more often if things of its
// status have accepted the operation.
func (m *requestMaker) draw(pool string) (string, bool) {
	if m.chance(70) {
		for _, id := range m.requestIDs {
			if values := m.seenTogether[id][pool]; len(values) > 0 {
				return pick(m, values...), true
			}
		}
	}
	values := m.pools[pool]
	if len(values) == 0 {
		return "", false
	}
	if m.chance(85) {
		if real := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return m.status[v] == "" }); len(real) > 0 {
			values = real
		}
	}
	best, most := "", -1.0
	for range 5 {
		back := min(m.IntN(len(values)), m.IntN(len(values)), m.IntN(len(values)))
		value := values[len(values)-1-back]
		chances := 0.5
		if luck := m.luck[m.operationID+" "+m.status[value]]; luck != nil {
			chances = float64(luck[1]+1) / float64(luck[0]+2)
			chances *= chances
		}
		if m.refused[value][m.operationID] {
			chances /= 20
		}
		if chances *= m.Float64(); chances > most {
			best, most = value, chances
		}
	}
	if strings.HasSuffix(pool, "_id") {
		m.requestIDs = append(m.requestIDs, best)
	}
	return best, true
}
