package verify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/internal/gatewaytest"
	"daybook/internal/pgtest"
	"daybook/internal/verify"
)

const (
	ownNames = "log: each stream that is named like one of the shop has events of the shop"
	readable = "log: every event can be read and follows from those before it"
)

// foreign appends an event as another program does: its id does not derive from a command.
func foreign(t *testing.T, log eventstore.Store, stream, eventType, data string) {
	t.Helper()
	if err := appendForeign(t.Context(), log, stream, data, eventType); err != nil {
		t.Fatal(err)
	}
}

func appendForeign(ctx context.Context, log eventstore.Store, stream, data string, eventTypes ...string) error {
	events := make([]eventstore.Event, len(eventTypes))
	for i, eventType := range eventTypes {
		events[i] = eventstore.Event{ID: uuid.New(), Type: eventType, Data: []byte(data), Meta: []byte(`{"user":"bob"}`)}
	}
	_, err := log.Append(ctx, stream, eventstore.Any, events)
	return err
}

// onEachLog runs a test on each engine. The shop s and the store theirs have the same log. The test
// uses theirs to write what other programs write. On KurrentDB, theirs is not our engine, because
// our engine would refuse a part of these events.
func onEachLog(t *testing.T, test func(t *testing.T, s *shop, theirs eventstore.Store)) {
	t.Helper()
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		log := memory.New()
		test(t, newShopOver(t, log), log)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.New(t)
		if err := postgres.Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		log, err := postgres.Open(t.Context(), pool, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeAtEnd(t, log.Close) })
		test(t, newShopOver(t, log), log)
	})
	t.Run("kurrentdb", func(t *testing.T) { // served by our gateway
		t.Parallel()
		behind := memory.New()
		test(t, newShopOver(t, gatewaytest.Open(t, behind)), behind)
	})
}

func closeAtEnd(t *testing.T, end func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := end(ctx); err != nil {
		t.Error(err)
	}
}

// likeKurrentDB shows a log as a server of KurrentDB may show it. The streams of other programs
// were truncated and scavenged. Some were ended, and the server gives the highest revision to
// their tombstones. And the server's clock was set back before some events were written.
func likeKurrentDB(log eventstore.Store) eventstore.Store {
	return changedLog{log, func(_ int, e eventstore.Recorded) (eventstore.Recorded, bool) {
		theirs := strings.HasPrefix(e.Stream, "invoice-") || strings.HasPrefix(e.Stream, "order-theirs")
		switch {
		case !theirs:
			return e, true
		case e.Type == eventstore.TombstoneType:
			e.Revision = math.MaxInt64
		case e.Revision%2 == 0:
			return e, false
		}
		e.RecordedAt = e.RecordedAt.Add(-time.Hour)
		return e, true
	}}
}

