package live_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/projections/viewtest"
)

// folds fold events of an aggregate, and look at what follows from the state.
var folds = map[string]func(events []any){
	product.Category:   foldOf(product.Evolve, nil),
	cart.Category:      foldOf(cart.Evolve, nil),
	order.Category:     foldOf(order.Evolve, readOrder),
	returns.Category:   foldOf(returns.Evolve, nil),
	stock.Category:     foldOf(stock.Evolve, nil),
	access.Category:    foldOf(access.Evolve, nil),
	staff.Category:     foldOf(staff.Evolve, nil),
	customer.Category:  foldOf(customer.Evolve, nil),
	subject.Category:   foldOf(subject.Evolve, nil),
	pricelist.Category: foldOf(pricelist.Evolve, nil),
	shipping.Category:  foldOf(shipping.Evolve, nil),
	entity.Category:    foldOf(entity.Evolve, nil),
	promotion.Category: foldOf(promotion.Evolve, func(s promotion.State) { s.Spent("GBP") }),
	coupon.Category:    foldOf(coupon.Evolve, nil),
	giftcard.Category:  foldOf(giftcard.Evolve, func(s giftcard.State) { s.Available(time.Now()) }),
	payment.Category:   foldOf(payment.Evolve, nil),
}

func foldOf[S, E any](evolve func(S, E) S, read func(S)) func([]any) {
	return func(events []any) {
		var state S
		for _, event := range events {
			if e, is := event.(E); is {
				state = evolve(state, e)
			}
			if read != nil {
				read(state)
			}
		}
	}
}

func readOrder(s order.State) {
	s.Attention()
	s.PaymentState()
	s.FulfillmentState()
	s.Left()
	s.Plan(s.ToReturn())
}

// The events of an aggregate come in any order and with extreme values, as the domain itself folds
// them: without the bounds of read models. No fold fails.
func TestNoEventStopsAFold(t *testing.T) {
	t.Parallel()
	seed := environmentNumber(t, seedVariable, uint64(time.Now().UnixNano()))
	t.Logf("%s=%d", seedVariable, seed)
	w := &writer{Bench: &viewtest.Bench{TB: t}, random: rand.New(rand.NewPCG(seed, 1))}
	w.readSamples()
	for _, a := range aggregates {
		fold := folds[a.category]
		if fold == nil {
			t.Errorf("%s: this test has no fold", a.category)
			continue
		}
		folded := 0
		for range 600 {
			var events []any
			add := func(eventType string, data []byte) {
				event, err := a.decode(eventType, data)
				if err == nil {
					events = append(events, event)
				}
			}
			begins := append([][]byte{w.ordinary(a, a.begins)}, w.samples[a.begins]...)
			add(a.begins, w.oneVariant(begins[w.random.IntN(len(begins))]))
			for range 2 + w.random.IntN(14) {
				eventType := a.types[w.random.IntN(len(a.types))]
				choices := append([][]byte{w.ordinary(a, eventType)}, w.samples[eventType]...)
				add(eventType, w.oneVariant(choices[w.random.IntN(len(choices))]))
			}
			fold(events)
			folded += len(events)
		}
		if folded < 1500 {
			t.Errorf("%s: only %d events could be read", a.category, folded)
		}
	}
}
