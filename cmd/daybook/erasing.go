package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	commandspg "daybook/commands/postgres"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pause"
	"daybook/internal/resource"
	"daybook/projections"
)

const (
	// eraseEvery is the pause between two looks at erasures that are not finished.
	eraseEvery = 3 * time.Second
	// eraseForgotten is how long after an erasure a node can have texts of the subject in memory.
	// It is longer than the time for which sealing.Keys uses a key without asking.
	eraseForgotten = time.Minute
	// eraseAtOnce is how many erasures are finished in one round.
	eraseAtOnce = 100
	// eraseCatchUp bounds the wait for the read models in one round.
	eraseCatchUp = 2 * time.Second
)

// erasing finishes erasures. The event subject.Erased is their only record. Everything else
// follows from it, and each step may be done again. Only what the law wants of the invoices is
// copied before it (keeping.go).
//
//   - The keys are destroyed at once, by whoever has recorded the event. If that node dies before,
//     the next reader of the event does it (Store.Before of package sealing).
//   - Read models redact their rows when they come to the event.
//   - The wish lists of a customer are removed by whoever has recorded the event, and otherwise by
//     any node.
//   - Any node removes the answers, snapshots, parked work and old builds.
type erasing struct {
	node  *node
	table commandspg.Erased
	kept  commandspg.Kept
	keep  keeping
	file  *erasedFile   // nil: there is none
	soon  chan struct{} // signals that an erasure was noted
}

// erasingPart is the part that erases personal texts.
func (n *node) erasingPart(cfg nodeConfig) part {
	return part{
		name: partErasing, onLog: true, needs: "the erased personal texts",
		open: func(ctx context.Context) error { return n.openErasing(ctx, cfg) },
		run:  func(ctx context.Context) error { return n.erasing.Run(ctx) },
	}
}

// openErasing lets the service erase.
func (n *node) openErasing(ctx context.Context, cfg nodeConfig) error {
	n.erasing = &erasing{node: n, table: commandspg.Erased{Pool: n.commandPool}, kept: commandspg.Kept{Pool: n.commandPool}, keep: cfg.Keep, soon: make(chan struct{}, 1)}
	n.service.Eraser, n.service.GuestOrders, n.service.PastOrders = n.erasing, guestOrders{n}, guestOrders{n}
	if n.keysOfPeople == nil && cfg.Keep.any() {
		n.log.WarnContext(ctx, "--keep-invoices has no effect without a master key: an erasure leaves the clear text in the log, and nothing is copied")
	}
	n.events.Before = n.erasing.before
	if n.keysOfPeople != nil {
		n.keysOfPeople.Destroyed = n.service.ForgetStates
	}
	if !cfg.Serving || n.diverged() {
		return nil
	}
	again, err := n.erasing.table.DestroyAgain(ctx)
	if err != nil {
		return err
	}
	if n.masterFile != "" {
		n.erasing.file = &erasedFile{path: n.masterFile + erasedSuffix}
		more, err := n.erasing.readFile(ctx)
		if err != nil {
			return err
		}
		again += more
	}
	if again > 0 {
		n.log.WarnContext(ctx, "keys of erased customers were in the database again, as after a restore, and were destroyed again", "keys", again)
	}
	return nil
}

// before destroys the keys of a subject before a reader gets the event that says it was erased.
func (e *erasing) before(ctx context.Context, recorded *eventstore.Recorded) error {
	if !strings.HasPrefix(recorded.Type, subject.Category+".") {
		return nil
	}
	event, err := eventstore.Decode(recorded, subject.Decode)
	erased, is := event.(subject.Erased)
	if err != nil || !is {
		return nil //nolint:nilerr // every reader of the log reports such an event itself
	}
	if err := e.keepAgain(ctx, erased.Kept); err != nil {
		return err
	}
	return e.destroy(ctx, erased)
}

// Note implements commands.Eraser.
func (e *erasing) Note(ctx context.Context, erased subject.Erased) error {
	if err := e.destroy(ctx, erased); err != nil {
		return err
	}
	e.node.service.ForgetStates()
	select {
	case e.soon <- struct{}{}:
	default:
	}
	return nil
}

