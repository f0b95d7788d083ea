package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
)

// The parts of the story with which TestRecordALogToKeep fills the log. Each part is about one kind
// of thing, and leaves things of this kind in every state that they can have.

func (s *storyteller) catalogue() {
	list := func(sku, title, kind, price string) {
		s.do(http.MethodPut, "/products/"+sku, object{"title": title, "kind": kind, "prices": []object{gbp(price), {"amount": "12.5", "currency": "EUR"}}})
	}
	list("mug", "Enamel mug", "stocked", "7.50")
	list("tray", "Tray", "stocked", "3.333333")
	list("GR%C3%9CN%2F1", "Grüner Becher, 36 cm × 20 cm 🫖", "stocked", "0.01")
	list("sample", "Sample", "stocked", "0")
	list("post", "Postage", "service", "4.95")
	list("wrap", "Gift wrap", "service", "0.50")
	list("old", "Old stock", "stocked", "1")
	s.do(http.MethodPut, "/products/old", object{"title": "Older stock"})
	s.do(http.MethodDelete, "/products/old?reason=sold%20out", nil)
	s.do(http.MethodPut, "/products/old", object{"title": "Old stock again"})
	s.do(http.MethodDelete, "/products/sample", nil)
	s.do(http.MethodPut, "/products/sample", object{"title": "Sample"})
	s.do(http.MethodPut, "/products/mug/prices/JPY", object{"amount": "1200"})
	s.do(http.MethodPut, "/products/mug/prices/KWD", object{"amount": "1.234"})
}

// access leaves API keys and roles in every state.
func (s *storyteller) access() {
	s.do(http.MethodPut, "/roles/picker", object{"grants": []object{{"permission": "orders.read", "reach": "all"}, {"permission": "orders.ship", "reach": "all"}}})
	s.do(http.MethodPut, "/roles/brief", object{"grants": []object{{"permission": "api.look", "reach": "all"}}})
	s.do(http.MethodDelete, "/roles/brief", nil)
	create := func(body object) string {
		var made struct {
			Key struct {
				ID string `json:"key_id"`
			} `json:"key"`
		}
		status, text := s.send(http.MethodPost, "/keys", body)
		if err := json.Unmarshal(text, &made); err != nil || status != http.StatusCreated {
			s.Fatalf("create a key: %d %v", status, err)
		}
		return made.Key.ID
	}
	create(object{"name": "owner", "role": "admin"})
	create(object{"name": "Ann", "role": "customer", "customer_id": "ann", "expires_at": "2126-01-01T00:00:00Z"})
	rotated := create(object{"name": "packing table", "role": "picker"})
	s.post("/keys/"+rotated+"/rotate", object{"overlap_seconds": 3600})
	s.post("/keys/"+create(object{"name": "lost", "role": "operator"})+"/revoke", object{"reason": "lost"})
}

// people leaves people who sign in in every state.
func (s *storyteller) people() {
	asked := func(path string, body object, headers ...string) string {
		s.Helper()
		status, text := s.send(http.MethodPost, path, body, headers...)
		if status != http.StatusOK && status != http.StatusCreated {
			s.Fatalf("%s: %d %s", path, status, text)
		}
		return string(text)
	}
	hire := func(name, role string) string {
		s.Helper()
		invited := asked("/staff", object{"email": name + "@shop.example", "name": name, "role": role})
		asked("/auth/token", object{"token": member(s.T, invited, "token"), "password": goodPassword})
		return member(s.T, invited, "person", "person_id")
	}
	asked("/staff", object{"email": "invited@shop.example", "name": "invited", "role": "analyst"})
	eve, ann, bob := hire("eve", "operator"), hire("ann", "manager"), hire("bob", "operator")
	signIn := func(name, password string) (status int, text string) {
		s.Helper()
		status, body := s.send(http.MethodPost, "/auth/sign-in", object{"email": name + "@shop.example", "password": password})
		return status, string(body)
	}
	browser := &keyedShop{t: s.T, running: running{url: s.url}}
	if out := browser.as(browser.mustSignIn("eve@shop.example"), http.MethodPost, "/v1/auth/sign-out", ""); out.status != http.StatusOK {
		s.Fatalf("sign out: %+v", out)
	}
	session, recovery := browser.withFactor("ann@shop.example")
	if got := browser.as(session, http.MethodPost, "/v1/auth/recovery-codes", fmt.Sprintf(`{"password":%q,"code":%q}`, goodPassword, recovery)); got.status != http.StatusOK {
		s.Fatalf("new recovery codes: %+v", got)
	}
	asked("/staff/"+ann+"/remove-factor", nil)
	asked("/auth/email/confirm", object{"token": member(s.T, asked("/staff/"+ann+"/email", object{"email": "ann@home.example"}), "token")})
	asked("/staff/"+ann+"/email", object{"email": "ann@other.example"})
	asked("/staff/"+eve+"/role", object{"role": "auditor"})
	asked("/auth/token", object{"token": member(s.T, asked("/staff/"+eve+"/token", nil), "token"), "password": goodPassword + " staple"})
	asked("/staff/"+bob+"/disable", object{"reason": "left"})
	signIn("eve", "guessed") // is refused, and records nothing
}

