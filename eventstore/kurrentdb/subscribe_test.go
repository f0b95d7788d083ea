package kurrentdb

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"daybook/eventstore"
)

// A node that is behind gets a fixed time to catch up. This time begins when the node shows that it
// is behind, however long the outage before was.
func TestALeaderThatIsBehindIsGivenAMoment(t *testing.T) {
	away := &eventstore.UnavailableError{Cause: errLooking}
	for name, c := range map[string]struct {
		outage, behind time.Duration
		passes         bool
	}{
		"a moment":                  {0, settling / 2, true},
		"a moment after an outage":  {time.Minute, settling / 2, true},
		"for good":                  {0, time.Hour, false},
		"for good, after an outage": {time.Minute, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &subscription{store: &Store{logger: slog.New(slog.DiscardHandler), closed: make(chan struct{})}}
				began := time.Now()
				err := s.outlast(t.Context(), func(context.Context) error {
					switch since := time.Since(began); {
					case since < c.outage:
						return away
					case since < c.outage+c.behind:
						return &eventstore.UnknownPlaceError{Position: eventstore.At(2), Head: eventstore.At(1)}
					}
					return nil
				})
				if _, beyond := errors.AsType[*eventstore.UnknownPlaceError](err); c.passes != (err == nil) || !c.passes && !beyond {
					t.Errorf("error %v; passes should be %t", err, c.passes)
				}
			})
		})
	}
}
