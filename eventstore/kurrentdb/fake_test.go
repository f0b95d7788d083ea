package kurrentdb_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// fake is a server whose answers a test sets. A call for which the test sets nothing is answered as
// an empty log would answer.
type fake struct {
	append func(streams.Streams_AppendServer) error
	read   func(*streams.ReadReq_Options, streams.Streams_ReadServer) error
	gossip func() *gossip.ClusterInfo
	// If tombstone is nil, the server answers that it does not have this method.
	tombstone func(context.Context, *streams.TombstoneReq) (*streams.TombstoneResp, error)
	// version returns the version that a client is told when it connects. If it is nil, the client
	// gets a version that it can read.
	version func() string

	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
}

func (f *fake) serve(t *testing.T) (host string, port int) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(17<<20), grpc.MaxSendMsgSize(17<<20),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	streams.RegisterStreamsServer(server, f)
	serverfeatures.RegisterServerFeaturesServer(server, f)
	gossip.RegisterGossipServer(server, gossiping{fake: f})
	go server.Serve(listener) //nolint:errcheck // its clients tell
	t.Cleanup(server.Stop)
	at := listener.Addr().(*net.TCPAddr)
	return at.IP.String(), at.Port
}

// url starts the server and returns how to connect to it.
func (f *fake) url(t *testing.T) string {
	t.Helper()
	host, port := f.serve(t)
	return "esdb://" + net.JoinHostPort(host, strconv.Itoa(port)) + "?tls=false"
}

func (f *fake) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	version := "24.10.0"
	if f.version != nil {
		version = f.version()
	}
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: version}, nil
}

// gossiping is the gossip service of a fake. It is a type of its own, because its method is called
// Read, too.
type gossiping struct {
	gossip.UnimplementedGossipServer
	fake *fake
}

func (g gossiping) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	return g.fake.gossip(), nil
}

func (f *fake) Append(call streams.Streams_AppendServer) error {
	if f.append == nil {
		return status.Error(codes.Unimplemented, "not in this test")
	}
	return f.append(call)
}

func (f *fake) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	switch {
	case f.read != nil:
		return f.read(req.GetOptions(), call)
	case !isSubscription(req.GetOptions()):
		return nil
	}
	if err := sendAll(call, confirmed(), caughtUp()); err != nil {
		return err
	}
	<-call.Context().Done()
	return nil
}

func (f *fake) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	if f.tombstone == nil {
		return nil, status.Error(codes.Unimplemented, "not in this test")
	}
	return f.tombstone(ctx, req)
}

// drain reads an append to its end, as a server must before it fails.
func drain(call streams.Streams_AppendServer) error {
	for {
		if _, err := call.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// notLeader is the answer of a follower that knows who leads.
func notLeader(host string, port int) func(streams.Streams_AppendServer) error {
	return func(call streams.Streams_AppendServer) error {
		if err := drain(call); err != nil {
			return err
		}
		call.SetTrailer(metadata.Pairs("exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", strconv.Itoa(port)))
		return status.Error(codes.NotFound, "Leader info available")
	}
}

// wrongVersion is the answer to an append if the stream is not as expected.
func wrongVersion() *streams.AppendResp {
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption:  &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: 7},
		ExpectedRevisionOption: &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}},
	}}}
}

// confirmed is the first message of a subscription.
func confirmed() *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}}
}

func caughtUp() *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}
}

func checkpoint(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position},
	}}
}

// event is an event of the stream "a". Its revision follows from its position.
func event(eventType string, position uint64) *streams.ReadResp {
	id := uuid.New()
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}},
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("a")},
			StreamRevision:   position - 1,
			CommitPosition:   position,
			PreparePosition:  position,
			Metadata: map[string]string{
				"type": eventType, "content-type": "application/json", "created": strconv.FormatInt(time.Now().UnixNano()/100, 10),
			},
			Data: []byte(`{}`),
		},
	}}}
}

func isSubscription(options *streams.ReadReq_Options) bool { return options.GetSubscription() != nil }

// sendAll sends messages until one fails.
func sendAll(call streams.Streams_ReadServer, messages ...*streams.ReadResp) error {
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			return err
		}
	}
	return nil
}