// customers leaves accounts of customers in every state.
func (s *storyteller) customers() {
	s.Helper()
	asked := func(path string, body object) string {
		s.Helper()
		status, text := s.send(http.MethodPost, path, body)
		if status != http.StatusOK && status != http.StatusCreated {
			s.Fatalf("%s: %d %s", path, status, text)
		}
		return string(text)
	}
	register := func(name string) string {
		s.Helper()
		id := "c-" + name // the holder of a key that sees no personal data is told another one
		asked("/customers", object{"customer_id": id, "name": name, "email": name + "@home.example", "phone": "+44 20 7946 0000", "locale": "en-GB"})
		if s.plant != nil {
			id = planted + id
		}
		return "/customers/" + id
	}
	home := object{"name": "Olive", "company": "Olive Ltd", "lines": []string{"1 High Street", "Flat 2"}, "postcode": "LS1 4AP", "city": "Leeds", "region": "ENG", "country": "GB", "phone": "+44 113 496 0000"}
	olive := register("olive")
	s.do(http.MethodPatch, olive, object{"name": "Olive B.", "locale": "de-AT"})
	s.post(olive+"/addresses", home)
	var now struct {
		Addresses []struct {
			AddressID string `json:"address_id"`
		} `json:"addresses"`
	}
	if err := json.Unmarshal([]byte(asked(olive+"/addresses", object{"lines": []string{"Gasse 1"}, "country": "AT", "default_shipping": true})), &now); err != nil || len(now.Addresses) != 2 {
		s.Fatalf("addresses: %v %+v", err, now)
	}
	s.do(http.MethodPut, olive+"/addresses/"+now.Addresses[0].AddressID, home)
	s.do(http.MethodDelete, olive+"/addresses/"+now.Addresses[1].AddressID, nil)
	s.post(olive+"/consents", object{"purpose": "terms", "version": "7", "given": true})
	s.post(olive+"/consents", object{"purpose": "marketing", "version": "2026-01", "given": true})
	s.post(olive+"/consents", object{"purpose": "marketing", "given": false})
	s.do(http.MethodPut, olive+"/groups", object{"groups": []string{"vip", "trade"}})
	s.do(http.MethodPut, olive+"/tax-status", object{"kind": "exempt", "proof": "certificate 7", "certificate_until": "2046-01-31T12:00:00Z"})
	s.do(http.MethodDelete, olive+"/tax-status", nil)
	s.do(http.MethodPut, olive+"/tax-status", object{"kind": "business", "country": "NL", "tax_id": "NL001234567B01", "checked_by": "vies", "proof": "WAPIAAAAYxqn1Rsv"})
	s.post(olive+"/notes", object{"text": "calls often"})
	lists := olive + "/wish-lists"
	birthday := lists + "/" + member(s.T, asked(lists, object{"name": "Birthday"}), "wish_lists", "0", "list_id")
	s.do(http.MethodPatch, birthday, object{"name": "Christmas"})
	s.do(http.MethodPut, birthday+"/wishes/mug", object{"quantity": 2})
	s.do(http.MethodPut, birthday+"/wishes/tray", object{"quantity": 1})
	s.do(http.MethodPut, birthday+"/wishes/tray", object{"quantity": 0})
	s.post(birthday+"/share", nil)
	s.post(birthday+"/unshare", nil)
	s.post(birthday+"/share", nil)
	s.do(http.MethodDelete, lists+"/"+member(s.T, asked(lists, object{"name": "old"}), "wish_lists", "1", "list_id"), nil)
	blocked := register("blocked")
	s.post(blocked+"/block", object{"reason": "chargebacks"})
	unblocked := register("unblocked")
	s.post(unblocked+"/block", object{"reason": "chargebacks"})
	s.post(unblocked+"/unblock", object{"reason": "a mistake"})
	s.post(register("merged")+"/merge", object{"into_customer_id": "c-unblocked"})
	s.fill("addressed", "post", 1)
	details := object{
		"billing": home, "shipping": home, "email": "olive@home.example", "phone": "+44 20 7946 0000",
		"delivery_notes": "ring twice", "gift_message": "for you", "buyer_reference": "PO 7",
	}
	s.do(http.MethodPut, "/carts/addressed/details", details)
	s.post("/carts/addressed/checkout", object{"order_id": "addressed", "details": details})
	s.fill("claimed", "mug", 1)
	s.do(http.MethodPatch, "/carts/claimed", object{"customer_id": nil})
	s.do(http.MethodPatch, "/carts/claimed", object{"customer_id": "claimer"})
	s.fill("nobodys", "post", 1)
	s.do(http.MethodPatch, "/carts/nobodys", object{"customer_id": nil})
	s.post("/carts/nobodys/checkout", object{"order_id": "nobodys", "payment": object{}, "confirm": true})
	s.post("/orders/nobodys/shipments", object{"shipment_id": "p-nobodys"})
	s.post("/returns", object{"return_id": "nobodys", "order_id": "nobodys", "lines": []object{{"order_line": 1, "quantity": 1}}})
	s.post("/orders/nobodys/claim", object{"customer_id": "claimer"})
}

