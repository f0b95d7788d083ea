package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	commandspg "daybook/commands/postgres"
	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/order"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
	"daybook/internal/resource"
)

// keepFlags say what stays of somebody who is erased, because the law wants it.
type keepFlags struct {
	KeepInvoices []string `placeholder:"DE=70080h" from:"DAYBOOK_KEEP_INVOICES" help:"How long what an invoice needs of an order, which is the name and the address, is kept after the order was placed, although the customer or the guest is erased. One time for each country, such as DE=70080h, and *=8760h for all other countries; repeatable, or separated by commas. It needs a master key. By default nothing is kept."`
}

// keeping says how long the invoices of each country are kept.
type keeping struct {
	countries map[unit.Country]time.Duration
	others    time.Duration // 0: they are not kept
}

// allOthers stands for the countries that --keep-invoices does not name.
const allOthers = "*"

// config reads values of --keep-invoices, such as "DE=70080h".
func (f keepFlags) config() (k keeping, err error) {
	k.countries = make(map[unit.Country]time.Duration)
	for _, text := range f.KeepInvoices {
		name, value, named := strings.Cut(strings.TrimSpace(text), "=")
		if !named {
			return k, usagef("--keep-invoices needs a country and a time, such as DE=70080h, not %q", text)
		}
		after, err := time.ParseDuration(value)
		if err != nil {
			return k, usagef("--keep-invoices %q: want a time such as 70080h, which is eight years", text)
		}
		if after < time.Hour || after > maxRetention {
			return k, usagef("--keep-invoices %q: the time must be from %s to %s", text, time.Hour, maxRetention)
		}
		if name == allOthers {
			if k.others != 0 {
				return k, usagef("--keep-invoices has two times for all other countries (%s)", allOthers)
			}
			k.others = after
			continue
		}
		country, err := unit.ParseCountry(name)
		if err != nil {
			return k, usagef("--keep-invoices %q: %v, or %s for all other countries", text, err, allOthers)
		}
		if _, twice := k.countries[country]; twice {
			return k, usagef("--keep-invoices has two times for %s", country)
		}
		k.countries[country] = after
	}
	return k, nil
}

// any tells whether anything is kept.
func (k keeping) any() bool { return len(k.countries) > 0 || k.others > 0 }

// until returns when the invoice of an order is kept no longer. ok is false if it is not kept.
func (k keeping) until(country unit.Country, placed time.Time) (end time.Time, ok bool) {
	after, named := k.countries[country]
	if !named {
		after = k.others
	}
	return placed.Add(after).UTC(), after > 0
}

// Keep implements commands.Eraser. Without a master key nothing can be sealed, and nothing is
// destroyed either: the log goes on showing what was recorded, so nothing is copied.
func (e *erasing) Keep(ctx context.Context, orders []unit.OrderID) ([]subject.Kept, error) {
	if e.node.keysOfPeople == nil || len(orders) == 0 {
		return nil, nil
	}
	now := e.node.now()
	records, err := e.kept.Of(ctx, orders, now)
	if err != nil {
		return nil, err
	}
	var all []subject.Kept
	there := make(map[unit.OrderID]bool, len(records))
	for _, record := range records {
		all, there[record.OrderID] = append(all, record.Kept), true
	}
	if !e.keep.any() {
		return all, nil
	}
	wanted, err := e.wanted(ctx, orders, now)
	if err != nil {
		return nil, err
	}
	for _, kept := range wanted {
		if there[kept.OrderID] {
			continue
		}
		copied, err := e.copyOrder(ctx, kept)
		if err != nil {
			return nil, err
		}
		if copied {
			all = append(all, kept)
		}
	}
	return all, nil
}

// keepAgain copies what an erasure names and the table does not have. This happens if the database
// was restored and is older than the log: the keys are there again, and the copies are not.
func (e *erasing) keepAgain(ctx context.Context, named []subject.Kept) error {
	if e.node.keysOfPeople == nil || len(named) == 0 {
		return nil
	}
	now := e.node.now()
	ids := make([]unit.OrderID, len(named))
	for i, kept := range named {
		ids[i] = kept.OrderID
	}
	records, err := e.kept.Of(ctx, ids, now)
	if err != nil {
		return err
	}
	for _, kept := range named {
		there := slices.ContainsFunc(records, func(r commandspg.KeptRecord) bool { return r.OrderID == kept.OrderID })
		if there || !kept.Until.After(now) {
			continue
		}
		if _, err := e.copyOrder(ctx, kept); err != nil {
			return err
		}
	}
	return nil
}

