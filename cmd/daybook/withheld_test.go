package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/domain/money/giftcard"
	"daybook/internal/eventtypes"
	"daybook/internal/personal"
)

// planted is a word that the test puts into every personal text of the shop.
const planted = "Quokka"

// plantedMembers are the members of request bodies that become personal texts of events.
var plantedMembers = []string{"reason", "note", "reference", "tracking", "claim", "customer_id", "customer_ids", "into_customer_id", "carrier", "provider", "tax_id", "checked_by", "proof"}

// plantedOfCustomers are further ones in requests about customers and the details of carts.
var plantedOfCustomers = []string{
	"name", "email", "company", "lines", "postcode", "city", "text", "delivery_notes", "gift_message", "buyer_reference",
}

// plantedHeaders are the headers with texts that a sender chooses freely.
var plantedHeaders = []string{"X-Correlation-ID", "Traceparent"}

// plant puts the word into the personal members of a body. Only keys, people and customers have a
// personal name. The reason of an adjustment is a word from a list, and so is that of an erasure.
// Everybody sees the carrier of a shipping method.
func plant(path string, body any) any {
	return plantMember(path, "", body)
}

func plantMember(path, name string, value any) any {
	switch value := value.(type) {
	case object:
		fresh := object{}
		for name, member := range value {
			fresh[name] = plantMember(path, name, member)
		}
		return fresh
	case []object:
		fresh := make([]object, len(value))
		for i, one := range value {
			fresh[i] = plantMember(path, name, one).(object) // of an object it makes an object
		}
		return fresh
	case []string:
		fresh := make([]string, len(value))
		for i, one := range value {
			fresh[i] = plantMember(path, name, one).(string) // of a text it makes a text
		}
		return fresh
	case string:
		named := name == "name" && (path == "/keys" || path == "/staff")
		open := name == "carrier" && strings.HasPrefix(path, "/shipping-methods") // the shop's own
		word := open || name == "reason" && (strings.HasSuffix(path, "/adjustments") || path == "/erasures")
		outcome := name == "code" && strings.HasSuffix(path, "/settle")
		ofCustomer := strings.HasPrefix(path, "/customers") || strings.HasSuffix(path, "/details") || strings.HasSuffix(path, "/checkout")
		if !word && (named || outcome || slices.Contains(plantedMembers, name) || ofCustomer && slices.Contains(plantedOfCustomers, name)) {
			return planted + value
		}
	}
	return value
}

// notPlanted are personal texts in which the test cannot put the word, with the reason.
var notPlanted = map[string]string{
	"metadata actor":        "the server names the holder of a key",
	"metadata on_behalf_of": "the server names the holder of a key",
	"metadata request":      "it is a hash",
	"metadata command_id":   "it is a UUID",
	"metadata $causationId": "it is a UUID",

	"shopstaff.email_changed.v1 email": "only that of a login has it",

	"stock.reserved.v1 override":                           "no command sets it",
	"order.transaction_recorded.v1 payment":                "only the report of a provider has it",
	"order.transaction_recorded.v1 reason":                 "only the report of a provider has it",
	"order.placed.v1 quote.lines[].override.text":          "no command sets it",
	"cart.checkout_started.v1 quote.lines[].override.text": "no command sets it",
	"stock.returned.v1 override":                           "no command sets it",

	"cart.checkout_refused.v1 asked.reference": "only version 2 has it",
	"subject.erased.v1 customers[]":            "only version 2 has it",
}

// notWritten are event types with personal texts that this version does not write. Some are written
// only if a race between two requests goes one way, or if a provider reports what is no amount.
var notWritten = []string{"order.transaction_unreadable.v1", "cart.opened.v1", "cart.checkout_refused.v1", "customer.merge_declined.v1", "customer.merge_refused.v1"}

// withheldShop is a shop in which every personal text has the word.
type withheldShop struct {
	*keyedGateway
	blind, analyst, auditor string // keys; blind may do everything, but sees no personal data
	story                   *storyteller

	mu       sync.Mutex
	written  []string // the responses that the holder of blind got
	position string   // of the last write
}

