package salesview

import (
	"time"

	"github.com/shopspring/decimal"
)

type customerKey struct{ id, currency string }

// customer adds up the changes of a customer's totals in a batch.
type customer struct {
	orders, returns, units int64
	placed                 decimal.Decimal
	amount                 decimal.Decimal
	firstAt, lastAt        *time.Time
	lastID                 string
}

func (l *ledger) customer(h head) *customer {
	key := customerKey{h.Customer, h.Currency}
	c := l.customers[key]
	if c == nil {
		c = new(customer)
		l.customers[key] = c
	}
	return c
}

// ordered notes a placed order. If two orders have the same time, the later one in the log is
// the last order.
func (c *customer) ordered(id string, total decimal.Decimal, at time.Time) {
	c.orders++
	c.placed = c.placed.Add(total)
	if c.firstAt == nil || at.Before(*c.firstAt) {
		c.firstAt = &at
	}
	if c.lastAt == nil || !at.Before(*c.lastAt) {
		c.lastAt, c.lastID = &at, id
	}
}
