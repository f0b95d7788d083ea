package kurrentdb_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"daybook/eventstore"
)

// laggard is a server whose log has ten events of type "t.v1". It tells the tenth as its head, but
// reads and subscriptions get only the first events, up to shown.
type laggard struct {
	shown atomic.Uint64
}

func (l *laggard) read(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
	after := options.GetAll().GetPosition().GetCommitPosition()
	switch {
	case options.GetReadDirection() == streams.ReadReq_Options_Backwards:
		return call.Send(event("t.v1", 10))
	case !isSubscription(options):
		if after > 0 {
			after-- // a read begins with the event at the position
		}
		defer l.shown.Store(10) // after the reader has noticed that events are missing
		return l.send(call, after, min(l.shown.Load(), after+options.GetCount()))
	case after >= 10: // the ring's
		if err := sendAll(call, confirmed(), caughtUp(), event("t.v1", 11)); err != nil {
			return err
		}
	default:
		if err := errors.Join(call.Send(confirmed()), l.send(call, after, l.shown.Load()), call.Send(caughtUp())); err != nil {
			return err
		}
	}
	<-call.Context().Done()
	return nil
}

func (l *laggard) send(call streams.Streams_ReadServer, after, last uint64) error {
	for n := after + 1; n <= last; n++ {
		if err := call.Send(event("t.v1", n)); err != nil {
			return err
		}
	}
	return nil
}

// The head was read at a node where it is 10. The node that serves the subscription has only 5
// events, and says that the subscription has caught up. No event may be skipped.
func TestASubscriptionAtANodeThatIsBehindSkipsNoEvent(t *testing.T) {
	t.Parallel()
	l := &laggard{}
	l.shown.Store(5)
	store := open(t, (&fake{read: l.read}).url(t))
	var last uint64
	for item, err := range store.Subscribe(within(t, patience), eventstore.Start, eventstore.Filter{}) {
		if err != nil {
			t.Fatalf("after event %d: %v", last, err)
		}
		if item.Event != nil {
			last++
		}
		if item.Checkpoint != eventstore.At(last) {
			t.Fatalf("it says that it is at %s after %d events", item.Checkpoint, last)
		}
		if last == 11 {
			return
		}
	}
	t.Errorf("it ended after event %d", last)
}
