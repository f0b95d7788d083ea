package main

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
)

// guestShop is a shop in which guests have bought something. Each has written marked texts about
// carol: she has used the same address with each of them.
type guestShop struct {
	*privateShop
	carol, dave string // their keys
}

// order is an order that a guest has placed, and what belongs to it.
type guestsOrder struct{ cart, token, order, back string }

func openGuestShop(t *testing.T, dir string) *guestShop {
	t.Helper()
	running := serve(t, "--data", dir, "--guests", "--requests-per-address", "0", "--requests-per-customer", "0")
	s := &privateShop{&keyedShop{t: t, running: running, database: socketURL(dir)}, keyOf(running.url)}
	s.must(s.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.must(s.admin, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	return &guestShop{
		s, s.keyByAPI(s.admin, `{"name":"c","role":"customer","customer_id":"carol"}`), s.keyByAPI(s.admin, `{"name":"d","role":"customer","customer_id":"dave"}`),
	}
}

// buy lets a guest buy three mugs and ask for the return of one.
func (s *guestShop) buy(email string) (o guestsOrder) {
	s.t.Helper()
	once := func() []string { return []string{"Idempotency-Key", uuid.NewString()} }
	o.cart, o.token = s.openAsGuest("", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":3}]}`)
	s.must(o.token, http.MethodPut, "/v1/carts/"+o.cart+"/details", `{"email":"`+email+`","gift_message":"`+mark+`carol-gift","shipping":{"name":"`+mark+`carol-name","lines":["1 High Street"],"country":"GB"}}`)
	o.order = member(s.t, s.must(o.token, http.MethodPost, "/v1/carts/"+o.cart+"/checkout", `{}`, once()...), "order", "order_id")
	at := "/v1/orders/" + o.order
	s.must(s.admin, http.MethodPost, at+"/transactions", `{"type":"capture","state":"succeeded","amount":{"amount":"22.50","currency":"GBP"}}`, once()...)
	s.must(s.admin, http.MethodPost, at+"/confirm", "", once()...)
	s.must(s.admin, http.MethodPost, at+"/shipments", `{"shipment_id":"parcel"}`, once()...)
	o.back = member(s.t, s.must(o.token, http.MethodPost, "/v1/returns", `{"order_id":"`+o.order+`","lines":[{"order_line":1,"quantity":1}],"reason":"chipped"}`, once()...), "return_id")
	return o
}

// finish ends the order.
func (s *guestShop) finish(o guestsOrder) {
	s.t.Helper()
	s.must(s.admin, http.MethodPost, "/v1/orders/"+o.order+"/shipments/parcel/deliver", "")
	s.must(s.admin, http.MethodPost, "/v1/orders/"+o.order+"/complete", "")
}

// shown tells what somebody reads of an order: its lists and its own routes. Each must have what
// belongs to it, or none.
func (s *guestShop) shown(key, customer string, o guestsOrder) (some, all bool) {
	s.t.Helper()
	all = true
	for path, id := range map[string]string{
		"/v1/orders": o.order, "/v1/customers/" + customer + "/orders": o.order, "/v1/returns": o.back, "/v1/carts": o.cart,
		"/v1/orders/" + o.order: o.order, "/v1/returns/" + o.back: o.back, "/v1/carts/" + o.cart: o.cart,
	} {
		status, text := s.ask(key, http.MethodGet, path, "")
		has := status == http.StatusOK && strings.Contains(text, id)
		some, all = some || has, all && has
	}
	return some, all
}

func (s *guestShop) claims(key, body string, o guestsOrder, headers ...string) (status int, text string) {
	s.t.Helper()
	return s.ask(key, http.MethodPost, "/v1/orders/"+o.order+"/claim", body, headers...)
}

// A guest buys, asks for a return and signs in later. They claim the order with their token. From
// then on it is in their lists, and the token is good for nothing.
func TestAGuestClaimsAnOrder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := openGuestShop(t, dir)
	o, other := s.buy("carol@home.example"), s.buy("other@home.example")
	token := `{"guest_token":"` + o.token + `"}`
	for name, c := range map[string]struct {
		key, body string
		want      int
	}{
		"without a token":            {s.carol, `{}`, http.StatusNotFound},
		"with a wrong token":         {s.carol, `{"guest_token":"` + o.token[:len(o.token)-1] + `x"}`, http.StatusNotFound},
		"with the token of another":  {s.carol, `{"guest_token":"` + other.token + `"}`, http.StatusNotFound},
		"for another customer":       {s.carol, `{"customer_id":"dave","guest_token":"` + o.token + `"}`, http.StatusForbidden},
		"by the guest":               {o.token, token, http.StatusForbidden},
		"by the staff, for nobody":   {s.admin, token, http.StatusUnprocessableEntity},
		"by nobody":                  {"", token, http.StatusUnauthorized},
		"by a key that knows no one": {"dbk_none", token, http.StatusUnauthorized},
	} {
		if status, text := s.claims(c.key, c.body, o); status != c.want {
			t.Errorf("%s: %d %s, want %d", name, status, text, c.want)
		}
	}
	if some, _ := s.shown(s.carol, "carol", o); some {
		t.Error("before the claim, the customer sees the order")
	}
	for range 2 {
		status, text := s.claims(s.carol, token, o, "Idempotency-Key", "claim")
		if status != http.StatusOK || member(t, text, "customer_id") != "carol" {
			t.Errorf("the claim: %d %s", status, text)
		}
	}
	if status, text := s.claims(s.carol, `{}`, o); status != http.StatusOK {
		t.Errorf("once more, without a token: %d %s", status, text)
	}
	if status, text := s.claims(s.dave, token, o); status != http.StatusNotFound {
		t.Errorf("another customer with the token: %d %s", status, text)
	}
	if status, text := s.claims(s.admin, `{"customer_id":"dave"}`, o); status != http.StatusConflict || !strings.Contains(text, "order-has-customer") {
		t.Errorf("the staff, for another customer: %d %s", status, text)
	}
	eventually(t, patience, "the customer sees everything", func() bool {
		_, all := s.shown(s.carol, "carol", o)
		return all
	})
	if some, _ := s.shown(s.dave, "dave", o); some {
		t.Error("another customer sees the order")
	}
	for _, path := range []string{"/v1/orders/" + o.order, "/v1/returns/" + o.back, "/v1/carts/" + o.cart, "/v1/carts/" + o.cart + "/export"} {
		if status, text := s.ask(o.token, http.MethodGet, path, ""); status != http.StatusNotFound {
			t.Errorf("the guest's token, %s: %d %s", path, status, text)
		}
	}
	if status, _ := s.ask(o.token, http.MethodPost, "/v1/returns/"+o.back+"/cancel", `{}`); status != http.StatusNotFound {
		t.Errorf("the guest's token calls the return off: %d", status)
	}
	s.must(other.token, http.MethodGet, "/v1/orders/"+other.order, "")
	s.must(s.carol, http.MethodPost, "/v1/returns/"+o.back+"/cancel", `{"reason":"keeps it"}`)

	bought := s.must(s.admin, http.MethodGet, "/v1/customers/carol", "")
	if !strings.Contains(bought, `"orders":1`) || !strings.Contains(bought, "22.50") {
		t.Errorf("she has bought %s", bought)
	}
	export := s.exportOf(s.carol, "/v1/customers/carol/export", 0)
	if len(export.Orders) != 1 || len(export.Returns) != 1 || len(export.Carts) != 1 || len(export.Documents) != 1 {
		t.Errorf("the export has %d orders, %d returns, %d carts and %d documents", len(export.Orders), len(export.Returns), len(export.Carts), len(export.Documents))
	}
	var types []string
	for _, event := range export.Events {
		types = append(types, event.Type)
	}
	for _, want := range []string{"cart.details_set.v1", "order.placed.v1", "order.taken_over.v1", "return.requested.v1", "return.taken_over.v1"} {
		if !slices.Contains(types, want) {
			t.Errorf("the export has no %s", want)
		}
	}
	verified(t, "--database-url", s.database)
}

// A storefront claims for the customer in whose name it acts.
func TestAStorefrontClaimsAnOrderForACustomer(t *testing.T) {
	t.Parallel()
	s := openGuestShop(t, dataDir(t))
	o := s.buy("carol@home.example")
	front := s.keyByAPI(s.admin, `{"name":"shop","role":"storefront"}`)
	if status, text := s.claims(front, `{}`, o, "Daybook-Act-For", "carol"); status != http.StatusNotFound {
		t.Errorf("without a token: %d %s", status, text)
	}
	status, text := s.claims(front, `{"guest_token":"`+o.token+`"}`, o, "Daybook-Act-For", "carol")
	if status != http.StatusOK || member(t, text, "customer_id") != "carol" {
		t.Errorf("with the token: %d %s", status, text)
	}
}

// Somebody who has confirmed an address gets all orders of guests with this address. Then they are
// erased, and no text of these orders is left. Another guest's texts stay.
func TestClaimedOrdersAreErased(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := openGuestShop(t, dir)
	pool := poolOf(t, s.database)
	address := mark + "carol@home.example"
	first, second, another := s.buy(address), s.buy(strings.ToUpper(address[:1])+strings.ToLower(address[1:])), s.buy("other@home.example")
	taken := s.buy(address)
	if status, text := s.claims(s.dave, `{"guest_token":"`+taken.token+`"}`, taken); status != http.StatusOK {
		t.Fatalf("dave: %d %s", status, text)
	}
	var o options // those of the server, so that no read model is built again
	n, err := openNode(t.Context(), nodeConfig{
		Database: databaseConfig{URL: s.database}, MasterKeyFile: dir + "/master.key", Policy: commands.DefaultPolicy(), Views: o.views(), Now: time.Now,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.closeInTime(t.Context()) })
	who := access.System("test")
	call := commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID}}
	claimed, err := n.service.ClaimGuestOrders(t.Context(), call, "carol", address)
	if err != nil || claimed != 2 {
		t.Fatalf("%d orders, %v; want 2", claimed, err)
	}
	for _, o := range []guestsOrder{first, second} {
		eventually(t, patience, "the customer sees everything", func() bool {
			_, all := s.shown(s.carol, "carol", o)
			return all
		})
	}
	for _, o := range []guestsOrder{another, taken} {
		if some, _ := s.shown(s.carol, "carol", o); some {
			t.Error("the customer sees an order of somebody else")
		}
	}
	for _, o := range []guestsOrder{first, second} {
		s.finish(o)
		if status, text := s.ask(s.admin, http.MethodPost, "/v1/erasures", `{"cart_id":"`+o.cart+`","reason":"requested"}`); status != http.StatusConflict || !strings.Contains(text, "erasure-cart-of-customer") {
			t.Errorf("the guest alone: %d %s", status, text)
		}
	}
	s.erase(pool, carol)
	for _, o := range []guestsOrder{first, second} {
		for _, path := range []string{"/v1/orders/" + o.order, "/v1/carts/" + o.cart, "/v1/streams/order-" + o.order, "/v1/streams/cart-" + o.cart} {
			if text := s.must(s.admin, http.MethodGet, path, ""); len(marksIn(text, carol)) > 0 || !strings.Contains(text, sealing.Erased) {
				t.Errorf("%s shows %s", path, text)
			}
		}
	}
	for _, o := range []guestsOrder{another, taken} {
		if text := s.must(s.admin, http.MethodGet, "/v1/orders/"+o.order, ""); len(marksIn(text, carol)) == 0 {
			t.Errorf("the texts of another order are gone: %s", text)
		}
	}
	verified(t, "--database-url", s.database)
	// Nobody else has such texts then.
	s.finish(another)
	s.finish(taken)
	s.must(s.admin, http.MethodPost, "/v1/erasures", `{"cart_id":"`+another.cart+`","reason":"requested"}`)
	s.erase(pool, "dave")
	eventually(t, recoveryLimit, "nothing is left", func() bool {
		return len(marksIn(dump(t, pool), carol)) == 0 && !strings.Contains(strings.ToLower(dump(t, pool)), strings.ToLower(address))
	})
	verified(t, "--database-url", s.database)
}
