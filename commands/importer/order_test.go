package importer

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// scarceFile has few SKUs and many invoices of every kind, so almost all invoices need the same
// stock.
func scarceFile(t testing.TB, seed uint64, invoices int) *onlineretail.File {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	var text strings.Builder
	text.WriteString(head)
	for n := range invoices {
		number, customer, sign, price := fmt.Sprint(1000+n), fmt.Sprint(1+random.IntN(5)), 1, "1.25"
		switch kind := random.IntN(20); {
		case kind < 3:
			number, sign = "C"+number, -1
		case kind < 5:
			customer, price = "", "0.0"
		case kind < 7:
			customer, price, sign = "", "0.0", -1
		case kind == 7:
			number, price = "A"+number, "-3.5"
		case kind == 8:
			price = "0.0"
		}
		lines := 1 + random.IntN(5)
		for range lines {
			sku := fmt.Sprintf("SKU%d", random.IntN(8))
			if random.IntN(8) == 0 || number[0] == 'A' {
				sku = "POST"
			}
			text.WriteString(row(number, sku, "a note", sign*(1+random.IntN(6)), price, customer))
		}
	}
	return read(t, text.String())
}

// outcomes are the results of each invoice and each SKU. They do not depend on the order of the
// events.
func (s *shop) outcomes(t testing.TB) string {
	t.Helper()
	var text strings.Builder
	for sku, state := range s.stock(t) {
		if state.ReservedTotal != 0 || state.Promised != 0 || state.OnHand() < 0 {
			t.Errorf("%s: %d on hand, %d reserved, %d promised", sku, state.OnHand(), state.ReservedTotal, state.Promised)
		}
	}
	stocks := s.stock(t)
	for _, sku := range sorted(stocks) {
		fmt.Fprintln(&text, sku, stocks[sku].OnHand())
	}
	streams := s.streams(t)
	for _, name := range sorted(streams) {
		switch {
		case strings.HasPrefix(name, "stock-"):
		case strings.HasPrefix(name, "order-"): // several cancellations may change one order, in any order
			fmt.Fprintln(&text, name, inAnyOrder(streams[name]))
		default:
			fmt.Fprintln(&text, name, streams[name])
		}
	}
	return text.String()
}

