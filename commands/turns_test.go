package commands_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"daybook/commands/internal/shoptest"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// turnLog is a groupLog whose nodes take turns. It notes what is done, in order.
type turnLog struct {
	groupLog
	mu      sync.Mutex
	done    []string
	refuses error // what TakeTurn returns, if set
}

func (l *turnLog) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, what)
}

func (l *turnLog) TakeTurn(ctx context.Context) (eventstore.Position, func(), error) {
	l.note("take")
	if l.refuses != nil {
		return eventstore.Start, nil, l.refuses
	}
	head, err := l.Head(ctx)
	return head, func() { l.note("give back") }, err
}

// A node takes turns only after another writer was first, and gives each turn back after its
// appends. A turn that it does not get holds up nothing.
func TestNodesThatMeetTakeTurns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refuses error
		want    []string
	}{
		"the turn comes": {nil, []string{"append", "take", "append", "give back"}},
		"it does not":    {errors.New("another node has it"), []string{"append", "take", "append"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &turnLog{groupLog: groupLog{Store: memory.New()}, refuses: c.refuses}
			log.fault = func(number int, appendAll func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
				log.note("append")
				if number == 1 {
					return nil, &eventstore.ConflictError{Stream: "stock-MUG@default", Expected: 0, Actual: 1}
				}
				return appendAll()
			}
			s := atNoon(t, log)
			ask := sellMugs(t, s)
			if _, err := s.Checkout(t.Context(), shoptest.NewCall(), ask); err != nil {
				t.Fatal(err)
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			if !slices.Equal(log.done, c.want) {
				t.Errorf("%q, want %q", log.done, c.want)
			}
		})
	}
}
