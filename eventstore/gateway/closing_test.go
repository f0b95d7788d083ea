package gateway_test

import (
	"context"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// closes begins to close a gateway, with much more time than it needs.
func closes(t *testing.T, s *served) <-chan error {
	t.Helper()
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience/4)
		defer cancel()
		closed <- s.server.Close(ctx)
	}()
	return closed
}

// While the server closes, it accepts no new calls, even on a connection that was not told to end
// yet. A call that never sent anything does not delay the closing.
func TestClosingTakesNoNewCalls(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 8), release: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	sub := s.subscribe(t, ofAll())
	sub.wants("confirmation", "caught up")
	appended := make(chan error, 1)
	go func() {
		_, _, err := s.appendTo("a", noStream, event())
		appended <- err
	}()
	<-log.begun
	silent, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// The silent call came before this one. So the server has accepted it when this one is
	// answered.
	late := gossip.NewGossipClient(s.dial(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if _, err := late.Read(s.ctx, empty); err != nil {
		t.Fatal(err)
	}
	closed := closes(t, s)
	if _, err := sub.call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the subscription ended with %v", err)
	}
	for range 3 {
		if _, err := s.raw.Delete(s.ctx, &streams.DeleteReq{}); status.Code(err) != codes.Unavailable {
			t.Errorf("a new call: %v", err)
		}
		if _, err := late.Read(s.ctx, empty); status.Code(err) != codes.Unavailable {
			t.Errorf("a new call without credentials: %v", err)
		}
	}
	close(log.release)
	if err := <-appended; err != nil {
		t.Errorf("the append under way: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// A call that sends nothing does not delay the closing of the server.
func TestClosingWaitsForNoSilentCall(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	consumers := persistent.NewPersistentSubscriptionsClient(s.conn)
	calls := map[string]func() (grpc.ClientStream, error){
		"append":          func() (grpc.ClientStream, error) { return s.raw.Append(s.ctx) },
		"batch append":    func() (grpc.ClientStream, error) { return s.raw.BatchAppend(s.ctx) },
		"persistent read": func() (grpc.ClientStream, error) { return consumers.Read(s.ctx) },
		"read": func() (grpc.ClientStream, error) {
			return s.conn.NewStream(s.ctx, &grpc.StreamDesc{ServerStreams: true}, streams.Streams_Read_FullMethodName)
		},
	}
	silent := make(map[string]grpc.ClientStream)
	for name, open := range calls {
		var err error
		if silent[name], err = open(); err != nil {
			t.Fatal(err)
		}
	}
	s.read(ofAll()) // when this call is answered, the server has accepted the earlier ones, too
	closed := closes(t, s)
	for name, call := range silent {
		if err := call.RecvMsg(&shared.Empty{}); status.Code(err) != codes.Unavailable {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Everybody can call and send for ever. So the rest of a refused append is read only for a short
// time, and then the caller gets the refusal.
func TestARefusedCallerGetsTheRefusalWhileItSends(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	stranger := c.as(t, "")
	ended := make(chan error)
	const calls = 10
	for range calls {
		call, err := stranger.raw.Append(stranger.ctx)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- call.RecvMsg(&streams.AppendResp{}) }()
	}
	for range calls {
		if err := <-ended; status.Code(err) != codes.Unauthenticated {
			t.Errorf("it ended with %v", err)
		}
	}
}
