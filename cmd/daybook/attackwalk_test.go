package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/access"
)

// The walk attacks what belongs to Alice, at every route of the document. It does so as Bob, as a
// storefront that acts for Bob, and as an admin who acts for Bob. It makes its requests from the
// document: from the parameters of the path, the example of the body, and each member and parameter
// that names a thing of a customer. So a new route is attacked without more code. If the walk
// cannot attack a route, it fails. Then one of the lists below must explain the route or its
// member.

// ofOthers are the names of members and parameters whose values name a thing of a customer.
var ofOthers = []string{"cart_id", "order_id", "return_id", "customer_id", "from", "into_cart_id", "into_customer_id"}

// within are the names of members and parameters that name a part of a thing, or a thing that
// belongs to nobody. Another value of them is not an attack, because another member or parameter
// names the thing itself.
var within = []string{"transaction_id", "refund_id", "part_id", "charge_id", "credit_id", "shipment_id", "reservation_id", "transfer_id", "process_id", "key_id", "list_id", "method_id", "tax_id"}

// ofNobody are permissions for what belongs to nobody: everyone with the permission may see the
// same.
var ofNobody = []access.Permission{access.Look, access.ReadCatalogue}

// byCode are the operations that show what belongs to whoever knows its code.
var byCode = []string{"find-gift-card"}

// makes are the members with which a program that may choose ids chooses the id of what the route
// makes. So an own id is one that nothing has yet.
var makes = map[string]string{
	"open-cart": "cart_id", "checkout-cart": "order_id", "request-return": "return_id", "record-transaction": "transaction_id", "ship-order": "shipment_id",
}

// taken are the refusals of such an id, if something of somebody else has it.
var taken = map[string]string{"open-cart": "cart-exists", "checkout-cart": "order-id-taken", "request-return": "return-exists"}

// refusedAnyway are the owners' own requests that are refused because of the state of the thing,
// with the code of the refusal. The order is paid and partly shipped, and the return is requested.
// The example of a transaction belongs to an earlier one, which these orders do not have. All other
// requests of owners must succeed. Nothing is kept of an order whose owner was not erased, nobody
// has signed up, and whoever acts for a customer gives no rights. The parcel is under way,
// and no return was credited.
var refusedAnyway = map[string]string{
	"register-customer": "customer-exists", "erase-customer": "erasure-order-open", "merge-customer": "customer-merge-self",
	"complete-order": "order-not-finished", "archive-order": "order-not-finished", "record-transaction": "transaction-unknown",
	"take-shipment-back": "parcel-units-exceeded", "resend-shipment": "parcel-state", "credit-shipment": "parcel-state", "claw-back": "credit-unknown",
	"extend-order": "order-confirmed", "request-refund": "amount-exceeded", "retry-refund": "refund-unknown", "settle-refund": "refund-unknown",
	"explain-refund":  "refund-not-unexplained",
	"get-kept-record": "not-found", "get-login": "not-found", "invite-customer": "forbidden",
	"receive-return": "return-not-approved", "refund-return": "return-not-approved", "close-return": "return-not-approved",
}

// refusedToGuests are the same for guests. A guest has one cart, which is checked out, and no other
// cart to merge.
var refusedToGuests = map[string]string{
	"open-cart": "cart-exists", "patch-cart": "cart-not-open", "abandon-cart": "cart-not-open", "merge-cart": "cart-merge-self", "set-cart-details": "cart-not-open", "add-wishes": "wish-list-unknown",
	"get-kept-record": "not-found",
	"add-cart-coupon": "cart-not-open", "remove-cart-coupon": "cart-not-open", "choose-cart-shipping": "cart-not-open",
	"add-cart-lines": "cart-not-open", "change-cart-line": "cart-not-open", "remove-cart-line": "cart-not-open",
}

// walkedRoute is a route as the document describes it.
type walkedRoute struct {
	id, method, path, needs string
	query                   []string
	headers                 []string
	members                 []string       // of the body, such as "lines/*/order_id"
	body                    map[string]any // its example
	content                 string         // its media type
}

// owned tells whether the path names a thing of a customer.
func (r walkedRoute) owned() bool {
	return slices.ContainsFunc(ofOthers, func(name string) bool { return strings.Contains(r.path, "{"+name+"}") })
}

