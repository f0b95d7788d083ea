package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/commandapi"
	commandspg "daybook/commands/postgres"
	"daybook/commands/reactor"
	"daybook/commands/streams"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections"
)

// unknown counts the things of one kind that PostgreSQL knows, and those of them that
// the log does not have.
type unknown struct {
	Kind  string `json:"kind"`
	Known int64  `json:"known"` // in PostgreSQL
	// Missing counts things that have no event in the log. Different counts things that have fewer
	// events, or other events, in the log.
	Missing   int64          `json:"missing"`
	Different int64          `json:"otherwise"`
	Newest    []unknownThing `json:"newest,omitempty"`
	// NotCompared says why things of this kind could not be counted.
	NotCompared string `json:"not_compared,omitempty"`
}

// unknownThing is one thing that PostgreSQL knows and the log does not have as PostgreSQL knows it.
type unknownThing struct {
	ID  string    `json:"id"`
	At  time.Time `json:"at"` // when it was last changed or answered; of a timer, when it is due
	Why string    `json:"why"`
}

const (
	newestShown = 10
	newestKept  = 1000 // how many are kept before the older ones are dropped
)

func (u *unknown) add(id string, at time.Time, missing bool, why string) {
	if missing {
		u.Missing++
	} else {
		u.Different++
	}
	u.Newest = append(u.Newest, unknownThing{id, at.UTC(), why})
	if len(u.Newest) >= newestKept {
		u.keepNewest()
	}
}

func (u *unknown) keepNewest() {
	slices.SortStableFunc(u.Newest, func(a, b unknownThing) int { return b.At.Compare(a.At) })
	u.Newest = slices.Clip(u.Newest[:min(len(u.Newest), newestShown)])
}

// heldEvent is what the comparison keeps of an event of the log.
type heldEvent struct {
	recorded int64 // microseconds
	position eventstore.Position
}

// heldStream is a stream of the log, from a revision on.
type heldStream struct {
	first  int64
	events []heldEvent
}

// comparison compares what PostgreSQL knows with the log.
type comparison struct {
	store    eventstore.Store
	pool     *pgxpool.Pool
	progress io.Writer

	streams map[string]*heldStream
	events  int64
	last    time.Time // when the latest of them was recorded
	// At first all answers and reservations that PostgreSQL knows. Each event of the log removes
	// those that it proves to be in the log.
	answers      map[uuid.UUID]commands.KeptAnswer // by command id
	reservations map[reactor.Deadline]reactor.Timer
	imported     bool // the log has events of an import

	// until is the latest recorded time of an event that PostgreSQL knows. agreed is the position
	// of the latest event that both know.
	until  time.Time
	agreed eventstore.Position
}

const (
	whyMissing   = "the log has nothing of it"
	whyDifferent = "the log has other events of it"
)

// compare returns what PostgreSQL knows that the log does not have. It changes nothing.
func (c *comparison) compare(ctx context.Context, head eventstore.Position) ([]*unknown, error) {
	answers, timers := &unknown{Kind: "answers"}, &unknown{Kind: "timers"}
	others, err := c.loadMarks(ctx, answers, timers)
	if err != nil {
		return nil, err
	}
	if err := c.readLog(ctx, head); err != nil {
		return nil, err
	}
	var all []*unknown
	for _, rows := range comparedRows {
		u, err := c.compareRows(ctx, rows)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	for _, a := range c.answers {
		answers.add(a.Key+" (of "+a.Scope+")", a.AnsweredAt, true, "the log has nothing of the request")
	}
	for _, t := range others {
		if c.streams[timerStream(t)] == nil {
			timers.add(t.String(), t.DueAt, true, whyMissing)
		}
	}
	for _, t := range c.reservations {
		timers.add(t.String(), t.DueAt, true, "the log has no such reservation")
	}
	parked := &unknown{Kind: "parked work"}
	err = commandspg.EachParked(ctx, c.pool, func(p reactor.UnfinishedWork) {
		parked.Known++
		if why, missing := c.compareLast(p.Stream, p.Revision, p.Since); why != "" {
			parked.add(strings.TrimSpace(p.Kind+" "+p.Subject+" "+p.Step), p.Since, missing, why)
		}
	})
	all = append(all, answers, timers, parked)
	for _, u := range all {
		u.keepNewest()
	}
	return all, err
}

// loadMarks reads from PostgreSQL the answers and timers that are looked for among the events. It
// returns the timers that do not belong to reservations.
func (c *comparison) loadMarks(ctx context.Context, answers, timers *unknown) (others []reactor.Timer, err error) {
	ctx = projections.LongEnough(ctx) // a table may be large
	c.answers, c.reservations = map[uuid.UUID]commands.KeptAnswer{}, map[reactor.Deadline]reactor.Timer{}
	err = commandspg.EachAnswer(ctx, c.pool, func(a commands.KeptAnswer) {
		answers.Known++
		c.answers[commandapi.CommandOfKept(a)] = a
	})
	if err != nil {
		return nil, err
	}
	return others, commandspg.EachTimer(ctx, c.pool, func(t reactor.Timer) {
		timers.Known++
		if t.Kind == reactor.ReservationDeadline {
			c.reservations[t.Deadline] = t
		} else {
			others = append(others, t)
		}
	})
}

func timerStream(t reactor.Timer) string {
	switch t.Kind {
	case reactor.CartDeadline:
		return cart.Stream(unit.CartID(t.Target))
	case reactor.HoldDeadline, reactor.GiftCardDeadline:
		return t.Target
	case reactor.OrderDeadline, reactor.ReservationDeadline, reactor.RefundDeadline:
	}
	return order.Stream(unit.OrderID(t.Target))
}

// readLog reads all events of the shop.
func (c *comparison) readLog(ctx context.Context, head eventstore.Position) error {
	c.streams = map[string]*heldStream{}
	told := time.Now()
	for e, err := range c.store.ReadAll(ctx, eventstore.Start, eventstore.Filter{StreamPrefixes: streams.Prefixes()}, 0) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		c.events++
		c.last = e.RecordedAt
		held := c.streams[e.Stream]
		if held == nil {
			held = &heldStream{first: e.Revision}
			c.streams[e.Stream] = held
		}
		held.events = append(held.events, heldEvent{e.RecordedAt.UnixMicro(), e.Position})
		c.removeFound(e)
		if time.Since(told) >= progressEvery {
			told = time.Now()
			fmt.Fprintf(c.progress, "%s of the log, %d events\n", share(e.Position, head), c.events)
		}
	}
	return nil
}

