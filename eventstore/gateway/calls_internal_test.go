package gateway

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"daybook/eventstore/memory"
)

// listened is a stream that counts what is read from a caller. The caller ends at once.
type listened struct {
	grpc.ServerStream
	times int
}

// transport is the gRPC stream under a listened stream.
type transport struct {
	grpc.ServerTransportStream
	of *listened
}

func (l *listened) Context() context.Context {
	return grpc.NewContextWithServerTransportStream(context.Background(), transport{of: l})
}

func (t transport) ReadMessageHeader([]byte) error  { t.of.times++; return errors.New("the end") }
func (transport) Read(int) (mem.BufferSlice, error) { return nil, errors.New("the end") }
func (transport) RecvCompress() string              { return "" }

// Reading the rest of a refused append takes time, and everybody can cause it. So it is done for
// only a few appends at a time.
func TestFewRefusedAppendsAreHeardOut(t *testing.T) {
	t.Parallel()
	s, err := New(memory.New(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for taken, want := range map[int64]int{drainAtOnce: 0, drainAtOnce - 1: 1} {
		if err := s.hearing.Acquire(t.Context(), taken); err != nil {
			t.Fatal(err)
		}
		for range 2 { // one after the other
			caller := &listened{}
			if s.drain(caller); caller.times != want {
				t.Errorf("with %d of %d places taken, %d messages were heard, want %d", taken, drainAtOnce, caller.times, want)
			}
		}
		s.hearing.Release(taken)
	}
}
