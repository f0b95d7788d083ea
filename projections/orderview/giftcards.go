package orderview

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/domain/money/giftcard"
	"daybook/projections"
	"daybook/projections/table"
)

// The states of a gift card or a credit account.
const (
	CardActive   = "active"
	CardExpired  = "expired"
	CardDisabled = "disabled"
)

// cardRecord is one gift card or credit account while a batch is folded into it. Its fold has no
// text of a person, so an erasure changes nothing of it.
type cardRecord struct {
	fold      giftcard.State
	id        string
	fresh     bool      // this batch has the event with which it begins
	issuedAt  time.Time // set if fresh
	changedAt time.Time
	revision  int64
	begins    bool // the first event of its stream is in this batch
	present   bool // there is, or will be, a row
	changed   bool // an event of this batch changed it

	document []byte // made when the batch is stored
}

// cards folds the gift cards and credit accounts of one batch.
type cards struct {
	records map[string]*cardRecord
	inOrder []*cardRecord
}

func newCards() *cards { return &cards{records: make(map[string]*cardRecord)} }

func cardID(stream string) string { return strings.TrimPrefix(stream, giftcard.Stream("")) }

func (c *cards) note(e *projections.Event) {
	id := cardID(e.Stream)
	if c.records[id] != nil {
		return
	}
	r := &cardRecord{id: id, begins: e.Revision == 0}
	c.records[id] = r
	c.inOrder = append(c.inOrder, r)
}

// load reads the gift cards that were issued before this batch.
func (c *cards) load(ctx context.Context, tx *projections.Tx) error {
	var ids []string
	for _, r := range c.inOrder {
		if !r.begins {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+cardTable.Only("gift_card_id", "state")+` FROM gift_cards WHERE gift_card_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id string
	var state []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		r := c.records[id]
		r.present = true
		return json.Unmarshal(state, &r.fold)
	})
	return err
}

// apply folds one event. A credit account may be issued again, which adds to it. A card that ended
// before it was issued has no row.
func (c *cards) apply(e *projections.Event, value giftcard.Event) {
	r := c.records[cardID(e.Stream)]
	_, issues := value.(giftcard.Issued)
	if _, ends := value.(giftcard.Disabled); ends && !r.present {
		return
	}
	again := issues && r.present && r.fold.Kind == giftcard.Account
	if !again && !e.Follows(issues, r.present) {
		return
	}
	if !r.present {
		r.fresh, r.present, r.issuedAt = true, true, e.EffectiveAt().UTC()
	}
	r.changed = true
	r.fold = giftcard.Evolve(r.fold, value)
	r.changedAt, r.revision = e.RecordedAt, e.Revision
}

func (c *cards) store(tx *projections.Tx) (err error) {
	var fresh, changed []*cardRecord
	for _, r := range c.inOrder {
		if !r.changed {
			continue
		}
		if r.document, err = json.Marshal(r.fold, json.Deterministic(true)); err != nil {
			return fmt.Errorf("encode gift card %s: %w", r.id, err)
		}
		if r.fresh {
			fresh = append(fresh, r)
		} else {
			changed = append(changed, r)
		}
	}
	insertCards.Queue(tx.Writes(), fresh)
	updateCards.Queue(tx.Writes(), changed)
	return nil
}

func (r *cardRecord) status() string {
	switch {
	case r.fold.Disabled:
		return CardDisabled
	case r.fold.Expired:
		return CardExpired
	}
	return CardActive
}

func (r *cardRecord) orderID() string {
	if r.fold.Sold == nil {
		return ""
	}
	return string(r.fold.Sold.OrderID)
}

func (r *cardRecord) expiresAt() *time.Time {
	if r.fold.ExpiresAt.IsZero() {
		return nil
	}
	return &r.fold.ExpiresAt
}

// The fixed columns come from the event Issued. Only money and its time can be added later.
var cardTable = table.New("gift_cards",
	table.Key("gift_card_id", table.Text, func(r *cardRecord) string { return r.id }),
	table.Fixed("kind", table.Text, func(r *cardRecord) string { return string(r.fold.Kind) }),
	table.Set("status", table.Text, (*cardRecord).status),
	table.Fixed("customer_id", table.Text, func(r *cardRecord) string { return string(r.fold.CustomerID) }),
	table.Fixed("order_id", table.Text, (*cardRecord).orderID),
	table.Fixed("currency", table.Text, func(r *cardRecord) string { return string(r.fold.Currency()) }),
	table.Set("issued", table.Amount, func(r *cardRecord) decimal.Decimal { return r.fold.Issued.Amount }),
	table.Set("balance", table.Amount, func(r *cardRecord) decimal.Decimal { return r.fold.Balance.Amount }),
	table.Set("held", table.Amount, func(r *cardRecord) decimal.Decimal { return r.fold.HeldInAll().Amount }),
	table.Set("expires_at", table.MaybeTime, (*cardRecord).expiresAt),
	table.Fixed("issued_at", table.Time, func(r *cardRecord) time.Time { return r.issuedAt }),
	table.Set("changed_at", table.Time, func(r *cardRecord) time.Time { return r.changedAt }),
	table.Set("revision", table.Number, func(r *cardRecord) int64 { return r.revision }),
	table.Set("state", table.Document, func(r *cardRecord) []byte { return r.document }),
)

var insertCards, updateCards = cardTable.Insert(), cardTable.Update()