// logins lets a customer sign up, change the address, sign out and be shut out. They do so at
// another node, which sends mail. dir is the data directory of the shop.
func (w *withheldShop) logins(dir string) {
	t := w.story.T
	t.Helper()
	mails := openMailServer(t)
	s := &keyedShop{t: t, running: serve(t, append(withMail(mails), "--database-url", socketURL(dir))...)}
	const customer = planted + "-signs-in"
	s.must(w.admin, http.MethodPost, "/v1/customers", `{"customer_id":"`+customer+`","name":"`+planted+`"}`)
	s.must(w.admin, http.MethodPost, "/v1/auth/invitations", `{"customer_id":"`+customer+`","email":"first@home.example"}`)
	session, _ := s.confirm(linkIn(s.t, mails.Next(s.t), "first@home.example", "sign-up"))
	s.mustAs(session, http.MethodPost, "/v1/auth/email", fmt.Sprintf(`{"password":%q,"email":"second@home.example"}`, goodPassword))
	for range 2 { // one is the notice to the present address
		if m := mails.Next(s.t); m.To == "second@home.example" {
			s.mustAs("", http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, linkIn(s.t, m, m.To, "confirm-email")))
		}
	}
	again := s.signInAsCustomer("second@home.example", goodPassword)
	s.mustAs(again.session, http.MethodPost, "/v1/auth/sign-out", "")
	login := member(s.t, s.must(w.admin, http.MethodGet, "/v1/customers/"+customer+"/login", ""), "person_id")
	s.must(w.admin, http.MethodPost, "/v1/staff/"+login+"/remove-factor", "")
	s.must(w.admin, http.MethodPost, "/v1/staff/"+login+"/token", "")
	s.must(w.admin, http.MethodPost, "/v1/staff/"+login+"/disable", `{"reason":"`+planted+`"}`)
}

func openWithheld(t *testing.T) *withheldShop {
	t.Helper()
	dir := dataDir(t)
	server := serve(t, "--data", dir, "--gateway", "127.0.0.1:0", "--currency", "GBP", "--keep-invoices", "*=70080h")
	w := &withheldShop{keyedGateway: &keyedGateway{t: t, keyedShop: keyedShop{t: t, running: server}, admin: keyOf(server.url)}}
	var grants []string
	for _, permission := range access.Permissions() {
		if permission != access.ReadPersonal {
			grants = append(grants, fmt.Sprintf(`{"permission":%q,"reach":"all"}`, permission))
		}
	}
	w.must(w.admin, http.MethodPut, "/v1/roles/blind", `{"grants":[`+strings.Join(grants, ",")+`]}`)
	_, w.blind = w.makeKey(`"role":"blind"`)
	_, w.analyst = w.makeKey(`"role":"analyst"`)
	_, w.auditor = w.makeKey(`"role":"auditor"`)
	w.story = &storyteller{T: t, url: w.url, plant: plant}
	w.story.access() // the holder of blind may not give rights that they lack
	w.story.people()
	w.story.key, w.story.heard = w.blind, w.hear
	s := w.story
	s.catalogue()
	s.warehouse()
	s.carts()
	s.customers()
	s.prices()
	w.logins(dir)
	s.sales()
	s.money()
	s.recordReturns()
	s.foreign(w.gatewayOf(w.admin))
	// What the story leaves out.
	s.post("/stock/mug/west/receipts", object{"quantity": 1, "note": "n"})
	s.post("/stock/mug/west/counts", object{"expected": 1, "counted": 2, "note": "n"})
	w.must(w.admin, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, "Daybook-Act-For", planted+"-acted")
	w.must(w.admin, http.MethodPost, "/v1/keys", `{"name":"`+planted+`","role":"customer","customer_id":"`+planted+`","channels":["web"]}`)
	s.do(http.MethodPatch, "/carts/open", object{"customer_id": "moved"})
	s.fill("short", "mug", 5000)
	s.refused("/carts/short/checkout", object{"order_id": "short", "reference": "R"})
	s.buy("referred", object{"reference": "R", "confirm": true}, "tray", 1)
	s.request("referred", "", object{"sku": "mug", "quantity": 1, "price": "3.00"})
	s.post("/returns", object{"return_id": "own", "currency": "GBP", "customer_id": "own", "reference": "R", "reason": "r", "lines": []object{{"sku": "mug", "quantity": 1, "price": "3.00"}}})
	s.post("/returns/own/approve", nil)
	s.post("/returns/own/receipts", object{"lines": []object{came(1, 1, "restocked")}})
	s.post("/returns/own/refunds", object{"amount": gbp("2.00"), "reference": "R", "provider": "bank"})
	s.post("/credit-notes", object{"return_id": "note", "currency": "GBP", "customer_id": "own", "reason": "r", "reference": "R", "lines": []object{{"sku": "B", "title": "B", "quantity": 1, "price": "-1"}}})
	s.buy("pried", object{"confirm": true}, "tray", 2)
	s.post("/stock/tray/main/deallocations", object{"order_id": "pried", "quantity": 1, "force": true, "reason": "r"})
	s.post("/stock/tray/main/shipments", object{"order_id": "pried", "shipment_id": "pry", "quantity": 1, "force": true, "reason": "r"})
	s.buy("longer", nil, "tray", 1)
	placed := w.must(w.admin, http.MethodPost, "/v1/carts/c-longer/checkout", `{"order_id":"longer"}`, "Idempotency-Key", "again")
	_, reservation, _ := strings.Cut(placed, `"reservation_id":"`)
	reservation, _, _ = strings.Cut(reservation, `"`)
	s.do(http.MethodPatch, "/stock/tray/main/reservations/"+reservation, object{"hold_seconds": 7200, "force": true, "reason": "r"})
	s.post("/customers", object{"customer_id": "gone", "name": "Gone"})
	w.must(w.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"`+planted+`gone","reason":"requested"}`)
	for _, id := range []string{"first", "second", "third"} {
		s.post("/customers", object{"customer_id": id, "name": id})
	}
	s.post("/customers/"+planted+"first/merge", object{"into_customer_id": "second"})
	s.post("/customers/"+planted+"second/merge", object{"into_customer_id": "third"})
	w.must(w.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"`+planted+`third","reason":"requested"}`)
	w.invoice()
	return w
}

