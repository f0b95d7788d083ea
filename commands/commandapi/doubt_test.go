package commandapi_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/problem"
)

// cut is a log that refuses everything after some appends.
type cut struct {
	eventstore.Store
	left atomic.Int64
	why  error
}

func (c *cut) refuses() error {
	if c.left.Load() > 0 {
		return nil
	}
	return c.why
}

func (c *cut) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if c.left.Add(-1) < 0 {
		return eventstore.Result{}, c.why
	}
	return c.Store.Append(ctx, stream, expected, events)
}

func (c *cut) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	if err := c.refuses(); err != nil {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, err) }
	}
	return c.Store.ReadStream(ctx, stream, from, limit)
}

func (c *cut) Head(ctx context.Context) (eventstore.Position, error) {
	if err := c.refuses(); err != nil {
		return eventstore.Start, err
	}
	return c.Store.Head(ctx)
}

const plenty = 1 << 40

// steps are requests that record something in one stream or in several.
var steps = []struct {
	name, method, path, body string
	appends                  int // at least
}{
	{"a receipt", http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":1,"document":"PO"}`, 1},
	{"a cart", http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, 1},
	{"a checkout", http.MethodPost, "/v1/carts/%s/checkout", `{"payment":{},"confirm":true}`, 5},
	{"a cancellation", http.MethodPost, "/v1/orders/o-1/cancel", `{"reason":"customer"}`, 2},
}

// A log is replaced, or goes away, at each point of a request. If nothing was recorded the
// problem says why. If something was, the outcome is not known, because no problem may
// say that nothing was done.
func TestARequestThatIsCutOffSaysWhetherSomethingMayBeDone(t *testing.T) {
	t.Parallel()
	for _, cause := range []struct {
		err  error
		code string
	}{
		{&eventstore.DivergedError{Keeper: "this node"}, problem.CodeDiverged},
		{&eventstore.UnavailableError{Cause: errors.New("no connection")}, problem.CodeUnavailable},
		{&eventstore.DeniedError{Cause: errors.New("no rights")}, problem.CodeUnavailable},
	} {
		for _, step := range steps {
			t.Run(fmt.Sprintf("%T/%s", cause.err, step.name), func(t *testing.T) {
				t.Parallel()
				for n := int64(0); ; n++ {
					log := &cut{Store: memory.New(), why: cause.err}
					log.left.Store(plenty)
					s := shop{t: t, store: log, answers: open(t).answers}.start()
					s.sell("MUG", 10)
					s.order("o-1", 1, true)
					path := step.path
					if step.name == "a checkout" {
						path = fmt.Sprintf(path, s.cart("MUG", 1))
					}
					log.left.Store(n)
					header, value := key()
					got := s.ask(step.method, path, step.body, header, value)
					want := problem.CodeOutcomeUnknown
					if n == 0 {
						want = cause.code
					}
					if got.status < 300 {
						if n < int64(step.appends) {
							t.Errorf("it was done after %d appends", n)
						}
						break
					}
					got.problem(t, http.StatusServiceUnavailable, want)
					if t.Failed() {
						t.Fatalf("after %d appends: %s", n, got.text)
					}
				}
			})
		}
	}
}

// A kept answer describes the log that the node has followed. So it is not given again if that
// log was replaced. It is given while the log cannot be reached.
func TestAnAnswerIsNotGivenAgainFromAnotherLog(t *testing.T) {
	t.Parallel()
	log := &cut{Store: memory.New()}
	log.left.Store(plenty)
	s := shop{t: t, store: log, answers: open(t).answers}.start()
	s.sell("MUG", 10)
	header, value := key()
	ask := func() response {
		return s.ask(http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":1,"document":"PO"}`, header, value)
	}
	if got := ask(); got.status != http.StatusOK || s.answers.count(value) != 1 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	log.left.Store(0)
	log.why = &eventstore.UnavailableError{Cause: errors.New("no connection")}
	if got := ask(); got.status != http.StatusOK || got.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("while the log is away: %d %s", got.status, got.text)
	}
	log.why = &eventstore.DivergedError{Keeper: "this node"}
	ask().problem(t, http.StatusServiceUnavailable, problem.CodeDiverged)
}

// away is a log that takes no append to several streams.
type away struct{ eventstore.Store }

func (a *away) AppendAll(context.Context, []eventstore.Write) ([]eventstore.Result, error) {
	return nil, &eventstore.UnavailableError{Cause: errors.New("no connection")}
}

func TestAProblemNamesNoOrderThatIsNotPlaced(t *testing.T) {
	t.Parallel()
	s := shop{t: t, store: &away{memory.New()}, answers: open(t).answers}.start()
	s.sell("MUG", 10)
	path := fmt.Sprintf("/v1/carts/%s/checkout", s.cart("MUG", 1))
	header, value := key()
	got := s.ask(http.MethodPost, path, `{"payment":{},"confirm":true}`, header, value)
	if got.status != http.StatusServiceUnavailable || strings.Contains(got.text, "order_id") {
		t.Errorf("%d %s; want 503 without an order", got.status, got.text)
	}
}
