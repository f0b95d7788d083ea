package kurrentdb_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// settling is how long a node may be behind.
const settling = 2 * time.Second

// cluster is two servers over one log. One of them leads.
type cluster struct {
	log    streams.StreamsClient
	leader atomic.Int32
	host   [2]string
	port   [2]int
}

// server accepts appends if it leads. Otherwise it names the leader.
func (c *cluster) server(which int32) *fake {
	return &fake{
		append: func(call streams.Streams_AppendServer) error {
			leader := c.leader.Load()
			if leader != which {
				return notLeader(c.host[leader], c.port[leader])(call)
			}
			return c.append(call)
		},
		read: c.read,
	}
}

func (c *cluster) append(call streams.Streams_AppendServer) error {
	onward, err := c.log.Append(call.Context())
	if err != nil {
		return err
	}
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := onward.Send(req); err != nil {
			return err
		}
	}
	resp, err := onward.CloseAndRecv()
	if err != nil {
		return err
	}
	return call.SendAndClose(resp)
}

func (c *cluster) read(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
	onward, err := c.log.Read(call.Context(), &streams.ReadReq{Options: options})
	if err != nil {
		return err
	}
	for {
		resp, err := onward.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := call.Send(resp); err != nil {
			return err
		}
	}
}

// The leader changes again and again under load.
func TestLeaderChanges(t *testing.T) {
	log := memory.New()
	conn, err := grpc.NewClient(serve(t, log, "127.0.0.1:0").at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &cluster{log: streams.NewStreamsClient(conn)}
	for i := range c.host {
		c.host[i], c.port[i] = c.server(int32(i)).serve(t)
	}
	store := open(t, (&fake{append: c.server(0).append, read: c.read}).url(t))
	l := begin(t, store, 5*time.Millisecond)
	for i := range 6 {
		l.moreAnswers(2 * callers)
		c.leader.Store(int32(1 - i%2))
	}
	l.moreAnswers(2 * callers)
	l.finish(log)
}

// A node that was the leader and is now behind forwards appends, but answers reads from its own
// state. A writer that reads and appends there would be refused for ever. So the engine leaves such
// a node.
func TestANodeThatIsBehindIsLeft(t *testing.T) {
	t.Parallel()
	log := memory.New()
	events := newEvents(2)
	if _, err := log.Append(t.Context(), "a", eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(serve(t, log, "127.0.0.1:0").at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &cluster{log: streams.NewStreamsClient(conn)}
	members := func() *gossip.ClusterInfo {
		info := &gossip.ClusterInfo{}
		leader := c.leader.Load()
		for i := range c.host {
			state := gossip.MemberInfo_Follower
			if int32(i) == leader {
				state = gossip.MemberInfo_Leader
			}
			info.Members = append(info.Members, &gossip.MemberInfo{
				State: state, IsAlive: true, HttpEndPoint: &gossip.EndPoint{Address: c.host[i], Port: uint32(c.port[i])},
			})
		}
		return info
	}
	held, release := make(chan struct{}), make(chan struct{})
	old := &fake{gossip: members}
	var entered atomic.Bool
	var appends atomic.Int32
	old.append = func(call streams.Streams_AppendServer) error {
		appends.Add(1)
		if !entered.Swap(true) {
			close(held)
			<-release
		}
		return c.append(call)
	}
	old.read = func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		switch {
		case options.GetStream() != nil:
			return call.Send(event("test.v1", 1)) // it knows only revision 0
		case isSubscription(options):
			if err := sendAll(call, confirmed(), caughtUp()); err != nil {
				return err
			}
			<-call.Context().Done()
		}
		return nil
	}
	c.host[0], c.port[0] = old.serve(t)
	c.host[1], c.port[1] = (&fake{gossip: members, read: c.read, append: func(call streams.Streams_AppendServer) error {
		appends.Add(1)
		return c.append(call)
	}}).serve(t)
	store := open(t, fmt.Sprintf("esdb://%s:%d,%s:%d?tls=false", c.host[0], c.port[0], c.host[1], c.port[1]))
	c.leader.Store(1)

	var underWay sync.WaitGroup
	underWay.Go(func() { // a call of somebody else, on the same connection
		if _, err := store.Append(t.Context(), "other", eventstore.NoStream, newEvents(1)); err != nil {
			t.Errorf("an append under way while the node is left: %v", err)
		}
	})
	<-held

	// From here on, no answer may come from the state of the old node.
	began := time.Now()
	_, err = store.Append(t.Context(), "a", eventstore.AtRevision(0), newEvents(1))
	if _, conflict := errors.AsType[*eventstore.ConflictError](err); !conflict {
		t.Errorf("error %v, want a ConflictError", err)
	}
	if waited := time.Since(began); waited < settling {
		t.Errorf("it is left after %s, and may need %s", waited, settling)
	}
	more := newEvents(1)
	settle(t, store, "a", eventstore.AtRevision(1), more)
	close(release)
	inTime(t, &underWay)
	if n := appends.Load(); n != 3 {
		t.Errorf("%d appends were sent for 3: what was under way was cut off, and sent again", n)
	}
	read := 0
	for _, err := range store.ReadStream(t.Context(), "a", 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if read != 3 {
		t.Errorf("the stream is read with %d events, want the leader's 3", read)
	}
	holds(t, log, "a", append(events, more...))
}
