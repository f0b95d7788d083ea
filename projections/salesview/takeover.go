package salesview

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/projections"
)

// takenRow is a stored document that gets a customer.
type takenRow struct{ name, customer string }

// The names of documents begin with what they are.
const (
	orderDocument    = "order/"
	canceledDocument = "canceled/"
	reducedDocument  = "reduced/"
	returnDocument   = "return/"
)

// documentsOf are the names of the documents of an order or a return.
func documentsOf(stream string) []string {
	category, id, _ := strings.Cut(stream, "-")
	if category == order.Category {
		return []string{orderDocument + id, canceledDocument + id, reducedDocument + id}
	}
	return []string{returnDocument + id}
}

// loadDocuments reads, as they were before a batch, the documents that customers take over in it,
// and those of the returns for which orders are credited.
func (l *ledger) loadDocuments(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
	var names []string
	for i := range batch {
		switch value := batch[i].Value.(type) {
		case order.TakenOver, returns.TakenOver:
			names = append(names, documentsOf(batch[i].Stream)...)
		case order.Credited:
			if value.ReturnID == "" {
				continue
			}
			names = append(names, returnDocument+string(value.ReturnID))
		case order.ReturnReleased:
			names = append(names, returnDocument+string(value.ReturnID))
		}
	}
	if len(names) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+documents.Only("document", "kind", "reference", "customer_id", "country", "channel", "currency", "occurred_at", "units", "amount")+` FROM sales_documents WHERE document = ANY ($1)`, names)
	if err != nil {
		return fmt.Errorf("load documents: %w", err)
	}
	var name, kind string
	var h head
	var at time.Time
	var units int64
	var amount decimal.Decimal
	_, err = pgx.ForEachRow(rows, []any{&name, &kind, &h.Reference, &h.Customer, &h.Country, &h.Channel, &h.Currency, &at, &units, &amount}, func() error {
		l.stored[name] = &document{head: h, kind: kind, at: at, sums: sums{units: units, amount: amount}}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load documents: %w", err)
	}
	return nil
}

// takenOver gives an order or a return that has no customer to one. What was counted before counts
// as the customer's from now on.
func (l *ledger) takenOver(o *remainders, stream, customer string) {
	if customer == "" {
		return
	}
	for _, name := range documentsOf(stream) {
		l.takeOver(name, customer)
	}
	if r := o.byStream[stream]; r != nil && r.Head.Customer == "" {
		r.Head.Customer = customer
	}
}

func (l *ledger) takeOver(name, customer string) {
	stored, fresh := l.stored[name], l.documents[name]
	first := stored
	if first == nil {
		first = fresh
	}
	if first == nil || first.Customer != "" {
		return
	}
	c := l.customer(head{Customer: customer, Currency: first.Currency})
	var all sums
	if stored != nil {
		all.add(stored.sums)
		stored.Customer = customer
		l.taken = append(l.taken, takenRow{name, customer})
		if stored.kind == Return { // one that is new in this batch is counted when it is stored
			c.returns++
		}
	}
	if fresh != nil {
		all.add(fresh.sums)
		fresh.Customer = customer
	}
	c.units += all.units
	c.amount = c.amount.Add(all.amount)
	if id, is := strings.CutPrefix(name, orderDocument); is {
		c.ordered(id, all.amount, first.at)
	}
}

// storeTakenOver writes the customers of stored documents.
func (l *ledger) storeTakenOver(tx *projections.Tx) {
	var names, customers []string
	for _, row := range l.taken {
		names, customers = append(names, row.name), append(customers, row.customer)
	}
	if len(names) > 0 {
		tx.Writes().Queue(`UPDATE sales_documents d SET customer_id = t.customer
			FROM unnest($1::text[], $2::text[]) AS t (document, customer) WHERE d.document = t.document`, names, customers)
	}
}
