package commands_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// priced is a shop with the price list trade.
func priced(t *testing.T, log eventstore.Store) *commands.Service {
	t.Helper()
	service := commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	t.Cleanup(func() { _ = service.Close(context.WithoutCancel(t.Context())) })
	define := pricelist.Define{ID: "trade", Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive}
	if _, err := service.PriceList(t.Context(), systemCall(uuid.New()), "trade", define); err != nil {
		t.Fatal(err)
	}
	return service
}

// systemCall is a call of a part of the program under a command id.
func systemCall(command uuid.UUID) commands.Call {
	who := access.System("test")
	return commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: command, Actor: who.ID}}
}

func importPrices(t *testing.T, s *commands.Service, in commands.PriceImport, file string) (commands.PriceImportResult, error) {
	t.Helper()
	in.File = strings.NewReader(file)
	result, _, err := s.ImportPrices(t.Context(), systemCall(uuid.New()), "trade", in)
	return result, err
}

// prices is what the list has: "CUP 1:3 MUG 1:9.99 10:8.5".
func prices(t *testing.T, s *commands.Service) string {
	t.Helper()
	var all []string
	err := s.ViewPriceList(t.Context(), "trade", func(state pricelist.State, _ int64) {
		for sku, tiers := range state.Prices {
			text := string(sku)
			for _, tier := range tiers {
				text += fmt.Sprintf(" %d:%s", tier.From, tier.Price.Amount)
			}
			all = append(all, text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func summary(r commands.PriceImportResult) string {
	var changes []string
	for _, c := range r.Changes {
		changes = append(changes, fmt.Sprintf("%s %d>%d", c.SKU, len(c.Was), len(c.Is)))
	}
	return fmt.Sprintf("%d rows, %d same, %s", r.Rows, r.Unchanged, strings.Join(changes, " "))
}

func TestAFileOfPricesIsImported(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := priced(t, log)
	head := func() eventstore.Position {
		position, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return position
	}
	const file = "\ufeffSKU, From ,price\nmug,10,8.50\nMUG,1,9.99\nCUP,,3\n"
	before := head()
	if got, err := importPrices(t, s, commands.PriceImport{DryRun: true}, file); err != nil || summary(got) != "3 rows, 0 same, CUP 0>1 MUG 0>2" {
		t.Errorf("a dry run: %s, %v", summary(got), err)
	}
	if head() != before {
		t.Error("the dry run has recorded something")
	}
	if got, err := importPrices(t, s, commands.PriceImport{}, file); err != nil || summary(got) != "3 rows, 0 same, CUP 0>1 MUG 0>2" || got.Revision != 1 {
		t.Errorf("the import: %s at %d, %v", summary(got), got.Revision, err)
	}
	if got := prices(t, s); got != "CUP 1:3 MUG 1:9.99 10:8.5" {
		t.Errorf("the list has %s", got)
	}
	before = head()
	if got, err := importPrices(t, s, commands.PriceImport{}, file); err != nil || summary(got) != "3 rows, 2 same, " || head() != before {
		t.Errorf("again: %s, %v", summary(got), err)
	}
	if got, err := importPrices(t, s, commands.PriceImport{}, "sku,price\nCUP,\nJUG,2\n"); err != nil || summary(got) != "2 rows, 0 same, CUP 1>0 JUG 0>1" {
		t.Errorf("a removal: %s, %v", summary(got), err)
	}
	if got, err := importPrices(t, s, commands.PriceImport{Replace: true}, "price,sku\n2.00,JUG\n"); err != nil || summary(got) != "1 rows, 1 same, MUG 2>0" {
		t.Errorf("a replacement: %s, %v", summary(got), err)
	}
	if got := prices(t, s); got != "JUG 1:2" {
		t.Errorf("the list has %s", got)
	}
}

// Each wrong row is named with its line, and nothing of the file is imported.
func TestAWrongRowImportsNothing(t *testing.T) {
	t.Parallel()
	s := priced(t, memory.New())
	for file, want := range map[string][]string{
		"":                        {"line 1: the file is empty; its first line names the columns sku, from and price"},
		"sku,cost\n":              {`line 1: there is no column "cost"; the columns are sku, from and price`},
		"sku,sku\n":               {`line 1: the column "sku" is there twice`},
		"sku\nMUG\n":              {"line 1: the columns sku and price are needed"},
		"sku,price\nMUG\n":        {"line 2: wrong number of fields"},
		"sku,price\n\"MUG,1\n":    {`line 2: extraneous or missing " in quoted-field`},
		"sku,price\nMUG,1\n@,2\n": {"line 3: "},
		"sku,from,price\nMUG,1,1\nCUP,0,1\nJUG,x,1\nPOT,1,-1\nTUB,1,1e3\nMUG,1,2\n": {
			`line 4: from "x": want a whole number`, `line 6: amount "1e3": want a plain decimal such as 2.55`,
			"line 2: MUG: tiers/1/from: the tier from 1 does not come after the tier from 1", "line 3: CUP: tiers/0/from: want a quantity from 1 to 1000000000",
			"line 5: POT: tiers/0/price: the price is below zero",
		},
		"sku,price\nMUG,1\nMUG,\n":                     {"line 3: MUG has a price in one line and none in another one"},
		"sku,price\n" + strings.Repeat("MUG,x\n", 101): {`line 2: amount "x"`},
	} {
		_, err := importPrices(t, s, commands.PriceImport{}, file)
		wrong, is := errors.AsType[*commands.RowsError](err)
		if !is {
			t.Errorf("%.40q: %v", file, err)
			continue
		}
		if strings.Count(file, "\n") > 100 {
			if len(wrong.Faults) != 100 || !wrong.More {
				t.Errorf("%d faults, more: %t", len(wrong.Faults), wrong.More)
			}
			continue
		}
		if len(wrong.Faults) != len(want) {
			t.Errorf("%q: %v", file, wrong.Faults)
			continue
		}
		for i, fault := range wrong.Faults {
			if !strings.HasPrefix(fault.String(), want[i]) {
				t.Errorf("%q: fault %d is %s, want %s", file, i, fault, want[i])
			}
		}
	}
	if got := prices(t, s); got != "" {
		t.Errorf("the list has %s", got)
	}
}

func largeFile(rows int) string {
	var b strings.Builder
	b.WriteString("sku,price\n")
	for i := range rows {
		fmt.Fprintf(&b, "SKU-%05d,%d.%02d\n", i, i/100+1, i%100)
	}
	return b.String()
}

// A file of 20,000 rows needs little memory. A larger one is refused before it is read whole.
func TestALargeFileIsImportedInBoundedMemory(t *testing.T) {
	t.Parallel()
	s := priced(t, memory.New())
	file := largeFile(commands.MaxPriceRows)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := importPrices(t, s, commands.PriceImport{}, file)
	runtime.ReadMemStats(&after)
	if err != nil || got.Rows != 20_000 || len(got.Changes) != 20_000 {
		t.Fatalf("%d rows, %d changes, %v", got.Rows, len(got.Changes), err)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 300 {
		t.Errorf("it has allocated %d MiB in all", used)
	}
	endless := &repeating{line: []byte("MUG,1\n")}
	_, _, err = s.ImportPrices(t.Context(), systemCall(uuid.New()), "trade", commands.PriceImport{File: endless})
	wrong, is := errors.AsType[*commands.RowsError](err)
	if !is || !strings.Contains(wrong.Faults[len(wrong.Faults)-1].What, "at most 20000 rows") || endless.read > 1<<20 {
		t.Errorf("a file without an end: %v, %d bytes were read", err, endless.read)
	}
}

// repeating is a file without an end.
type repeating struct {
	line []byte
	read int
}

func (r *repeating) Read(p []byte) (int, error) {
	text := []byte("sku,price\n")
	if r.read > 0 {
		text = r.line
	}
	n := copy(p, text)
	r.read += n
	return n, nil
}

// losing is a log that fails at the append with a number.
type losing struct {
	*memory.Store
	appends, fails int
}

func (l *losing) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if l.appends++; l.appends == l.fails {
		return eventstore.Result{}, &eventstore.UnavailableError{Cause: errors.New("cut off")}
	}
	return l.Store.Append(ctx, stream, expected, events)
}

// An import that was cut off between two appends is repeated under the same command id, and
// finishes. It does so although the first part is recorded already, and a third time it records
// nothing.
func TestAnImportThatWasCutOffCanBeRepeated(t *testing.T) {
	t.Parallel()
	log := &losing{Store: memory.New(), fails: 4} // the list, then two parts of ten
	s := priced(t, log)
	file, command := largeFile(commands.MaxPriceRows), uuid.New()
	try := func() error {
		_, _, err := s.ImportPrices(t.Context(), systemCall(command), "trade", commands.PriceImport{File: strings.NewReader(file)})
		return err
	}
	count := func() (n int) {
		if err := s.ViewPriceList(t.Context(), "trade", func(state pricelist.State, _ int64) { n = len(state.Prices) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := try(); err == nil || count() != 4_000 {
		t.Fatalf("cut off: %v, %d SKUs", err, count())
	}
	if err := try(); err != nil || count() != 20_000 {
		t.Fatalf("repeated: %v, %d SKUs", err, count())
	}
	head, _ := log.Head(t.Context())
	if err := try(); err != nil {
		t.Fatal(err)
	}
	if after, _ := log.Head(t.Context()); after != head {
		t.Error("the third try has recorded something")
	}
}

// An import with a condition does nothing if the list has changed, also as a dry run.
func TestAnImportChecksItsCondition(t *testing.T) {
	t.Parallel()
	s := priced(t, memory.New())
	for _, dry := range []bool{true, false} {
		call := systemCall(uuid.New())
		call.If = aggregate.AtRevision(7)
		_, _, err := s.ImportPrices(t.Context(), call, "trade", commands.PriceImport{File: strings.NewReader("sku,price\nMUG,1\n"), DryRun: dry})
		if _, stale := errors.AsType[*aggregate.StaleError](err); !stale {
			t.Errorf("dry run %t: %v", dry, err)
		}
	}
}