// invoice erases a customer who has two accounts, and whose invoice is kept.
func (w *withheldShop) invoice() {
	s := w.story
	for _, id := range []string{"fourth", "fifth"} {
		s.post("/customers", object{"customer_id": id, "name": id})
	}
	s.post("/customers/"+planted+"fourth/merge", object{"into_customer_id": "fifth"})
	do := func(method, path, body string) {
		w.must(w.admin, method, "/v1"+path, body, "Idempotency-Key", path)
	}
	do(http.MethodPost, "/carts", `{"cart_id":"c-kept","currency":"GBP","customer_id":"`+planted+`fifth","lines":[{"sku":"tray","quantity":1}]}`)
	do(http.MethodPut, "/carts/c-kept/details", `{"billing":{"name":"`+planted+`","lines":["`+planted+`"],"country":"GB"}}`)
	do(http.MethodPost, "/carts/c-kept/checkout", `{"order_id":"kept"}`)
	do(http.MethodPost, "/orders/kept/confirm", "")
	do(http.MethodPost, "/orders/kept/cancel", `{"reason":"`+planted+`"}`)
	do(http.MethodPost, "/erasures", `{"customer_id":"`+planted+`fifth","reason":"requested"}`)
}

// hear notes a response to a write.
func (w *withheldShop) hear(response *http.Response, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = append(w.written, text)
	w.position = cmp.Or(response.Header.Get("Daybook-Position"), w.position)
}

// gatewayOf is the connection string of the gateway with a key.
func (w *withheldShop) gatewayOf(key string) string {
	parts := strings.Split(key, "_")
	u, err := url.Parse(w.gateway)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.UserPassword(parts[1], parts[2])
	return u.String()
}

// readAll reads the whole log through the gateway.
func (w *withheldShop) readAll(key string) (all []*esdb.RecordedEvent) {
	w.t.Helper()
	read, err := w.with(key).ReadAll(w.t.Context(), esdb.ReadAllOptions{From: esdb.Start{}, ResolveLinkTos: true}, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	defer read.Close()
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, event.OriginalEvent())
	}
}

// textsAt returns the texts of a JSON value at a path of a field.
func textsAt(value any, path []string) []string {
	if len(path) == 0 {
		if text, is := value.(string); is {
			return []string{text}
		}
		return nil
	}
	var found []string
	switch value := value.(type) {
	case map[string]any:
		found = textsAt(value[path[0]], path[1:])
	case []any:
		for _, one := range value {
			found = append(found, textsAt(one, path[1:])...)
		}
	}
	return found
}