// walkedRoutes reads the document.
func walkedRoutes(t *testing.T) (routes []walkedRoute) {
	t.Helper()
	text, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	type media struct {
		Example map[string]any `json:"example"`
		Schema  map[string]any `json:"schema"`
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID         string `json:"operationId"`
			Needs      string `json:"x-permission"`
			Parameters []struct {
				Name string `json:"name"`
				In   string `json:"in"`
			} `json:"parameters"`
			Body struct {
				Content map[string]media `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var collect func(schema map[string]any, at string) []string
	collect = func(schema map[string]any, at string) (names []string) {
		if ref, is := schema["$ref"].(string); is {
			return collect(doc.Components.Schemas[ref[strings.LastIndex(ref, "/")+1:]], at)
		}
		if items, is := schema["items"].(map[string]any); is {
			return collect(items, at+"*/")
		}
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if strings.HasSuffix(name, "_id") || name == "from" {
				names = append(names, at+name)
			}
			if inner, is := properties[name].(map[string]any); is {
				names = append(names, collect(inner, at+name+"/")...)
			}
		}
		return names
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			operation := doc.Paths[path][method]
			route := walkedRoute{id: operation.ID, method: strings.ToUpper(method), path: path, needs: operation.Needs}
			for _, p := range operation.Parameters {
				switch p.In {
				case "query":
					route.query = append(route.query, p.Name)
				case "header":
					route.headers = append(route.headers, p.Name)
				}
			}
			for _, content := range slices.Sorted(maps.Keys(operation.Body.Content)) {
				if route.content == "" {
					route.content, route.body = content, operation.Body.Content[content].Example
					route.members = collect(operation.Body.Content[content].Schema, "")
				}
			}
			routes = append(routes, route)
		}
	}
	return routes
}

// things are the ids of what a customer has, by the names of members.
type things map[string]string

// attacker is somebody who may reach only what belongs to Bob.
type attacker struct {
	name string
	who  access.Principal
	key  string
	head []string // headers of every request
	// owner and ownerHead are the key and the headers of somebody with the same rights for Alice.
	owner     string
	ownerHead []string
}

type attackWalk struct {
	*keyedShop
	pool      *pgxpool.Pool
	alice     things
	bob       things
	attackers []attacker
	number    int
	routes    []walkedRoute
	forbidden map[string][]string // members of a route's example that an attacker may not send
	guests    bool                // Alice and Bob are guests
	addresses map[string]string   // the address that each customer got last
	lists     map[string][]string // and the wish list
	countedOf string              // whose events traces has counted
	counted   int                 // how many they were
	countedTo int64               // up to which position
}

// openAttackWalk opens a shop in which Alice and Bob have each bought something.
func openAttackWalk(t *testing.T) *attackWalk {
	t.Helper()
	shop := openKeyed(t, "--admin-address", "127.0.0.1:0", "--requests-per-customer", "0", "--requests-per-address", "0", "--answers-per-customer", "0")
	w := &attackWalk{keyedShop: shop, routes: walkedRoutes(t), forbidden: map[string][]string{}}
	w.pool = poolOf(t, w.database)
	manager := w.keys["manager"]
	w.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	w.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":9999}`, "Idempotency-Key", "r")
	for n := range 2 {
		w.alice, w.bob = w.buys("alice", n), w.buys("bob", n)
	}
	storefront, _ := access.BuiltIn(access.Storefront)
	admin, _ := access.BuiltIn(access.Admin)
	customer, _ := access.BuiltIn(access.Customer)
	w.attackers = []attacker{
		{name: "bob", who: access.Principal{ID: "key:b", Grants: customer, Customer: "bob"}, key: w.keys["customer bob"], owner: w.keys["customer alice"]},
		{name: "a storefront for bob", who: access.Principal{ID: "key:s", Grants: storefront, ActsFor: "bob"}, key: w.keys["storefront"], head: []string{"Daybook-Act-For", "bob"}, owner: w.keys["storefront"], ownerHead: []string{"Daybook-Act-For", "alice"}},
		{name: "an admin for bob", who: access.Principal{ID: "key:a", Grants: admin, ActsFor: "bob"}, key: w.keys["admin"], head: []string{"Daybook-Act-For", "bob"}, owner: w.keys["admin"], ownerHead: []string{"Daybook-Act-For", "alice"}},
	}
	for _, customer := range []string{"alice", "bob"} {
		for _, list := range []string{"/v1/carts", "/v1/orders", "/v1/returns"} {
			eventually(t, patience, customer+" sees "+list, func() bool {
				return strings.Count(w.must(w.keys["customer "+customer], http.MethodGet, list, ""), `"customer_id":"`+customer+`"`) >= 2
			})
		}
	}
	return w
}

// buys lets a customer open two carts, buy three units, get two of them, and ask for the return of
// one. n makes its idempotency keys and its reference differ from those of other calls.
func (w *attackWalk) buys(customer string, n int) things {
	w.t.Helper()
	key, manager := w.keys["customer "+customer], w.keys["manager"]
	address, list := w.account(customer)
	once := func(what string) []string { return []string{"Idempotency-Key", fmt.Sprint(customer, what, n)} }
	made := func(text string) (ids map[string]string) {
		var body struct {
			CartID   string `json:"cart_id"`
			ReturnID string `json:"return_id"`
			Order    struct {
				OrderID string `json:"order_id"`
			} `json:"order"`
		}
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			w.t.Fatal(err)
		}
		return map[string]string{"cart": body.CartID, "return": body.ReturnID, "order": body.Order.OrderID}
	}
	const one, three = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, `{"currency":"GBP","lines":[{"sku":"MUG","quantity":3}]}`
	open := made(w.must(key, http.MethodPost, "/v1/carts", one, once("open")...))["cart"]
	other := made(w.must(key, http.MethodPost, "/v1/carts", one, once("other")...))["cart"]
	bought := made(w.must(key, http.MethodPost, "/v1/carts", three, once("bought")...))["cart"]
	reference := fmt.Sprint("of-", customer, "-", n)
	order := made(w.must(key, http.MethodPost, "/v1/carts/"+bought+"/checkout", `{"reference":"`+reference+`"}`, once("checkout")...))["order"]
	at := "/v1/orders/" + order
	w.must(manager, http.MethodPost, at+"/transactions", `{"transaction_id":"pay","type":"capture","state":"succeeded","amount":{"amount":"23.50","currency":"GBP"}}`, once("pay")...)
	w.must(manager, http.MethodPost, at+"/confirm", "", once("confirm")...)
	w.must(manager, http.MethodPost, at+"/shipments", `{"shipment_id":"parcel","location":"main","lines":[{"line":1,"quantity":2}]}`, once("ship")...)
	w.must(manager, http.MethodPost, at+"/surcharges", `{"charge_id":"island","amount":{"amount":"1.00","currency":"GBP"},"reason":"an island"}`, once("island")...)
	back := made(w.must(key, http.MethodPost, "/v1/returns", `{"order_id":"`+order+`","reference":"`+reference+`","lines":[{"order_line":1,"quantity":1}]}`, once("back")...))["return"]
	return things{
		"customer_id": customer, "into_customer_id": customer, "cart_id": open, "from": other, "into_cart_id": other, "order_id": order, "return_id": back, "reference": reference,
		"line": "1", "shipment_id": "parcel", "transaction_id": "pay", "charge": "1", "ordered": bought, "address_id": address, "list_id": list,
	}
}

