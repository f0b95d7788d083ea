package checkout

import (
	"slices"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Place is the order that a recorded CheckedOut calls for. It is never refused:
// order's rules ask for nothing that this does not give.
func Place(started cart.CheckoutStarted, done cart.CheckedOut) order.Place {
	lines := make([]cart.Line, 0, len(started.Lines))
	for _, l := range started.Lines {
		if !slices.Contains(done.Dropped, l.Number) {
			lines = append(lines, l)
		}
	}
	return order.Place{
		OrderID: started.OrderID, CartID: started.CartID, CustomerID: started.CustomerID, Reference: started.Reference,
		Currency: started.Currency, Country: started.Country, Lines: lines, Held: done.Held, ConfirmBy: started.HoldUntil,
	}
}

// Release is one reservation to be given up. Stock takes one that has ended, or
// never was, for done.
type Release struct {
	stock.Key
	ReservationID unit.ReservationID
	Reason        string
}

// notKept is the reason of every release: the outcome does not keep it.
const notKept = "checkout: not kept"

// Command is the command to stock, at a time.
func (r Release) Command(now time.Time) stock.Release {
	return stock.Release{At: stock.At{Key: r.Key, Now: now}, ReservationID: r.ReservationID, Reason: r.Reason}
}

// Releases are all the reservations that any driver of the checkout may have
// made and that its recorded outcome does not keep: keep is CheckedOut.Held, or
// nil after CheckoutRefused. They are by SKU, in the sourcing's order.
func Releases(started cart.CheckoutStarted, keep []cart.Held) []Release {
	kept := make(map[unit.ReservationID]bool, len(keep))
	for _, h := range keep {
		kept[h.ReservationID] = true
	}
	var releases []Release
	for _, w := range Begin(started).wants {
		for _, location := range started.Sourcing.Locations {
			id := stock.ReservationIDFor(started.OrderID, w.sku, location)
			if !kept[id] {
				releases = append(releases, Release{Key: stock.Key{SKU: w.sku, Location: location}, ReservationID: id, Reason: notKept})
			}
		}
	}
	return releases
}
