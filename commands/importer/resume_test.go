package importer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// totals are the members of a summary that do not depend on how often the import was
// interrupted. A checkout that is recorded in one append has fewer events than one that goes step
// by step, so the number of events is left out.
func totals(s Summary) string {
	s.AlreadyIn, s.Events = 0, 0
	return fmt.Sprint(s)
}

var errKilled = &eventstore.UnavailableError{Cause: errors.New("killed")}

// newStepwiseShop is a shop whose log cannot append to several streams at once.
func newStepwiseShop() *shop {
	s := newShop()
	s.store = struct{ eventstore.Store }{s.store}
	return s
}

// appends counts how many appends an import makes, step by step.
func appends(t testing.TB, file *onlineretail.File, options Options) (int, *shop, Summary) {
	t.Helper()
	whole := newStepwiseShop()
	const enough = 1 << 30
	counting := &shoptest.Mortal{Store: whole.store, Left: enough}
	importer := whole.start()
	importer.Service, importer.Store = serviceOver(counting), counting
	summary, err := importer.Run(t.Context(), file, options)
	if err != nil {
		t.Fatal(err)
	}
	return enough - counting.Left, whole, summary
}

func TestKilledAnywhereAndRunAgainItEndsTheSame(t *testing.T) {
	for _, policy := range []cart.Policy{cart.AllOrNothing, cart.LineByLine} {
		file := scarceFile(t, 3, 30)
		options := Options{Opening: "15", Policy: policy, Workers: 1}
		all, whole, want := appends(t, file, options)
		if want.OrdersRefused == 0 || want.OrdersTaken == 0 {
			t.Fatalf("the file proves nothing: %+v", want)
		}
		wanted := whole.streams(t)
		for kill := 1; kill <= all; kill += 1 + all/60 {
			s := newStepwiseShop()
			killed := &shoptest.Mortal{Store: s.store, Left: kill, Error: errKilled}
			first := s.start()
			first.Service, first.Store = serviceOver(killed), killed
			if _, err := first.Run(t.Context(), file, options); err == nil {
				t.Fatalf("killed at append %d of %d: the import did not notice", kill, all)
			}
			got := s.mustImport(t, file, options)
			if totals(got) != totals(want) {
				t.Fatalf("killed at append %d of %d:\ngot  %+v\nwant %+v", kill, all, got, want)
			}
			streams := s.streams(t)
			for name, events := range wanted {
				if streams[name] != events {
					t.Fatalf("killed at append %d of %d, stream %s:\ngot\n%swant\n%s", kill, all, name, streams[name], events)
				}
			}
			if len(streams) != len(wanted) {
				t.Fatalf("killed at append %d of %d: %d streams, want %d", kill, all, len(streams), len(wanted))
			}
		}
	}
}

func TestKilledWithManyWorkersItEndsTheSame(t *testing.T) {
	file := scarceFile(t, 6, 120)
	options := Options{Opening: "20", Workers: 8}
	all, whole, want := appends(t, file, options)
	wanted := whole.outcomes(t)
	for kill := 1; kill < all; kill += 1 + all/15 {
		s := newShop()
		killed := &shoptest.MortalGroups{Mortal: shoptest.Mortal{Store: s.store, Left: kill, Error: errKilled}}
		first := s.start()
		first.Service, first.Store = serviceOver(killed), killed
		if _, err := first.Run(t.Context(), file, options); err == nil {
			continue // with many workers, the number of appends varies a little
		}
		if got := s.mustImport(t, file, options); totals(got) != totals(want) {
			t.Fatalf("killed at append %d of %d:\ngot  %+v\nwant %+v", kill, all, got, want)
		}
		if s.outcomes(t) != wanted {
			t.Fatalf("killed at append %d of %d: some invoice ended otherwise", kill, all)
		}
	}
}

// slowJournal takes a second for each save but the first. It fails for ever if the context of a
// save ends, as a closed connection does.
type slowJournal struct {
	memoryJournal
	closed error
}

func (j *slowJournal) Save(ctx context.Context, name string, done int64, counts []byte) error {
	if done > 0 {
		select {
		case <-ctx.Done():
			j.closed = ctx.Err()
		case <-time.After(time.Second):
		}
	}
	if j.closed != nil {
		return j.closed
	}
	return j.memoryJournal.Save(ctx, name, done, counts)
}

// slowStore takes a tenth of a second for each append.
type slowStore struct{ eventstore.Store }

func (s slowStore) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	<-time.After(100 * time.Millisecond) // of the bubble's clock
	return s.Store.Append(ctx, stream, expected, events)
}

// Progress is saved all the time, so the last invoice ends while it is being saved. That save must
// not be cut off.
func TestTheEndDoesNotCutOffASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(20 * 365 * 24 * time.Hour) // a bubble begins in the year 2000, before the invoices
		file := scarceFile(t, 3, 30)
		journal := &slowJournal{}
		s := newShop()
		s.store = slowStore{s.store}
		importer := s.start()
		importer.Journal = journal
		summary, err := importer.Run(t.Context(), file, Options{Opening: "30", Workers: 1})
		if err != nil || !summary.Complete {
			t.Errorf("the import ended with %v, complete %v", err, summary.Complete)
		}
		if int(journal.done) != len(file.Invoices) {
			t.Errorf("%d invoices are saved, of %d", journal.done, len(file.Invoices))
		}
	})
}

