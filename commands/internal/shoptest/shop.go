// Package shoptest opens shops for tests. A shop is a service with goods to sell, and has
// short methods for what tests of processes do often.
package shoptest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/verify"
)

// Shop is a service with a catalogue of goods at 2.50 GBP and stock.
type Shop struct {
	*commands.Service
	T   *testing.T
	Log eventstore.Store
}

// Open opens a shop over a log. Its clock is the real one.
func Open(t *testing.T, store eventstore.Store, policy commands.Policy) *Shop {
	t.Helper()
	return &Shop{Service: commands.NewService(store, policy, time.Now, aggregate.Options{}), T: t, Log: store}
}

// NewCall is a call with a command id that is new.
func NewCall() commands.Call {
	id := uuid.New()
	return commands.Call{Who: access.System("test"), Meta: eventstore.Metadata{CommandID: id, CorrelationID: id.String(), Actor: "system:test", Channel: "test"}}
}

// Key is the stock of a SKU at the default location.
func Key(sku unit.SKU) stock.Key { return stock.Key{SKU: sku, Location: unit.DefaultLocation} }

// Sell lists goods at 2.50 GBP, and receives that many units.
func (s *Shop) Sell(sku unit.SKU, units unit.Quantity) {
	s.T.Helper()
	price, err := unit.ParseMoney("2.50", "GBP")
	if err != nil {
		s.T.Fatal(err)
	}
	_, err = s.Product(s.T.Context(), NewCall(), sku, product.List{SKU: sku, Title: "A " + string(sku), Kind: unit.Stocked}, product.SetPrice{Price: price})
	if err != nil {
		s.T.Fatal(err)
	}
	s.Receive(sku, units)
}

// Receive receives goods at the default location.
func (s *Shop) Receive(sku unit.SKU, units unit.Quantity) {
	s.T.Helper()
	if units == 0 {
		return
	}
	if _, err := s.MoveStock(s.T.Context(), NewCall(), Key(sku), stock.Receive{At: s.At(Key(sku)), Quantity: units}); err != nil {
		s.T.Fatal(err)
	}
}

// FillCart opens a cart with lines.
func (s *Shop) FillCart(id unit.CartID, lines map[unit.SKU]unit.Quantity) error {
	var wanted []commands.WantedLine
	for sku, quantity := range lines {
		wanted = append(wanted, commands.WantedLine{SKU: sku, Quantity: quantity})
	}
	first := NewCall()
	first.New = true
	_, err := s.AddLines(s.T.Context(), first, id, &cart.Open{CartID: id, Currency: "GBP"}, wanted)
	return err
}

// Available is how much of a SKU can be sold from the default location.
func (s *Shop) Available(sku unit.SKU) (available unit.Quantity) {
	s.T.Helper()
	err := s.ViewStock(s.T.Context(), Key(sku), func(state stock.State, _ int64) { available = state.Available(time.Now()) })
	if err != nil {
		s.T.Fatal(err)
	}
	return available
}

// OrderState is an order as it is now.
func (s *Shop) OrderState(id unit.OrderID) (state order.State) {
	s.T.Helper()
	if err := s.ViewOrder(s.T.Context(), id, func(now order.State, _ int64) { state = now.Clone() }); err != nil {
		s.T.Fatal(err)
	}
	return state
}

// Audit fails the test if verify finds a fault in the log.
func (s *Shop) Audit() {
	s.T.Helper()
	_, report, err := verify.Log(s.T.Context(), s.Log, time.Now(), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, check := range report.Checks {
		for _, first := range check.First {
			s.T.Errorf("%s: %s", check.Name, first)
		}
	}
}

// CartState is a cart as it is now.
func (s *Shop) CartState(id unit.CartID) (state cart.State) {
	s.T.Helper()
	if err := s.ViewCart(s.T.Context(), id, func(now cart.State, _ int64) { state = now }); err != nil {
		s.T.Fatal(err)
	}
	return state
}

// PlaceOrder checks a cart out under an order id. If no order was placed, its error says why.
func (s *Shop) PlaceOrder(id unit.CartID, orderID unit.OrderID) error {
	result, err := s.Checkout(s.T.Context(), NewCall(), commands.CheckoutRequest{CartID: id, OrderID: orderID, ReserveUntil: time.Now().Add(time.Hour)})
	return errors.Join(err, result.Refusal())
}

// MergeInto puts the lines of a cart into another.
func (s *Shop) MergeInto(into, from unit.CartID) error {
	_, err := s.MergeCart(s.T.Context(), NewCall(), into, from)
	return err
}

// BeginAsBefore only begins a checkout, as older programs did. They did not record who chose
// the order id.
func (s *Shop) BeginAsBefore(id unit.CartID, orderID unit.OrderID) {
	s.T.Helper()
	var batch []eventstore.Event
	events, err := cart.Decide(cart.StartCheckout{OrderID: orderID, ReserveUntil: time.Now().Add(time.Hour)}, s.CartState(id))
	if err != nil {
		s.T.Fatal(err)
	}
	started := events[0].(cart.CheckoutStarted)
	started.OrderIDFrom = ""
	typ, data, err := cart.Encode(started)
	if err != nil {
		s.T.Fatal(err)
	}
	meta, err := NewCall().Meta.Encode()
	if err != nil {
		s.T.Fatal(err)
	}
	batch = append(batch, eventstore.Event{ID: aggregate.EventID(NewCall().Meta.CommandID, 0), Type: typ, Data: data, Meta: meta})
	if _, err := s.Log.Append(s.T.Context(), cart.Stream(id), eventstore.Any, batch); err != nil {
		s.T.Fatal(err)
	}
}

// Must ends the test if there is an error.
func (s *Shop) Must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// LastEvent is the latest event of a stream. The test ends if there is none.
func (s *Shop) LastEvent(stream string) eventstore.Recorded {
	s.T.Helper()
	for last, err := range s.Log.ReadStreamBackwards(s.T.Context(), stream, eventstore.LastRevision, 1) {
		if err != nil {
			s.T.Fatal(err)
		}
		return last
	}
	s.T.Fatalf("%s has no event", stream)
	return eventstore.Recorded{}
}

// AppendRaw appends an event as the shop does. The caller gives its stored form.
func AppendRaw(t *testing.T, store eventstore.Store, stream, typ, data string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := NewCall().Meta.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: typ, Data: []byte(data), Meta: meta}}); err != nil {
		t.Fatal(err)
	}
}

// AppendForeign appends an event as another program does, with metadata that names a command.
func AppendForeign[E any](t *testing.T, log eventstore.Store, stream string, command uuid.UUID, encode func(E) (string, []byte, error), event E) {
	t.Helper()
	eventType, data, err := encode(event)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := eventstore.Metadata{CommandID: command}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: eventType, Data: data, Meta: meta}}); err != nil {
		t.Fatal(err)
	}
}