func (s *storyteller) warehouse() {
	const mug, north = "/stock/mug/main", "/stock/mug/north"
	for _, sku := range []string{"mug", "tray", "GR%C3%9CN%2F1", "sample", "old"} {
		s.post("/stock/"+sku+"/main/receipts", object{"quantity": 100, "document": "opening"}, "Daybook-Occurred-At", "2026-10-31T23:30:00Z")
	}
	s.post(north+"/receipts", object{"quantity": 40, "note": "by lorry"})
	for i, reason := range []string{"correction", "cycle_count", "received", "restock", "damaged", "shrinkage", "promotion", "other"} {
		s.post(mug+"/adjustments", object{"change": i%3 + 1, "reason": reason, "note": "why", "condition": []string{"available", "damaged", "quality_control", "other"}[i%4]})
	}
	s.post(mug+"/adjustments", object{"change": -2, "reason": "damaged", "document": "D-1"})
	s.post(north+"/counts", object{"expected": 40, "counted": 39, "document": "sheet 1"})
	s.post(mug+"/moves", object{"from": "available", "to": "quality_control", "quantity": 3, "note": "scratched"})
	s.post(mug+"/moves", object{"from": "quality_control", "to": "available", "quantity": 1})
	s.post(mug+"/transfers-out", object{"transfer_id": "x1", "to": "north", "quantity": 4})
	s.post(north+"/transfers-in", object{"transfer_id": "x1", "from": "main", "quantity": 3})
	s.do(http.MethodPut, "/stock/tray/main/policy", object{"safety_stock": 2, "backorder_limit": 5, "reorder_point": 90})
	s.post("/stock/tray/main/allocations", object{"order_id": "by-hand", "quantity": 12})
	s.post("/stock/tray/main/deallocations", object{"order_id": "by-hand", "quantity": 2, "reason": "fewer"})
	s.post("/stock/tray/main/shipments", object{"order_id": "by-hand", "shipment_id": "hand-1", "quantity": 9})
	s.post("/stock/tray/main/returns", object{"return_id": "hand-back", "quantity": 2, "condition": "damaged", "order_id": "by-hand"})
	reserve := func(id string, seconds int) {
		s.post(mug+"/reservations", object{"order_id": "hand-" + id, "reservation_id": id, "quantity": 1, "hold_seconds": seconds})
	}
	for _, id := range []string{"kept", "extended", "released", "committed"} {
		reserve(id, 2592000)
	}
	reserve("over", 1)
	s.do(http.MethodPatch, mug+"/reservations/extended", object{"hold_seconds": 2500000})
	s.do(http.MethodDelete, mug+"/reservations/released?reason=no", nil)
	s.post(mug+"/reservations/committed/commit", nil)
	s.refused(mug+"/reservations", object{"order_id": "greedy", "quantity": 1000000, "hold_seconds": 60})
}

