package orderview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections"
)

// storedReturn is the document in returns.state.
type storedReturn struct {
	Fold  returns.State        `json:"fold"`
	Times map[string]time.Time `json:"times"` // effective times, by the event's last word
}

// returnRecord is one return or credit note while a batch is folded into it.
type returnRecord struct {
	storedReturn
	id        string
	fresh     bool // this batch has the event with which it begins: Requested or CreditNoted
	channel   string
	createdAt time.Time
	changedAt time.Time
	revision  int64
	begins    bool // the first event of its stream is in this batch
	present   bool // there is, or will be, a row
	changed   bool // an event of this batch changed it

	header   header // made when the batch is stored, if fresh
	document []byte
}

type returnRecords struct {
	records map[string]*returnRecord
	inOrder []*returnRecord
}

func newReturns() *returnRecords { return &returnRecords{records: make(map[string]*returnRecord)} }

func returnID(stream string) string { return strings.TrimPrefix(stream, returns.Category+"-") }

func (c *returnRecords) note(e *projections.Event) {
	id := returnID(e.Stream)
	if c.records[id] != nil {
		return
	}
	r := &returnRecord{id: id, begins: e.Revision == 0}
	c.records[id] = r
	c.inOrder = append(c.inOrder, r)
}

func (c *returnRecords) load(ctx context.Context, tx *projections.Tx) error {
	var ids []string
	for _, r := range c.inOrder {
		if !r.begins {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+returnTable.Only("return_id", "state")+` FROM returns WHERE return_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id string
	var state []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		r := c.records[id]
		r.present = true
		return json.Unmarshal(state, &r.storedReturn)
	})
	return err
}

func (c *returnRecords) apply(e *projections.Event, value returns.Event) {
	r := c.records[returnID(e.Stream)]
	begins := beginsReturn(value)
	if !e.Follows(begins, r.present) {
		return
	}
	r.changed = true
	at := e.EffectiveAt().UTC()
	if begins {
		r.fresh, r.present = true, true
		r.channel, r.createdAt, r.Times = e.Meta.Channel, at, make(map[string]time.Time)
	}
	r.Fold = returns.Evolve(r.Fold, value)
	word := wordOf(e.Type)
	if _, known := r.Times[word]; !known {
		r.Times[word] = at // the first, if there are several arrivals or refunds
	}
	r.changedAt, r.revision = e.RecordedAt, e.Revision
}

// beginsReturn tells whether an event can be the first of a stream.
func beginsReturn(value returns.Event) bool {
	_, requested := value.(returns.Requested)
	_, noted := value.(returns.CreditNoted)
	return requested || noted
}

// header has the columns of a return or a credit note that never change, and its customer.
type header struct {
	reference, orderID, customerID, currency, country, reason string
	value                                                     decimal.Decimal
	units                                                     unit.Quantity
	orders                                                    []string
}

func headerOf(s returns.State) header {
	if s.Status == returns.StatusNoted {
		n := s.Noted
		h := header{
			reference: n.Reference, customerID: string(n.CustomerID), currency: string(n.Amount.Currency),
			country: n.Country, reason: n.Reason, value: n.Amount.Amount.Neg(),
		}
		for _, l := range n.Lines {
			h.units += l.Quantity
		}
		return h
	}
	q := s.Requested
	h := header{
		reference: q.Reference, orderID: string(q.OrderID), customerID: string(s.Customer()), currency: string(q.Currency),
		country: q.Country, reason: q.Reason,
	}
	if q.OrderID != "" {
		h.orders = append(h.orders, string(q.OrderID))
	}
	for _, l := range q.Lines {
		h.value = h.value.Add(l.Price.Times(l.Quantity).Amount)
		h.units += l.Quantity
		for _, link := range l.Links {
			h.orders = append(h.orders, string(link.OrderID))
		}
	}
	slices.Sort(h.orders)
	h.orders = slices.Compact(h.orders)
	return h
}

func (c *returnRecords) store(tx *projections.Tx) (err error) {
	var fresh, changed []*returnRecord
	var links []returnOrder
	for _, r := range c.inOrder {
		if !r.changed {
			continue
		}
		if r.document, err = json.Marshal(r.storedReturn, json.Deterministic(true)); err != nil {
			return fmt.Errorf("encode return %s: %w", r.id, err)
		}
		if !r.fresh {
			changed = append(changed, r)
			continue
		}
		r.header = headerOf(r.Fold)
		fresh = append(fresh, r)
		for _, order := range r.header.orders {
			links = append(links, returnOrder{order, r.id})
		}
	}
	insertReturns.Queue(tx.Writes(), fresh)
	insertReturnOrders.Queue(tx.Writes(), links)
	updateReturns.Queue(tx.Writes(), changed)
	return nil
}

func (r *returnRecord) refunded() (sum decimal.Decimal) {
	for _, refund := range r.Fold.Refunds {
		sum = sum.Add(refund.Amount.Amount)
	}
	return sum
}