// wanted returns which of some orders are in a country that keeps invoices, as long as their time
// is not over. The read models have everything that is recorded, because Of has waited for it.
func (e *erasing) wanted(ctx context.Context, orders []unit.OrderID, now time.Time) (wanted []subject.Kept, err error) {
	type row struct {
		ID      unit.OrderID
		Country unit.Country
		Placed  time.Time
	}
	found, _ := e.node.readPool.Query(ctx, `SELECT order_id, country, placed_at FROM read.orders WHERE order_id = ANY ($1) ORDER BY order_id`, orders)
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("the countries of a subject's orders: %w", err)
	}
	for _, r := range rows {
		if end, ok := e.keep.until(r.Country, r.Placed); ok && end.After(now) {
			wanted = append(wanted, subject.Kept{OrderID: r.ID, Country: r.Country, Until: end, Reason: subject.KeptInvoice})
		}
	}
	return wanted, nil
}

// sealedAgain bounds how often a copy is sealed again because its key was destroyed meanwhile.
const sealedAgain = 3

// copyOrder copies what an invoice needs of an order, with a key of its own. It returns false if
// there is nothing to copy: the order was never confirmed, or has no address, or its texts were
// erased before.
func (e *erasing) copyOrder(ctx context.Context, kept subject.Kept) (copied bool, err error) {
	invoice, err := e.invoiced(ctx, kept.OrderID)
	if err != nil || invoice.Empty() {
		return false, err
	}
	text, err := json.Marshal(invoice)
	if err != nil {
		return false, err
	}
	for range sealedAgain {
		record := commandspg.KeptRecord{Kept: kept}
		if record.Key, record.Box, err = e.node.keysOfPeople.SealBox(ctx, commandspg.KeptSubject(kept.OrderID), boxOf(kept.OrderID), text); err != nil {
			return false, err
		}
		if err = e.kept.Add(ctx, record); !errors.Is(err, commandspg.ErrKeptKeyGone) {
			return err == nil, err
		}
		e.node.keysOfPeople.Drop(record.Key)
	}
	return false, err
}

// boxOf says what a box of the table commands.kept belongs to.
func boxOf(id unit.OrderID) string { return "invoice " + string(id) }

// keptTexts are what an invoice needs of an order. The tax status is that of a business or of an
// exempt buyer, whose invoice has no tax.
type keptTexts struct {
	contact.Details
	TaxStatus *pricing.TaxStatus `json:"tax_status,omitempty"`
}

// invoiced reads what an invoice needs of an order from the log. It is empty if the order had no
// invoice, and if the texts are erased.
func (e *erasing) invoiced(ctx context.Context, id unit.OrderID) (invoice keptTexts, err error) {
	confirmed := false
	for recorded, err := range e.node.events.ReadStream(ctx, order.Stream(id), 0, 0) {
		if err != nil {
			return keptTexts{}, fmt.Errorf("what the invoice of order %s needs: %w", id, err)
		}
		event, err := eventstore.Decode(&recorded, order.Decode)
		if err != nil {
			continue // what cannot be decoded changes no order
		}
		switch event := event.(type) { //nolint:gochecksumtype // no other event has a part in it
		case order.Placed:
			if event.Details != nil {
				invoice.Details = event.Details.ForInvoice()
			}
			if event.Quote != nil {
				invoice.TaxStatus = event.Quote.Status
			}
		case order.Confirmed:
			confirmed = true
		}
	}
	if !confirmed || invoice.Billing == nil || slices.Contains(invoice.Billing.Lines, sealing.Erased) {
		return keptTexts{}, nil
	}
	return invoice, nil
}

// removeKept deletes what the law wants no longer, with its keys.
func (e *erasing) removeKept(ctx context.Context) error {
	for {
		deleted, keys, err := e.kept.Remove(ctx, e.node.now(), retainPage)
		if err != nil {
			return err
		}
		if e.node.keysOfPeople != nil {
			e.node.keysOfPeople.Drop(keys...)
		}
		if deleted > 0 {
			e.node.log.InfoContext(ctx, "invoices of erased customers and guests were deleted, because their time is over", "orders", deleted)
		}
		if deleted < retainPage {
			return nil
		}
	}
}

// KeptRecord implements readapi.Erasures.
func (e erasures) KeptRecord(ctx context.Context, id unit.OrderID) (*resource.KeptRecord, error) {
	keys := e.node.keysOfPeople
	records, err := e.node.erasing.kept.Of(ctx, []unit.OrderID{id}, e.node.now())
	if err != nil || len(records) == 0 || keys == nil {
		return nil, err
	}
	record := records[0]
	text, ok, err := keys.OpenBox(ctx, record.Key, boxOf(id), record.Box)
	if err != nil || !ok {
		return nil, err
	}
	var invoice keptTexts
	if err := json.Unmarshal(text, &invoice); err != nil {
		return nil, fmt.Errorf("the kept record of order %s: %w", id, err)
	}
	shown := resource.KeptRecordOf(record.Kept, invoice.Details, invoice.TaxStatus)
	return &shown, nil
}