func TestStoppedAndContinuedItEndsTheSame(t *testing.T) {
	file := scarceFile(t, 5, 300)
	options := Options{Opening: "30", Workers: 8}
	_, whole, want := appends(t, file, options)
	for _, at := range []int{1, 17, 150, 250} {
		s := newShop()
		ctx, stop := context.WithCancel(t.Context())
		s.watch = func(p Progress) {
			if p.Invoices >= at {
				stop()
			}
		}
		_, err := s.start().Run(ctx, file, options)
		interrupted, is := errors.AsType[*InterruptedError](err)
		if !is || interrupted.Done < 1 || interrupted.Done >= interrupted.All || interrupted.All != len(file.Invoices) {
			t.Fatalf("stopped after %d: %v", at, err)
		}
		if s.journal.done != int64(interrupted.Done) {
			t.Errorf("stopped after %d: %d recorded, %d in", at, s.journal.done, interrupted.Done)
		}
		s.watch = nil
		if got := s.mustImport(t, file, options); totals(got) != totals(want) {
			t.Errorf("stopped after %d:\ngot  %+v\nwant %+v", at, got, want)
		}
		if s.outcomes(t) != whole.outcomes(t) {
			t.Errorf("stopped after %d: some invoice ended otherwise", at)
		}
	}
}

func TestStoppedBeforeItBeganItCanBeContinued(t *testing.T) {
	file := scarceFile(t, 5, 20)
	s := newShop()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	importer := s.start()
	p, err := newPlan(file, Options{Opening: "30"})
	if err != nil {
		t.Fatal(err)
	}
	counts, done, fresh, err := importer.begin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	err = newRun(importer, p, counts, done, fresh).work(ctx)
	if _, is := errors.AsType[*InterruptedError](err); !is {
		t.Fatalf("got %v", err)
	}
	if summary := s.mustImport(t, file, Options{Opening: "30"}); !summary.Complete {
		t.Errorf("got %+v", summary)
	}
}

// After a stop no invoice begins. If the stop comes while the opening stock is received, an invoice
// would not find all of it.
func TestNoInvoiceBeginsAfterAStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p, err := newPlan(scarceFile(t, 5, 20), Options{Opening: "30", Workers: 16})
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(newShop().start(), p, newCounts(), 0, true)
	left, err := r.stockLeft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.tickets = newTickets(left, r.fresh)
	if err := r.workers(ctx, t.Context()); err != nil || r.next > 0 {
		t.Errorf("%d invoices began, error %v", r.next, err)
	}
}

func TestRunTwiceItChangesNothing(t *testing.T) {
	file := scarceFile(t, 9, 200)
	// Only the import's own record says which adjustments were refused. In this test none is.
	options := Options{Opening: OpeningExact, Workers: 8, Policy: cart.LineByLine}
	s := newShop()
	want := s.mustImport(t, file, options)
	head, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []string{"with its record", "without its record"} {
		got := s.mustImport(t, file, options)
		now, err := s.store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now != head {
			t.Errorf("%s: the log grew from %s to %s", again, head, now)
		}
		got.Events = want.Events // without its record, it counts from the place where it began again
		if totals(got) != totals(want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", again, got, want)
		}
		s.journal = &memoryJournal{}
	}
}

func TestAnotherImportIsRefused(t *testing.T) {
	file, other := scarceFile(t, 1, 20), scarceFile(t, 2, 20)
	s := newShop()
	s.mustImport(t, file, Options{Opening: "30"})
	for name, again := range map[string]struct {
		file    *onlineretail.File
		options Options
	}{
		"another file":    {other, Options{Opening: "30"}},
		"another opening": {file, Options{Opening: "31"}},
		"another policy":  {file, Options{Opening: "30", Policy: cart.LineByLine}},
		"other kinds":     {file, Options{Opening: "30", Kinds: []onlineretail.Kind{onlineretail.Sale}}},
		"another order":   {file, Options{Opening: "30", Order: AnyOrder}},
	} {
		_, err := s.start().Run(t.Context(), again.file, again.options)
		if _, is := errors.AsType[*OtherImportError](err); !is {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := s.start().Run(t.Context(), file, Options{Opening: "30", Workers: 5, Kinds: onlineretail.Kinds}); err != nil {
		t.Errorf("the same import with more workers: %v", err)
	}
}

func TestAFailureNamesTheInvoice(t *testing.T) {
	file := scarceFile(t, 4, 50)
	s := newShop()
	killed := &shoptest.Mortal{Store: s.store, Left: 60, Error: errKilled}
	importer := s.start()
	importer.Service, importer.Store = serviceOver(killed), killed
	_, err := importer.Run(t.Context(), file, Options{Opening: "30", Workers: 8})
	if !errors.Is(err, errKilled) || !strings.Contains(err.Error(), "invoice ") || !strings.Contains(err.Error(), "(row ") {
		t.Errorf("got %v", err)
	}
}
