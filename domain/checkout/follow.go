package checkout

import (
	"slices"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Place is the command that places the order of a recorded CheckedOut. It is refused only if
// the order id belongs to another cart (order.ErrIDTaken).
func Place(started cart.CheckoutStarted, done cart.CheckedOut) order.Place {
	lines := make([]cart.Line, 0, len(started.Lines))
	for _, l := range started.Lines {
		if !slices.Contains(done.Dropped, l.Number) {
			lines = append(lines, l)
		}
	}
	quote := started.Quote
	if quote != nil && len(done.Dropped) > 0 {
		left := quote.Without(done.Dropped)
		quote = &left
	}
	return order.Place{
		OrderID: started.OrderID, CartID: started.CartID, CustomerID: started.CustomerID, Reference: started.Reference,
		Currency: started.Currency, Country: started.Country, Details: started.Details, Lines: lines, Reservations: done.Reservations, Holds: started.Holds, ConfirmBy: started.ReserveUntil,
		Quote: quote, QuoteWithOrder: quote == nil && started.QuoteWithOrder, RoundedLines: started.RoundedLines,
	}
}

// Claim is the command that keeps the order id of a refused checkout for its cart. ok is
// false if the server made the id, because no other cart can have it. If the claim is refused
// (order.ErrIDTaken), the id belongs to another cart and there is nothing to keep.
func Claim(started cart.CheckoutStarted) (claim order.Claim, ok bool) {
	return order.Claim{OrderID: started.OrderID, CartID: started.CartID}, started.OrderIDFrom != cart.FromServer
}

// Withdraw is the command to the cart when Place was refused by order.ErrIDTaken.
func Withdraw(started cart.CheckoutStarted) cart.WithdrawCheckout {
	return cart.WithdrawCheckout{OrderID: started.OrderID, Lines: started.Lines}
}

// OfAnother returns the reservations that belong to another cart's order. o is the order with
// the checkout's order id. A checkout that an older program began may share reservation ids
// with that order, and must not release them. Newer checkouts share none.
func OfAnother(started cart.CheckoutStarted, o order.State) []unit.ReservationID {
	if started.OrderIDFrom != "" || o.MayBelongTo(started.CartID) {
		return nil
	}
	var ids []unit.ReservationID
	for _, h := range o.Holdings {
		ids = append(ids, h.ReservationID)
	}
	return ids
}

// Release is one reservation to release. If the reservation has ended or never was, stock decides
// that nothing is left to do.
type Release struct {
	stock.Key
	ReservationID unit.ReservationID
	Reason        string
}

// notKept is the reason that is recorded with each release.
const notKept = "checkout: not kept"

// Command is the command to stock, at a time.
func (r Release) Command(now time.Time) stock.Release {
	return stock.Release{At: stock.At{Key: r.Key, Now: now}, ReservationID: r.ReservationID, Reason: r.Reason}
}

// Releases returns all the reservations that a driver of the checkout may have made and that
// the recorded outcome does not keep. keep is CheckedOut.Reservations, or nil after
// CheckoutRefused. others is the result of OfAnother. The releases are sorted by SKU, and within a
// SKU in the order of the sourcing.
func Releases(started cart.CheckoutStarted, keep []cart.Reservation, others []unit.ReservationID) []Release {
	kept := make(map[unit.ReservationID]bool, len(keep)+len(others))
	for _, h := range keep {
		kept[h.ReservationID] = true
	}
	for _, id := range others {
		kept[id] = true
	}
	var releases []Release
	for _, w := range Begin(started).wants {
		for _, location := range started.Sourcing.Locations {
			id := ReservationID(started, w.sku, location)
			if !kept[id] {
				releases = append(releases, Release{Key: stock.Key{SKU: w.sku, Location: location}, ReservationID: id, Reason: notKept})
			}
		}
	}
	return releases
}