// fill opens a cart; lines are pairs of SKU and quantity.
func (s *storyteller) fill(id string, lines ...any) {
	s.Helper()
	var wanted []object
	for pair := range slices.Chunk(lines, 2) {
		wanted = append(wanted, object{"sku": pair[0], "quantity": pair[1]})
	}
	s.post("/carts", object{"cart_id": id, "customer_id": "c-" + id[:1], "currency": "GBP", "country": "EIRE", "lines": wanted}, "Daybook-Channel", "web")
}

func (s *storyteller) carts() {
	s.fill("open", "mug", 2, "post", 1)
	s.fill("changed", "mug", 2, "tray", 3)
	s.post("/carts/changed/lines", object{"lines": []object{{"sku": " mug", "quantity": 1}}})
	s.do(http.MethodPatch, "/carts/changed/lines/2", object{"quantity": 4})
	s.do(http.MethodDelete, "/carts/changed/lines/1", nil)
	s.post("/carts/changed/lines", object{"lines": []object{{"sku": "MUG", "quantity": 2}}, "join": true})
	s.do(http.MethodPatch, "/carts/changed", object{"customer_id": "somebody", "country": "France"})
	s.fill("abandoned", "mug", 1)
	s.post("/carts/abandoned/abandon", object{"reason": "bored"})
	s.fill("expired", "mug", 1)
	s.post("/carts/expired/expire", nil)
	s.fill("guest", "mug", 1, "tray", 1)
	s.fill("merged", "mug", 2)
	s.post("/carts/merged/merge", object{"from": "guest"})
	s.fill("greedy", "mug", 5000, "tray", 1)
	s.refused("/carts/greedy/checkout", object{"order_id": "refused"})
	s.fill("modest", "mug", 5000, "tray", 1)
	// Because a line is left out, the cart's event keeps the quote of all lines.
	s.do(http.MethodPut, "/carts/modest/discounts/regular", object{"amount": gbp("1.00"), "reason_code": "regular"})
	s.do(http.MethodPut, "/carts/modest/tax-status", object{"kind": "business", "country": "NL", "tax_id": "NL001234567B03", "checked_by": "vies", "proof": "WAPIAAAAYxqn1Rs3"})
	s.post("/carts/modest/checkout", object{"order_id": "modest", "policy": "line-by-line", "reference": "R-1", "accept_lower": true})
	s.fill("split", "mug", 110)
	s.post("/carts/split/checkout", object{"order_id": "split", "sourcing": object{"locations": []string{"main", "north"}, "split": true}})
}

// buy checks a new cart out, with the members of more in the request.
func (s *storyteller) buy(id string, more object, lines ...any) {
	s.Helper()
	s.fill("c-"+id, lines...)
	body := object{"order_id": id}
	for name, value := range more {
		body[name] = value
	}
	s.post("/carts/c-"+id+"/checkout", body)
}

// buyDiscounted sells a cart from which a person took something off, and took a part of that back.
func (s *storyteller) buyDiscounted(id string, lines ...any) {
	s.Helper()
	cart := "/carts/c-" + id
	s.fill("c-"+id, lines...)
	s.do(http.MethodPut, cart+"/discounts/regular", object{"amount": gbp("1.00"), "reason_code": "regular"})
	s.do(http.MethodPut, cart+"/discounts/scratch", object{"line": 1, "percent": "10", "reason_code": "damaged"})
	s.do(http.MethodPut, cart+"/discounts/mistake", object{"percent": "50", "reason_code": "mistake"})
	s.do(http.MethodDelete, cart+"/discounts/mistake", nil)
	s.do(http.MethodPut, cart+"/tax-status", object{"kind": "exempt", "checked_by": "till", "proof": "certificate 8"})
	s.do(http.MethodDelete, cart+"/tax-status", nil)
	s.do(http.MethodPut, cart+"/tax-status", object{"kind": "business", "country": "NL", "tax_id": "NL001234567B02", "checked_by": "vies", "proof": "WAPIAAAAYxqn1Rs2"})
	s.post(cart+"/checkout", object{"order_id": id, "accept_lower": true, "payment": object{}, "confirm": true})
}

