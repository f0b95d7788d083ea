package bench

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// The log must be filled with events that the program itself could have recorded. Figures over any
// other log say nothing.
func TestAFilledLogAddsUp(t *testing.T) {
	t.Parallel()
	env := openNode(t, asItIs)
	fill := newFilling(env)
	for _, size := range []int64{500, 3000} {
		if err := fill.grow(t.Context(), size); err != nil {
			t.Fatal(err)
		}
		found, err := countEvents(t.Context(), env, eventstore.Start, eventstore.Filter{})
		if err != nil || found != fill.done.Events || found < size || found > size+100 {
			t.Errorf("%d events, %v, and %d were made; want %d or a few more", found, err, fill.done.Events, size)
		}
	}
	book, report, err := verify.Log(t.Context(), env.Store, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range report.Checks {
		for _, first := range check.First {
			t.Errorf("%s: %s", check.Name, first)
		}
	}
	if want := fill.done; want.SKUs != 300 || want.HotPairs != 150 || want.Reservations != 300 || want.Carts != 30 || want.Orders < 50 {
		t.Errorf("a log of 3,000 events has %+v", want)
	}
	if int64(len(book.Orders)) != fill.done.Orders || int64(len(book.Products)) != fill.done.SKUs {
		t.Errorf("the books have %d orders and %d products, made were %+v", len(book.Orders), len(book.Products), fill.done)
	}
	for id, placed := range book.Orders {
		if placed.PaymentState() != order.Paid || placed.Status != order.StatusConfirmed {
			t.Fatalf("order %s is %s and %s, want it confirmed and paid", id, placed.Status, placed.PaymentState())
		}
	}
	var reserved int64
	for _, key := range fill.goods() {
		if err := env.Service.ViewStock(t.Context(), key, func(state stock.State, _ int64) { reserved += int64(state.Reserved(time.Now())) }); err != nil {
			t.Fatal(err)
		}
	}
	if reserved != fill.done.Reservations {
		t.Errorf("%d units are reserved, want %d", reserved, fill.done.Reservations)
	}
}

// appendCounter counts the appends to a log.
type appendCounter struct {
	eventstore.Store
	appends atomic.Int64
}

func (c *appendCounter) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	c.appends.Add(1)
	return c.Store.Append(ctx, stream, expected, events)
}

func TestALogIsFilledWithFewAppends(t *testing.T) {
	t.Parallel()
	counter := &appendCounter{Store: memory.New()}
	env := openNode(t, asItIs)
	env.Store = counter
	fill := newFilling(env)
	if err := fill.grow(t.Context(), 5000); err != nil {
		t.Fatal(err)
	}
	// Most streams are one append. On a busy machine, many are recorded earlier, because the
	// handlers look at them again. Without the buffer, each event is an append of its own.
	if most := fill.done.Events * 3 / 4; counter.appends.Load() > most {
		t.Errorf("%d appends for %d events, want at most %d", counter.appends.Load(), fill.done.Events, most)
	}
}

func freshEvent() eventstore.Event {
	return eventstore.Event{ID: uuid.New(), Type: "bench.appended.v1", Data: eventBody, Meta: []byte(`{}`)}
}

func TestWriteBehindKeepsTheOrderOfAStream(t *testing.T) {
	t.Parallel()
	log := memory.New()
	behind := newWriteBehind(log)
	event := func() []eventstore.Event {
		return []eventstore.Event{freshEvent(), freshEvent()}
	}
	var want []string
	add := func(revision int64) {
		t.Helper()
		events := event()
		for _, e := range events {
			want = append(want, e.ID.String())
		}
		result, err := behind.Append(t.Context(), "s", eventstore.AtRevision(revision), events)
		if err != nil || result.Revision != revision+2 {
			t.Fatalf("%+v, %v; want revision %d", result, err, revision+2)
		}
	}
	add(-1)
	add(1)
	if _, err := behind.Append(t.Context(), "s", eventstore.AtRevision(1), event()); err == nil {
		t.Error("an append at an earlier revision is taken")
	}
	var found []string
	for e, err := range behind.ReadStream(t.Context(), "s", 0, 0) { // this records it
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e.ID.String())
	}
	if strings.Join(found, " ") != strings.Join(want, " ") {
		t.Errorf("read %q, want %q", found, want)
	}
	add(3)
	for range 2 { // the second time there is nothing to record
		if err := behind.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := countEvents(t.Context(), Env{Store: log}, eventstore.Start, eventstore.Filter{}); err != nil || n != 6 {
		t.Errorf("%d events are recorded, %v; want 6", n, err)
	}
}

// If somebody else writes to a stream, that must be noticed, and nothing may be lost.
func TestWriteBehindNoticesAnotherWriter(t *testing.T) {
	t.Parallel()
	log := memory.New()
	behind := newWriteBehind(log)
	for _, to := range []eventstore.Store{behind, log} {
		if _, err := to.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{freshEvent()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, conflict := errors.AsType[*eventstore.ConflictError](behind.flush(t.Context())); !conflict {
		t.Error("two events are the first of the stream")
	}
}
