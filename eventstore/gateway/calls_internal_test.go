package gateway

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"

	"daybook/eventstore/memory"
)

// listened counts what is taken of a caller who ends at once.
type listened struct {
	grpc.ServerStream
	ctx   context.Context
	times int
}

func (l *listened) Context() context.Context { return l.ctx }
func (l *listened) RecvMsg(any) error        { l.times++; return errors.New("the end") }

// What refused appends send is held in memory as it comes, so few are heard out at
// a time.
func TestFewRefusedAppendsAreHeardOut(t *testing.T) {
	t.Parallel()
	s, err := New(memory.New(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for taken, want := range map[int64]int{hearing: 0, hearing - 1: 1} {
		if err := s.hearing.Acquire(t.Context(), taken); err != nil {
			t.Fatal(err)
		}
		for range 2 { // one after the other
			caller := &listened{ctx: t.Context()}
			if s.hearOut(caller); caller.times != want {
				t.Errorf("with %d of %d places taken, %d messages were heard, want %d", taken, hearing, caller.times, want)
			}
		}
		s.hearing.Release(taken)
	}
}
