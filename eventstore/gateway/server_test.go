package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/gateway/groups"
	"daybook/eventstore/memory"
)

// If a client calls a service that is not served, the error names the page that says what to use
// instead. This page must name each such service.
func TestACallOfAMissingServiceNamesThePage(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	page, err := os.ReadFile("../../docs/kurrentdb.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### What is not there\n")
	section, _, _ = strings.Cut(section, "\n### ")
	for method, named := range map[string]string{
		"event_store.client.users.Users/Details":                                   "Users",
		"event_store.client.operations.Operations/StartScavenge":                   "Operations",
		"event_store.client.projections.Projections/Create":                        "Projections",
		"event_store.client.monitoring.Monitoring/Stats":                           "Monitoring",
		"grpc.health.v1.Health/Check":                                              "Health",
		"kurrentdb.protocol.v2.streams.StreamsService/AppendSession":               "AppendSession",
		"event_store.client.streams.Streams/" + strings.Repeat("x", 4000):          "",
		"event_store.client.persistent_subscriptions.PersistentSubscriptions/Park": "",
	} {
		err := s.conn.Invoke(s.ctx, "/"+method, empty, empty)
		if told := status.Convert(err).Message(); status.Code(err) != codes.Unimplemented || len(told) > 300 ||
			!strings.HasPrefix(told, method[:min(len(method), 128)]+" ") || !strings.Contains(told, `docs/kurrentdb.md, "What is not there"`) {
			t.Errorf("%.100s: %v", method, err)
		}
		if !strings.Contains(section, named) {
			t.Errorf("the page does not say what to use instead of %s", named)
		}
	}
	const checkpoints = "$persistentsubscription-s::g-checkpoint"
	for _, options := range []*streams.ReadReq_Options{ofStream(checkpoints), following(ofStream(checkpoints))} {
		err := s.read(options).err
		if status.Code(err) != codes.Unimplemented || !strings.Contains(status.Convert(err).Message(), `docs/kurrentdb.md, "What is not there"`) {
			t.Errorf("read of %s: %v", checkpoints, err)
		}
	}
	s.write(checkpoints, event()) // a client may have written such a stream
	s.read(ofStream(checkpoints)).wants(t, checkpoints+"/0")
	s.mustDelete(checkpoints)
	s.read(ofStream(checkpoints)).wants(t, "not found "+checkpoints)
	for _, stream := range []string{"-checkpoint", "-parked", "$ce-", "$mem-"} {
		if !strings.Contains(section, stream) {
			t.Errorf("the page does not say what to use instead of a stream %s", stream)
		}
	}
}

func TestSupportedMethods(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	supported, err := serverfeatures.NewServerFeaturesClient(s.conn).GetSupportedMethods(s.ctx, empty)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(supported.GetEventStoreServerVersion(), ".")
	for _, part := range parts {
		if _, err := strconv.Atoi(part); err != nil || len(parts) != 3 {
			t.Errorf("version %s", supported.GetEventStoreServerVersion())
		}
	}
	features := map[string][]string{}
	for _, method := range supported.GetMethods() {
		name := method.GetServiceName() + "/" + method.GetMethodName()
		if _, twice := features[name]; twice || name != strings.ToLower(name) {
			t.Errorf("method %s", name)
		}
		features[name] = method.GetFeatures()
	}
	want := map[string][]string{
		"event_store.client.streams.streams/read":                               {"position", "events"},
		"event_store.client.streams.streams/append":                             nil,
		"event_store.client.streams.streams/batchappend":                        {"deadline_duration"},
		"event_store.client.streams.streams/delete":                             nil,
		"event_store.client.streams.streams/tombstone":                          nil,
		"event_store.client.gossip.gossip/read":                                 nil,
		"event_store.client.server_features.serverfeatures/getsupportedmethods": nil,
	}
	for _, method := range []string{"create", "update", "delete", "read", "getinfo", "list", "replayparked", "restartsubsystem"} {
		want["event_store.client.persistent_subscriptions.persistentsubscriptions/"+method] = []string{"stream", "all"}
	}
	for name, of := range want {
		if got, there := features[name]; !there || !slices.Equal(got, of) {
			t.Errorf("%s has features %q (%t), want %q", name, got, there, of)
		}
	}
	if len(features) != len(want) {
		t.Errorf("%d methods, want %d: %v", len(features), len(want), features)
	}
	got, err := s.client().GetServerVersion()
	if err != nil || got.Major != 24 {
		t.Errorf("version %v, %v", got, err)
	}
}

// nodes is a cluster of the test's.
type nodes []gateway.Member

func (n nodes) Members(context.Context) ([]gateway.Member, error) {
	if n == nil {
		return nil, &eventstore.UnavailableError{Cause: errors.New("no database")}
	}
	return n, nil
}

