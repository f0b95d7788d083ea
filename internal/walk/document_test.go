package walk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// operation is an operation of the document.
type operation struct {
	*huma.Operation
	writes bool
	keyed  bool // takes an Idempotency-Key
}

// operations returns all operations of the document, always in the same order.
func operations(document *huma.OpenAPI) []operation {
	var all []operation
	for _, path := range document.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Put, path.Post, path.Patch, path.Delete, path.Head, path.Options} {
			if op == nil {
				continue
			}
			all = append(all, operation{
				Operation: op, writes: op.Method != http.MethodGet,
				keyed: slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == headerKey }),
			})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

const headerKey = "Idempotency-Key"

// request is an HTTP request.
type request struct {
	Operation string            `json:"operation"`
	Method    string            `json:"method"`
	Target    string            `json:"target"`
	Headers   map[string]string `json:"headers,omitempty"`
	Body      string            `json:"body,omitempty"`
}

func (r request) String() string {
	text := r.Method + " " + r.Target
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		text += fmt.Sprintf(" %s:%s", name, r.Headers[name])
	}
	return text + " " + r.Body
}

// requestMaker makes requests by chance.
type requestMaker struct {
	*rand.Rand
	registry        huma.Registry
	now             func() time.Time
	pools           map[string][]string // values that were seen, by name, the latest last
	minted          int
	keys            int
	etags           []string
	optionalPercent int // how many of a hundred optional members the next body has

	// luck counts, by operation and status, how often the operation was tried on a thing with this
	// status, and how often it was accepted. An operation that was often refused is tried less
	// often.
	status      map[string]string // of a thing, by its id
	luck        map[string]*[2]int
	operationID string // the operation whose request is being made
	// refused are the operations that a thing has refused since it last changed.
	refused       map[string]map[string]bool
	createdIDName string // the name of the id of what the request makes
	// acceptedBodies are the latest bodies that an operation accepted.
	acceptedBodies map[string][]any
	// seenTogether are the values that were in one request, or its response, together with a value.
	seenTogether map[string]map[string][]string
	requestIDs   []string // ids in the request that is being made
}

func newRequestMaker(seed uint64, registry huma.Registry, now func() time.Time) *requestMaker {
	return &requestMaker{
		Rand: rand.New(rand.NewPCG(seed, 2)), registry: registry, now: now, status: map[string]string{}, luck: map[string]*[2]int{},
		refused: map[string]map[string]bool{}, acceptedBodies: map[string][]any{},
		seenTogether: map[string]map[string][]string{}, pools: map[string][]string{
			"location": {"main", "north"}, "currency": {"EUR", "GBP"}, "amount": {"7.50", "1", "0.01", "20", "3.333333"},
		},
	}
}

// chance is true with this probability, in percent.
func (m *requestMaker) chance(percent int) bool { return m.IntN(100) < percent }

func pick[T any](m *requestMaker, values ...T) T { return values[m.IntN(len(values))] }

// createdIDNameOf is the name of the id that an operation gives to what it creates. For the path
// "…/shipments" it is "shipment_id".
func createdIDNameOf(op operation) string {
	if op.OperationID == "checkout-cart" { // its path names no order
		return "order_id"
	}
	last := op.Path[strings.LastIndex(op.Path, "/")+1:]
	return strings.TrimSuffix(last, "s") + "_id"
}

// text makes a string for a member. With a probability of mint percent it is a new string, else one
// that was seen before.
func (m *requestMaker) text(name string, s *huma.Schema, mint int) string {
	pool := poolOf(name)
	if m.operationID == "merge-cart" && name == "from" {
		pool = "cart_id"
	}
	if strings.HasSuffix(m.operationID, "-cart-coupon") && name == "code" {
		pool = "coupon_code"
	}
	switch {
	case pool == "currency" && !m.chance(4):
		return "GBP"
	case pool == "amount" && m.chance(25):
		return pick(m, "0", "-1.00", "1", "2.5", "1000000", "0.000001", "-0.5", "15")
	case pool != "":
		if pool == m.createdIDName {
			mint = 85
		}
		if pool == "sku" || pool == "location" || pool == "amount" {
			mint = min(mint, 2)
		}
		if value, found := m.draw(pool); found && !m.chance(mint) {
			return value
		}
		m.minted++
		switch pool {
		case "location":
			return pick(m, "main", "north", "south")
		case "amount", "currency":
			return pick(m, "JPY", "12")
		}
		return fmt.Sprintf("%s-%d", strings.TrimSuffix(pool, "_id"), m.minted)
	case s.Format == "date-time":
		return m.now().Add(pick(m, -48*time.Hour, -time.Second, time.Second, time.Hour, 48*time.Hour)).UTC().Format(time.RFC3339)
	case strings.HasPrefix(s.Format, "date"):
		return m.now().UTC().Format(time.DateOnly)
	}
	return pick(m, "why", "x", "Größe 36 — œ", "a b")
}