func (s *storyteller) pay(id, transaction, kind, state, amount string, more ...string) {
	s.Helper()
	body := object{"transaction_id": transaction, "type": kind, "state": state, "amount": gbp(amount), "provider": "bank", "reference": "ref-" + transaction}
	if len(more) > 0 {
		body["parent"] = more[0]
	}
	s.post("/orders/"+id+"/transactions", body)
}

var paid = object{"payment": object{}, "confirm": true}

func (s *storyteller) sales() {
	s.post("/stock/mug/main/receipts", object{"quantity": 60, "document": "PO-2"})
	s.pay("split", "s-cap", "capture", "succeeded", "825.00")
	s.post("/orders/split/confirm", nil)
	s.post("/orders/split/shipments", object{"shipment_id": "split-1"})
	s.post("/orders/split/shipments", object{"shipment_id": "split-2", "location": "north"})

	s.buyDiscounted("whole", "mug", 2, "GRÜN/1", 3, "post", 1, "wrap", 1, "sample", 1)
	s.post("/orders/whole/shipments", object{"shipment_id": "w1", "carrier": "Royal Mail", "tracking": "RM1"})
	s.post("/orders/whole/shipments/w1/deliver", nil)
	s.post("/orders/whole/complete", nil)
	s.post("/orders/whole/archive", nil)
	s.post("/orders/whole/unarchive", nil)
	s.post("/orders/whole/archive", nil)

	s.buy("astray", paid, "mug", 1)
	s.post("/orders/astray/shipments", object{"shipment_id": "a1"})
	s.post("/orders/astray/shipments/a1/report", object{"state": "undeliverable", "reason": "moved away", "claim": "claim 7"})
	s.post("/orders/astray/shipments/a1/come-back", object{"lines": []object{{"line": 1, "quantity": 1}}, "reason": "refused"})
	s.post("/orders/astray/shipments/a1/resend", object{"reason": "to the new address"})
	s.post("/orders/astray/surcharges", object{"charge_id": "island", "amount": gbp("1.00"), "reason": "an island"})

	s.buy("parts", object{"confirm": true}, "tray", 6, "tray", 1)
	s.pay("parts", "p-auth", "authorize", "succeeded", "23.33")
	s.pay("parts", "p-cap", "capture", "pending", "20.00", "p-auth")
	s.do(http.MethodPatch, "/orders/parts/transactions/p-cap", object{"state": "succeeded", "reference": "later"})
	s.pay("parts", "p-fail", "capture", "failed", "3.33", "p-auth")
	s.pay("parts", "p-void", "void", "succeeded", "3.33", "p-auth")
	s.pay("parts", "p-back", "refund", "succeeded", "1.00", "p-cap")
	s.pay("parts", "p-charge", "chargeback", "succeeded", "2.00", "p-cap")
	s.pay("parts", "p-open", "refund", "pending", "1.00")
	s.post("/orders/parts/hold", object{"reason": "address"})
	s.post("/orders/parts/release-hold", nil)
	s.post("/orders/parts/cancel", object{"reason": "too many", "lines": []object{{"line": 1, "quantity": 2}}})
	s.post("/orders/parts/shipments", object{"shipment_id": "p1", "lines": []object{{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1}}})

	s.buy("held", paid, "tray", 1)
	s.post("/orders/held/hold", object{"reason": "fraud?"})
	s.buy("pending", nil, "mug", 1)
	s.buy("canceled", object{"confirm": true}, "mug", 1)
	s.post("/orders/canceled/cancel", object{"reason": "changed mind"})
	s.buy("forced", paid, "old", 90)
	s.post("/stock/old/main/adjustments", object{"change": -50, "reason": "shrinkage"})
	s.post("/orders/forced/shipments", object{"shipment_id": "f1", "force": true})
	s.buy("late", object{"hold_seconds": 1}, "mug", 1)
	eventually(s.T, patience, "the order expires", func() bool { return len(list[orderRow](s.T, s.url+"/v1/orders?status=expired")) == 1 })
	s.post("/orders/late/transactions", object{"transaction_id": "too-late", "type": "capture", "amount": gbp("7.50")})
	s.lose("lost-1")
}

