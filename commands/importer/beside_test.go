package importer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// own is a call that the shop makes itself, without the import.
func own() commands.Call {
	return commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: "operator:ann", Channel: "web"}}
}

// sells lists a product in the shop, receives units of it and sells some of them by an order.
func (s *shop) sells(t *testing.T, sku unit.SKU, kind unit.Kind, received, sold unit.Quantity, id unit.OrderID) {
	t.Helper()
	service := serviceOver(s.store)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(service.Product(t.Context(), own(), sku, product.List{SKU: sku, Title: "The shop's own", Kind: kind}))
	if kind == unit.Stocked {
		must(service.MoveStock(t.Context(), own(), key(sku), stock.Receive{At: service.At(key(sku)), Quantity: received, Document: "PO-1"}))
	}
	if id == "" {
		return
	}
	basket := unit.CartID("c-" + id)
	must(service.AddLines(t.Context(), own(), basket, &cart.Open{CartID: basket, Currency: "GBP"}, []commands.WantedLine{
		{SKU: sku, Quantity: sold, Override: &cart.Offer{Title: "it", Kind: kind, Price: money(decimal.NewFromInt(1)), Overridden: true}},
	}))
	result, err := service.Checkout(t.Context(), own(), commands.CheckoutRequest{CartID: basket, OrderID: id, ReserveUntil: service.Now().Add(time.Hour)})
	if err != nil || !result.Placed {
		t.Fatalf("checkout: %+v, %v", result, err)
	}
	must(service.Order(t.Context(), own(), id, order.Confirm{Now: service.Now()}))
	must(service.Order(t.Context(), own(), id, order.Ship{ShipmentID: unit.ShipmentID("p-" + id), Location: unit.DefaultLocation}))
}

const besides = head + "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n" +
	"C536366,85123A,HOLDER,-2,2010-12-02 08:26:00,2.55,17850,United Kingdom\n" +
	"536367,POST,POSTAGE,1,2010-12-03 08:26:00,18.0,17850,United Kingdom\n"

// The shop keeps what it had before, and the import gives the same result as in an empty shop.
func TestAnImportLeavesOtherWorkAsItIs(t *testing.T) {
	t.Parallel()
	file, options := read(t, besides), Options{Opening: OpeningExact, Workers: 4}
	alone := newShop().mustImport(t, file, options)
	s := newShop()
	s.sells(t, "85123A", unit.Stocked, 9, 4, "own-1")
	before := s.streams(t)
	got := s.mustImport(t, file, options)
	if got.ClosingUnits != alone.ClosingUnits+9-4 {
		t.Errorf("%d units on hand at the end, want %d of the import alone and 5 of the shop", got.ClosingUnits, alone.ClosingUnits)
	}
	if got.Events != alone.Events-1 { // a product is listed already
		t.Errorf("%d events, by itself %d", got.Events, alone.Events)
	}
	got.ClosingUnits, got.Events = alone.ClosingUnits, alone.Events
	if totals(got) != totals(alone) {
		t.Errorf("got  %+v\nwant %+v", got, alone)
	}
	after := s.streams(t)
	for stream, text := range before {
		if strings.HasPrefix(stream, "stock-") && strings.HasPrefix(after[stream], text) {
			continue
		}
		if after[stream] != text {
			t.Errorf("stream %s was\n%sand is\n%s", stream, text, after[stream])
		}
	}
	if again := s.mustImport(t, file, options); again.AlreadyIn != 3 || again.ClosingUnits != alone.ClosingUnits+5 {
		t.Errorf("again: %+v", again)
	}
}

// If the import needs a name that the shop already uses, it records nothing.
func TestAnImportThatNeedsWhatIsTakenIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*testing.T, *shop)
		says    string
	}{
		"an order's id": {func(t *testing.T, s *shop) { s.sells(t, "MINE", unit.Stocked, 2, 1, "536365") }, "order 536365"},
		"a product of another kind": {
			func(t *testing.T, s *shop) { s.sells(t, "POST", unit.Stocked, 2, 0, "") },
			"product POST, which is of kind stocked and not service",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			c.prepare(t, s)
			before := len(s.streams(t))
			_, err := s.start().Run(t.Context(), read(t, besides), Options{Opening: OpeningExact, Workers: 4})
			if taken, is := errors.AsType[*TakenError](err); !is || len(taken.Taken) != 1 || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
			if after := len(s.streams(t)); after != before || s.journal.name != "" {
				t.Errorf("%d streams, before %d; the journal says %q", after, before, s.journal.name)
			}
		})
	}
}