// inAnyOrder returns the events of an order's stream, sorted and without their revisions. It leaves
// out the event order.stock_settled, because only a checkout that goes step by step records one. If
// a checkout is recorded in one append, its stock is allocated together with the confirmation, and
// there is no later step to settle.
func inAnyOrder(events string) string {
	var all []string
	for event := range strings.Lines(events) {
		_, event, _ = strings.Cut(event, " ")
		if strings.Contains(event, "order.stock_settled.") {
			continue
		}
		all = append(all, strings.Replace(event, "order.confirmed.v2", "order.confirmed.v1", 1))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func TestManyWorkersDoWhatOneDoes(t *testing.T) {
	for _, policy := range []cart.Policy{cart.AllOrNothing, cart.LineByLine} {
		for seed := range uint64(2) {
			file := scarceFile(t, seed, 250)
			options := Options{Opening: "30", Policy: policy, Workers: 1}
			one := newShop()
			want := one.mustImport(t, file, options)
			if want.OrdersTaken == 0 || want.OrdersRefused == 0 || want.AdjustmentsRefused == 0 || want.LinksKept == 0 {
				t.Fatalf("%s, seed %d: the file is not scarce enough to prove anything: %+v", policy, seed, want)
			}
			options.Workers = 16
			many := newShop()
			got := many.mustImport(t, file, options)
			if totals(got) != totals(want) {
				t.Errorf("%s, seed %d:\n16 workers %+v\none worker %+v", policy, seed, got, want)
			}
			if many.outcomes(t) != one.outcomes(t) {
				t.Errorf("%s, seed %d: some invoice ended otherwise with 16 workers", policy, seed)
			}
		}
	}
}

func TestInAnyOrderNothingIsOversold(t *testing.T) {
	const opened = 30
	file := scarceFile(t, 7, 400)
	s := newShop()
	summary := s.mustImport(t, file, Options{
		Opening: "30", Order: AnyOrder, Workers: 16, Kinds: []onlineretail.Kind{onlineretail.Sale},
	})
	if summary.OrdersTaken+summary.OrdersRefused != summary.Invoices[onlineretail.Sale] || summary.OrdersRefused == 0 {
		t.Errorf("got %+v", summary)
	}
	taken := map[unit.SKU]unit.Quantity{}
	posted := s.postedInvoices(t)
	for _, invoice := range file.Invoices {
		if _, in := posted[invoice.Number]; !in {
			continue
		}
		for _, line := range invoice.Lines {
			if line.Kind == unit.Stocked {
				taken[line.SKU] += line.Quantity
			}
		}
	}
	for sku, state := range s.stock(t) {
		if state.OnHand() < 0 || state.OnHand()+taken[sku] != opened {
			t.Errorf("%s: %d left, %d taken of %d", sku, state.OnHand(), taken[sku], opened)
		}
	}
}

func TestAReturnIsTiedToWhatWasReallySold(t *testing.T) {
	file := read(t, head+
		row("1", "LAMP", "", 5, "1.0", "7")+ // an order is placed
		row("2", "LAMP", "", 9, "1.0", "7")+ // refused: of the 6 units, 1 is left
		row("C3", "LAMP", "", -9, "1.0", "7")+ // matched to invoice 2, which has no order
		row("C4", "LAMP", "", -2, "1.0", "7")) // matched to invoice 1
	s := newShop()
	summary := s.mustImport(t, file, Options{Opening: "6", Workers: 4})
	if summary.OrdersRefused != 1 || summary.LinksKept != 1 || summary.LinksLost != 1 {
		t.Errorf("got %+v", summary)
	}
	if got, want := s.stock(t)["LAMP"].OnHand(), unit.Quantity(6-5+9+2); got != want {
		t.Errorf("%d on hand, want %d", got, want)
	}
	if got := s.streams(t)["order-1"]; !strings.Contains(got, "order.return_admitted.v1") || strings.Count(got, "order.transaction_recorded.v1") != 2 {
		t.Errorf("order 1 is\n%swant what came back of it admitted, and refunded", got)
	}
}

// TestAReturnByHandDoesNotStopAnImport: if another return has brought units back in the
// meantime, the import's return has one link less. If the import is continued, returns that
// are imported already keep their links.
func TestAReturnByHandDoesNotStopAnImport(t *testing.T) {
	file := read(t, head+
		row("1", "LAMP", "", 5, "1.0", "7")+
		row("C3", "LAMP", "", -1, "1.0", "7")+
		row("C4", "LAMP", "", -2, "1.0", "7"))
	s := newShop()
	options := Options{Opening: "6", Workers: 1, Kinds: []onlineretail.Kind{onlineretail.Sale}}
	s.mustImport(t, file, options)
	byHand := returns.Request{ReturnID: "mine", OrderID: "1", Currency: "GBP", Lines: []returns.Line{{
		SKU: "LAMP", Kind: unit.Stocked, Quantity: 4, Price: money(decimal.NewFromInt(1)),
		Links: []returns.Link{{OrderID: "1", Line: 1, Quantity: 4}},
	}}}
	meta := eventstore.Metadata{CommandID: uuid.New()}
	if _, err := serviceOver(s.store).Return(t.Context(), commands.Call{Who: access.Everyone, Meta: meta}, "mine", byHand); err != nil {
		t.Fatal(err)
	}
	options.Kinds = nil
	for _, turn := range []string{"first", "again"} {
		s.journal = &memoryJournal{} // as if the import was killed before it noted its progress
		if got := s.mustImport(t, file, options); got.LinksKept != 1 || got.LinksLost != 1 {
			t.Errorf("%s: %d links kept, %d lost; want one of each", turn, got.LinksKept, got.LinksLost)
		}
	}
}

func TestAnAdjustmentIsTakenWholeOrNotAtAll(t *testing.T) {
	file := read(t, head+
		row("1", "LAMP", "check", -5, "0.0", "")+
		row("1", "VASE", "check", -7, "0.0", "")+ // 6 are there
		row("2", "LAMP", "check", -6, "0.0", "")+
		row("3", "LAMP", "check", 1, "0.0", "")+
		row("3", "M", "by hand", 4, "0.0", ""))
	s := newShop()
	summary := s.mustImport(t, file, Options{Opening: "6", Workers: 4})
	stocks := s.stock(t)
	if summary.AdjustmentsRefused != 1 || stocks["LAMP"].OnHand() != 1 || stocks["VASE"].OnHand() != 6 {
		t.Errorf("got %+v, %d lamps, %d vases", summary, stocks["LAMP"].OnHand(), stocks["VASE"].OnHand())
	}
	if note := s.postedInvoices(t)["3"]; note.lines != 2 || note.units != 5 {
		t.Errorf("the adjustment by hand was lost: %+v", note)
	}
}

func TestAmpleStockNeverRunsShort(t *testing.T) {
	file := read(t, head+row("1", "LAMP", "", 3_000_000, "1.0", "7")+row("2", "VASE", "", 1, "1.0", "7"))
	s := newShop()
	summary := s.mustImport(t, file, Options{Opening: OpeningAmple, Workers: 4})
	if summary.OrdersTaken != 2 || summary.OpeningUnits != 2*10_000_000 || summary.ClosingUnits != 2*10_000_000-3_000_001 {
		t.Errorf("got %+v", summary)
	}
}

func TestOneUnitLessRunsShort(t *testing.T) {
	file := firstRows(t, 500)
	moved := onlineretail.Movements(file.Invoices)
	p, err := newPlan(file, Options{Opening: OpeningExact})
	if err != nil {
		t.Fatal(err)
	}
	for sku, m := range moved {
		if p.opening[sku] != m.Needed {
			t.Errorf("%s opens with %d, want %d", sku, p.opening[sku], m.Needed)
		}
	}
	p.opening["85123A"]--
	s := newShop()
	importer := s.start()
	counts, done, fresh, err := importer.begin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(importer, p, counts, done, fresh)
	if err := r.work(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.counts.OrdersRefused == 0 {
		t.Error("no order was refused")
	}
}

func TestEveryEventTellsWhoWhenAndWhy(t *testing.T) {
	file := read(t, head+row("1", "LAMP", "a lamp", 5, "1.0", "7")+row("C2", "LAMP", "a lamp", -5, "1.0", "7"))
	s := newShop()
	s.mustImport(t, file, Options{Opening: OpeningExact, Workers: 2})
	for recorded, err := range s.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		meta, err := eventstore.DecodeMetadata(recorded.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if meta.Actor != "system:import" || meta.Channel != "import" || !strings.HasPrefix(meta.CorrelationID, "import/") ||
			!meta.OccurredAt.Equal(file.Invoices[0].Time) {
			t.Errorf("%s of %s: %+v", recorded.Type, recorded.Stream, meta)
		}
	}
}
