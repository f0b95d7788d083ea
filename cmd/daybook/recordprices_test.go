package main

import (
	"net/http"
	"time"
)

// onlyAt is a channel in which the rules of prices of the story count. All other parts of the story
// sell without them.
const onlyAt = "fair"

// prices leaves the rules of prices in every state, and sells goods that they have priced.
func (s *storyteller) prices() {
	s.do(http.MethodPut, "/products/cup", object{"title": "Cup", "prices": []object{gbp("7.50")}})
	s.post("/stock/cup/main/receipts", object{"quantity": 9})
	list := object{"currency": "GBP", "price_mode": "incl", "title": "Fair", "active": true, "channels": []string{onlyAt}, "customer_ids": []string{"fair-customer"}}
	s.do(http.MethodPut, "/price-lists/fair", list)
	s.post("/price-lists/fair/prices", object{"prices": []object{
		{"sku": "cup", "tiers": []object{{"price": "7.00"}, {"from_quantity": 10, "price": "6.125"}}},
	}})
	list["priority"] = 3
	s.do(http.MethodPut, "/price-lists/fair", list)
	s.do(http.MethodPut, "/price-lists/over", object{"currency": "GBP", "price_mode": "incl", "channels": []string{onlyAt}})
	s.do(http.MethodDelete, "/price-lists/over?reason=closed", nil)

	method := object{"title": "Post", "active": true, "carrier": "RM", "price_mode": "incl", "channels": []string{onlyAt}, "rates": []object{
		{"currency": "GBP", "basis": "by_quantity", "free_above": "80", "steps": []object{{"price": "4.95"}, {"from_value": "10", "price": "9.95", "per_extra": "0.10"}}},
	}}
	s.do(http.MethodPut, "/shipping-methods/post", method)
	method["measure"] = "list"
	s.do(http.MethodPut, "/shipping-methods/post", method)
	s.do(http.MethodPut, "/shipping-methods/horse", method)
	s.do(http.MethodDelete, "/shipping-methods/horse?reason=too%20slow", nil)

	entity := object{
		"title": "Fair Ltd", "home": object{"country": "GB"}, "price_mode": "incl", "channels": []string{onlyAt}, "default_class": "standard",
		"registrations": []object{{"country": "GB", "number": "GB123"}},
		"taxes":         []object{{"place": object{"country": "GB"}, "tax_class": "standard", "component": "GB VAT", "rate": "20"}},
	}
	s.do(http.MethodPut, "/legal-entities/fair", entity)
	entity["rounding"] = "line"
	s.do(http.MethodPut, "/legal-entities/fair", entity)
	s.do(http.MethodPut, "/legal-entities/gone", object{"title": "Gone Ltd", "home": object{"country": "FR"}, "price_mode": "incl", "channels": []string{"nowhere"}})
	s.do(http.MethodDelete, "/legal-entities/gone?reason=sold", nil)

	promotion := object{
		"title": "Ten off", "active": true, "kind": "coupon", "class": "order", "action": object{"type": "percent_off", "percent": "10"},
		"conditions": object{"channels": []string{onlyAt}}, "limits": object{"uses": 9, "uses_per_customer": 2},
	}
	s.do(http.MethodPut, "/promotions/ten", promotion)
	s.do(http.MethodPut, "/promotions/over", promotion)
	promotion["title"] = "A tenth off"
	s.do(http.MethodPut, "/promotions/ten", promotion)
	s.post("/promotions/ten/codes", object{"codes": []string{"TEN", "TENTH"}})
	s.post("/promotions/ten/withdraw-codes", object{"codes": []string{"TENTH"}})
	s.do(http.MethodDelete, "/promotions/over?reason=closed", nil)
	s.gifts()
	s.fair("fair-1", object{"use_credit": true, "confirm": true})
	s.fair("fair-2", object{"hold_seconds": 7200})
}