// removeFound removes the answers and reservations that an event proves to be in the log.
func (c *comparison) removeFound(e eventstore.Recorded) {
	if eventstore.Foreign(&e) != nil {
		return
	}
	if len(c.answers) > 0 || !c.imported {
		meta, err := eventstore.DecodeMetadata(e.Meta)
		if err != nil {
			return // the shop's events have metadata that can be decoded
		}
		c.imported = c.imported || meta.Channel == "import"
		delete(c.answers, meta.CommandID)
		if cause, err := uuid.Parse(meta.CausationID); err == nil {
			delete(c.answers, cause) // a further step of the same request
		}
	}
	if len(c.reservations) == 0 || !strings.HasPrefix(e.Type, "stock.reserved.") {
		return
	}
	if event, err := eventstore.Decode(&e, stock.Decode); err == nil {
		if reserved, is := event.(stock.Reserved); is {
			delete(c.reservations, reactor.Deadline{Kind: reactor.ReservationDeadline, Target: e.Stream, Item: string(reserved.ReservationID)})
		}
	}
}

// compareLast compares the last event that PostgreSQL knows of a stream with the log. why is
// empty if the log has that event.
func (c *comparison) compareLast(stream string, revision int64, recorded time.Time) (why string, missing bool) {
	if recorded.After(c.until) {
		c.until = recorded
	}
	held := c.streams[stream]
	if held == nil {
		return whyMissing, true
	}
	at := revision - held.first
	if fewer := at - int64(len(held.events)) + 1; fewer == 1 {
		return "the log lacks its last event", false
	} else if fewer > 1 {
		return "the log lacks its last " + strconv.FormatInt(fewer, 10) + " events", false
	}
	if at < 0 || held.events[at].recorded != recorded.UnixMicro() {
		return whyDifferent, false
	}
	if c.agreed.Before(held.events[at].position) {
		c.agreed = held.events[at].position
	}
	return "", false
}

// noteAgreed notes an event that a keeper of a place knows, if the log has this event.
func (c *comparison) noteAgreed(ctx context.Context, anchor eventstore.Anchor) error {
	if anchor.IsZero() || !c.agreed.Before(anchor.Position) {
		return nil
	}
	for e, err := range c.store.ReadStream(ctx, anchor.Stream, anchor.Revision, 1) {
		_, missing := errors.AsType[*eventstore.NotFoundError](err)
		_, ended := errors.AsType[*eventstore.DeletedError](err)
		switch {
		case missing || ended:
			return nil
		case err != nil:
			return fmt.Errorf("look for %s: %w", anchor.Describe(), err)
		case anchor.Names(&e):
			c.agreed = anchor.Position
		}
	}
	return nil
}

// comparedRows are the read models whose rows belong to one stream each. The columns are the
// stream's name, what an operator calls the thing, the last revision, and when that event was
// recorded.
var comparedRows = []struct{ kind, table, columns string }{
	{"orders", "read.orders", `'` + order.Category + `-' || order_id, order_id, revision, changed_at`},
	{"returns", "read.returns", `'return-' || return_id, return_id, revision, changed_at`},
	{"carts", "read.carts", `'` + cart.Category + `-' || cart_id, cart_id, revision, recorded_at`},
	{"stock", "read.stock_items", `'` + stock.Category + `-' || sku || '@' || location, sku || ' at ' || location, revision, changed_at`},
	{"products", "read.products", `'product-' || sku, sku, revision, changed_at`},
}

func (c *comparison) compareRows(ctx context.Context, rows struct{ kind, table, columns string }) (*unknown, error) {
	u := &unknown{Kind: rows.kind}
	found, err := c.pool.Query(projections.LongEnough(ctx), `SELECT `+rows.columns+` FROM `+rows.table)
	var stream, id string
	var revision int64
	var at time.Time
	if err == nil {
		_, err = pgx.ForEachRow(found, []any{&stream, &id, &revision, &at}, func() error {
			u.Known++
			if why, missing := c.compareLast(stream, revision, at); why != "" {
				u.add(id, at, missing, why)
			}
			return nil
		})
	}
	refused, is := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return u, nil
	case is && refused.Code == "42P01": // undefined_table
		u.NotCompared = "there is no read model of them yet"
	case is && refused.Code == "42703": // undefined_column
		u.NotCompared = "their read model is of another version of this program"
	default:
		return nil, fmt.Errorf("compare the %s: %w", rows.kind, err)
	}
	return u, nil
}