// write1000Foreign writes 1,000 streams of other programs. Some are ended. Some of their event
// types are unknown, and some are named like types of the shop.
func write1000Foreign(t *testing.T, log eventstore.Store) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range 1000 {
		group.Go(func() error {
			stream := fmt.Sprintf("%s-%d", [...]string{"invoice", "user", "orders", "$$order"}[i%4], i)
			err := appendForeign(t.Context(), log, stream, `{"a":1}`, "InvoiceSent", "order.placed.v1", "order.never_heard_of.v9", "stock.reserved.v1", "$metadata")
			if err == nil && i%3 == 0 {
				err = appendForeign(t.Context(), log, stream, `{}`, eventstore.TombstoneType)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	foreign(t, log, "order", "OrderPlaced", `{}`)
	foreign(t, log, "order-", "order.placed.v1", `{}`)
}

func TestStreamsOfOtherProgramsAreCountedNamedAndLeftOut(t *testing.T) {
	onEachLog(t, func(t *testing.T, s *shop, theirs eventstore.Store) {
		s.trade()
		write1000Foreign(t, theirs)
		s.waitForViews()
		config := s.config()
		config.Store = likeKurrentDB(s.Log)
		report, err := verify.Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		s.wantClean(report)
		streams, names := 1002, 6
		if s.Log != theirs { // KurrentDB's client does not show the server's own streams
			streams, names = streams-250, names-1
		}
		others := report.Others
		if others == nil || others.Streams != streams || others.Events < 3*int64(streams) || len(others.Names) != 5 || others.More != names-5 || others.Names[0].Streams != 250 {
			t.Errorf("the other streams are %+v, want %d streams with %d names, 5 of them named", others, streams, names)
		}
		events := 0
		for e, err := range s.Log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(e.Stream, "order-") && e.Stream != "order-" {
				events++
			}
		}
		if report.Events < int64(events) || report.Events > 1000 {
			t.Errorf("%d events are the shop's", report.Events)
		}
	})
}

func TestAStreamWithANameOfTheShopsThatIsNotTheShopsIsNamed(t *testing.T) {
	onEachLog(t, func(t *testing.T, s *shop, theirs eventstore.Store) {
		s.trade()
		write1000Foreign(t, theirs)
		for range 4 {
			foreign(t, theirs, "order-theirs", "OrderPlaced", `{"total":12}`)
		}
		foreign(t, theirs, "order-theirs", "order.shipped", `{}`)
		foreign(t, theirs, "order-theirs", eventstore.TombstoneType, `{}`)
		s.waitForViews()
		config := s.config()
		config.Store = likeKurrentDB(s.Log)
		report, err := verify.Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		wantOnly(t, report, ownNames, `stream order-theirs is named like a stream of the shop, but none of its 3 events is an event of the shop (OrderPlaced at revision 1: its type is of another kind than its stream)`)
		if report.Differences != 1 {
			t.Errorf("%d differences, want one", report.Differences)
		}
	})
}

// Each event of another program in one of the shop's streams is one difference.
func TestForeignEventsInAStreamOfTheShopsAreDifferences(t *testing.T) {
	t.Parallel()
	f := faultyLog{t: t, log: memory.New()}
	for range 3 {
		foreign(t, f.log, stock.Stream(mugs.SKU, mugs.Location), "Counted", `{}`)
	}
	f.receive(1)
	foreign(t, f.log, stock.Stream(mugs.SKU, mugs.Location), "Counted", `{}`)
	foreign(t, f.log, stock.Stream(mugs.SKU, mugs.Location), eventstore.TombstoneType, `{}`)
	log := changedLog{f.log, func(_ int, e eventstore.Recorded) (eventstore.Recorded, bool) {
		if e.Type == eventstore.TombstoneType {
			e.Revision = math.MaxInt64
		}
		return e, true
	}}
	_, report, err := verify.Log(t.Context(), log, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantOnly(t, report, readable, "$streamDeleted at revision 9223372036854775807 of stream stock-MUG@main: the stream was ended for good")
	if report.Differences != 5 {
		t.Errorf("%d differences, want 5: %v", report.Differences, differences(report))
	}
}

// unreadableLog is a log that cannot be read beyond some event.
type unreadableLog struct {
	eventstore.Store
	after int
	why   error
}

func (b unreadableLog) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		n := 0
		for e, err := range b.Store.ReadAll(ctx, after, filter, limit) {
			if n++; n > b.after {
				e, err = eventstore.Recorded{}, b.why
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func TestALogThatCannotBeReadToItsEndIsADifference(t *testing.T) {
	t.Parallel()
	f := faultyLog{t: t, log: memory.New()}
	f.receive(10)
	facts(t, f.log, "order-9", order.Encode, order.Event(order.Canceled{Reason: "lost"})) // without its beginning
	f.order(placed(1))                                                                    // stock has no reservation for it
	f.receive(10)
	_, report, err := verify.Log(t.Context(), unreadableLog{f.log, 3, errors.New("a chunk is damaged")}, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := differences(report)
	if len(found) != 2 || len(found[readable]) != 1 || !strings.Contains(strings.Join(found["log: it can be read to its end"], ""), "beyond position 3, and ends at 4: ") {
		t.Errorf("found %q; want where it ends, and the difference before that place", found)
	}
	if report.Position != eventstore.At(3) || report.Events != 3 {
		t.Errorf("verified %d events up to %s, want 3", report.Events, report.Position)
	}
}

// If the log cannot be read at all, nothing is known about it, so there is no report.
func TestALogThatIsAwayIsNoDifference(t *testing.T) {
	t.Parallel()
	f := faultyLog{t: t, log: memory.New()}
	f.receive(10)
	f.receive(10)
	for _, why := range []error{
		&eventstore.UnavailableError{Cause: errors.New("connection refused")},
		&eventstore.DeniedError{Cause: errors.New("no right to $all")},
		&eventstore.DivergedError{Keeper: "this node"},
	} {
		if _, report, err := verify.Log(t.Context(), unreadableLog{f.log, 1, why}, time.Now(), nil); !errors.Is(err, why) || report != nil {
			t.Errorf("%v: error %v, report %+v", why, err, report)
		}
	}
}

// A missing table of one view does not stop the verification of the other views.
func TestATableThatIsNotThereIsADifference(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	s.mustExec(`DO $$ DECLARE s text; BEGIN
		SELECT schema_name INTO s FROM projections.builds WHERE view = 'stock' AND state = 'active';
		EXECUTE format('ALTER TABLE %I.stock_items RENAME TO elsewhere', s);
	END $$`)
	report := s.verify()
	wantOnly(t, report, "views: each is in use and has read the log", "view stock cannot be compared: ")
	names := map[string]bool{}
	for _, check := range report.Checks {
		names[check.Name] = true
	}
	if !names["read.orders"] || !names["read.carts"] {
		t.Errorf("the other views are not compared: %v", names)
	}
}