// account registers a customer who is not registered yet, and lets them check out. It gives the
// customer a new address, in place of the one that it gave before.
func (w *attackWalk) account(customer string) (addressID, listID string) {
	w.t.Helper()
	key, at := w.keys["customer "+customer], "/v1/customers/"+customer
	if old := w.addresses[customer]; old == "" {
		w.must(key, http.MethodPost, "/v1/customers", `{"name":"`+customer+`","email":"`+customer+`@home.example"}`)
	} else {
		w.ask(key, http.MethodDelete, at+"/addresses/"+old, "") // it may be gone
	}
	w.must(w.keys["manager"], http.MethodPost, at+"/unblock", "")
	var made struct {
		Addresses []struct {
			AddressID string `json:"address_id"`
		} `json:"addresses"`
	}
	text := w.must(key, http.MethodPost, at+"/addresses", `{"lines":["1 High Street"],"country":"GB"}`)
	if err := json.Unmarshal([]byte(text), &made); err != nil || len(made.Addresses) == 0 {
		w.t.Fatalf("%v: %s", err, text)
	}
	if w.addresses == nil {
		w.addresses, w.lists = map[string]string{}, map[string][]string{}
	}
	w.addresses[customer] = made.Addresses[len(made.Addresses)-1].AddressID
	for _, old := range w.lists[customer] {
		w.ask(key, http.MethodDelete, at+"/wish-lists/"+old, "") // it may be gone
	}
	text = w.must(key, http.MethodPost, at+"/wish-lists", `{"name":"Birthday"}`)
	_, listID, _ = strings.Cut(text[strings.LastIndex(text, `"list_id":"`):], `"list_id":"`)
	listID, _, _ = strings.Cut(listID, `"`)
	w.must(key, http.MethodPut, at+"/wish-lists/"+listID+"/wishes/MUG", `{"quantity":1}`)
	w.lists[customer] = []string{listID}
	return w.addresses[customer], listID
}

