package walk

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/commands/payments"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// sale is a cart, and then its order, that the walk drives on. Requests that are drawn from the
// document seldom pay an order and then give its money back. So a part of the steps goes to sales,
// with amounts that are near to what the order has to collect or to return. The requests are
// ordinary ones: they may be cut off, repeated and refused, and other steps come between them.
type sale struct {
	cart   unit.CartID
	order  unit.OrderID
	asked  int // requests so far
	placed bool
	// told is the provider's payment: all its transactions so far.
	told    []payments.Transaction
	returns int
}

// openSales is how many sales go on at the same time.
const openSales = 4

// saleSteps is how many requests a sale has. triesToPlace is after how many of them it is given up
// if there is no order: something else may have happened to its cart or its products.
const saleSteps, triesToPlace = 20, 6

// ask makes the next request of a sale, and begins new sales for those that have ended.
func (k *walker) ask() request {
	k.sales = slices.DeleteFunc(k.sales, func(s *sale) bool { return s.asked >= saleSteps || !s.placed && s.asked >= triesToPlace })
	for len(k.sales) < openSales {
		k.sold++
		n := strconv.Itoa(k.sold)
		k.sales = append(k.sales, &sale{cart: unit.CartID("sale-" + n), order: unit.OrderID("sold-" + n)})
	}
	s := pick(k.requestMaker, k.sales...)
	s.asked++
	var state order.State
	if err := k.service.ViewOrder(k.Context(), s.order, func(now order.State, _ int64) { state = now.Clone() }); err != nil {
		k.Fatal(err)
	}
	if s.placed = state.Exists(); !s.placed {
		return k.toOrder(s)
	}
	ways := []func(*sale, order.State) (request, bool){k.payAsClient, k.report, k.report, k.giveBack, k.giveBack, k.settle, k.handle, k.handle, k.comeBack}
	for {
		if r, can := pick(k.requestMaker, ways...)(s, state); can {
			return r
		}
	}
}

// post makes a request with a key.
func (k *walker) post(operation, target, body string, args ...any) request {
	r := request{Operation: operation, Method: http.MethodPost, Target: target, Headers: map[string]string{}}
	if r.Body = fmt.Sprintf(body, args...); r.Body != "" {
		r.Headers["Content-Type"] = "application/json"
	}
	if k.described(operation).keyed {
		k.keys++
		r.Headers[headerKey] = "key-" + strconv.Itoa(k.keys)
	}
	return r
}

// toOrder brings a cart to its checkout.
func (k *walker) toOrder(s *sale) request {
	target := "/v1/carts/" + string(s.cart)
	switch {
	case s.asked == 1:
		return k.post("open-cart", "/v1/carts", `{"cart_id":%q,"currency":"GBP","lines":[{"sku":%q,"quantity":%d},{"sku":%q,"quantity":%d}]}`, s.cart,
			pick(k.requestMaker, "shirt", "coat"), 1+k.IntN(3), pick(k.requestMaker, "mug", "cup"), 1+k.IntN(2))
	case s.asked == 2:
		r := k.post("add-cart-coupon", target+"/coupons/"+pick(k.requestMaker, "SPRING10", "ALWAYS5"), "")
		r.Method = http.MethodPut
		return r
	case s.asked == 3 && k.chance(40):
		return k.post("issue-gift-card", "/v1/gift-cards", `{"amount":{"amount":"%d.00","currency":"GBP"}}`, 5+k.IntN(60))
	case s.asked == 3 && k.chance(40):
		return k.post("receive-stock", "/v1/stock/"+pick(k.requestMaker, "shirt", "mug", "coat", "cup")+"/main/receipts", `{"quantity":50}`)
	}
	body := map[string]any{"order_id": s.order}
	if total, ok := k.total(target); ok {
		body["expected_total"] = total
	}
	// Other things have members of this name, too, with values of another length.
	codes := slices.DeleteFunc(slices.Clone(k.pools["gift_card_code"]), func(code string) bool { return len(code) != len("ABCD-EFGH-JKLM-NPQR") })
	if latest := codes[max(0, len(codes)-3):]; len(latest) > 0 && k.chance(70) {
		body["gift_cards"] = []string{pick(k.requestMaker, latest...)}
	}
	switch {
	case k.chance(20):
		body["payment"], body["confirm"] = map[string]any{}, true
	case k.chance(20):
		body["payment"] = map[string]any{"type": "authorize", "provider": "stripe", "reference": "au-" + string(s.order)}
	}
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		k.Fatal(err)
	}
	return k.post("checkout-cart", target+"/checkout", "%s", text)
}