// TestAnalystsSeeNoPersonalData puts a word into every personal text, through the API. Then
// somebody without the permission personal.read reads everything that they may read, and must not
// find the word. An auditor finds it.
func TestAnalystsSeeNoPersonalData(t *testing.T) {
	t.Parallel()
	w := openWithheld(t)
	t.Run("every personal text has the word", w.everyTextIsPlanted)
	t.Run("responses to writes", func(t *testing.T) {
		for _, text := range w.written {
			if strings.Contains(text, planted) {
				t.Errorf("a response to a write has the word: %s", text)
			}
		}
		if len(w.written) < 100 {
			t.Errorf("%d responses", len(w.written))
		}
	})
	t.Run("every route", w.everyRouteWithholds)
	t.Run("the live stream", func(t *testing.T) {
		clear, withheld := w.live(t, w.auditor), w.live(t, w.analyst)
		if !strings.Contains(clear, planted) || strings.Contains(withheld, planted) {
			t.Errorf("the word is in what an auditor follows %d times, and in what an analyst follows %d times", strings.Count(clear, planted), strings.Count(withheld, planted))
		}
	})
	t.Run("the gateway", w.theGatewayWithholds)
	t.Run("one customer has one pseudonym", w.pseudonyms)
	t.Run("questions that would tell", w.questions)
}

// isSealed tells whether a member is sealed. The gateway has a number in place of a sealed text. An
// empty text has none.
func isSealed(value any, path []string) bool {
	for _, name := range append(slices.Clone(path), "sealed") {
		if list, is := value.([]any); is && name == personal.Each && len(list) > 0 {
			value = list[0]
			continue
		}
		members, _ := value.(map[string]any)
		if value = members[name]; value == nil {
			return false
		}
	}
	return true
}

// everyTextIsPlanted compares the log with the classes of package personal.
func (w *withheldShop) everyTextIsPlanted(t *testing.T) {
	seen, types := map[string]bool{}, map[string]bool{}
	note := func(of string, fields []personal.Field, data []byte) {
		var value map[string]any
		if json.Unmarshal(data, &value) != nil {
			return
		}
		for _, f := range fields {
			for _, text := range textsAt(value, f.Path) {
				seen[of+" "+f.String()] = seen[of+" "+f.String()] || strings.Contains(text, planted)
			}
			if isSealed(value, f.Path) {
				seen[of+" "+f.String()] = true
			}
		}
	}
	for _, event := range w.readAll(w.auditor) {
		types[event.EventType] = true
		note(event.EventType, personal.Of(event.EventType), event.Data)
		note("metadata", personal.OfMetadata(), event.UserMetadata)
	}
	check := func(of string, fields []personal.Field) {
		for _, f := range fields {
			if name := of + " " + f.String(); seen[name] == (notPlanted[name] != "") {
				t.Errorf("%s: planted %t; make the story plant it, or say in notPlanted why it cannot", name, seen[name])
			}
		}
	}
	for name := range eventtypes.All() {
		if !types[name] && len(plantable(name)) > 0 && !slices.Contains(notWritten, name) {
			t.Errorf("%s was not written", name)
		}
		if types[name] {
			check(name, plantable(name))
		}
	}
	check("metadata", personal.OfMetadata())
}

// plantable are the personal texts of an event that can have the word. The server makes the ids of
// people who sign in, so these have none. A test of package personal withholds them.
func plantable(eventType string) []personal.Field {
	return slices.DeleteFunc(slices.Clone(personal.Of(eventType)), func(f personal.Field) bool { return f.Class == personal.Person })
}

