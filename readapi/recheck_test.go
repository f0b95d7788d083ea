package readapi

import (
	"context"
	"errors"
	"testing"

	"daybook/internal/problem"
)

// reachesAll is a read model that reaches every position at once.
type reachesAll struct{ Progress }

func (reachesAll) Wait(context.Context, string, ...string) error { return nil }

func (reachesAll) Position(context.Context, ...string) (string, error) { return "9", nil }

// A read that waited for a position is refused if its sender has lost its rights meanwhile.
func TestAReadThatWaitedIsAuthorizedAgain(t *testing.T) {
	t.Parallel()
	lost := errors.New("the rights have ended")
	ctx := problem.NewContext(t.Context(), &problem.Request{Recheck: func() error { return lost }})
	a := &api{Config: Config{Progress: reachesAll{}}, waits: newPlaces("reads", 1, 1, 1)}
	if _, err := a.waitForPosition(ctx, &Reading{MinPosition: "9"}, nil); !errors.Is(err, lost) {
		t.Errorf("error %v, want %v", err, lost)
	}
}