// gifts leaves the credit of customers in every state.
func (s *storyteller) gifts() {
	for _, id := range []string{"fair-customer", "fair-gone"} {
		s.post("/customers", object{"customer_id": id, "name": "Fair"})
		s.post("/gift-cards", object{"amount": gbp("5"), "customer_id": id, "reason": "a late parcel"})
	}
	_, text := s.send(http.MethodPost, "/gift-cards", object{"amount": gbp("1"), "customer_id": "fair-gone", "reason": "again"}, "Idempotency-Key", "gone")
	s.post("/gift-cards/"+member(s.T, string(text), "gift_card", "gift_card_id")+"/disable", object{"reason": "a mistake"})
}

// fair checks a cart out in the channel of the rules.
func (s *storyteller) fair(id string, more object) {
	s.do(http.MethodPost, "/carts", object{"cart_id": "c-" + id, "currency": "GBP", "customer_id": "fair-customer", "country": "GB", "lines": []object{{"sku": "cup", "quantity": 2}}}, "Daybook-Channel", onlyAt)
	s.do(http.MethodPut, "/carts/c-"+id+"/details", object{"shipping": object{"name": "Fair", "lines": []string{"1 High Street"}, "city": "Leeds", "postcode": "LS1", "country": "GB"}})
	s.do(http.MethodPut, "/carts/c-"+id+"/coupons/TEN", nil)
	s.do(http.MethodPut, "/carts/c-"+id+"/shipping", object{"method_id": "post"})
	_, quote := s.send(http.MethodPost, "/carts/c-"+id+"/quote", nil, "Daybook-Channel", onlyAt)
	body := object{"order_id": id, "quote_hash": member(s.T, string(quote), "quote", "hash")}
	for name, value := range more {
		body[name] = value
	}
	s.do(http.MethodPost, "/carts/c-"+id+"/checkout", body, "Daybook-Channel", onlyAt)
}

// money lets orders owe less, gives money back in every way, and writes some off.
func (s *storyteller) money() {
	s.bought("back")
	s.pay("back", "back-2", "capture", "succeeded", "2.50") // too much
	s.post("/orders/back/reductions", object{"amount": gbp("1.50"), "reason": "a scratch"})
	part := s.refund("back", object{"purpose": "settlement", "amount": gbp("3.00"), "reason": "too much", "parts": []object{{"payment": "back-2", "amount": gbp("2.50")}, {"payment": "back-1", "amount": gbp("0.50")}}})
	s.post(part+"/settle", object{"state": "failed", "code": "closed", "reference": "R1"})
	s.post(part+"/retry", nil)
	s.post(part+"/settle", object{"state": "succeeded", "reference": "R2"})
	s.refund("back", object{"purpose": "compensation", "amount": gbp("0.25"), "reason": "so late"})
	s.buy("short-paid", nil, "cup", 1)
	s.pay("short-paid", "sp-1", "capture", "succeeded", "7.45")
	s.post("/orders/short-paid/write-off", object{"reason": "not worth it"})
	s.bought("elsewhere")
	s.pay("elsewhere", "e-back", "refund", "succeeded", "1.00", "elsewhere-1")
	s.post("/orders/elsewhere/transactions/e-back/explain", object{"purpose": "compensation", "reason": "so late"})
	s.buy("slow", nil, "cup", 1)
	s.post("/orders/slow/extend", object{"confirm_by": time.Now().Add(9 * time.Hour), "reason": "a transfer"})
}

// refund asks for a refund, and returns the path of its first part.
func (s *storyteller) refund(order string, body object) string {
	s.Helper()
	status, text := s.send(http.MethodPost, "/orders/"+order+"/refunds", body)
	if status != http.StatusCreated {
		s.Fatalf("refund of %s: %d %s", order, status, text)
	}
	return "/orders/" + order + "/refunds/" + member(s.T, string(text), "refund_id") + "/parts/" + member(s.T, string(text), "order", "refunds", "0", "parts", "0", "part_id")
}

// bought is an order of a cup that is paid with one payment, and confirmed.
func (s *storyteller) bought(id string) {
	s.buy(id, nil, "cup", 1)
	s.pay(id, id+"-1", "capture", "succeeded", "7.50")
	s.post("/orders/"+id+"/confirm", nil)
}
