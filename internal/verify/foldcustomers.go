package verify

import (
	"time"

	"daybook/domain/customer"
	"daybook/domain/unit"
)

// Customer is an account, with what the view shows and the domain's fold does not keep.
type Customer struct {
	customer.State
	registeredAt time.Time // effective times
	changedAt    time.Time
	last         lastEvent
	erasedLists  []customer.WishListID // the wish lists at the last erasure
	erasedAt     lastEvent             // this erasure
}

// foldCustomer folds an event of an account.
func (b *Book) foldCustomer(e *event, id unit.CustomerID, value customer.Event) {
	b.foldAccountMerge(e, id, value)
	c := b.Customers[id]
	_, registers := value.(customer.Registered)
	if !b.checkBeginning(e, registers, c != nil) {
		return
	}
	if c == nil {
		c = &Customer{registeredAt: e.at}
		b.Customers[id] = c
	}
	c.State, c.changedAt, c.last = customer.Evolve(c.State, value), e.at, e.lastEvent()
}
