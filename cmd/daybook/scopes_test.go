package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
)

// scopedShop is a shop with goods at two locations, and a key of a manager that is limited to one
// of them.
type scopedShop struct {
	*keyedShop
	all    string // a manager's key without limits
	north  string // one that is limited to the location north
	orders int
}

func openScoped(t *testing.T) *scopedShop {
	t.Helper()
	s := &scopedShop{keyedShop: openKeyed(t)}
	s.all = s.keys["manager"]
	s.north = s.makeKey("--role", "manager", "--location", "north")
	eventually(t, patience, "the server knows the key", func() bool {
		status, _ := s.ask(s.north, http.MethodGet, "/v1/auth/me", "")
		return status != http.StatusUnauthorized
	})
	s.must(s.all, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	for _, location := range []string{"north", "south", "main"} {
		s.must(s.all, http.MethodPost, "/v1/stock/MUG/"+location+"/receipts", `{"quantity":99}`, "Idempotency-Key", "r"+location)
	}
	return s
}

// codeOf sends a request and returns its status and the code of its problem.
func (s *scopedShop) codeOf(key, method, path, body string, headers ...string) string {
	s.t.Helper()
	status, text := s.ask(key, method, path, body, headers...)
	var problem struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal([]byte(text), &problem) // a response that is no problem has no type
	return strings.TrimSpace(fmt.Sprint(status, " ", strings.TrimPrefix(problem.Type, "/problems/")))
}

const outside = "403 outside-scope"

// Every route about stock refuses a key that is limited to other locations. If a location is in the
// path, no other part of the request matters. A list leaves other locations out, and refuses to be
// asked for one.
func TestAKeyForOneLocationReachesNoOtherStock(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	walk := &attackWalk{keyedShop: s.keyedShop}
	var paths, lists int
	for _, r := range walkedRoutes(t) {
		if !strings.HasPrefix(r.needs, "stock.") {
			continue
		}
		body := ""
		if r.content != "" {
			text, err := json.Marshal(walk.bodyOf(r, nil))
			if err != nil {
				t.Fatal(err)
			}
			body = string(text)
		}
		if !strings.Contains(r.path, "{location}") {
			lists++
			s.listOfStock(r)
			continue
		}
		paths++
		for location, refused := range map[string]bool{"south": true, "north": false, "main": true} {
			at := filled(r.path, things{"sku": "MUG", "location": location, "reservation_id": "none"})
			got := s.codeOf(s.north, r.method, at, body, walk.fresh()...)
			if (got == outside) != refused && (refused || !strings.Contains(r.id, "transfer")) { // a transfer has another test
				t.Errorf("%s at %s: %s", r.id, location, got)
			}
		}
	}
	if paths < 18 || lists < 5 {
		t.Errorf("the walk has found %d routes with a location in their path, and %d lists", paths, lists)
	}
}

// listOfStock reads a list with the key for one location.
func (s *scopedShop) listOfStock(r walkedRoute) {
	s.t.Helper()
	if !slices.Contains(r.query, "location") {
		s.t.Errorf("%s: neither its path nor its query has a location, so say here what a key for one location gets", r.id)
		return
	}
	path := filled(r.path, things{"sku": "MUG"})
	for _, ask := range []string{"?location=south", "?location=north,main"} {
		if got := s.codeOf(s.north, r.method, path+ask, ""); got != outside {
			s.t.Errorf("%s%s: %s", r.id, ask, got)
		}
	}
	for _, ask := range []string{"", "?location=north"} {
		if text := s.must(s.north, r.method, path+ask, ""); strings.Contains(text, `"location":"south"`) || strings.Contains(text, `"location":"main"`) {
			s.t.Errorf("%s%s: %s", r.id, ask, text)
		}
	}
	// The cursor of a list of all locations does not bring the list of all locations.
	var page struct {
		Next string `json:"next"`
	}
	if err := json.Unmarshal([]byte(s.must(s.all, r.method, path+"?limit=1", "")), &page); err != nil {
		s.t.Fatal(err)
	}
	if page.Next == "" {
		return
	}
	if status, text := s.ask(s.north, r.method, path+"?limit=1&cursor="+page.Next, ""); strings.Contains(text, `"location":"south"`) || strings.Contains(text, `"location":"main"`) {
		s.t.Errorf("%s with the cursor of a list of all locations: %d %s", r.id, status, text)
	}
}

// A list of a limited key has the goods of its location, with a count of only these.
func TestAListOfALimitedKeyIsComplete(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	eventually(t, patience, "the stock is shown", func() bool {
		return strings.Count(s.must(s.all, http.MethodGet, "/v1/stock", ""), `"on_hand":99`) == 3
	})
	var list struct {
		Items []struct {
			Location string `json:"location"`
		} `json:"items"`
		Count struct {
			Value int `json:"value"`
		} `json:"count"`
	}
	if err := json.Unmarshal([]byte(s.must(s.north, http.MethodGet, "/v1/stock?count=true", "")), &list); err != nil || len(list.Items) != 1 || list.Items[0].Location != "north" || list.Count.Value != 1 {
		t.Errorf("the list is %+v, %v", list, err)
	}
	for _, path := range []string{"/v1/stock/MUG/north", "/v1/stock/MUG/north/movements"} {
		s.must(s.north, http.MethodGet, path, "")
	}
}

// Goods go from one location to another only with a key that reaches both.
func TestATransferNeedsBothLocations(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	both := s.keyByAPI(s.keys["admin"], `{"name":"b","role":"operator","locations":["north","south"]}`)
	for name, c := range map[string]struct{ path, body, north, both string }{
		"out to another":  {"north/transfers-out", `{"transfer_id":"t1","to":"south","quantity":1}`, outside, "200"},
		"in from another": {"south/transfers-in", `{"transfer_id":"t2","from":"north","quantity":1}`, outside, "200"},
		"in to north":     {"north/transfers-in", `{"transfer_id":"t3","from":"south","quantity":1}`, outside, "200"},
		"out to a third":  {"north/transfers-out", `{"transfer_id":"t4","to":"main","quantity":1}`, outside, outside},
	} {
		if got := s.codeOf(s.north, http.MethodPost, "/v1/stock/MUG/"+c.path, c.body, "Idempotency-Key", name); got != c.north {
			t.Errorf("%s, with one location: %s", name, got)
		}
		if got := s.codeOf(both, http.MethodPost, "/v1/stock/MUG/"+c.path, c.body, "Idempotency-Key", name); !strings.HasPrefix(got, c.both) {
			t.Errorf("%s, with both: %s", name, got)
		}
	}
}

// order places an order whose goods come from a location, and confirms it.
func (s *scopedShop) order(location string, confirm bool) (id string) {
	s.t.Helper()
	s.orders++
	id = fmt.Sprint("o-", location, "-", s.orders)
	cart := "c-" + id
	s.must(s.all, http.MethodPost, "/v1/carts", `{"cart_id":"`+cart+`","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`)
	s.must(s.all, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{"order_id":"`+id+`","sourcing":{"locations":["`+location+`"]},"confirm":`+fmt.Sprint(confirm)+`}`, "Idempotency-Key", id)
	return id
}

// A key for one location fulfils orders only from there, and takes returns in only there.
func TestAKeyForOneLocationFulfilsOnlyThere(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	post := func(path, body string) string {
		s.orders++
		return s.codeOf(s.north, http.MethodPost, path, body, "Idempotency-Key", fmt.Sprint("post-", s.orders))
	}
	for location, refused := range map[string]bool{"south": true, "north": false} {
		expect := func(what, got string) {
			s.t.Helper()
			if (got == outside) != refused || !refused && got[0] != '2' {
				s.t.Errorf("%s at %s: %s", what, location, got)
			}
		}
		const parcel, line = `{"shipment_id":"p","location":"%s","lines":[{"line":1,"quantity":1}]}`, `{"lines":[{"line":1,"quantity":1}],"reason":"call"}`
		pending := "/v1/orders/" + s.order(location, false)
		expect("confirm", post(pending+"/confirm", ""))
		expect("cancel a line of", post(pending+"/cancel", line))
		expect("cancel", post(pending+"/cancel", `{"reason":"call"}`))
		expect("retry", post("/v1/orders/"+s.order(location, true)+"/retry-allocation", ""))
		expect("expire", post("/v1/orders/"+s.order(location, false)+"/expire", ""))
		order := "/v1/orders/" + s.order(location, true)
		ships := fmt.Sprintf(parcel, location)
		expect("ship", post(order+"/shipments", ships))
		s.ask(s.all, http.MethodPost, order+"/shipments", ships, "Idempotency-Key", "ship "+order)
		expect("deliver", post(order+"/shipments/p/deliver", ""))
		back := "back-" + location
		s.must(s.all, http.MethodPost, "/v1/returns", `{"return_id":"`+back+`","order_id":"`+strings.TrimPrefix(order, "/v1/orders/")+`","lines":[{"order_line":1,"quantity":1}]}`)
		s.must(s.all, http.MethodPost, "/v1/returns/"+back+"/approve", "")
		expect("take a return in", post("/v1/returns/"+back+"/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"restocked","location":"`+location+`"}]}`))
		cart := "cart-" + location
		s.must(s.all, http.MethodPost, "/v1/carts", `{"cart_id":"`+cart+`","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
		expect("check out", post("/v1/carts/"+cart+"/checkout", `{"sourcing":{"locations":["north","`+location+`"]}}`))
		// What changes no stock is not refused.
		for _, step := range []string{"hold", "release-hold"} {
			if got := post("/v1/orders/"+s.order(location, true)+"/"+step, `{"reason":"ask"}`); got[0] != '2' && step == "hold" {
				t.Errorf("%s: %s", step, got)
			}
		}
	}
	s.must(s.all, http.MethodPost, "/v1/carts", `{"cart_id":"plain","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	if got := post("/v1/carts/plain/checkout", `{}`); got != outside {
		t.Errorf("a checkout from the shop's own location: %s", got)
	}
	both := `{"lines":[{"line":1,"quantity":1,"disposition":"restocked","location":"north"},{"line":1,"quantity":1,"disposition":"lost","location":"south"}]}`
	if got := post("/v1/returns/back-south/receipts", both); got != outside {
		t.Errorf("a return of two locations: %s", got)
	}
}

// A limited key records its channels only, and lacks the permissions that reach past its scope.
func TestAKeyForAChannelRecordsOnlyThis(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	admin := s.keys["admin"]
	web := s.keyByAPI(admin, `{"name":"w","role":"storefront","channels":["web","app"]}`)
	cart := func(key string, headers ...string) string {
		s.t.Helper()
		var made struct {
			ID string `json:"cart_id"`
		}
		if err := json.Unmarshal([]byte(s.must(key, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, headers...)), &made); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	channelOf := func(id string) (channel string) {
		pool := poolOf(t, s.database)
		if err := pool.QueryRow(t.Context(), `SELECT meta->>'channel' FROM eventstore.events WHERE stream = 'cart-' || $1 ORDER BY revision LIMIT 1`, id).Scan(&channel); err != nil {
			t.Fatal(err)
		}
		return channel
	}
	for want, id := range map[string]string{"web": cart(web), "app": cart(web, "Daybook-Channel", "app"), "api": cart(s.all)} {
		if got := channelOf(id); got != want {
			t.Errorf("the channel of a cart is %s, want %s", got, want)
		}
	}
	for _, channel := range []string{"shop", "api", "webb"} {
		if got := s.codeOf(web, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, "Daybook-Channel", channel); got != outside {
			t.Errorf("the channel %s: %s", channel, got)
		}
	}
	// A customer may not choose a channel. The one that the key has anyway is not a choice.
	alice := s.keyByAPI(admin, `{"name":"a","role":"customer","customer_id":"alice","channels":["web"]}`)
	if got := channelOf(cart(alice, "Daybook-Channel", "web")); got != "web" {
		t.Errorf("the channel of a customer's cart is %s", got)
	}
	// The same idempotency key of another API key is another request.
	once := []string{"Idempotency-Key", "once"}
	s.must(s.all, http.MethodPost, "/v1/stock/MUG/south/receipts", `{"quantity":1}`, once...)
	if got := s.codeOf(s.north, http.MethodPost, "/v1/stock/MUG/south/receipts", `{"quantity":1}`, once...); got != outside {
		t.Errorf("under the idempotency key of another: %s", got)
	}
	for _, refused := range []string{`"role":"admin","channels":["web"]`, `"role":"operator","locations":["a b"]`, `"role":"operator","locations":["a","a"]`, `"role":"operator","locations":[""]`} {
		if status, text := s.ask(admin, http.MethodPost, "/v1/keys", `{"name":"x",`+refused+`}`); status/100 != 4 {
			t.Errorf("a key with %s: %d %s", refused, status, text)
		}
	}
	// A role that gets more permissions later does not reach past a scope.
	s.must(admin, http.MethodPut, "/v1/roles/boss", `{"grants":[{"permission":"orders.read","reach":"all"}]}`)
	boss := s.keyByAPI(admin, `{"name":"b","role":"boss","locations":["north"]}`)
	s.must(admin, http.MethodPut, "/v1/roles/boss", `{"grants":[{"permission":"access.write","reach":"all"},{"permission":"events.read","reach":"all"},{"permission":"processes.write","reach":"all"}]}`)
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/keys", `{"name":"x","role":"admin"}`}, {http.MethodGet, "/v1/events", ""}, {http.MethodPost, "/v1/processes/0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11/retry", ""},
	} {
		eventually(t, patience, "a key with a scope is refused at "+request.path, func() bool {
			return s.codeOf(boss, request.method, request.path, request.body) == "403 forbidden"
		})
	}
}

// The scope of a key is shown where keys are, and a rotation keeps it.
func TestAScopeIsShownAndStaysWithItsKey(t *testing.T) {
	t.Parallel()
	s := openScoped(t)
	id := strings.Split(s.north, "_")[1]
	var rotated struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.must(s.keys["admin"], http.MethodPost, "/v1/keys/"+id+"/rotate", `{}`)), &rotated); err != nil {
		t.Fatal(err)
	}
	if got := s.codeOf(rotated.Key, http.MethodGet, "/v1/stock/MUG/south", ""); got != outside {
		t.Errorf("after a rotation: %s", got)
	}
	if caller := s.must(rotated.Key, http.MethodGet, "/v1/auth/me", ""); !strings.Contains(caller, `"locations":["north"]`) {
		t.Errorf("the caller is %s", caller)
	}
	if keys := s.must(s.keys["admin"], http.MethodGet, "/v1/keys", ""); strings.Count(keys, `"locations":["north"]`) != 1 {
		t.Errorf("the keys are %s", keys)
	}
	code, stdout, stderr := s.console("keys", "list")
	var listed []struct {
		ID        string   `json:"key_id"`
		Locations []string `json:"locations"`
	}
	if err := json.Unmarshal([]byte(stdout), &listed); code != exitOK || err != nil {
		t.Fatalf("keys list: %d %v %s %s", code, err, stdout, stderr)
	}
	limited := 0
	for _, key := range listed {
		if len(key.Locations) > 0 {
			limited++
			if key.ID != id || key.Locations[0] != "north" {
				t.Errorf("the key %s has the locations %q", key.ID, key.Locations)
			}
		}
	}
	if limited != 1 {
		t.Errorf("%d keys are limited: %s", limited, stdout)
	}
	for _, args := range [][]string{{"--location", "a b"}, {"--location", ""}, {"--channel", ""}, {"--channel", "wéb"}} {
		if code, _, _ := s.console(append([]string{"keys", "create", "--name", "x", "--role", "operator"}, args...)...); code == exitOK {
			t.Errorf("keys create %q succeeds", args)
		}
	}
}

// The gateway does not show the log to a key that is limited to locations.
func TestTheGatewayKnowsScopes(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	g.must(g.admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"events.read","reach":"all"},{"permission":"events.write","reach":"all"}]}`)
	_, limited := g.makeKey(`"role":"reader","locations":["north"]`)
	wantCode(t, "a key for one location", g.reads(g.with(limited), "product-MUG"), esdb.ErrorCodeUnauthenticated)
	_, web := g.makeKey(`"role":"reader","channels":["web"]`)
	if err := g.reads(g.with(web), "product-MUG"); err != nil {
		t.Errorf("a key for one channel: %v", err)
	}
}
