package verify

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/money/giftcard"
)

// cardRow is a row of the gift cards and credit accounts.
type cardRow struct {
	id, kind, status, customer, order, currency string
	issued, balance, held                       decimal.Decimal
	expiresAt                                   *time.Time
	issuedAt, changedAt                         time.Time
	revision                                    int64
	state                                       []byte
}

func (r *cardRow) columns() []column[*storedValue] {
	return []column[*storedValue]{
		keyColumn[*storedValue]("gift_card_id", &r.id),
		equals("kind", &r.kind, func(s *storedValue) string { return string(s.kind) }),
		equals("status", &r.status, (*storedValue).status),
		equals("customer_id", &r.customer, func(s *storedValue) string { return string(s.customer) }),
		equals("order_id", &r.order, func(s *storedValue) string { return string(s.soldIn) }),
		equals("currency", &r.currency, func(s *storedValue) string { return string(s.currency) }),
		equals("issued", &r.issued, func(s *storedValue) decimal.Decimal { return s.issued }),
		equals("balance", &r.balance, func(s *storedValue) decimal.Decimal { return s.balance }),
		equals("held", &r.held, (*storedValue).heldInAll),
		equals("expires_at", &r.expiresAt, func(s *storedValue) *time.Time {
			if s.expiresAt.IsZero() {
				return nil
			}
			return &s.expiresAt
		}),
		equals("issued_at", &r.issuedAt, func(s *storedValue) time.Time { return s.issuedAt }),
		equals("changed_at", &r.changedAt, func(s *storedValue) time.Time { return s.last.recordedAt }),
		equals("revision", &r.revision, func(s *storedValue) int64 { return s.last.revision }),
		comparedBy("state", &r.state, func(s *storedValue, d *rowDifference) {
			want, err := json.Marshal(s.state, json.Deterministic(true))
			if err != nil {
				d.columns = append(d.columns, fmt.Sprintf("state cannot be written: %v", err))
				return
			}
			d.document("state", r.state, want)
		}),
	}
}

func (r *cardRow) key() string { return giftcard.Stream(giftcard.ID(r.id)) }
