package main

import (
	"net/http"
	"slices"
	"strings"

	"daybook/domain/unit"
	"daybook/internal/resource"
)

// paidExamples are what happens to the money of an example's order, by the number of the example.
var paidExamples = map[string]func(*exampleRow){
	"12 with money": func(r *exampleRow) {
		o := r.order()
		o.checkOut()
		o.step("ship")
		o.reduce("5.00")
		o.refund("settlement", "5.00", "", "pay-card 5.00")
		o.stands("54.90", "0.00", "0.00", "partially_refunded")
		o.refund("compensation", "10.00", "", "pay-card 10.00")
		o.stands("44.90", "0.00", "0.00", "partially_refunded")
		o.step("return A 1")
		o.refund("settlement", "18.33", "", "pay-card 18.33")
		o.step("return B 1")
		o.refund("settlement", "13.75", "", "pay-card 13.75")
		o.step("return A 1")
		o.refund("settlement", "18.33", "5.51", "pay-card 12.82")
	},
	"14 gift card and card": func(r *exampleRow) {
		var card resource.GiftCardCode
		r.as(&card, http.MethodPost, "/v1/gift-cards", object{"amount": r.euros("50.00"), "reason": "example"})
		balance := func(want string) {
			r.t.Helper()
			var now resource.GiftCard
			r.as(&now, http.MethodPost, "/v1/gift-cards/find", object{"code": card.Code})
			if now.Balance.Amount != want || now.Held.Amount != "0.00" {
				r.t.Errorf("the gift card has %s, %s held; want %s", now.Balance.Amount, now.Held.Amount, want)
			}
		}
		o := r.order()
		o.checkOutWith(object{"gift_cards": []string{card.Code}, "confirm": true, "payment": object{"provider": "card", "reference": "ch-14"}})
		o.settled()
		o.stands("83.47", "0.00", "0.00", "paid")
		balance("0.00")
		o.step("ship")
		o.step("return A 1")
		o.stands("83.47", "29.99", "0.00", "overpaid")
		refund := o.ask("settlement", "29.99")
		o.stands("83.47", "0.00", "0.00", "overpaid")
		if got := o.parts(refund); got != "pay-card 29.99" {
			r.t.Errorf("the plan is %s", got)
		}
		o.refused(http.MethodPost, "/refunds", object{"purpose": "settlement", "amount": r.euros("0.01"), "reason": "again"})
		o.end(refund, "failed")
		o.stands("83.47", "29.99", "0.00", "overpaid")
		part := "/v1/orders/" + o.id + "/refunds/" + refund.RefundID + "/parts/" + refund.Parts[0].PartID
		o.do(http.MethodPost, part+"/retry", nil)
		o.stands("83.47", "0.00", "0.00", "overpaid")
		o.end(refund, "succeeded")
		o.stands("53.48", "0.00", "0.00", "partially_refunded")
		o.step("return B 1")
		o.refund("settlement", "17.54", "", "pay-card 3.48, pay-gift 14.06")
		o.settled()
		o.stands("35.94", "0.00", "0.00", "partially_refunded")
		balance("14.06")
		o.step("return A 1")
		o.refund("settlement", "29.99", "", "pay-gift 29.99")
		o.settled()
		o.stands("5.95", "0.00", "0.00", "partially_refunded")
		balance("44.05")
	},
	"15 a payment that is disputed": func(r *exampleRow) {
		o := r.order()
		o.checkOutWith(object{"confirm": true})
		for range 2 { // the client and the provider report it
			o.record("capture", "pi_1", "", "25.00")
			o.stands("25.00", "0.00", "0.00", "paid")
		}
		o.record("capture", "pi_2", "", "25.00")
		o.stands("50.00", "25.00", "0.00", "overpaid")
		o.record("chargeback", "dp_1", "pi_1", "25.00")
		o.stands("25.00", "0.00", "0.00", "paid")
		o.record("reversal", "rv_1", "dp_1", "25.00")
		o.stands("50.00", "25.00", "0.00", "overpaid")
		refund := o.ask("settlement", "25.00", object{"payment": o.transaction("pi_2"), "amount": r.euros("25.00")})
		o.stands("50.00", "0.00", "0.00", "overpaid")
		o.end(refund, "succeeded")
		o.stands("25.00", "0.00", "0.00", "paid")
		o.record("chargeback", "dp_2", "pi_1", "25.00")
		o.stands("0.00", "0.00", "25.00", "due")
	},
	"15 a cent that is missing": func(r *exampleRow) {
		o := r.order()
		o.checkOutWith(object{"confirm": true})
		o.record("capture", "pi_3", "", "24.99")
		o.stands("24.99", "0.00", "0.01", "partially_paid")
		o.do(http.MethodPost, "/v1/orders/"+o.id+"/write-off", object{"reason": "a cent"})
		o.stands("24.99", "0.00", "0.00", "paid")
	},
}

