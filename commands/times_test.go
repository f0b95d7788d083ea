package commands_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// The test finds each method of the service that takes a call by reflection. So it also checks the
// bounds of new methods.
func TestEveryCallIsHeldToTheBoundsOfTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	log := memory.New()
	service := commands.NewService(log, commands.DefaultPolicy(), func() time.Time { return now }, aggregate.Options{})
	value, asked := reflect.ValueOf(service), 0
	for i := range value.NumMethod() {
		method := value.Type().Method(i)
		of := value.Method(i).Type()
		if of.NumIn() < 2 || of.In(1) != reflect.TypeFor[commands.Call]() {
			continue
		}
		asked++
		for _, at := range []time.Time{
			time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1066, 10, 14, 0, 0, 0, 0, time.UTC), time.Date(1989, 12, 31, 23, 59, 59, 0, time.UTC),
			now.Add(24*time.Hour + time.Second), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		} {
			call := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), OccurredAt: at}}
			in := []reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(call)}
			for n := 2; n < of.NumIn() && (!of.IsVariadic() || n < of.NumIn()-1); n++ {
				in = append(in, reflect.Zero(of.In(n)))
			}
			out := value.Method(i).Call(in)
			err, _ := out[len(out)-1].Interface().(error)
			if bad, is := errors.AsType[*commands.TimeError](err); !is || bad.What != "occurred_at" {
				t.Errorf("%s at %s: %v, want it refused", method.Name, at, err)
			}
		}
	}
	if asked < 7 {
		t.Errorf("only %d methods take a call", asked)
	}
	if head, err := log.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("something was recorded: %s, %v", head, err)
	}
}

func TestWhatIsWithinTheBoundsOfTimeIsTaken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	key := stock.Key{SKU: "MUG", Location: unit.DefaultLocation}
	policy := commands.DefaultPolicy()
	policy.Times = unit.TimeBounds{Earliest: time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), Ahead: 48 * time.Hour}
	for name, test := range map[string]struct {
		policy commands.Policy
		at     time.Time
	}{
		"none":                   {commands.DefaultPolicy(), time.Time{}},
		"the first":              {commands.DefaultPolicy(), time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)},
		"the last":               {commands.DefaultPolicy(), now.Add(24 * time.Hour)},
		"the first of a setting": {policy, time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)},
		"the last of a setting":  {policy, now.Add(48 * time.Hour)},
	} {
		service := commands.NewService(memory.New(), test.policy, func() time.Time { return now }, aggregate.Options{})
		call := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), OccurredAt: test.at}}
		if _, err := service.MoveStock(context.WithoutCancel(t.Context()), call, key, stock.Receive{At: service.At(key), Quantity: 1}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADeadlineTooFarAwayIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	log := memory.New()
	service := commands.NewService(log, commands.DefaultPolicy(), func() time.Time { return now }, aggregate.Options{})
	key := stock.Key{SKU: "MUG", Location: unit.DefaultLocation}
	far := now.Add(unit.MaxReservation + time.Second)
	call := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}
	_, reserved := service.MoveStock(t.Context(), call, key, stock.Reserve{At: service.At(key), ReservationID: "r", OrderID: "o", Quantity: 1, ExpiresAt: far})
	_, extended := service.MoveStock(t.Context(), call, key, stock.Extend{At: service.At(key), ReservationID: "r", ExpiresAt: far})
	_, checkedOut := service.Checkout(t.Context(), call, commands.CheckoutRequest{CartID: "c", OrderID: "o", ReserveUntil: far})
	for _, err := range []error{reserved, extended, checkedOut} {
		if bad, is := errors.AsType[*commands.TimeError](err); !is || bad.What != "expires_at" {
			t.Errorf("got %v", err)
		}
	}
	if head, err := log.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("something was recorded: %s, %v", head, err)
	}
}