// more are further things of a customer, of which none was changed yet. A guest has no others.
func (w *attackWalk) more(customer string) things {
	w.t.Helper()
	if w.guests {
		return map[string]things{"alice": w.alice, "bob": w.bob}[customer]
	}
	w.number++
	return w.buys(customer, 100+w.number)
}

// send sends a request of a route. The path names the things of one customer, and so does the body,
// except for one member.
func (w *attackWalk) send(key string, r walkedRoute, path, body things, member string, value any, head ...string) (status int, code, text string) {
	w.t.Helper()
	response, text := w.request(key, r, path, body, member, value, head...)
	var problem struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal([]byte(text), &problem) // a response that is no problem has no type
	return response.StatusCode, strings.TrimPrefix(problem.Type, "/problems/"), text
}

// request does the same as send, but returns the whole response.
func (w *attackWalk) request(key string, r walkedRoute, path, body things, member string, value any, head ...string) (response *http.Response, text string) {
	w.t.Helper()
	content := ""
	if r.content != "" {
		whole := w.bodyOf(r, body)
		for _, name := range w.forbidden[key+r.id] {
			delete(whole, name)
		}
		if member != "" {
			set(whole, strings.Split(member, "/"), value)
		}
		text, err := json.Marshal(whole, json.Deterministic(true))
		if err != nil {
			w.t.Fatal(err)
		}
		content = string(text)
		head = append(head, "Content-Type", r.content)
	}
	return w.keyedShop.send(key, r.method, filled(r.path, path), content, head...)
}

// bodyOf is the example of a route's body, with the things of a customer where it names any.
func (w *attackWalk) bodyOf(r walkedRoute, of things) map[string]any {
	text, err := json.Marshal(r.body)
	if err != nil {
		w.t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		w.t.Fatal(err)
	}
	for name := range body {
		if value := of[name]; value != "" {
			body[name] = value
		}
	}
	if name := makes[r.id]; body[name] != nil {
		body[name] = w.unused()
	}
	return body
}

// unused is an id that nothing has.
func (w *attackWalk) unused() string {
	w.number++
	return fmt.Sprint("unused-", w.number)
}

// set puts a value into a body; "*" means each element of a list, which gets one if it has none.
func set(body any, at []string, value any) {
	object, is := body.(map[string]any)
	switch {
	case !is:
	case len(at) == 1:
		object[at[0]] = value
	case at[1] == "*":
		list, _ := object[at[0]].([]any)
		if len(list) == 0 {
			list = []any{map[string]any{}}
		}
		object[at[0]] = list
		for _, element := range list {
			set(element, at[2:], value)
		}
	default:
		if _, there := object[at[0]].(map[string]any); !there {
			object[at[0]] = map[string]any{}
		}
		set(object[at[0]], at[1:], value)
	}
}

// fresh is a header with an idempotency key that was not used before.
func (w *attackWalk) fresh() []string {
	w.number++
	return []string{"Idempotency-Key", fmt.Sprint("walk-", w.number)}
}

// traces counts what was recorded for Bob or by his key. It reads only what is new since the last
// count, because it is called for each attack and the log grows.
func (w *attackWalk) traces() (count int) {
	w.t.Helper()
	actor := "guest:" + w.bob["cart_id"]
	if !w.guests {
		actor = "key:" + strings.Split(w.keys["customer bob"], "_")[1]
	}
	if actor != w.countedOf {
		w.countedOf, w.counted, w.countedTo = actor, 0, 0
	}
	var more int
	err := w.pool.QueryRow(context.WithoutCancel(w.t.Context()), `SELECT count(*) FILTER (WHERE meta->>'actor' = $1 OR meta->>'acting_for' = 'bob'), coalesce(max(position), $2)
		FROM eventstore.events WHERE position > $2`, actor, w.countedTo).Scan(&more, &w.countedTo)
	if err != nil {
		w.t.Fatal(err)
	}
	w.counted += more
	return w.counted
}