// ids are values for the parameters of paths.
func (w *withheldShop) ids(t *testing.T) map[string][]string {
	t.Helper()
	ids := map[string][]string{
		"location": {"main", "north"}, "sku": {"mug", "tray"}, "code": {"not-found"},
		"price_list_id": {"fair", "over"}, "promotion_id": {"ten", "over"}, "method_id": {"post", "horse"},
		"gift_card_id": {string(giftcard.AccountID(planted+"fair-gone", "GBP"))}, "entity_id": {"fair", "gone"},
	}
	for name, path := range map[string]string{"cart_id": "/v1/carts", "order_id": "/v1/orders", "return_id": "/v1/returns", "customer_id": "/v1/customers?currency=GBP&x=", "person_id": "/v1/staff", "key_id": "/v1/keys"} {
		var page struct {
			Items []map[string]any `json:"items"`
		}
		path, _, _ = strings.Cut(path, "&")
		more := "?"
		if strings.Contains(path, "?") {
			more = "&"
		}
		if err := json.Unmarshal([]byte(w.must(w.admin, http.MethodGet, path+more+"limit=100", "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			id, _ := item[name].(string)
			ids[name] = append(ids[name], url.PathEscape(id))
		}
	}
	for _, event := range w.readAll(w.auditor) {
		if stream := url.PathEscape(event.StreamID); !slices.Contains(ids["stream"], stream) && !strings.HasPrefix(event.StreamID, "$") {
			ids["stream"] = append(ids["stream"], stream)
		}
	}
	return ids
}

// paths are the paths of a route with each id in turn. "stock" items have two parameters.
func paths(template string, ids map[string][]string) []string {
	all := []string{template}
	for name, values := range ids {
		if !strings.Contains(template, "{"+name+"}") {
			continue
		}
		var next []string
		for _, path := range all {
			for _, value := range values {
				next = append(next, strings.ReplaceAll(path, "{"+name+"}", value))
			}
		}
		all = next
	}
	return all
}

// endless are routes whose responses do not end.
var endless = []string{"/v1/events/live"}

// everyRouteWithholds reads every GET route of the document, and all pages of the lists.
func (w *withheldShop) everyRouteWithholds(t *testing.T) {
	w.settle(t)
	ids := w.ids(t)
	found := map[string]bool{} // routes in which an auditor finds the word
	everyRoute(t, func(id, method, path, _ string) {
		if method != http.MethodGet || slices.Contains(endless, path) {
			return
		}
		all := paths(path, ids)
		if strings.Contains(all[0], "{") {
			t.Errorf("%s: the test has no value for %s", id, path)
		}
		for i, one := range all {
			queries := []string{"", "?limit=2", "?limit=20&currency=GBP"}
			if i > 0 {
				queries = queries[:1]
			}
			for _, query := range queries {
				found[id] = found[id] || strings.Contains(w.pages(t, w.auditor, id, one+query), planted)
				for who, key := range map[string]string{"an analyst": w.analyst, "a program that sees no personal data": w.blind} {
					if text := w.pages(t, key, id, one+query); strings.Contains(text, planted) || strings.Contains(text, "@shop.example") && id != "get-document" {
						t.Errorf("%s finds the word at %s: %.500s", who, one+query, text[max(0, strings.Index(text, planted)-200):])
					}
				}
			}
		}
	})
	for _, id := range []string{
		"list-orders", "get-order", "list-carts", "get-cart", "list-returns", "get-return", "list-customers", "get-customer", "list-customer-orders",
		"list-sales-documents", "list-stock-movements", "list-events", "read-stream", "list-keys", "list-staff", "list-gift-cards",
	} {
		if !found[id] {
			t.Errorf("an auditor does not find the word by %s", id)
		}
	}
}

// pages reads a path, and further pages as far as there are some. The text has all bodies, all
// headers and all cursors. It is empty if the caller may not ask.
func (w *withheldShop) pages(t *testing.T, key, id, path string) string {
	t.Helper()
	var all strings.Builder
	for at, n := path, 0; n < 4; n++ {
		response, text := w.send(key, http.MethodGet, at, "")
		if response.StatusCode/100 == 5 {
			t.Errorf("%s: %d %s", at, response.StatusCode, text)
		}
		if response.StatusCode != http.StatusOK {
			break
		}
		all.WriteString(fmt.Sprint(response.Header) + text)
		var page struct {
			Next string `json:"next"`
		}
		if json.Unmarshal([]byte(text), &page) != nil || page.Next == "" {
			break
		}
		all.WriteString(unpacked(page.Next))
		base, _, _ := strings.Cut(at, "&cursor=")
		at = base + "&cursor=" + url.QueryEscape(page.Next)
	}
	return all.String()
}

// unpacked is a cursor as somebody reads it who knows its form.
func unpacked(cursor string) string {
	text := cursor
	for part := range strings.SplitSeq(cursor, ".") {
		if data, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			text += " " + string(data)
		}
	}
	return text
}

// live follows the log over HTTP from its beginning until all events were sent.
func (w *withheldShop) live(t *testing.T, key string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/events/live?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var all strings.Builder
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && lines.Text() != "event: caught_up" {
		all.WriteString(lines.Text() + "\n")
	}
	if strings.Count(all.String(), "event: ") < 100 {
		t.Errorf("%d events, %v", strings.Count(all.String(), "event: "), lines.Err())
	}
	return all.String()
}

func (w *withheldShop) theGatewayWithholds(t *testing.T) {
	text := func(events ...*esdb.RecordedEvent) string {
		var all strings.Builder
		for _, e := range events {
			fmt.Fprintf(&all, "%s %s %s %s\n", e.StreamID, e.EventType, e.Data, e.UserMetadata)
		}
		return all.String()
	}
	check := func(how, clear, withheld string) {
		t.Helper()
		if !strings.Contains(clear, planted) || strings.Contains(withheld, planted) || withheld == "" {
			t.Errorf("%s: the word is in what an auditor reads %d times, and in what an analyst reads %d times (%d bytes)", how, strings.Count(clear, planted), strings.Count(withheld, planted), len(withheld))
		}
		if strings.Contains(withheld, `"request":"1.`) {
			t.Errorf("%s: an analyst sees a hash of personal data", how)
		}
		if !strings.Contains(clear, `{"sealed":{"key":"`) || strings.Contains(withheld, `"key":"`) || strings.Contains(withheld, `{"sealed":0}`) {
			t.Errorf("%s: an analyst sees encrypted texts, or an auditor does not", how)
		}
	}
	all := w.readAll(w.auditor)
	check("$all", text(all...), text(w.readAll(w.analyst)...))
	streams := map[string]bool{}
	for _, e := range all {
		streams[e.StreamID] = true
	}
	read := func(key, stream string) string {
		r, err := w.with(key).ReadStream(t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1000)
		if err != nil {
			return ""
		}
		defer r.Close()
		var events []*esdb.RecordedEvent
		for {
			event, err := r.Recv()
			if err != nil {
				return text(events...)
			}
			events = append(events, event.OriginalEvent())
		}
	}
	found := 0
	for stream := range streams {
		if withheld := read(w.analyst, stream); strings.Contains(withheld, planted) {
			t.Errorf("an analyst finds the word in the stream %s: %s", stream, withheld)
		}
		if strings.Contains(read(w.auditor, stream), planted) {
			found++
		}
	}
	if found < 50 {
		t.Errorf("an auditor finds the word in %d streams of %d", found, len(streams))
	}
	follow := func(key string) string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		subscription, err := w.with(key).SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		defer subscription.Close()
		var events []*esdb.RecordedEvent
		for len(events) < len(all) {
			got := subscription.Recv()
			if got.SubscriptionDropped != nil {
				t.Fatal(got.SubscriptionDropped.Error)
			}
			if got.EventAppeared != nil {
				events = append(events, got.EventAppeared.OriginalEvent())
			}
		}
		return text(events...)
	}
	check("a subscription", follow(w.auditor), follow(w.analyst))
	consume := func(key, group string) string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := w.with(w.admin).CreatePersistentSubscriptionToAll(ctx, group, esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}}); err != nil {
			t.Fatal(err)
		}
		subscription, err := w.with(key).SubscribeToPersistentSubscriptionToAll(ctx, group, esdb.SubscribeToPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer subscription.Close()
		var events []*esdb.RecordedEvent
		for len(events) < len(all) {
			got := subscription.Recv()
			if got.SubscriptionDropped != nil {
				t.Fatal(got.SubscriptionDropped.Error)
			}
			if got.EventAppeared != nil {
				events = append(events, got.EventAppeared.Event.OriginalEvent())
				if err := subscription.Ack(got.EventAppeared.Event); err != nil {
					t.Fatal(err)
				}
			}
		}
		return text(events...)
	}
	check("a group of consumers", consume(w.admin, "clear"), consume(w.blind, "withheld"))
}

