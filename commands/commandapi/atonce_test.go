package commandapi_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// distant is a log whose calls take a moment, like those of a real engine. So requests that come at
// the same moment all read a state before one of them changes it.
type distant struct{ eventstore.Store }

func (d distant) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	pause.For(ctx, time.Millisecond)
	return d.Store.Append(ctx, stream, expected, events)
}

func (d distant) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	pause.For(ctx, time.Millisecond)
	return d.Store.ReadStream(ctx, stream, from, limit)
}

// atOnce sends requests at the same moment, each under a key of its own.
func (s *shop) atOnce(method, path string, bodies ...string) []response {
	s.t.Helper()
	answers := make([]response, len(bodies))
	begin := make(chan struct{})
	var wait sync.WaitGroup
	for i, body := range bodies {
		name, value := key()
		wait.Go(func() {
			<-begin
			answers[i] = s.ask(method, path, body, name, value)
		})
	}
	close(begin)
	wait.Wait()
	return answers
}

// Parcels of one return that arrive at the same moment are all recorded, each under a number of its
// own, whether their lines are equal or not.
func TestReceiptsAtTheSameMomentAreAllRecorded(t *testing.T) {
	t.Parallel()
	const parcels = 8
	equal, different := make([]string, parcels), make([]string, parcels)
	for i := range parcels {
		equal[i] = comingBack("restocked")
		different[i] = fmt.Sprintf(`{"lines":[{"line":1,"quantity":1,"disposition":"restocked","location":"place-%d"}]}`, i)
	}
	for name, bodies := range map[string][]string{"equal": equal, "different": different} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 5 {
				s := open(t)
				s.store = distant{s.store}
				s = s.start()
				s.must("POST", "/v1/returns", fmt.Sprintf(`{"return_id":"r","currency":"GBP","lines":[{"sku":"MUG","quantity":%d,"price":"1"}]}`, parcels))
				s.must("POST", "/v1/returns/r/approve", "")
				for _, got := range s.atOnce("POST", "/v1/returns/r/receipts", bodies...) {
					if got.status != http.StatusOK {
						t.Errorf("a parcel is answered %d %s", got.status, got.text)
					}
				}
				err := s.service.ViewReturn(t.Context(), "r", func(state returns.State, _ int64) {
					if len(state.Receipts) != parcels || state.Lines[0].Ended != parcels {
						t.Errorf("%d receipts of %d units are recorded, want %d of one unit each", len(state.Receipts), state.Lines[0].Ended, parcels)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := s.stock("MUG").Goods; name == "equal" && got != unit.Quantity(parcels) {
					t.Errorf("%d units are on hand, want %d", got, parcels)
				}
				s.verify("after the parcels")
			}
		})
	}
}

// eventTypes counts the events of a log by type.
func (s *shop) eventTypes() map[string]int {
	s.t.Helper()
	count := map[string]int{}
	for recorded, err := range s.store.ReadAll(s.t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		count[recorded.Type]++
	}
	return count
}

// Two equal requests under two keys have the same effect at the same moment as one after the other.
// Example: two receipts of a return are both recorded, each under a number of its own. So no route
// may choose a number or an id from a state that was read before the command is decided. The test
// tries every route that takes a key.
func TestTwoRequestsAtTheSameMomentDoWhatTheyDoOneAfterTheOther(t *testing.T) {
	t.Parallel()
	operations := operationMethods(t)
	far := func(store eventstore.Store) eventstore.Store { return distant{store} }
	for _, id := range slices.Sorted(maps.Keys(keyedRequests)) {
		request := keyedRequests[id]
		if request.everyTime {
			continue
		}
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			inTurn := prepared(t, memory.New(), far, request)
			want := make([]int, 2)
			for i := range want {
				name, value := key()
				want[i] = inTurn.ask(operations[id], request.path, request.body, name, value).status
			}
			slices.Sort(want)
			for range 4 {
				s := prepared(t, memory.New(), far, request)
				got := make([]int, len(want))
				texts := make([]string, len(want))
				for i, answer := range s.atOnce(operations[id], request.path, request.body, request.body) {
					got[i], texts[i] = answer.status, answer.text
					if answer.header.Get("Idempotency-Replayed") != "" {
						t.Errorf("a first request is marked as repeated: %s", answer.text)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("answers %v, want %v as in turn: %q", got, want, texts)
				}
				if now, then := s.eventTypes(), inTurn.eventTypes(); !maps.Equal(now, then) {
					t.Errorf("recorded %v, want %v as in turn", now, then)
				}
			}
		})
	}
}

// A first request is not marked as repeated, even if another driver of its process does the rest
// first. Its answer is kept all the same, and given again with the mark.
func TestOnlyARequestThatWasMadeBeforeIsMarkedAsRepeated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, body string
		begins     string // the event after which the other driver comes
		other      func(s *shop) error
	}{
		"merge": {
			path: "/v1/carts/c/merge", body: `{"from":"guest"}`, begins: "cart.merged_into.",
			other: func(s *shop) error {
				return s.service.FinishMerge(s.t.Context(), eventstore.Metadata{CommandID: uuid.New()}, "guest")
			},
		},
		"checkout": {
			path: "/v1/carts/c/checkout", body: `{"payment":{},"confirm":true}`, begins: "cart.checkout_started.",
			other: func(s *shop) error {
				name, value := key()
				s.must("POST", "/v1/carts/c/checkout", `{"payment":{},"confirm":true}`, name, value)
				return nil
			},
		},
		"checkout under an id": {
			path: "/v1/carts/c/checkout", body: `{"order_id":"o"}`, begins: "cart.checkout_started.",
			other: func(s *shop) error { return s.service.FinishCheckout(s.t.Context(), "c", "o") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.sell("MUG", 9)
			for _, id := range []string{"c", "guest"} {
				s.must("POST", "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
			}
			racing := *s
			came := false
			racing.store = &overtaking{Store: s.store, after: c.begins, by: func() {
				came = true
				if err := c.other(s); err != nil {
					t.Error(err)
				}
			}}
			node := racing.start()
			header, value := key()
			first := node.must("POST", c.path, c.body, header, value)
			if mark := first.header.Get("Idempotency-Replayed"); mark != "" || !came {
				t.Errorf("the first answer has the mark %q; the other driver came: %t", mark, came)
			}
			if n := s.answers.count(value); n != 1 {
				t.Errorf("%d answers are kept, want 1", n)
			}
			for _, kept := range []bool{true, false} {
				if !kept {
					s.answers.lose()
				}
				again := node.must("POST", c.path, c.body, header, value)
				if again.header.Get("Idempotency-Replayed") != "true" || again.status != first.status {
					t.Errorf("the same request again (answer kept: %t): %d, mark %q; first %d", kept, again.status, again.header.Get("Idempotency-Replayed"), first.status)
				}
			}
			s.verify("after all requests")
		})
	}
}

// overtaking runs a function when the log has the first event of a type.
type overtaking struct {
	eventstore.Store
	after string // how the type begins
	once  sync.Once
	by    func()
}

func (o *overtaking) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := o.Store.Append(ctx, stream, expected, events)
	if strings.HasPrefix(events[0].Type, o.after) {
		o.once.Do(o.by)
	}
	return result, err
}