// keeps fails the test if an attack has left a trace in the log. It also fails if the response has
// anything of Alice's that the request did not name.
func (w *attackWalk) keeps(what string, before int, text string, named ...string) {
	w.t.Helper()
	if after := w.traces(); after != before {
		w.t.Errorf("%s: it has recorded %d events", what, after-before)
	}
	for name, value := range w.alice {
		if len(value) > 4 && name != "shipment_id" && !slices.Contains(named, value) && strings.Contains(text, value) {
			w.t.Errorf("%s: the response tells the %s %s: %s", what, name, value, text)
		}
	}
}

// An attacker who may reach only what belongs to Bob never reaches what belongs to Alice, at any
// route. An attack that is refused changes nothing.
func TestAnotherCustomerReachesNothing(t *testing.T) {
	t.Parallel()
	w := openAttackWalk(t)
	for _, a := range w.attackers {
		for _, r := range w.routes {
			if r.needs != "" { // a probe
				w.attack(a, r)
			}
		}
	}
	// A customer does not see who of the shop acted on an order. A caller who may read all orders
	// sees it.
	order := "/v1/orders/" + w.alice["order_id"]
	own, all := w.must(w.keys["customer alice"], http.MethodGet, order, ""), w.must(w.keys["auditor"], http.MethodGet, order, "")
	actor := func(role string) string { return `"actor":"key:` + strings.Split(w.keys[role], "_")[1] + `"` }
	if !strings.Contains(own, actor("customer alice")) || strings.Count(own, `"actor"`) != strings.Count(own, actor("customer alice")) {
		t.Errorf("alice reads of her order: %s", own)
	}
	if !strings.Contains(all, actor("manager")) {
		t.Errorf("an auditor reads of alice's order: %s", all)
	}
}

// attack attacks a route in all ways that it has.
func (w *attackWalk) attack(a attacker, r walkedRoute) {
	w.t.Helper()
	what := a.name + ", " + r.id
	reach := a.who.Reach(access.Permission(r.needs))
	before := w.traces()
	switch {
	case reach == access.None:
		if status, code, text := w.send(a.key, r, w.alice, w.alice, "", nil, append(w.fresh(), a.head...)...); status != http.StatusForbidden || code != "forbidden" {
			w.t.Errorf("%s: %d %s", what, status, text)
		}
		return
	case reach == access.All && !slices.Contains(ofNobody, access.Permission(r.needs)):
		w.t.Errorf("%s: the permission %s reaches everything; if nothing of it belongs to a customer, say so in ofNobody", what, r.needs)
		return
	case reach == access.All:
		_, _, text := w.send(a.key, r, w.alice, w.alice, "", nil, a.head...)
		w.keeps(what, before, text)
		return
	}
	ways := 0
	if r.owned() {
		ways++
		w.byPath(a, r)
	}
	for _, member := range r.members {
		name := member[strings.LastIndex(member, "/")+1:]
		switch {
		case slices.Contains(ofOthers, name):
			ways++
			w.byBody(a, r, member, name)
		case !slices.Contains(within, name):
			w.t.Errorf("%s: say whether the member %s names a thing of a customer (ofOthers) or a part of one (within)", what, member)
		}
	}
	for _, name := range r.query {
		switch {
		case name == "cursor":
			ways++
			w.byCursor(a, r)
		case r.method == http.MethodGet && (slices.Contains(ofOthers, name) && name != "from" || name == "reference"):
			ways++
			w.byQuery(a, r, name)
		case strings.HasSuffix(name, "_id") && !slices.Contains(within, name):
			w.t.Errorf("%s: say whether the parameter %s names a thing of a customer (ofOthers) or a part of one (within)", what, name)
		}
	}
	if ways == 0 && !slices.Contains(byCode, r.id) {
		w.t.Errorf("%s: the walk cannot attack it, because nothing in the request names a thing of a customer", what)
	}
}

// ofNone are ids of things that do not exist, and a customer.
var ofNone = things{"cart_id": "none", "from": "none", "into_cart_id": "none", "order_id": "none", "return_id": "none", "customer_id": "bob", "into_customer_id": "bob"}

