// Package customerview is the read model of customers' accounts: who they are and how to reach
// them. Package orderview has their orders, and package salesview has what they bought in all.
//
// It is the only read model with names, addresses and e-mail addresses of its own.
package customerview

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/subject"
	"daybook/projections"
	"daybook/projections/table"
)

//go:embed schema.sql
var tables string

// The indexes for a search have an operator class by which PostgreSQL finds the beginning of a
// text.
const indexes = `CREATE INDEX customer_accounts_by_name ON customer_accounts (name_key text_pattern_ops, customer_id) WHERE name_key <> '';
CREATE INDEX customer_accounts_by_email ON customer_accounts (email_key text_pattern_ops, customer_id) WHERE email_key <> '';
CREATE INDEX customer_accounts_by_registration ON customer_accounts (registered_at, customer_id);
CREATE INDEX customer_accounts_by_change ON customer_accounts (changed_at, customer_id);`

// View returns the view, for the runner.
func View() projections.View {
	return projections.View{
		Name:     "customers",
		Version:  1,
		Setting:  "fold " + strconv.Itoa(customer.FoldVersion), // rows hold the aggregate's fold
		Claims:   []string{customer.Category + ".", subject.Category + "."},
		Tables:   tables,
		Columns:  map[string][]string{accounts.Name(): accounts.Names()},
		Indexes:  indexes,
		Metadata: true,
		Belongs:  projections.OfItsKind,
		Decode:   decode,
		Apply:    apply,
	}
}

// record is one account while a batch is folded into it.
type record struct {
	fold         customer.State
	id           string
	registeredAt time.Time
	changedAt    time.Time
	recordedAt   time.Time
	revision     int64
	known        bool // there is, or will be, a row
	changed      bool // an event of this batch changed it
	document     []byte
}

func apply(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
	records := make(map[string]*record)
	var inOrder []*record
	var stored []string
	var erasures []subject.Erased
	for i := range batch {
		ids := []string{idOf(batch[i].Stream)}
		erased, erases := batch[i].Value.(subject.Erased)
		if erases {
			ids = ids[:0]
			for _, id := range erased.OfCustomers() {
				ids = append(ids, string(id))
			}
		}
		for _, id := range ids {
			if records[id] != nil || id == "" {
				continue
			}
			if erases || batch[i].Revision > 0 {
				stored = append(stored, id)
			}
			records[id] = &record{id: id}
			inOrder = append(inOrder, records[id])
		}
	}
	if err := load(ctx, tx, stored, records); err != nil {
		return fmt.Errorf("load customers: %w", err)
	}
	for i := range batch {
		e := &batch[i]
		if erased, is := e.Value.(subject.Erased); is {
			erasures = append(erasures, erased)
			continue
		}
		event, ok := e.Value.(customer.Event)
		if !ok {
			return fmt.Errorf("event %s at %s: not of a customer", e.Type, e.Position)
		}
		r := records[idOf(e.Stream)]
		_, registers := event.(customer.Registered)
		if !e.Follows(registers, r.known) {
			continue
		}
		r.apply(e, event, registers)
	}
	if err := redact(ctx, tx, erasures, records); err != nil {
		return fmt.Errorf("redact customers: %w", err)
	}
	inOrder = slices.DeleteFunc(inOrder, func(r *record) bool { return !r.changed })
	slices.SortFunc(inOrder, func(a, b *record) int { return strings.Compare(a.id, b.id) })
	for _, r := range inOrder {
		document, err := json.Marshal(r.fold)
		if err != nil {
			return fmt.Errorf("encode customer %s: %w", r.id, err)
		}
		r.document = document
	}
	upsert.Queue(tx.Writes(), inOrder)
	return nil
}

func idOf(stream string) string { return strings.TrimPrefix(stream, customer.Category+"-") }

func load(ctx context.Context, tx *projections.Tx, ids []string, into map[string]*record) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+accounts.Only("customer_id", "state", "registered_at")+` FROM customer_accounts WHERE customer_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id string
	var state []byte
	var registeredAt time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &registeredAt}, func() error {
		r := into[id]
		r.registeredAt, r.known, r.fold = registeredAt, true, customer.State{}
		return json.Unmarshal(state, &r.fold)
	})
	return err
}

func (r *record) apply(e *projections.Event, event customer.Event, registers bool) {
	at := e.EffectiveAt()
	if registers {
		r.registeredAt = at
	}
	r.known, r.changed = true, true
	r.fold = customer.Evolve(r.fold, event)
	r.changedAt, r.recordedAt, r.revision = at, e.RecordedAt, e.Revision
}

var accounts = table.New("customer_accounts",
	table.Key("customer_id", table.Text, func(r *record) string { return r.id }),
	table.Set("name", table.Text, func(r *record) string { return r.fold.Profile.Name }),
	table.Set("name_key", table.Text, func(r *record) string { return NameKey(r.fold.Profile.Name) }),
	table.Set("email", table.Text, func(r *record) string { return r.fold.Profile.Email }),
	table.Set("email_key", table.Text, func(r *record) string { return EmailKey(r.fold.Profile.Email) }),
	table.Set("blocked", table.Flag, func(r *record) bool { return r.fold.Blocked }),
	table.Fixed("registered_at", table.Time, func(r *record) time.Time { return r.registeredAt }),
	table.Set("changed_at", table.Time, func(r *record) time.Time { return r.changedAt }),
	table.Set("recorded_at", table.Time, func(r *record) time.Time { return r.recordedAt }),
	table.Set("revision", table.Number, func(r *record) int64 { return r.revision }),
	table.Set("state", table.Document, func(r *record) []byte { return r.document }),
)

var upsert = accounts.Upsert()

// NameKey is the form of a name in which it is searched.
func NameKey(name string) string { return projections.Key(strings.ToLower(strings.TrimSpace(name))) }

// EmailKey is the form of an e-mail address in which it is searched.
func EmailKey(email string) string { return projections.Key(contact.FoldEmail(email)) }