func TestGossip(t *testing.T) {
	t.Parallel()
	seen := time.Date(2026, 3, 1, 12, 0, 0, 100, time.UTC)
	id := uuid.New()
	s := serve(t, memory.New(), gateway.Options{Cluster: nodes{
		{ID: id, Host: "one.example", Port: 2113, Leader: true, Alive: true, SeenAt: seen},
		{ID: uuid.New(), Host: "two.example", Port: 2114},
	}})
	info, err := gossip.NewGossipClient(s.conn).Read(s.ctx, empty)
	if err != nil || len(info.GetMembers()) != 2 {
		t.Fatalf("%v, %v", info, err)
	}
	one, two := info.GetMembers()[0], info.GetMembers()[1]
	most, least := esdb.UUIDAsInt64(id)
	if one.GetState() != gossip.MemberInfo_Leader || !one.GetIsAlive() || one.GetTimeStamp() != seen.UnixNano()/100 ||
		one.GetHttpEndPoint().GetAddress() != "one.example" || one.GetHttpEndPoint().GetPort() != 2113 ||
		one.GetInstanceId().GetStructured().GetMostSignificantBits() != most ||
		one.GetInstanceId().GetStructured().GetLeastSignificantBits() != least {
		t.Errorf("the first is %v", one)
	}
	if two.GetState() != gossip.MemberInfo_Follower || two.GetIsAlive() || two.GetHttpEndPoint().GetAddress() != "two.example" {
		t.Errorf("the second is %v", two)
	}

	unknown := serve(t, memory.New(), gateway.Options{Cluster: nodes(nil)})
	if _, err := gossip.NewGossipClient(unknown.conn).Read(unknown.ctx, empty); status.Code(err) != codes.Unavailable {
		t.Errorf("a cluster without known nodes: %v", err)
	}
}

// If a node is alone, a client that asks for the cluster is told the name that it has used itself.
func TestDiscoveryOfANodeAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	info, err := gossip.NewGossipClient(s.conn).Read(s.ctx, empty)
	if err != nil || len(info.GetMembers()) != 1 {
		t.Fatalf("%v, %v", info, err)
	}
	only := info.GetMembers()[0]
	address := net.JoinHostPort(only.GetHttpEndPoint().GetAddress(), strconv.Itoa(int(only.GetHttpEndPoint().GetPort())))
	if only.GetState() != gossip.MemberInfo_Leader || !only.GetIsAlive() || address != s.address {
		t.Errorf("it is %v at %s, want %s", only, address, s.address)
	}
	config, err := esdb.ParseConnectionString("esdb+discover://" + s.address + "?tls=false&nodePreference=leader")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	proposed := esdb.EventData{EventID: uuid.New(), ContentType: esdb.ContentTypeJson, EventType: "t.v1", Data: []byte(`{}`)}
	if _, err := client.AppendToStream(s.ctx, "a", esdb.AppendToStreamOptions{}, proposed); err != nil {
		t.Error(err)
	}
}

// Every node accepts writes, even from clients that require the leader.
func TestEveryNodeAcceptsWritesThatRequireTheLeader(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{Cluster: nodes{{ID: uuid.New(), Host: "elsewhere", Leader: true, Alive: true}}})
	s.ctx = metadata.AppendToOutgoingContext(s.ctx, "requires-leader", "true", "connection-name", "test")
	s.mustAppend("a", noStream, event())
	s.read(ofStream("a")).wants(t, "a/0")
}

// blocking is a log whose appends wait.
type blocking struct {
	eventstore.Store
	begun   chan struct{}
	release chan struct{}
}

func (b *blocking) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	b.begun <- struct{}{}
	select {
	case <-b.release:
		return b.Store.Append(ctx, stream, expected, events)
	case <-ctx.Done():
		return eventstore.Result{}, &eventstore.OutcomeUnknownError{Cause: ctx.Err()}
	}
}

// Closing ends subscriptions so that clients reconnect, and lets appends finish.
func TestClosing(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 8), release: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	all, one := s.subscribe(t, ofAll()), s.subscribe(t, ofStream("a"))
	all.wants("confirmation", "caught up")
	one.wants("confirmation", "caught up")
	type appended struct {
		outcome string
		err     error
	}
	single := make(chan appended, 1)
	go func() {
		resp, _, err := s.appendTo("a", noStream, event())
		single <- appended{outcome(resp, err), err}
	}()
	<-log.begun
	b := s.batch(t)
	b.send(b.frame("b", noStream, true, event()))
	<-log.begun

	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- s.server.Close(ctx)
	}()
	for _, sub := range []*subscription{all, one} {
		if _, err := sub.call.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("a subscription ended with %v", err)
		}
	}
	close(log.release)
	if got := <-single; got.outcome != "ok 0" {
		t.Errorf("the append under way: %s, %v", got.outcome, got.err)
	}
	if got := b.next(); got.GetSuccess() == nil {
		t.Errorf("the batched append under way: %v", got)
	}
	if _, err := b.call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the batch ended with %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestClosingCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 8), release: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.appendTo("a", noStream, event())
		failed <- err
	}()
	<-log.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closing: %v", err)
	}
	if err := <-failed; status.Code(err) != codes.Unavailable {
		t.Errorf("the append: %v", err)
	}
}