// lose takes a pending order's reserved stock away before the order is confirmed.
func (s *storyteller) lose(id string) {
	sku := "rare-" + id
	s.do(http.MethodPut, "/products/"+sku, object{"title": "Rare", "prices": []object{gbp("9.99")}})
	s.post("/stock/"+sku+"/main/receipts", object{"quantity": 1})
	s.buy(id, object{"payment": object{}}, sku, 1)
	type reservation struct {
		ReservationID string `json:"reservation_id"`
		OrderID       string `json:"order_id"`
	}
	eventually(s.T, patience, "the reservation is listed", func() bool {
		held := list[reservation](s.T, s.url+"/v1/reservations?limit=500")
		i := slices.IndexFunc(held, func(r reservation) bool { return r.OrderID == id })
		if i < 0 {
			return false
		}
		s.do(http.MethodDelete, "/stock/"+sku+"/main/reservations/"+held[i].ReservationID+"?force=true&reason=lost", nil)
		return true
	})
	s.post("/stock/"+sku+"/main/allocations", object{"order_id": "other", "quantity": 1})
	s.ask(http.MethodPost, "/orders/"+id+"/confirm", nil)
	s.post("/stock/"+sku+"/main/receipts", object{"quantity": 1})
	s.ask(http.MethodPost, "/orders/"+id+"/retry-allocation", nil)
}

func (s *storyteller) request(id, order string, lines ...object) {
	s.Helper()
	body := object{"return_id": id, "lines": lines, "reason": "broken", "country": "EIRE"}
	if order == "" {
		body["currency"] = "GBP"
	} else {
		body["order_id"] = order
	}
	s.post("/returns", body)
}

func came(line, quantity int, what string) object {
	return object{"line": line, "quantity": quantity, "disposition": what}
}

func (s *storyteller) recordReturns() {
	s.buyDiscounted("many", "mug", 3, "wrap", 1, "post", 1, "tray", 2)
	s.post("/orders/many/shipments", object{"shipment_id": "m1"})
	s.request("back", "split", object{"order_line": 1, "quantity": 20})
	s.post("/returns/back/approve", nil)
	s.post("/returns/back/receipts", object{"lines": []object{came(1, 3, "restocked"), came(1, 2, "damaged"), came(1, 1, "lost")}})
	s.post("/returns/back/receipts", object{"lines": []object{came(1, 1, "wrong_item"), came(1, 13, "written_off")}})
	s.post("/returns/back/refunds", object{"transaction_id": "b1", "amount": gbp("10.00")})
	s.pay("split", "b2", "refund", "pending", "5.00")
	s.post("/returns/back/refunds", object{"transaction_id": "b2", "amount": gbp("5.00")})
	s.post("/returns/back/close", nil)

	s.request("asked", "many", object{"order_line": 1, "quantity": 1})
	s.request("declined", "many", object{"order_line": 4, "quantity": 1, "price": "1.5"})
	s.post("/returns/declined/decline", object{"reason": "too late"})
	s.request("called-off", "many", object{"order_line": 4, "quantity": 1}, object{"order_line": 3, "quantity": 1})
	s.post("/returns/called-off/approve", nil)
	s.post("/returns/called-off/cancel", object{"reason": "kept"})
	s.request("approved", "many", object{"order_line": 4, "quantity": 1})
	s.post("/returns/approved/approve", nil)
	s.request("no-order", "", object{"sku": "mug", "quantity": 2, "price": "3.00"}, object{"sku": "post", "quantity": 1, "price": "1.00"})
	s.post("/returns/no-order/approve", nil)
	s.post("/returns/no-order/receipts", object{"lines": []object{came(1, 1, "restocked")}})
	s.post("/returns/no-order/refunds", object{"amount": gbp("2.00")})
	s.post("/credit-notes", object{"return_id": "credit", "currency": "GBP", "reason": "bad_debt", "reference": "A1", "lines": []object{
		{"sku": "B", "title": "Adjust bad debt", "quantity": 1, "price": "-110.62"}, {"sku": "mug", "quantity": -2, "price": "0"},
	}})
	// Many checkouts want the same units at once. Some of them are refused after their start was
	// recorded.
	var wait sync.WaitGroup
	for n := range 48 {
		wait.Go(func() {
			s.ask(http.MethodPost, "/returns", object{"return_id": fmt.Sprint("race-", n), "order_id": "many", "lines": []object{{"order_line": 1, "quantity": 2}}})
		})
	}
	wait.Wait()
}

