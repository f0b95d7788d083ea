package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
)

// Many writers begin a deleted stream again at once. If they expect no stream, one succeeds and the
// others are refused. If they have no expectation, all succeed. No new event is hidden.
func TestADeletedStreamIsBegunAgainOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for name, c := range map[string]struct {
			expected expectation
			want     int
		}{"no-stream": {noStream, 1}, "any": {anyRevision, 8}} {
			s.write(name, several(3, "t.v1")...)
			s.mustDelete(name)
			outcomes := make([]string, 8)
			var group sync.WaitGroup
			for i := range outcomes {
				group.Go(func() {
					resp, _, err := s.appendTo(name, c.expected, event())
					outcomes[i] = outcome(resp, err)
				})
			}
			group.Wait()
			succeeded := 0
			for _, text := range outcomes {
				if text[:2] == "ok" {
					succeeded++
				} else if text[:5] != "wrong" && text != "Unavailable" {
					t.Errorf("%s: %s", name, text)
				}
			}
			var want []string
			for n := range succeeded {
				want = append(want, fmt.Sprintf("%s/%d", name, n+3))
			}
			s.read(ofStream(name)).wants(t, want...)
			if succeeded < 1 || succeeded > c.want {
				t.Errorf("%s: %d succeeded: %q", name, succeeded, outcomes)
			}
		}
	})
}

// contended is a log in which another writer writes a stream's metadata just before each append to
// it.
type contended struct {
	eventstore.Store
	times int
}

func (c *contended) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if stream == "$$a" && c.times > 0 {
		c.times--
		other := typed("$metadata")
		other.Data = []byte(`{"own":1}`)
		if _, err := c.Store.Append(ctx, stream, eventstore.Any, []eventstore.Event{other}); err != nil {
			return eventstore.Result{}, errors.Join(errors.New("the other"), err)
		}
	}
	return c.Store.Append(ctx, stream, expected, events)
}

func TestADeleteAgainstOthers(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		for times, want := range map[int]string{2: "OK", 100: "Unavailable"} {
			s := serve(t, &contended{Store: store, times: times}, gateway.Options{})
			s.write("a", event())
			if _, _, err := s.delete("a", anyRevision); status.Code(err).String() != want {
				t.Errorf("with %d others: %v, want %s", times, err, want)
			}
		}
	})
}
