package importer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"daybook/domain/cart"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// dying is a log whose program is killed at its nth append. This append is recorded, but its answer
// is lost, and nothing is recorded after it.
type dying struct {
	eventstore.Store
	mu   sync.Mutex
	left int
}

// totals are the members of a summary that do not depend on how often the import was
// interrupted.
func totals(s Summary) string {
	s.AlreadyIn = 0
	return fmt.Sprint(s)
}

var errKilled = &eventstore.UnavailableError{Cause: errors.New("killed")}

func (d *dying) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	if d.left < 0 {
		return eventstore.Result{}, errKilled
	}
	result, err := d.Store.Append(ctx, stream, expected, events)
	if d.left == 0 {
		return eventstore.Result{}, errKilled
	}
	return result, err
}

// appends counts how many appends an import makes.
func appends(t testing.TB, file *onlineretail.File, options Options) (int, *shop, Summary) {
	t.Helper()
	whole := newShop()
	const enough = 1 << 30
	counting := &dying{Store: whole.store, left: enough}
	importer := whole.start()
	importer.Service, importer.Store = serviceOver(counting), counting
	summary, err := importer.Run(t.Context(), file, options)
	if err != nil {
		t.Fatal(err)
	}
	return enough - counting.left, whole, summary
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
			s := newShop()
			killed := &dying{Store: s.store, left: kill}
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
		killed := &dying{Store: s.store, left: kill}
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
	killed := &dying{Store: s.store, left: 60}
	importer := s.start()
	importer.Service, importer.Store = serviceOver(killed), killed
	_, err := importer.Run(t.Context(), file, Options{Opening: "30", Workers: 8})
	if !errors.Is(err, errKilled) || !strings.Contains(err.Error(), "invoice ") || !strings.Contains(err.Error(), "(row ") {
		t.Errorf("got %v", err)
	}
}