// total asks what a cart costs. It changes nothing, so it is no step of the walk.
func (k *walker) total(cart string) (any, bool) {
	a := k.send(request{Operation: "quote-cart", Method: http.MethodPost, Target: cart + "/quote"})
	answer, _ := a.body.(map[string]any)
	quote, _ := answer["quote"].(map[string]any)
	if quote == nil {
		quote = answer
	}
	total, found := quote["total"]
	return total, a.ok() && found
}

// amountNear draws an amount that is near to one of an order's own.
func (k *walker) amountNear(state order.State) unit.Money {
	near := []unit.Money{state.Owed(), state.ToCollect(), state.ToCollect(), state.ToReturn(), state.ToReturn(), state.ToReturn(), state.Kept(), state.InFlight()}
	amount := pick(k.requestMaker, near...)
	cent := amount
	cent.Amount = decimal.New(1, -cent.Currency.Digits())
	switch {
	case k.chance(15):
		amount = amount.Plus(cent)
	case k.chance(15) && amount.Compare(cent) > 0:
		amount = amount.Minus(cent)
	case k.chance(15):
		amount.Amount = amount.Amount.Shift(-1).RoundFloor(amount.Currency.Digits())
	}
	if amount.Sign() <= 0 {
		return cent
	}
	return amount
}

func of(m unit.Money) string {
	return fmt.Sprintf(`{"amount":%q,"currency":%q}`, m.Amount.StringFixed(m.Currency.Digits()), m.Currency)
}

// payAsClient records what a client knows of the payment.
func (k *walker) payAsClient(s *sale, state order.State) (request, bool) {
	target := "/v1/orders/" + string(s.order) + "/transactions"
	for _, t := range s.told {
		if t.Kind == payments.Capture && k.chance(60) { // the provider has told of it, or will
			return k.post("record-transaction", target, `{"type":"capture","amount":%s,"provider":"stripe","reference":%q}`, of(t.Amount), t.Reference), true
		}
	}
	if k.chance(50) && len(state.Transactions) > 0 {
		return request{}, false
	}
	return k.post("record-transaction", target, `{"type":"capture","amount":%s,"provider":"manual","reference":"slip"}`, of(k.amountNear(state))), true
}

// report lets the provider tell what has happened, all of it or an older report, and to whatever
// order it thinks.
func (k *walker) report(s *sale, state order.State) (request, bool) {
	if k.chance(70) || len(s.told) == 0 {
		k.happens(s, state)
	}
	told := s.told
	if k.chance(25) {
		told = told[:k.IntN(len(told)+1)]
	}
	to := s.order
	if k.chance(4) {
		to = pick(k.requestMaker, k.sales...).order
	}
	message, err := json.Marshal(payments.Report{Event: "e", Payment: "pay-" + string(s.order), OrderID: to, Transactions: told}, json.Deterministic(true))
	if err != nil {
		k.Fatal(err)
	}
	return k.post("receive-webhook", "/v1/payments/webhooks/stripe", "%s", message), true
}

// happens adds something that happened at the provider. It is nobody's wish, so it may be more than
// the order owes; but the provider does not pay out what it does not have.
func (k *walker) happens(s *sale, state order.State) {
	add := func(kind payments.Kind, amount unit.Money, parent string) {
		s.told = append(s.told, payments.Transaction{Kind: kind, State: payments.Succeeded, Reference: fmt.Sprint(kind, "-", s.order, "-", len(s.told)), Amount: amount, Parent: parent})
	}
	captures := slices.DeleteFunc(slices.Clone(s.told), func(t payments.Transaction) bool { return t.Kind != payments.Capture })
	if len(captures) == 0 || k.chance(20) {
		add(payments.Capture, k.amountNear(state), "")
		return
	}
	capture := pick(k.requestMaker, captures...)
	taken, backs, desk := unit.Zero(capture.Amount.Currency), unit.Zero(capture.Amount.Currency), unit.Zero(capture.Amount.Currency)
	var chargeback string
	for _, t := range s.told {
		switch {
		case t.Kind == payments.Chargeback && t.Parent == capture.Reference:
			taken, chargeback = taken.Plus(t.Amount), t.Reference
		case t.Kind == payments.Reversal && t.Parent == chargeback:
			backs = backs.Plus(t.Amount)
		case t.Kind == payments.Refund && t.Parent == capture.Reference:
			desk = desk.Plus(t.Amount)
		}
	}
	switch open := taken.Minus(backs); {
	case open.Sign() > 0 && k.chance(60):
		add(payments.Reversal, open, chargeback)
	case open.Sign() > 0:
	case k.chance(50) && desk.Sign() == 0:
		add(payments.Chargeback, capture.Amount, capture.Reference)
	case taken.Sign() == 0 && k.chance(30):
		if amount := k.amountNear(state); desk.Plus(amount).Compare(capture.Amount) <= 0 {
			add(payments.Refund, amount, capture.Reference) // at the provider's own desk
		}
	}
}