func (e *erasing) destroy(ctx context.Context, erased subject.Erased) error {
	keys, err := e.table.Note(ctx, erased.Owner(), erased.Owners())
	if err != nil {
		return err
	}
	if e.node.keysOfPeople != nil {
		e.node.keysOfPeople.Drop(keys...)
	}
	return nil
}

// Run finishes erasures until ctx ends.
func (e *erasing) Run(ctx context.Context) error {
	for told := ""; ctx.Err() == nil; {
		err := errors.Join(e.finishAll(ctx), e.writeFile(ctx))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if err != nil && ctx.Err() == nil && text != told {
			e.node.log.WarnContext(ctx, "erasures are not finished; they are tried again", "error", err)
		}
		told = text
		timer := time.NewTimer(eraseEvery)
		select {
		case <-ctx.Done():
		case <-e.soon:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

func (e *erasing) finishAll(ctx context.Context) error {
	list, err := e.table.Unfinished(ctx, eraseForgotten, eraseAtOnce)
	if err != nil || len(list) == 0 {
		return err
	}
	var failed error
	for _, one := range list {
		if one.Cleaned && !one.Old {
			continue // the other nodes have not yet forgotten everything
		}
		failed = errors.Join(failed, e.finish(ctx, one))
	}
	return failed
}

// finish removes the copies of a subject's texts outside the log. It is done once as soon as
// possible, and again when no node has such texts in memory any more. Then it is done for good, if
// the read models have come to the erasure.
func (e *erasing) finish(ctx context.Context, of commandspg.Unfinished) error {
	// What fails here does not keep the copies below. The erasure is then not done.
	undone := errors.Join(e.node.service.FinishErasure(ctx, uuid.New(), of.Subject), e.forgetLogins(ctx, of.Subject))
	caughtUp, err := e.caughtUp(ctx)
	if err != nil {
		return err
	}
	kind, id, _ := strings.Cut(string(of.Subject), ":")
	if kind == "customer" {
		undone = errors.Join(undone, e.node.service.EraseLater(ctx, unit.CustomerID(id)))
	}
	belonging, err := e.owned(ctx, of.Subject, nil)
	if err != nil {
		return err
	}
	streams, names := namesOf(of.Subject, belonging)
	if err := e.node.answers.Flush(ctx); err != nil {
		return err
	}
	if err := e.table.RemoveCopies(ctx, streams, names); err != nil {
		return err
	}
	for _, view := range e.node.views {
		if err := e.node.projections.DropOld(ctx, view.Name); err != nil {
			return err
		}
	}
	return errors.Join(undone, e.table.Step(ctx, of.Subject, of.Old && caughtUp && undone == nil))
}

// forgetLogins ends the logins of a customer who is erased, and deletes what is stored of them.
func (e *erasing) forgetLogins(ctx context.Context, of unit.Owner) error {
	kind, id, _ := strings.Cut(string(of), ":")
	if kind != "customer" || e.node.desk == nil {
		return nil
	}
	return e.node.desk.ForgetCustomer(ctx, unit.CustomerID(id))
}

// caughtUp tells whether the read models have posted everything that is recorded now, also those
// that are being built.
func (e *erasing) caughtUp(ctx context.Context) (bool, error) {
	head, err := e.node.store.Head(ctx)
	if err != nil {
		return false, err
	}
	waiting, stop := context.WithTimeout(ctx, eraseCatchUp)
	defer stop()
	if err := e.node.projections.WaitFor(waiting, head); err != nil {
		return false, ctx.Err() //nolint:nilerr // it is tried again in the next round
	}
	all, err := e.node.projections.Status(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(all, func(s projections.Status) bool {
		return !s.InUse && s.State != projections.Kept || s.State == projections.Failed
	}), nil
}

// namesOf returns the streams that belong to a subject, and the names by which copies are found.
func namesOf(owner unit.Owner, of commands.Belonging) (streams, names []string) {
	_, id, _ := strings.Cut(string(owner), ":")
	names = append(names, id)
	for _, id := range slices.Concat(of.Carts, of.Past) {
		streams, names = append(streams, cart.Stream(id)), append(names, string(id))
	}
	for _, id := range of.Orders {
		streams, names = append(streams, order.Stream(id)), append(names, string(id))
	}
	for _, id := range of.Returns {
		streams, names = append(streams, returns.Stream(id)), append(names, string(id))
	}
	slices.Sort(names)
	return streams, slices.Compact(names)
}

// Done implements commands.Eraser.
func (e *erasing) Done(ctx context.Context, owner unit.Owner) (bool, error) {
	return e.table.Done(ctx, owner)
}

// Of implements commands.Eraser. It waits until the read models have everything that is
// recorded.
func (e *erasing) Of(ctx context.Context, owner unit.Owner, others []unit.CustomerID) (commands.Belonging, error) {
	head, err := e.node.store.Head(ctx)
	if err != nil {
		return commands.Belonging{}, err
	}
	if err := e.node.projections.WaitFor(ctx, head); err != nil {
		return commands.Belonging{}, err
	}
	return e.owned(ctx, owner, others)
}

// owned returns what belongs to a subject as the read models have it. others are accounts that were
// merged into the customer's. The carts of a customer include those that were merged into one of
// them.
func (e *erasing) owned(ctx context.Context, owner unit.Owner, others []unit.CustomerID) (of commands.Belonging, err error) {
	pool := e.node.readPool
	kind, id, _ := strings.Cut(string(owner), ":")
	ids := []string{id}
	for _, other := range others {
		ids = append(ids, string(other))
	}
	guests := []unit.CartID{unit.CartID(id)}
	of.Carts = guests
	condition := `customer_id = ANY ($1)`
	if kind == "customer" {
		of.Carts, of.Past, guests, err = e.cartsOf(ctx, ids)
	} else {
		condition = `customer_id = '' AND order_id IN (SELECT c.order_id FROM read.carts c WHERE c.cart_id = ANY ($1) AND c.customer_id = '' AND c.order_id <> '')`
	}
	if err != nil {
		return of, err
	}
	if of.Orders, err = listed[unit.OrderID](ctx, pool, `SELECT order_id FROM read.orders WHERE `+condition, ids); err != nil {
		return of, err
	}
	if of.Open, err = listed[unit.OrderID](ctx, pool, `SELECT order_id FROM read.orders WHERE `+condition+`
		AND (status IN ('pending', 'confirmed') OR needs_attention AND (state->'fold'->'orphans' IS NOT NULL OR state->'fold'->'allocation_failed' IS NOT NULL)) ORDER BY order_id`, ids); err != nil {
		return of, err
	}
	if of.Returns, err = listed[unit.ReturnID](ctx, pool, `
		SELECT return_id FROM read.returns WHERE customer_id = ANY ($1) AND $3 UNION SELECT return_id FROM read.return_orders WHERE order_id = ANY ($2)`, ids, of.Orders, kind == "customer"); err != nil {
		return of, err
	}
	if kind != "customer" {
		return of, nil
	}
	owners := make([]unit.Owner, len(guests))
	for i, one := range guests {
		owners[i] = one.Owner()
	}
	keyed, err := e.table.WithKeys(ctx, owners)
	for _, guest := range keyed {
		_, cartID, _ := strings.Cut(string(guest), ":")
		of.Guests = append(of.Guests, unit.CartID(cartID))
	}
	return of, err
}

// listed returns the only column of a query.
func listed[T any](ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) ([]T, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err == nil {
		var all []T
		if all, err = pgx.CollectRows(rows, pgx.RowTo[T]); err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("what belongs to a subject: %w", err)
}

// erasedNow waits until the erasure of a subject has nothing left to do.
func (e *erasing) erasedNow(ctx context.Context, owner unit.Owner) error {
	for {
		done, err := e.table.Done(ctx, owner)
		if err != nil || done {
			return err
		}
		if pause.For(ctx, time.Second); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// erasures tells the read API what was erased.
type erasures struct{ node *node }

// Erasure implements readapi.Erasures.
func (e erasures) Erasure(ctx context.Context, of unit.Owner) (*resource.Erasure, error) {
	state, _, err := e.node.service.Subject(ctx, of)
	if err != nil || !state.IsErased() {
		return nil, err
	}
	done, err := e.node.erasing.Done(ctx, of)
	if err != nil {
		return nil, err
	}
	shown := resource.ErasureOf(state, done)
	return &shown, nil
}