// pseudonyms checks that an analyst can join what belongs to one customer, wherever it is shown.
func (w *withheldShop) pseudonyms(t *testing.T) {
	type row struct {
		OrderID    string `json:"order_id"`
		CustomerID string `json:"customer_id"`
	}
	orders := func(key string) map[string]string {
		var page struct {
			Items []row `json:"items"`
		}
		if err := json.Unmarshal([]byte(w.must(key, http.MethodGet, "/v1/orders?limit=500", "")), &page); err != nil {
			t.Fatal(err)
		}
		by := map[string]string{}
		for _, r := range page.Items {
			by[r.OrderID] = r.CustomerID
		}
		return by
	}
	clear, withheld := orders(w.auditor), orders(w.analyst)
	pseudonymOf, customerOf := map[string]string{}, map[string]string{}
	for id, customer := range clear {
		pseudonym := withheld[id]
		if customer == "" {
			continue
		}
		if !strings.HasPrefix(pseudonym, personal.Withheld+"-") || pseudonymOf[customer] != "" && pseudonymOf[customer] != pseudonym || customerOf[pseudonym] != "" && customerOf[pseudonym] != customer {
			t.Errorf("order %s of %s has the pseudonym %q; other orders of the customer have %q", id, customer, pseudonym, pseudonymOf[customer])
		}
		pseudonymOf[customer], customerOf[pseudonym] = pseudonym, customer
	}
	if len(pseudonymOf) < 1 {
		t.Fatal("no customer has orders")
	}
	listed := w.must(w.analyst, http.MethodGet, "/v1/customers?currency=GBP&limit=500", "")
	placed := w.must(w.analyst, http.MethodGet, "/v1/events?type=order.placed&limit=1000", "") + w.must(w.analyst, http.MethodGet, "/v1/events?type=order.taken_over&limit=1000", "")
	for customer, pseudonym := range pseudonymOf {
		if !strings.Contains(listed, `"`+pseudonym+`"`) || !strings.Contains(placed, `"`+pseudonym+`"`) {
			t.Errorf("the pseudonym of %s is not in the list of customers or not in the events", customer)
		}
	}
	for order := range clear {
		hers, _ := w.send(w.auditor, http.MethodGet, "/v1/orders/"+order, "")
		theirs, _ := w.send(w.analyst, http.MethodGet, "/v1/orders/"+order, "")
		if hers.Header.Get("ETag") == theirs.Header.Get("ETag") || theirs.Header.Get("ETag") == "" {
			t.Errorf("both forms of the order %s have the ETag %s", order, theirs.Header.Get("ETag"))
		}
		break
	}
}

