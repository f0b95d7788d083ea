package walk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// books are what the walk knows of the money of all orders. They are folded from the log after each
// step, whatever rules the program under test has, and added up by code of their own.
type books struct {
	at     eventstore.Position
	orders map[string]order.State
	// payments are the streams of the orders that have a payment of a provider.
	payments map[string]string
}

// followMoney reads the events since the last step. It checks that no refund is begun of money that
// a payment does not have any more, and that nobody keeps money that its order does not owe, or
// lacks money, without a sign that a person has to look at it.
func (w *shop) followMoney() error {
	if w.books.orders == nil {
		w.books.orders, w.books.payments = map[string]order.State{}, map[string]string{}
	}
	changed := map[string]bool{}
	for e, err := range w.log.ReadAll(w.Context(), w.books.at, eventstore.Filter{StreamPrefixes: []string{order.Category + "-"}}, 0) {
		if err != nil {
			return err
		}
		w.books.at = e.Position
		event, err := order.Decode(e.Type, e.Data)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", e.Type, e.Stream, err)
		}
		state := order.Evolve(w.books.orders[e.Stream].Clone(), event)
		w.books.orders[e.Stream], changed[e.Stream] = state, true
		if err := errors.Join(begunRefundIsCovered(event, state), w.books.paymentIsOfOneOrder(event, e.Stream)); err != nil {
			return fmt.Errorf("%s, event %d: %w", e.Stream, e.Revision, err)
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(changed)) {
		if err := nothingIsKeptUnseen(w.books.orders[stream]); err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
	}
	return nil
}

// paymentIsOfOneOrder checks that no other order has the payment that an order records, and that
// the order has it once.
func (b *books) paymentIsOfOneOrder(event order.Event, stream string) error {
	e, is := event.(order.TransactionRecorded)
	if !is || e.Type != order.Capture || e.Provider != "stripe" || e.Reference == "" {
		return nil
	}
	if other, taken := b.payments[e.Reference]; taken && other != stream {
		return fmt.Errorf("the payment %s is of %s, too", e.Reference, other)
	}
	times := 0
	for _, t := range b.orders[stream].Transactions {
		if t.Type == e.Type && t.Provider == e.Provider && t.Reference == e.Reference {
			times++
		}
	}
	if times > 1 {
		return fmt.Errorf("the payment %s is recorded %d times", e.Reference, times)
	}
	b.payments[e.Reference] = stream
	return nil
}

// begunRefundIsCovered checks a refund that the program begins: with it, no payment has given back
// more than it has taken.
func begunRefundIsCovered(event order.Event, state order.State) error {
	var refund unit.RefundID
	var only unit.TransactionID    // the part that is begun; empty: all
	switch event := event.(type) { //nolint:gochecksumtype // only these begin a refund
	case order.RefundRequested:
		refund = event.RefundID
	case order.RefundSubmitted:
		// A bank may have taken the money of a part that was sent before. Nobody can prevent that.
		refund, only = event.RefundID, event.PartID
	default:
		return nil
	}
	plan, _ := state.Refund(refund)
	for _, part := range plan.Parts {
		if only != "" && part.ID != only {
			continue
		}
		taken, gone := unit.Zero(state.Currency()), unit.Zero(state.Currency())
		chargebacks := map[unit.TransactionID]bool{}
		for _, t := range state.Transactions {
			switch live := t.State != order.Failed; {
			case t.ID == part.Payment:
				taken = taken.Plus(t.Amount)
			case t.Type == order.Chargeback && t.Parent == part.Payment && t.State == order.Succeeded:
				gone, chargebacks[t.ID] = gone.Plus(t.Amount), true
			case t.Type == order.Reversal && chargebacks[t.Parent] && t.State == order.Succeeded:
				gone = gone.Minus(t.Amount)
			case t.Type == order.Refund && t.Parent == part.Payment && live:
				gone = gone.Plus(t.Amount)
			}
		}
		if part.State != order.RefundHasFailed && gone.Compare(taken) > 0 {
			return fmt.Errorf("refund %s gives back %s of payment %s, which has taken %s: %+v", refund, gone, part.Payment, taken, state.Transactions)
		}
	}
	return nil
}

// nothingIsKeptUnseen compares what came in and went out with what the order owes.
func nothingIsKeptUnseen(state order.State) error {
	kept, onItsWay := unit.Zero(state.Currency()), unit.Zero(state.Currency())
	for _, t := range state.Transactions {
		switch t.Type {
		case order.Capture, order.Reversal:
			if t.State == order.Succeeded {
				kept = kept.Plus(t.Amount)
			}
		case order.Refund, order.Chargeback:
			if t.State == order.Succeeded && t.Purpose != order.Compensation {
				kept = kept.Minus(t.Amount)
			}
			if t.State == order.Pending && t.Type == order.Refund && t.Purpose != order.Compensation {
				onItsWay = onItsWay.Plus(t.Amount)
			}
		case order.Authorize, order.Void, order.Dispute:
		}
	}
	kept.Amount = kept.Amount.Add(state.Lost.Amount) // what was written off counts as if it were there
	tooMuch := kept.Minus(onItsWay).Minus(state.Owed())
	if (tooMuch.Sign() > 0 || kept.Sign() < 0) && !state.NeedsAttention() {
		return fmt.Errorf("the order is %s and owes %s; it keeps %s, of which %s are on their way back, and nobody is told: %s",
			state.Status, state.Owed(), kept, onItsWay, strings.Join(strings.Fields(fmt.Sprintf("%+v", state.Transactions)), " "))
	}
	return nil
}