// value makes a value that its schema allows.
func (m *requestMaker) value(name string, s *huma.Schema, mint int) any {
	if s.Ref != "" {
		s = m.registry.SchemaFromRef(s.Ref)
	}
	if len(s.Enum) > 0 {
		return pick(m, s.Enum...)
	}
	switch s.Type {
	case huma.TypeObject:
		return m.object(s, mint)
	case huma.TypeArray:
		least := 0
		if s.MinItems != nil {
			least = *s.MinItems
		}
		items := []any{}
		for range max(least, pick(m, 1, 1, 1, 2, 3, 0)) {
			items = append(items, m.value(name, s.Items, mint))
		}
		return items
	case huma.TypeInteger, huma.TypeNumber:
		return m.number(name, s)
	case huma.TypeBoolean:
		return m.chance(50)
	}
	return m.text(name, s, mint)
}

// valueLike makes a value that has the same members as another value, which was accepted before.
func (m *requestMaker) valueLike(name string, s *huma.Schema, shape any) any {
	if s == nil { // of a provider's message, whose form the document does not know
		return shape
	}
	if s.Ref != "" {
		s = m.registry.SchemaFromRef(s.Ref)
	}
	switch shape := shape.(type) {
	case map[string]any:
		object := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(shape)) {
			object[key] = m.valueLike(key, s.Properties[key], shape[key])
		}
		return object
	case []any:
		items := make([]any, len(shape))
		for i := range shape {
			items[i] = m.valueLike(name, s.Items, shape[i])
		}
		return items
	}
	if poolOf(name) == "" && m.chance(50) {
		return shape
	}
	return m.value(name, s, 4)
}

func (m *requestMaker) number(name string, s *huma.Schema) int64 {
	least, most := int64(0), int64(1000)
	if s.Minimum != nil {
		least = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		most = int64(*s.Maximum)
	}
	switch {
	case m.chance(2):
		return least
	case m.chance(1):
		return most
	case m.chance(1):
		return least - 1
	case strings.HasSuffix(name, "line"):
		return pick[int64](m, 1, 1, 1, 2, 2, 3)
	case strings.HasSuffix(name, "_seconds"):
		return pick(m, least, 60, 3600, 86400)
	case least < 0:
		return m.Int64N(9) - 4
	}
	return min(most, least+min(m.Int64N(4), m.Int64N(8)))
}

func (m *requestMaker) object(s *huma.Schema, mint int) map[string]any {
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property, often := s.Properties[name], m.optionalPercent
		switch {
		case property.Type == huma.TypeArray:
			often = 85
		case name != m.createdIDName && m.pools[name] != nil && strings.HasSuffix(name, "_id"):
			often = max(often, 70) // it joins what is asked for to what is there
		}
		if m.chance(often) || slices.Contains(s.Required, name) && !m.chance(1) {
			object[name] = m.value(name, property, mint)
		}
	}
	return object
}