// giveBack asks for money to go back, lowers the price or ends a difference.
func (k *walker) giveBack(s *sale, state order.State) (request, bool) {
	target := "/v1/orders/" + string(s.order)
	amount := of(k.amountNear(state))
	if owed := state.ToReturn(); owed.Sign() > 0 && k.chance(60) {
		amount = of(owed)
	}
	switch n := k.IntN(10); {
	case n < 5 && (state.ToReturn().Sign() > 0 || state.InFlight().Sign() > 0 || k.chance(30)):
		return k.post("request-refund", target+"/refunds", `{"purpose":"settlement","amount":%s,"reason":"x"}`, amount), true
	case n < 6:
		return k.post("request-refund", target+"/refunds", `{"purpose":"compensation","amount":%s,"reason":"x"}`, amount), true
	case n < 9:
		return k.post("reduce-price", target+"/reductions", `{"amount":%s,"reason":"x"}`, amount), true
	}
	return k.post("write-off", target+"/write-off", `{"reason":"x"}`), true
}

// settle sends or settles a part of a refund.
func (k *walker) settle(s *sale, state order.State) (request, bool) {
	if len(state.Refunds) == 0 {
		return request{}, false
	}
	refund := pick(k.requestMaker, state.Refunds...)
	if len(refund.Parts) == 0 {
		return request{}, false
	}
	target := "/v1/orders/" + string(s.order) + "/refunds/" + url.PathEscape(string(refund.ID)) + "/parts/" + url.PathEscape(string(pick(k.requestMaker, refund.Parts...).ID))
	if k.chance(50) {
		return k.post("retry-refund", target+"/retry", ""), true
	}
	return k.post("settle-refund", target+"/settle", `{"state":%q}`, pick(k.requestMaker, "succeeded", "failed")), true
}

// handle does what else happens to an order.
func (k *walker) handle(s *sale, state order.State) (request, bool) {
	target := "/v1/orders/" + string(s.order)
	switch k.IntN(9) {
	case 0:
		return k.post("cancel-order", target+"/cancel", `{"reason":"x"}`), k.chance(40)
	case 1:
		return k.post("cancel-order", target+"/cancel", `{"reason":"x","lines":[{"line":%d,"quantity":1}]}`, 1+k.IntN(2)), true
	case 2:
		return k.post("hold-order", target+"/hold", `{"reason":"x"}`), state.Status == order.StatusPending && k.chance(30)
	case 3:
		return k.post("release-order-hold", target+"/release-hold", ""), state.OnHold
	case 4:
		return k.post("expire-order", target+"/expire", ""), state.Status == order.StatusPending && k.chance(20)
	case 5, 6:
		return k.post("confirm-order", target+"/confirm", ""), state.Status == order.StatusPending
	case 7:
		return k.post("ship-order", target+"/shipments", `{}`), state.Status == order.StatusConfirmed
	}
	for _, shipment := range state.Shipments {
		if !shipment.Delivered && k.chance(50) {
			return k.post("deliver-shipment", target+"/shipments/"+url.PathEscape(string(shipment.ID))+"/deliver", ""), true
		}
	}
	return k.post("complete-order", target+"/complete", ""), state.Status == order.StatusConfirmed && k.chance(20)
}

// comeBack returns a unit of the order, and refunds it.
func (k *walker) comeBack(s *sale, state order.State) (request, bool) {
	shipped := unit.Quantity(0)
	for _, line := range state.Lines {
		shipped += line.Shipped
	}
	if shipped == 0 {
		return request{}, false
	}
	if s.returns == 0 || s.returns < 3 && k.chance(25) {
		s.returns++
		return k.post("request-return", "/v1/returns", `{"return_id":"back-%s-%d","order_id":%q,"lines":[{"order_line":%d,"quantity":1}]}`, s.order, s.returns, s.order, 1+k.IntN(2)), true
	}
	target := fmt.Sprintf("/v1/returns/back-%s-%d", s.order, 1+k.IntN(s.returns))
	switch k.IntN(3) {
	case 0:
		return k.post("approve-return", target+"/approve", ""), true
	case 1:
		return k.post("receive-return", target+"/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`), true
	}
	return k.post("refund-return", target+"/refunds", `{"amount":%s}`, of(k.amountNear(state))), true
}
