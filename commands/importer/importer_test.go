package importer

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/onlineretail"
)

// memoryJournal is a Journal that forgets when the test ends.
type memoryJournal struct {
	mu     sync.Mutex
	name   string
	done   int64
	counts []byte
}

func (j *memoryJournal) Load(context.Context) (string, int64, []byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.name, j.done, j.counts, nil
}

func (j *memoryJournal) Save(_ context.Context, name string, done int64, counts []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.name, j.done, j.counts = name, done, counts
	return nil
}

// shop is a log, and what imports store in addition to it. Each import into it is run by a
// newly started program.
type shop struct {
	store   eventstore.Store
	journal *memoryJournal
	watch   func(Progress)
}

func newShop() *shop { return &shop{store: memory.New(), journal: &memoryJournal{}} }

func (s *shop) start() *Importer {
	return &Importer{Service: serviceOver(s.store), Store: s.store, Journal: s.journal, Logger: slog.New(slog.DiscardHandler), Watch: s.watch}
}

func serviceOver(store eventstore.Store) *commands.Service {
	return commands.NewService(store, commands.DefaultPolicy(), time.Now, aggregate.Options{})
}

func (s *shop) mustImport(t testing.TB, file *onlineretail.File, options Options) Summary {
	t.Helper()
	summary, err := s.start().Run(t.Context(), file, options)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// onHand folds every stock stream.
func (s *shop) stock(t testing.TB) map[unit.SKU]stock.State {
	t.Helper()
	states := map[unit.SKU]stock.State{}
	for recorded, err := range s.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{StreamPrefixes: []string{"stock-"}}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		at, err := stock.ParseStream(recorded.Stream)
		if err != nil {
			t.Fatal(err)
		}
		event, err := stock.Decode(recorded.Type, recorded.Data)
		if err != nil {
			t.Fatal(err)
		}
		states[at.SKU] = stock.Evolve(states[at.SKU], event)
	}
	return states
}

// streams returns all streams as text, without the times at which the events were recorded.
func (s *shop) streams(t testing.TB) map[string]string {
	t.Helper()
	streams := map[string]string{}
	for recorded, err := range s.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		streams[recorded.Stream] += fmt.Sprintln(recorded.Revision, recorded.ID, recorded.Type)
	}
	return streams
}

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

func row(invoice, code, note string, quantity int, price, customer string) string {
	return fmt.Sprintf("%s,%s,%s,%d,2010-12-01 08:26:00,%s,%s,United Kingdom\n", invoice, code, note, quantity, price, customer)
}

func read(t testing.TB, text string) *onlineretail.File {
	t.Helper()
	file, err := onlineretail.Read(strings.NewReader(text), onlineretail.Strict)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func dataFile(t testing.TB, name string) *os.File {
	t.Helper()
	dir := os.Getenv("DAYBOOK_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		t.Skipf("no %s in %s: set DAYBOOK_DATA to the directory of the real data", name, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// firstRows are the header and the first rows of the real file.
func firstRows(t testing.TB, rows int) *onlineretail.File {
	t.Helper()
	zipped, err := gzip.NewReader(dataFile(t, "online_retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.LimitReader(zipped, int64(rows+1)*200))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfterN(text, []byte("\n"), rows+2)
	return read(t, string(bytes.Join(lines[:rows+1], nil)))
}

// stretched is a log whose positions have gaps, as in KurrentDB, where a position is a place in a
// file.
type stretched struct{ eventstore.Store }

func (s stretched) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.Store.Head(ctx)
	n, _ := head.Pair()
	return eventstore.At(n * 100), err
}

func (s stretched) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	n, _ := after.Pair()
	return s.Store.ReadAll(ctx, eventstore.At(n/100), filter, limit)
}

func TestEventsAreCountedWherePositionsHaveGaps(t *testing.T) {
	t.Parallel()
	file := read(t, head+row("1", "A", "THING", 3, "1.00", "7"))
	dense, sparse := newShop(), newShop()
	want := dense.mustImport(t, file, Options{Opening: OpeningAmple, Workers: 1}).Events
	importer := sparse.start()
	importer.Store, importer.Sparse = stretched{sparse.store}, true
	got, err := importer.Run(t.Context(), file, Options{Opening: OpeningAmple, Workers: 1})
	if err != nil || got.Events != want || want == 0 {
		t.Errorf("%d events are counted, want %d; error %v", got.Events, want, err)
	}
}