// request makes a request for an operation.
func (m *requestMaker) request(op operation) request {
	m.operationID, m.requestIDs = op.OperationID, nil
	r := request{Operation: op.OperationID, Method: op.Method, Headers: map[string]string{}}
	path, query := op.Path, url.Values{}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(m.parameter(p)))
		case p.In == "query" && (p.Required || m.chance(15)):
			query.Set(p.Name, m.parameter(p))
		}
	}
	if r.Target = path; len(query) > 0 {
		r.Target += "?" + query.Encode()
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content["application/json"]; media != nil && (op.RequestBody.Required || m.chance(50)) {
			m.optionalPercent = pick(m, 10, 35, 60, 90)
			m.createdIDName = createdIDNameOf(op)
			body := m.value("", media.Schema, 4)
			if shapes := m.acceptedBodies[op.OperationID]; len(shapes) > 0 && m.chance(60) {
				body = m.valueLike("", media.Schema, pick(m, shapes...))
			}
			m.createdIDName = ""
			text, err := json.Marshal(body, json.Deterministic(true))
			if err != nil {
				panic(err)
			}
			r.Body = string(text)
			r.Headers["Content-Type"] = "application/json"
		}
	}
	m.headers(op, &r)
	return r
}

func (m *requestMaker) headers(op operation, r *request) {
	if !op.writes {
		return
	}
	if op.keyed {
		m.keys++
		r.Headers[headerKey] = "key-" + strconv.Itoa(m.keys)
	}
	if m.chance(4) {
		r.Headers["Daybook-Occurred-At"] = m.now().Add(pick(m, -400*24*time.Hour, -time.Hour, 0)).UTC().Format(time.RFC3339Nano)
	}
	if m.chance(1) {
		r.Headers["Daybook-Occurred-At"] = pick(m, "0000-01-01T00:00:00Z", "1066-10-14T12:00:00Z", "1990-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
	}
	if m.chance(4) && len(m.etags) > 0 {
		r.Headers["If-Match"] = pick(m, m.etags...)
	}
	if m.chance(10) {
		r.Headers["Daybook-Channel"] = pick(m, "web", "till")
	}
}

// parameter makes the value of a parameter.
func (m *requestMaker) parameter(p *huma.Param) string {
	mint := 3
	if p.Name == "line" {
		return strconv.Itoa(1 + m.IntN(3))
	}
	if p.Name == "stream" {
		kind := pick(m, "cart", "order", "return", "product")
		id, _ := m.draw(map[string]string{"cart": "cart_id", "order": "order_id", "return": "return_id", "product": "sku"}[kind])
		return kind + "-" + id
	}
	return fmt.Sprint(m.value(p.Name, p.Schema, mint))
}

// repair changes the parts of a request that the response says are wrong. It adds a missing part.
// It makes another value for a wrong part, or it leaves the part out.
func (m *requestMaker) repair(op operation, r request, a answer) (request, bool) {
	problem, _ := a.body.(map[string]any)
	faults, _ := problem["errors"].([]any)
	var body any
	if len(faults) == 0 || json.Unmarshal([]byte(r.Body), &body) != nil {
		return r, false
	}
	changed := false
	for _, f := range faults {
		fault, _ := f.(map[string]any)
		pointer, _ := fault["pointer"].(string)
		path := strings.Split(strings.TrimPrefix(pointer, "#/"), "/")
		if pointer != "" && m.repairMember(body, op.RequestBody.Content["application/json"].Schema, path) {
			changed = true
		}
	}
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil || !changed {
		return r, false
	}
	again := request{Operation: r.Operation, Method: r.Method, Target: r.Target, Headers: maps.Clone(r.Headers), Body: string(text)}
	m.keys++
	again.Headers[headerKey] = "key-" + strconv.Itoa(m.keys)
	return again, true
}

// repairMember changes the member at a path of a value.
func (m *requestMaker) repairMember(value any, s *huma.Schema, path []string) bool {
	if s != nil && s.Ref != "" {
		s = m.registry.SchemaFromRef(s.Ref)
	}
	switch value := value.(type) {
	case []any:
		i, err := strconv.Atoi(path[0])
		return err == nil && i < len(value) && len(path) > 1 && s != nil && m.repairMember(value[i], s.Items, path[1:])
	case map[string]any:
		if s == nil || s.Properties[path[0]] == nil {
			delete(value, path[0])
			return true
		}
		if len(path) > 1 && value[path[0]] != nil {
			return m.repairMember(value[path[0]], s.Properties[path[0]], path[1:])
		}
		if _, there := value[path[0]]; there && !slices.Contains(s.Required, path[0]) && m.chance(60) {
			delete(value, path[0])
			return true
		}
		value[path[0]] = m.value(path[0], s.Properties[path[0]], 5)
		return true
	}
	return false
}