// questions asks with every parameter that names a personal text. Whoever sees no personal data
// must not learn whether there is such a text.
func (w *withheldShop) questions(t *testing.T) {
	refused := 0
	for _, r := range walkedRoutes(t) {
		if r.method != http.MethodGet {
			continue
		}
		var asked []string
		at := filled(r.path, map[string]string{"customer_id": planted + "own"})
		if strings.Contains(r.path, "{customer_id}") {
			asked = append(asked, at)
		}
		for _, name := range r.query {
			switch name {
			case "customer_id", "reference":
				query := "?" + name + "=" + planted
				if r.id == "list-customers" {
					query += "&currency=GBP" // it is required there
				}
				asked = append(asked, at+query)
			case "sort":
				if r.id == "list-customers" {
					asked = append(asked, at+"?currency=GBP&sort=customer_id", at+"?currency=GBP&sort=-customer_id")
				}
			}
		}
		for _, path := range asked {
			refused++
			for _, key := range []string{w.analyst, w.blind} {
				lacks := "personal.read"
				if (r.id == "get-customer" || r.id == "get-login") && key == w.analyst {
					lacks = "customers.read" // of which an analyst could make no use
				}
				if r.id == "export-customer" && key == w.analyst {
					lacks = "personal.export"
				}
				if r.id == "list-gift-cards" && key == w.analyst {
					lacks = "giftcards.read"
				}
				if r.id == "list-customer-accounts" && key == w.analyst {
					lacks = "accounts.read"
				}
				if status, text := w.ask(key, http.MethodGet, path, ""); status != http.StatusForbidden || !strings.Contains(text, lacks) {
					t.Errorf("%s: %d %s", path, status, text)
				}
			}
			want := http.StatusOK
			if r.id == "get-login" {
				want = http.StatusNotFound // this customer does not sign in
			}
			if status, text := w.ask(w.auditor, http.MethodGet, path, ""); status != want {
				t.Errorf("an auditor, %s: %d %s", path, status, text)
			}
		}
	}
	if refused < 11 {
		t.Errorf("%d questions were tried", refused)
	}
	// A cursor of the one is none of the other.
	cursor := func(key string) string {
		return member(t, w.must(key, http.MethodGet, "/v1/customers?currency=GBP&limit=1", ""), "next")
	}
	for key, from := range map[string]string{w.analyst: cursor(w.auditor), w.auditor: cursor(w.analyst)} {
		if status, text := w.ask(key, http.MethodGet, "/v1/customers?currency=GBP&limit=1&cursor="+url.QueryEscape(from), ""); status != http.StatusUnprocessableEntity {
			t.Errorf("a cursor of the other form: %d %s", status, text)
		}
	}
}

