package commandapi_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// overtaken is a log that calls a function when it has recorded the start of a checkout.
type overtaken struct {
	eventstore.Store
	once sync.Once
	by   func()
}

func (o *overtaken) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := o.Store.Append(ctx, stream, expected, events)
	if strings.HasPrefix(events[0].Type, "cart.checkout_started.") {
		o.once.Do(o.by)
	}
	return result, err
}

// The refusal has a position. A client that reads the cart at this position sees it open.
func TestARefusedCheckoutSaysWhereTheCartIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 5)
	short, slow, quick := s.cart("MUG", 99), s.cart("MUG", 1), s.cart("MUG", 1)
	checkout := func(s *shop, id, body string) response {
		name, value := key()
		return s.ask("POST", "/v1/carts/"+id+"/checkout", body, name, value)
	}

	refused := checkout(s, short, `{}`)
	refused.problem(t, 409, "stock-insufficient")
	wantEndOf(t, s, short, refused)

	racing := *s
	racing.store = &overtaken{Store: s.store, by: func() {
		if got := checkout(s, quick, `{"order_id":"o-1"}`); got.status != 201 {
			t.Errorf("the quick one: %s", got.text)
		}
	}}
	refused = checkout(racing.start(), slow, `{"order_id":"o-1"}`)
	refused.problem(t, 409, "order-id-taken")
	wantEndOf(t, s, slow, refused)

	unwritten := checkout(s, s.cart("MUG", 1), `{"order_id":"o-1"}`)
	unwritten.problem(t, 409, "order-id-taken")
	if at := unwritten.header.Get("Daybook-Position"); at != "" {
		t.Errorf("a refusal that recorded nothing has the position %s", at)
	}
}

// wantEndOf checks that an answer has the position of a cart's last event.
func wantEndOf(t *testing.T, s *shop, id string, got response) {
	t.Helper()
	var last eventstore.Position
	for e, err := range s.store.ReadStream(t.Context(), cart.Stream(unit.CartID(id)), 0, 100) {
		if err != nil {
			t.Fatal(err)
		}
		last = e.Position
	}
	if at := got.header.Get("Daybook-Position"); at != last.String() {
		t.Errorf("the refusal %s has the position %q, want %s", got.text, at, last)
	}
}
