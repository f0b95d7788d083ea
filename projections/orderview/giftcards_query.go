package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"daybook/projections/query"
)

// Card is the row of a gift card or a credit account. Amounts are of Currency.
type Card struct {
	GiftCardID, Kind      string
	Status                string // as the events say; see StatusAt
	CustomerID            string // of a credit account
	OrderID               string // in which a gift card was sold
	Currency              string
	Issued, Balance, Held decimal.Decimal
	ExpiresAt             *time.Time // nil: never
	IssuedAt              time.Time  // effective time
	ChangedAt             time.Time  // recorded time of the last event
	Revision              int64
}

// StatusAt is the state at a time. A card ends when its time is over, whether or not that is
// recorded.
func (c Card) StatusAt(now time.Time) string {
	if c.Status == CardActive && c.ExpiresAt != nil && !now.Before(*c.ExpiresAt) {
		return CardExpired
	}
	return c.Status
}

// statusAt is StatusAt in SQL.
const statusAt = `CASE WHEN status = '` + CardActive + `' AND expires_at <= ? THEN '` + CardExpired + `' ELSE status END`

// CardFilter chooses gift cards and credit accounts; its zero value chooses all. A row matches a
// list if it has one of the list's values.
type CardFilter struct {
	Statuses                                 []string // at Now
	Now                                      time.Time
	Kinds, Currencies, CustomerIDs, SoldWith []string
	WithBalance                              *bool // the shop still owes something
}

// ListedCards says how the list of gift cards and credit accounts is read and sorted.
var ListedCards = query.Rows[Card]{
	Select: `SELECT ` + cardTable.AllExcept("state") + ` FROM read.gift_cards`,
	Sorts: map[string]query.Sort[Card]{
		"issued_at": {
			By:  []query.Column{{Name: "issued_at", Kind: query.Time}, {Name: "gift_card_id", Kind: query.Text}},
			Key: func(c Card) []string { return []string{query.TimeKey(c.IssuedAt), c.GiftCardID} },
		},
		"changed_at": {
			By:  []query.Column{{Name: "changed_at", Kind: query.Time}, {Name: "gift_card_id", Kind: query.Text}},
			Key: func(c Card) []string { return []string{query.TimeKey(c.ChangedAt), c.GiftCardID} },
		},
		"balance": {
			By:  []query.Column{{Name: "balance", Kind: query.Number}, {Name: "gift_card_id", Kind: query.Text}},
			Key: func(c Card) []string { return []string{c.Balance.String(), c.GiftCardID} },
		},
	},
	DefaultSort: "-issued_at",
}

// ListCards gives a page of gift cards and credit accounts. By default the newest comes first.
func ListCards(ctx context.Context, db query.DB, f CardFilter, p query.Page) (query.List[Card], error) {
	var w query.Where
	if len(f.Statuses) > 0 {
		w.Add(statusAt+" = ANY (?::text[])", f.Now, f.Statuses)
	}
	w.In("kind", f.Kinds)
	w.In("currency", f.Currencies)
	w.In("customer_id", f.CustomerIDs)
	w.In("order_id", f.SoldWith)
	flag(&w, "balance > 0", f.WithBalance)
	list, err := ListedCards.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list gift cards: %w", err)
	}
	return list, nil
}