func (r *exampleRow) euros(amount string) object {
	return object{"amount": amount, "currency": string(r.Cart.Currency)}
}

func (r *exampleRow) order() *exampleOrder {
	return &exampleOrder{exampleRow: r, id: r.name + "-order"}
}

// stands compares what the shop has, what it has to return and to collect, and the payment state.
func (o *exampleOrder) stands(kept, toReturn, toCollect, state string) {
	o.t.Helper()
	o.read()
	got := []string{o.text(o.state.Kept().Amount), o.shown.ToReturn.Amount, o.shown.ToCollect.Amount, o.shown.PaymentState}
	if want := []string{kept, toReturn, toCollect, state}; !slices.Equal(got, want) {
		o.t.Errorf("kept, to return, to collect and state are %q, want %q", got, want)
	}
}

// settled waits until the shop has done what is left to do for the order.
func (o *exampleOrder) settled() {
	o.t.Helper()
	eventually(o.t, patience, "the order is settled", func() bool {
		o.read()
		return len(o.state.Unsettled) == 0 && o.state.InFlight().Sign() == 0
	})
}

// record records a transaction. The parent is the reference of another one.
func (o *exampleOrder) record(kind, reference, parent, amount string) {
	o.t.Helper()
	body := object{"type": kind, "provider": "card", "reference": reference + "-" + o.id, "amount": o.euros(amount)}
	if parent != "" {
		body["parent"] = o.transaction(parent)
	}
	o.do(http.MethodPost, "/v1/orders/"+o.id+"/transactions", body)
}

// transaction is the id of the transaction with a reference.
func (o *exampleOrder) transaction(reference string) string {
	o.t.Helper()
	o.read()
	at := slices.IndexFunc(o.shown.Payments, func(p resource.Payment) bool { return p.Reference == reference+"-"+o.id })
	if at < 0 {
		o.t.Fatalf("no transaction %s", reference)
	}
	return o.shown.Payments[at].TransactionID
}

// ask asks for a refund.
func (o *exampleOrder) ask(purpose, amount string, parts ...object) resource.OrderRefund {
	o.t.Helper()
	var asked struct {
		RefundID string         `json:"refund_id"`
		Order    resource.Order `json:"order"`
	}
	body := object{"purpose": purpose, "amount": o.euros(amount), "reason": "example"}
	if len(parts) > 0 {
		body["parts"] = parts
	}
	o.as(&asked, http.MethodPost, "/v1/orders/"+o.id+"/refunds", body)
	at := slices.IndexFunc(asked.Order.Refunds, func(r resource.OrderRefund) bool { return r.RefundID == asked.RefundID })
	if at < 0 {
		o.t.Fatalf("the order does not show refund %s", asked.RefundID)
	}
	return asked.Order.Refunds[at]
}

// parts are the parts of a refund, each with the tender that it goes back to.
func (o *exampleOrder) parts(refund resource.OrderRefund) string {
	o.t.Helper()
	o.read()
	var all []string
	for _, part := range refund.Parts {
		payment, _ := o.state.Transaction(unit.TransactionID(part.Payment))
		name := "pay-card"
		if payment.Tender != "" {
			name = "pay-gift"
		}
		all = append(all, name+" "+part.Amount.Amount)
	}
	return strings.Join(all, ", ")
}

// end says how the parts of a refund ended that went back to the card.
func (o *exampleOrder) end(refund resource.OrderRefund, state string) {
	o.t.Helper()
	o.read()
	for _, part := range refund.Parts {
		if payment, _ := o.state.Transaction(unit.TransactionID(part.Payment)); payment.Tender == "" {
			o.do(http.MethodPost, "/v1/orders/"+o.id+"/refunds/"+refund.RefundID+"/parts/"+part.PartID+"/settle", object{"state": state})
		}
	}
}

// refund asks for a refund, compares its plan, and pays out what goes back to the card.
func (o *exampleOrder) refund(purpose, amount, unplaced, plan string) {
	o.t.Helper()
	refund := o.ask(purpose, amount)
	rest := ""
	if refund.Unplaced != nil {
		rest = refund.Unplaced.Amount
	}
	if got := o.parts(refund); got != plan || rest != unplaced {
		o.t.Errorf("the plan of %s is %s and %q unplaced, want %s and %q", amount, got, rest, plan, unplaced)
	}
	o.end(refund, "succeeded")
}

// refused sends a request that has to be refused, because it is about more than there is.
func (o *exampleOrder) refused(method, path string, body object) {
	o.t.Helper()
	if status := o.as(nil, method, "/v1/orders/"+o.id+path, body); status != http.StatusConflict {
		o.t.Errorf("%s: %d", path, status)
	}
}