// learn finds out which members of a route's example an attacker may not send, so that an attack is
// not refused because of them.
func (w *attackWalk) learn(key string, r walkedRoute, of things, head ...string) {
	w.t.Helper()
	_, _, text := w.send(key, r, of, of, "", nil, append(w.fresh(), head...)...)
	for _, member := range w.refusedMembers(text) {
		if strings.Contains(member, "/") {
			w.t.Errorf("%s: the walk cannot leave out the member %s", r.id, member)
		}
		w.forbidden[key+r.id] = append(w.forbidden[key+r.id], member)
	}
}

// refusedMembers are the members of the body that the sender may not send, as the response says.
func (w *attackWalk) refusedMembers(text string) (members []string) {
	w.t.Helper()
	var problem struct {
		Type   string `json:"type"`
		Errors []struct {
			Pointer string `json:"pointer"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Type != "/problems/field-forbidden" {
		return nil
	}
	for _, refused := range problem.Errors {
		members = append(members, strings.TrimPrefix(refused.Pointer, "#/"))
	}
	return members
}

// hidden counts the requests that the server has refused because a thing belongs to somebody else.
func (w *attackWalk) hidden() (count float64) {
	w.t.Helper()
	text := valueOf(scrape(w.t, w.admin), `daybook_http_refused_total{reason="not-owned"}`)
	count, err := strconv.ParseFloat(text, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return count
}

// succeeds fails the test if the request of an owner was refused. Then an attack that sends the
// same request proves nothing.
func (w *attackWalk) succeeds(what string, r walkedRoute, status int, code, text string) {
	w.t.Helper()
	anyway := refusedAnyway
	if w.guests {
		anyway = refusedToGuests
	}
	if want := anyway[r.id]; status/100 != 2 && want == "" || want != "" && code != want {
		w.t.Errorf("%s: %d %s, want %s; so the attack on it proves nothing", what, status, text, cmp.Or(want, "success"))
	}
}

// byPath names Alice's things in the path, under fresh idempotency keys and under those that she
// has used, with and without a condition.
func (w *attackWalk) byPath(a attacker, r walkedRoute) {
	w.t.Helper()
	w.learn(a.key, r, ofNone, a.head...)
	heads := [][]string{w.fresh(), append(w.fresh(), "If-Match", "*")}
	for _, used := range []string{"open1", "other1", "bought1", "checkout1", "back1"} {
		heads = append(heads, []string{"Idempotency-Key", "alice" + used})
	}
	hidden := w.hidden()
	for _, head := range heads {
		before := w.traces()
		status, _, text := w.send(a.key, r, w.alice, w.bob, "", nil, append(head, a.head...)...)
		if status != http.StatusNotFound {
			w.t.Errorf("%s, %s with %q: %d %s", a.name, r.id, head, status, text)
		}
		w.keeps(a.name+", "+r.id, before, text)
	}
	if got := w.hidden() - hidden; got != float64(len(heads)) {
		w.t.Errorf("%s, %s: %v of %d attacks were refused because the thing belongs to somebody else", a.name, r.id, got, len(heads))
	}
	w.ownPath(a, r)
}

// ownPath sends an attack by path as somebody who has the same rights for Alice. So the attack was
// refused because of its sender. Then the attacker repeats the request under the same idempotency
// key.
func (w *attackWalk) ownPath(a attacker, r walkedRoute) {
	w.t.Helper()
	if w.guests && strings.Contains(r.path, "{customer_id}") {
		return // a guest is no customer
	}
	own := w.alice
	if r.method != http.MethodGet {
		own = w.more("alice")
	}
	w.forbidden[a.owner+r.id] = w.forbidden[a.key+r.id]
	once := w.fresh()
	status, code, text := w.send(a.owner, r, own, own, "", nil, slices.Concat(once, a.ownerHead)...)
	w.succeeds(r.id+" of Alice, like "+a.name, r, status, code, text)
	before := w.traces()
	status, code, text = w.send(a.key, r, own, own, "", nil, slices.Concat(once, a.head)...)
	if status != http.StatusNotFound && code != "field-forbidden" {
		w.t.Errorf("%s repeats %s of Alice: %d %s", a.name, r.id, status, text)
	}
	w.keeps(a.name+" repeats "+r.id, before, text, slices.Collect(maps.Values(own))...)
}

// byBody names one of Alice's things in the body, and the attacker's own in the path and in the
// rest. Then it sends the same request with an own thing in the place of Alice's.
func (w *attackWalk) byBody(a attacker, r walkedRoute, member, name string) {
	w.t.Helper()
	what := a.name + ", " + r.id + " with " + member
	w.learn(a.key, r, ofNone, a.head...)
	own := w.more("bob")
	before, hidden := w.traces(), w.hidden()
	value := w.alice[name]
	status, code, text := w.send(a.key, r, own, own, member, value, append(w.fresh(), a.head...)...)
	named := slices.Equal(w.refusedMembers(text), []string{strings.ReplaceAll(member, "*", "0")})
	// A program that may choose ids can learn that an id is taken.
	idTaken := status == http.StatusConflict && makes[r.id] == name && code == taken[r.id] && a.who.May(access.TrustedFields)
	if !named && !idTaken && (status != http.StatusNotFound || w.hidden() != hidden+1) {
		w.t.Errorf("%s of Alice's: %d %s", what, status, text)
	}
	w.keeps(what+" of Alice's", before, text, value)
	if named && name != "customer_id" || named && w.guests || makes[r.id] == name {
		status, code, text = w.send(a.key, r, own, own, "", nil, append(w.fresh(), a.head...)...)
	} else {
		status, code, text = w.send(a.key, r, own, own, member, own[name], append(w.fresh(), a.head...)...)
	}
	w.succeeds(what+" of its own", r, status, code, text)
}

// byQuery asks a list for what is Alice's. The list must be empty, and its count must be 0.
func (w *attackWalk) byQuery(a attacker, r walkedRoute, name string) {
	w.t.Helper()
	of := name
	if name == "cart_id" && strings.Contains(r.path, "/orders") {
		of = "ordered" // the cart that became the order
	}
	value := w.alice[of]
	path := filled(r.path, w.bob) + "?" + name + "=" + url.QueryEscape(value)
	counted := slices.Contains(r.query, "count")
	if counted {
		path += "&count=true"
	}
	status, text := w.ask(a.key, r.method, path, "", a.head...)
	var list struct {
		Items []any `json:"items"`
		Count *struct {
			Value int64 `json:"value"`
		} `json:"count"`
	}
	if err := json.Unmarshal([]byte(text), &list); status != http.StatusOK || err != nil || len(list.Items) > 0 || counted && (list.Count == nil || list.Count.Value != 0) {
		w.t.Errorf("%s, %s with %s: %d %s", a.name, path, value, status, text)
	}
	w.keeps(a.name+", "+path, w.traces(), text)
	if w.guests {
		return // the lists of a guest are empty
	}
	own := filled(r.path, w.bob) + "?" + name + "=" + url.QueryEscape(w.bob[of])
	if text := w.must(a.key, r.method, own, "", a.head...); json.Unmarshal([]byte(text), &list) != nil || len(list.Items) == 0 {
		w.t.Errorf("%s, %s: %s, so the attack on it proves nothing", a.name, own, text)
	}
}

// byCursor uses the cursor of a list that Alice has read.
func (w *attackWalk) byCursor(a attacker, r walkedRoute) {
	w.t.Helper()
	if w.guests {
		return // a list of a guest is empty, so it gives no cursor out
	}
	var page struct {
		Next string `json:"next"`
	}
	first := w.must(w.keys["customer alice"], r.method, filled(r.path, w.alice)+"?limit=1", "")
	if err := json.Unmarshal([]byte(first), &page); err != nil || page.Next == "" {
		w.t.Errorf("%s: Alice's list has no second page, so its cursor cannot be used by others: %s", r.id, first)
		return
	}
	if second := w.must(a.owner, r.method, filled(r.path, w.alice)+"?limit=1&cursor="+page.Next, "", a.ownerHead...); !strings.Contains(second, `_id":"`) {
		w.t.Errorf("%s: the second page of Alice's list is empty, so the attack on it proves nothing: %s", r.id, second)
	}
	status, text := w.ask(a.key, r.method, filled(r.path, w.bob)+"?limit=1&cursor="+page.Next, "", a.head...)
	if status != http.StatusOK && status != http.StatusUnprocessableEntity {
		w.t.Errorf("%s, %s with Alice's cursor: %d %s", a.name, r.id, status, text)
	}
	w.keeps(a.name+", "+r.id+" with Alice's cursor", w.traces(), text)
}
