package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/pgtest"
)

// guestWalk is a shop in which two guests, who are called Alice and Bob here, have each bought
// something and want to send it back.
func openGuestWalk(t *testing.T) *attackWalk {
	t.Helper()
	s := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
	s.keys["manager"], s.keys["auditor"] = s.makeKey("--role", "manager"), s.makeKey("--role", "auditor")
	s.running = serve(t, "--guests", "--admin-address", "127.0.0.1:0", "--requests-per-customer", "0", "--requests-per-address", "0", "--database-url", s.database)
	w := &attackWalk{keyedShop: s, routes: walkedRoutes(t), forbidden: map[string][]string{}, guests: true}
	w.pool = poolOf(t, w.database)
	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.must(s.keys["manager"], http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	w.alice, w.bob = w.guestBuysAndReturns("alice"), w.guestBuysAndReturns("bob")
	w.attackers = []attacker{{name: "a guest", who: access.GuestOf(unit.CartID(w.bob["cart_id"])), key: s.keys["customer bob"], owner: s.keys["customer alice"]}}
	return w
}

// guestBuysAndReturns lets a guest buy something and ask for its return. The guest's token is then
// in keys.
func (w *attackWalk) guestBuysAndReturns(name string) things {
	w.t.Helper()
	once := func(what string) []string { return []string{"Idempotency-Key", name + what + "1"} }
	cart, token := w.openAsGuest("", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":9}]}`, once("open")...)
	w.keys["customer "+name] = token
	var placed struct {
		Order struct {
			ID string `json:"order_id"`
		} `json:"order"`
	}
	if err := json.Unmarshal([]byte(w.must(token, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, once("checkout")...)), &placed); err != nil {
		w.t.Fatal(err)
	}
	order, manager := "/v1/orders/"+placed.Order.ID, w.keys["manager"]
	w.must(manager, http.MethodPost, order+"/transactions", `{"transaction_id":"pay","type":"capture","state":"succeeded","amount":{"amount":"67.50","currency":"GBP"}}`, once("pay")...)
	w.must(manager, http.MethodPost, order+"/confirm", "", once("confirm")...)
	w.must(manager, http.MethodPost, order+"/shipments", `{"shipment_id":"parcel","location":"main"}`, once("ship")...)
	var back struct {
		ID string `json:"return_id"`
	}
	ask := `{"order_id":"` + placed.Order.ID + `","lines":[{"order_line":1,"quantity":1}],"reason":"chipped"}`
	if err := json.Unmarshal([]byte(w.must(token, http.MethodPost, "/v1/returns", ask, once("back")...)), &back); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, patience, name+" sees the return", func() bool {
		status, _ := w.ask(token, http.MethodGet, "/v1/returns/"+back.ID, "")
		return status == http.StatusOK
	})
	return things{"customer_id": name, "cart_id": cart, "from": cart, "order_id": placed.Order.ID, "return_id": back.ID, "line": "1", "shipment_id": "parcel", "transaction_id": "pay", "reference": "none", "ordered": cart}
}

// A guest's token reaches nothing of another guest, at any route.
func TestAnotherGuestReachesNothing(t *testing.T) {
	t.Parallel()
	w := openGuestWalk(t)
	for _, r := range w.routes {
		if r.needs != "" {
			w.attack(w.attackers[0], r)
		}
	}
}

// A guest asks for a return of the guest's order, sees it, and calls it off. The shop handles it as
// that of any customer. A return that the shop asks for is the guest's, too.
func TestAGuestSendsGoodsBack(t *testing.T) {
	t.Parallel()
	w := openGuestWalk(t)
	token, manager := w.keys["customer alice"], w.keys["manager"]
	back := "/v1/returns/" + w.alice["return_id"]
	shown := w.must(token, http.MethodGet, back, "")
	if !strings.Contains(shown, `"order_id":"`+w.alice["order_id"]+`"`) || strings.Contains(shown, `"actor":"key:`) {
		t.Errorf("the guest sees the return %s", shown)
	}
	w.must(manager, http.MethodPost, back+"/approve", "")
	w.must(manager, http.MethodPost, back+"/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"damaged"}]}`, "Idempotency-Key", "receive")
	w.must(manager, http.MethodPost, back+"/refunds", `{"amount":{"amount":"7.50","currency":"GBP"}}`, "Idempotency-Key", "refund")
	eventually(t, patience, "the guest sees the refund", func() bool {
		return strings.Contains(w.must(token, http.MethodGet, back, ""), `"refunded":{"amount":"7.50"`)
	})
	another := `{"return_id":"by-the-shop","order_id":"` + w.alice["order_id"] + `","lines":[{"order_line":1,"quantity":1}]}`
	w.must(manager, http.MethodPost, "/v1/returns", another)
	eventually(t, patience, "the guest sees the other return", func() bool {
		status, _ := w.ask(token, http.MethodGet, "/v1/returns/by-the-shop", "")
		return status == http.StatusOK
	})
	if status, text := w.ask(w.keys["customer bob"], http.MethodGet, "/v1/returns/by-the-shop", ""); status != http.StatusNotFound {
		t.Errorf("another guest sees it: %d %s", status, text)
	}
	w.must(token, http.MethodPost, "/v1/returns/by-the-shop/cancel", `{}`)
	for what, body := range map[string]string{
		"of no order": `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, "under an id of its own": `{"return_id":"mine","order_id":"` + w.alice["order_id"] + `","lines":[{"order_line":1,"quantity":1}]}`,
		"for a customer": `{"customer_id":"alice","order_id":"` + w.alice["order_id"] + `","lines":[{"order_line":1,"quantity":1}]}`,
		"at a price":     `{"order_id":"` + w.alice["order_id"] + `","lines":[{"order_line":1,"quantity":1,"price":"7.00"}]}`,
		"of another one": `{"order_id":"` + w.bob["order_id"] + `","lines":[{"order_line":1,"quantity":1}]}`,
	} {
		if status, text := w.ask(token, http.MethodPost, "/v1/returns", body); status/100 != 4 {
			t.Errorf("a guest asks for a return %s: %d %s", what, status, text)
		}
	}
	for _, step := range []string{"approve", "decline", "close", "receipts", "refunds"} {
		if status, text := w.ask(token, http.MethodPost, back+"/"+step, `{}`, "Idempotency-Key", step); status != http.StatusForbidden {
			t.Errorf("a guest may %s a return: %d %s", step, status, text)
		}
	}
	code, stdout, stderr := w.console("verify")
	if code != exitOK {
		t.Errorf("verify: %d %s %s", code, stdout, stderr)
	}
}