// foreign writes streams of another program.
func (s *storyteller) foreign(connection string) {
	client := dialGateway(s.T, connection)
	write := func(stream string, events ...esdb.EventData) {
		s.Helper()
		if _, err := client.AppendToStream(s.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...); err != nil {
			s.Fatal(err)
		}
	}
	bytes := note(3)
	bytes.ContentType, bytes.Data, bytes.Metadata = esdb.ContentTypeBinary, []byte{0, 1, 0xff, 0xfe}, []byte("plain")
	odd := note(4)
	odd.Metadata = []byte(`{"actor":{"id":1},"$correlationId":"x"}`)
	write("notes", note(1), note(2), bytes, odd)
	write("orders-1", note(1))
	write("ended", note(1))
	write("left", note(1))
	var limits esdb.StreamMetadata
	limits.SetMaxCount(3)
	if _, err := client.SetStreamMetadata(s.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, limits); err != nil {
		s.Fatal(err)
	}
	if _, err := client.TombstoneStream(s.Context(), "ended", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		s.Fatal(err)
	}
	if _, err := client.DeleteStream(s.Context(), "left", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		s.Fatal(err)
	}
}

// turmoil lets many buyers do all kinds of things at once, and kills the server meanwhile.
func (s *storyteller) turmoil(kill func()) {
	s.do(http.MethodPut, "/products/plenty", object{"title": "Plenty", "prices": []object{gbp("1.25")}})
	s.do(http.MethodPut, "/products/scarce", object{"title": "Scarce", "prices": []object{gbp("99.99")}})
	for _, sku := range []string{"plenty", "tray", "mug"} {
		s.post("/stock/"+sku+"/main/receipts", object{"quantity": 500})
	}
	s.post("/stock/scarce/main/receipts", object{"quantity": 9})
	var answered atomic.Int64
	var once sync.Once
	var wait sync.WaitGroup
	for buyer := range 24 {
		wait.Go(func() {
			for round := 0; ; round++ {
				if !s.shop(fmt.Sprintf("t%d-%d", buyer, round), buyer+round) {
					return
				}
				if answered.Add(1) >= 50 {
					once.Do(kill)
				}
			}
		})
	}
	wait.Wait()
}

// shop is one visit; it is false when the server is gone.
func (s *storyteller) shop(id string, kind int) bool {
	lines := []object{{"sku": "plenty", "quantity": 1 + kind%3}, {"sku": "mug", "quantity": 1}}
	if kind%4 == 0 {
		lines = append(lines, object{"sku": "scarce", "quantity": 1})
	}
	checkout := object{"order_id": id}
	if kind%3 > 0 {
		checkout["payment"], checkout["confirm"] = object{}, true
	}
	if s.ask(http.MethodPost, "/carts", object{"cart_id": "c" + id, "currency": "GBP", "lines": lines}) == 0 ||
		s.ask(http.MethodPost, "/carts/c"+id+"/checkout", checkout) == 0 {
		return false
	}
	steps := []string{"/orders/" + id + "/shipments", "/returns", "/returns/r" + id + "/approve", "/returns/r" + id + "/receipts"}
	bodies := []any{
		object{"shipment_id": "p-" + id},
		object{"return_id": "r" + id, "order_id": id, "lines": []object{{"order_line": 1, "quantity": 1}}},
		nil,
		object{"lines": []object{came(1, 1, "restocked")}},
	}
	if kind%5 == 4 {
		steps, bodies = []string{"/orders/" + id + "/cancel"}, []any{object{"reason": "no"}}
	}
	for i, path := range steps {
		if s.ask(http.MethodPost, path, bodies[i]) == 0 {
			return false
		}
	}
	return true
}