// settle waits until the read models show everything that was written.
func (w *withheldShop) settle(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/v1/carts", "/v1/orders", "/v1/returns", "/v1/stock", "/v1/sales/documents", "/v1/products"} {
		eventually(t, patience, path+" is up to date", func() bool {
			status, _ := w.ask(w.admin, http.MethodGet, path, "", "Daybook-Min-Position", w.position)
			return status == http.StatusOK
		})
	}
}

// The holder of a role of the shop's own sees the personal data of their own things without the
// permission, and that of others only with it.
func TestOwnPersonalDataIsShown(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	cart := member(t, s.must(s.keys["customer alice"], http.MethodPost, "/v1/carts", `{"currency":"GBP"}`), "cart_id")
	s.must(s.keys["admin"], http.MethodPut, "/v1/roles/keeper", `{"grants":[{"permission":"carts.read","reach":"all"}]}`)
	keeper := s.keyByAPI(s.keys["admin"], `{"name":"keeper","role":"keeper"}`)
	s.must(s.keys["admin"], http.MethodPut, "/v1/roles/counter", `{"grants":[{"permission":"carts.read","reach":"all"},{"permission":"customers.act","reach":"all"}]}`)
	counter := s.keyByAPI(s.keys["admin"], `{"name":"counter","role":"counter"}`)
	for who, c := range map[string]struct {
		key  string
		head []string
		want bool
	}{
		"the customer":                   {key: s.keys["customer alice"], want: true},
		"a storefront":                   {key: s.keys["storefront"], want: true},
		"a storefront that acts for her": {key: s.keys["storefront"], head: []string{"Daybook-Act-For", "alice"}, want: true},
		"an operator":                    {key: s.keys["operator"], want: true},
		"a manager":                      {key: s.keys["manager"], want: true},
		"an auditor":                     {key: s.keys["auditor"], want: true},
		"an admin":                       {key: s.keys["admin"], want: true},
		"an analyst":                     {key: s.keys["analyst"]},
		"a role without the permission":  {key: keeper},

		"a role without the permission that acts for her": {key: counter, head: []string{"Daybook-Act-For", "alice"}},
	} {
		eventually(t, patience, who+" sees the cart", func() bool {
			status, _ := s.ask(c.key, http.MethodGet, "/v1/carts/"+cart, "", c.head...)
			return status == http.StatusOK
		})
		text := s.must(c.key, http.MethodGet, "/v1/carts/"+cart, "", c.head...)
		if got := member(t, text, "customer_id"); (got == "alice") != c.want || got == "" {
			t.Errorf("%s sees the customer %q", who, got)
		}
	}
}

// A kept answer has the form that its caller may see now, and not the form of the time at which it
// was kept.
func TestKeptAnswersFollowThePermission(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	may := func(personal string) {
		s.must(s.keys["admin"], http.MethodPut, "/v1/roles/clerk", `{"grants":[{"permission":"carts.write","reach":"all"}`+personal+`]}`)
	}
	const granted = `,{"permission":"personal.read","reach":"all"}`
	may(granted)
	clerk := s.keyByAPI(s.keys["admin"], `{"name":"clerk","role":"clerk"}`)
	send := func() (*http.Response, string) {
		return s.send(clerk, http.MethodPost, "/v1/carts", `{"currency":"GBP","customer_id":"alice"}`, "Idempotency-Key", "mine")
	}
	customer := func(text string) string { return member(t, text, "customer_id") }
	_, first := send()
	if customer(first) != "alice" {
		t.Fatal(first)
	}
	eventually(t, patience, "the answer is kept", func() bool {
		response, text := send()
		return response.Header.Get("Idempotency-Replayed") != "" && text == first
	})
	for _, step := range []struct{ grant, want string }{{"", "withheld-"}, {granted, "alice"}} {
		may(step.grant)
		eventually(t, patience, "the answer has "+step.want, func() bool {
			response, text := send()
			return response.StatusCode == http.StatusCreated && strings.HasPrefix(customer(text), step.want) && member(t, text, "cart_id") == member(t, first, "cart_id")
		})
	}
}