// stuck is a log, and a store of groups, that do not answer before release is closed.
type stuck struct {
	eventstore.Store
	*groups.Memory
	begun   chan struct{}
	release chan struct{}
}

func (s *stuck) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	s.begun <- struct{}{}
	<-s.release
	return s.Store.Append(ctx, stream, expected, events)
}

func (s *stuck) Groups(ctx context.Context) ([]groups.Group, error) {
	s.begun <- struct{}{}
	<-s.release
	return s.Memory.Groups(ctx)
}

// The time of closing is bounded, whatever the database does. If something does not end, the error
// says so.
func TestClosingLeavesWhatHangs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		options    func(*stuck) gateway.Options
		hang       func(*served)
	}{
		{
			"a call", "calls did not end",
			func(*stuck) gateway.Options { return gateway.Options{} },
			func(s *served) {
				_, _, err := s.appendTo("a", noStream, event())
				s.tb.Log("the append ended with", err)
			},
		},
		{
			"the groups", "groups of consumers",
			func(log *stuck) gateway.Options { return gateway.Options{Groups: log, Node: log.Memory} },
			func(*served) {},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := &stuck{Store: memory.New(), Memory: groups.NewMemory(), begun: make(chan struct{}, 8), release: make(chan struct{})}
			s := serve(t, log, c.options(log))
			var hanging sync.WaitGroup
			hanging.Go(func() { c.hang(s) })
			<-log.begun
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			closed := make(chan error, 1)
			go func() { closed <- s.server.Close(ctx) }()
			select {
			case err := <-closed:
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("closing: %v, want %s", err, c.want)
				}
			case <-time.After(patience):
				t.Error("closing hangs")
			}
			close(log.release)
			hanging.Wait()
		})
	}
}

// panicking is a log whose methods panic.
type panicking struct{ eventstore.Store }

func (panicking) Append(context.Context, string, eventstore.Expected, []eventstore.Event) (eventstore.Result, error) {
	panic("a fault")
}

func TestAPanicEndsItsCallOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, panicking{memory.New()}, gateway.Options{})
	_, trailers, err := s.appendTo("a", anyRevision, event())
	checkRefused(t, err, trailers, refusal{code: codes.Internal})
	_, trailers, err = s.tombstone("a", anyRevision)
	checkRefused(t, err, trailers, refusal{code: codes.Internal})
	b := s.batch(t)
	b.send(b.frame("a", anyRevision, true, event()))
	if code := codes.Code(b.next().GetError().GetCode()); code != codes.Internal {
		t.Errorf("batched: %s", code)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	s.read(ofStream("a")).wants(t, "not found a")
}

// A slow subscriber costs the server no more than what is on the wire, because the server reads the
// log only as fast as the subscriber reads.
func TestASlowSubscriberIsReadForAsItReads(t *testing.T) {
	t.Parallel()
	log := &pulled{Store: memory.New()}
	s := serve(t, log, gateway.Options{})
	const events = 2000
	large := make([]eventstore.Event, events)
	for i := range large {
		large[i] = event()
		large[i].Data = []byte(`{"x":"` + strings.Repeat("x", 10_000) + `"}`)
	}
	for part := range slices.Chunk(large, 100) {
		s.write("a", part...)
	}
	sub := s.subscribe(t, ofAll())
	sub.wants("confirmation", "a/0")
	// The connection is full, so no more events are read from the log.
	for last := int64(-1); last != log.count.Load(); {
		last = log.count.Load()
		until(t, settled(&log.count))
	}
	if n := log.count.Load(); n > events/2 {
		t.Errorf("%d of %d events were pulled for a subscriber that does not read", n, events)
	}
	for n := uint64(1); n < events; n++ {
		if got := sub.next().GetEvent().GetEvent().GetStreamRevision(); got != n {
			t.Fatalf("event %d came as number %d", got, n)
		}
	}
	sub.wants("caught up")
}

// A call without a request is answered and does not hang.
func TestACallWithoutARequest(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	b := s.batch(t)
	if err := b.close(); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// After closing, no goroutine is left. The test does not run in parallel, because it would count
// the goroutines of other tests.
func TestClosingLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("while much is going on", func(t *testing.T) {
		s := serve(t, memory.New(), gateway.Options{})
		s.write("a", several(3, "t.v1")...)
		for _, options := range []*streams.ReadReq_Options{ofAll(), ofStream("a"), filtered(ofAll(), onType(10, regex("x")))} {
			s.subscribe(t, options).wants("confirmation")
		}
		b := s.batch(t)
		b.send(b.frame("a", anyRevision, true, event()), b.frame("b", anyRevision, false, event()))
		b.next()
		s.mustDelete("a")
	})
	var left error
	until(t, func() bool { left = goleak.Find(before); return left == nil })
}
