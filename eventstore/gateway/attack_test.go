package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

// methods returns all methods that the gateway serves. The anonymous ones answer callers without
// credentials.
func methods() (all, anonymous []string) {
	for _, service := range []grpc.ServiceDesc{
		streams.Streams_ServiceDesc, persistent.PersistentSubscriptions_ServiceDesc,
		gossip.Gossip_ServiceDesc, serverfeatures.ServerFeatures_ServiceDesc,
	} {
		var names []string
		for _, m := range service.Methods {
			names = append(names, "/"+service.ServiceName+"/"+m.MethodName)
		}
		for _, m := range service.Streams {
			names = append(names, "/"+service.ServiceName+"/"+m.StreamName)
		}
		if all = append(all, names...); len(service.Streams) == 0 {
			anonymous = append(anonymous, names...)
		}
	}
	return all, anonymous
}

// waiters are users. A test says how long the comparison of their passwords takes.
type waiters struct {
	members
	asked   atomic.Int64
	release chan struct{}
}

func (w *waiters) Authenticate(ctx context.Context, name, password string) (gateway.User, error) {
	if password != name {
		w.asked.Add(1)
		select {
		case <-w.release:
		case <-ctx.Done():
			return gateway.User{}, ctx.Err()
		}
	}
	return w.members.Authenticate(ctx, name, password)
}

// Calls without credentials, or with a wrong password, cost no memory for what they send, whatever
// their method. That holds before, during and after the comparison of the password. The test does
// not run in parallel, because it would count the memory of other tests.
func TestStalledCallsOfStrangersCostLittle(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	const allowed = 48 << 20
	all, _ := methods()
	for _, calls := range []int{60, 500} {
		for name, credential := range map[string]basic{
			"nobody":         "",
			"wrong password": basic("Basic " + base64.StdEncoding.EncodeToString([]byte("bob:x"))),
		} {
			t.Run(fmt.Sprint(calls, " of ", name), func(t *testing.T) {
				users := &waiters{members: members{"root": {"$admins"}}, release: make(chan struct{})}
				c := gatewayWithUsers{}
				options := gateway.Options{Users: users}
				options.TLS, c.trust = certificate(t)
				c.served = serve(t, memory.New(), options)
				good := c.as(t, as("root"))
				good.mustAppend("a", noStream, event())
				strangers := []*attacker{attack(t, "127.0.0.2", c.address, c.trust), attack(t, "127.0.0.3", c.address, c.trust)}
				before := heap()
				var sending sync.WaitGroup
				begun := map[uint32]*attacker{}
				for i := range calls {
					by := strangers[i%len(strangers)]
					id := by.call(all[i/2%len(all)], string(credential))
					begun[id] = by
					sending.Go(func() { by.begin(id, 4<<20-1, 4<<20-2) })
				}
				until(t, func() bool { return credential == "" || users.asked.Load() > int64(calls*3/4) })
				// The calls have sent as much as they can, because their windows stay closed.
				began := time.Now()
				good.mustAppend("a", exact(0), event())
				if took := time.Since(began); took > patience/2 {
					t.Errorf("a good client waited %s", took)
				}
				if grown := heap() - before; grown > allowed {
					t.Errorf("the heap grew by %d MiB for %d calls", grown>>20, calls)
				}
				close(users.release)
				sending.Wait()
				good.read(ofStream("a")).wants(t, "a/0", "a/1")
				if grown := heap() - before; grown > allowed {
					t.Errorf("the heap has grown by %d MiB afterwards", grown>>20)
				}
			})
		}
	}
}

// A caller without credentials is refused before it has sent a message, by each method. So it
// cannot learn what would be wrong with a message.
func TestStrangersAreRefusedBeforeTheyHaveSaidAnything(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	all, anonymous := methods()
	for _, method := range all {
		stranger := attack(t, "127.0.0.1", c.address, c.trust)
		want := codes.Unauthenticated
		if slices.Contains(anonymous, method) {
			want = codes.OK
		}
		if got := stranger.answer(stranger.call(method, "")); got != want {
			t.Errorf("%s without credentials: %s, want %s", method, got, want)
		}
		if want != codes.OK {
			if got := stranger.answer(stranger.call(method, string(as("eve")))); got != codes.Unauthenticated {
				t.Errorf("%s of a stranger: %s", method, got)
			}
		}
	}
}

// A caller with credentials may send nothing, or not finish a message. The gateway waits for it
// only for a bounded time, with every method, and then frees its part of the budget.
func TestAnUnfinishedMessageIsWaitedForOnlyForABoundedTime(t *testing.T) {
	t.Parallel()
	all, anonymous := methods()
	limits := gateway.Limits{FirstMessageTime: 200 * time.Millisecond, MessageTime: 200 * time.Millisecond}
	s := serve(t, memory.New(), gateway.Options{Limits: limits})
	for _, method := range all {
		if slices.Contains(anonymous, method) {
			continue
		}
		a := attack(t, "127.0.0.1", s.address, nil)
		if got := a.answer(a.call(method, "")); got != codes.DeadlineExceeded {
			t.Errorf("%s without a message: %s", method, got)
		}
		id := a.call(method, "")
		a.begin(id, 1<<20, 1<<19)
		if got := a.answer(id); got != codes.DeadlineExceeded {
			t.Errorf("%s with half a message: %s", method, got)
		}
	}
	until(t, s.server.ReceivedIsDone)
	// Between two messages a call may be silent for any time.
	b := s.batch(t)
	b.send(b.frame("a", noStream, true, event()))
	b.next()
	sub := s.subscribe(t, ofAll())
	sub.wants("confirmation", "a/0", "caught up")
	// A call that begins now and sends nothing is ended after the same time.
	for range 2 {
		a := attack(t, "127.0.0.1", s.address, nil)
		if got := a.answer(a.call(streams.Streams_BatchAppend_FullMethodName, "")); got != codes.DeadlineExceeded {
			t.Error(got)
		}
	}
	b.send(b.frame("a", exact(0), true, event()))
	if got := b.next(); got.GetSuccess() == nil {
		t.Error(got)
	}
	sub.wants("a/1")
}

// A message over the limit is refused as too large, and takes nothing from the budget.
func TestLargeMessages(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	all, anonymous := methods()
	for _, method := range all {
		if slices.Contains(anonymous, method) || method == streams.Streams_Append_FullMethodName {
			continue
		}
		a := attack(t, "127.0.0.1", s.address, nil)
		id := a.call(method, "")
		a.begin(id, 5<<20, 0)
		if got := a.answer(id); got != codes.ResourceExhausted {
			t.Errorf("%s with a message of 5 MiB: %s", method, got)
		}
	}
	huge := esdb.EventData{ContentType: esdb.ContentTypeJson, EventType: "t.v1", Data: []byte(`{"x":"` + strings.Repeat("x", 5<<20) + `"}`)}
	_, err := s.client().AppendToStream(s.ctx, "a", esdb.AppendToStreamOptions{}, huge)
	if !strings.Contains(fmt.Sprint(err), "over the limit of 1048576 bytes") {
		t.Errorf("a client with an event of 5 MiB is told %v", err)
	}
	// Node sends batches of up to 3 MiB as one message.
	b := s.batch(t)
	for i := range 3 {
		e := event()
		e.Data = []byte(`{"x":"` + strings.Repeat("x", 1_000_000) + `"}`)
		b.send(b.frame(fmt.Sprint("b", i), noStream, true, e))
	}
	for range 3 {
		if got := b.next(); got.GetSuccess() == nil {
			t.Error(got)
		}
	}
	until(t, s.server.ReceivedIsDone)
}

// The bytes that all calls together hold are bounded. Beyond the bound a call waits, and is then
// refused as unavailable. A call that is done frees its bytes for the next one.
func TestTheBudgetOfReceivedBytes(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 100), release: make(chan struct{})}
	limits := gateway.Limits{MaxMessage: 2 << 20, MaxReceived: 4 << 20, RoomTime: 300 * time.Millisecond}
	s := serve(t, log, gateway.Options{Limits: limits})
	large := func() eventstore.Event {
		e := event()
		e.Data = []byte(`{"x":"` + strings.Repeat("x", 1_000_000) + `"}`)
		return e
	}
	outcomes := make(chan error, 8)
	for i := range 4 {
		go func() {
			_, _, err := s.appendTo(fmt.Sprint(i), noStream, large())
			outcomes <- err
		}()
		<-log.begun
	}
	if _, _, err := s.appendTo("more", noStream, large()); status.Code(err) != codes.Unavailable {
		t.Errorf("an append over the budget: %v", err)
	}
	b := s.batch(t)
	b.send(b.frame("more", noStream, true, large()))
	if _, err := b.call.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("a batched append over the budget: %v", err)
	}
	close(log.release)
	for range 4 {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	until(t, s.server.ReceivedIsDone)
	s.mustAppend("more", noStream, large())
}

// However calls end, their bytes are given back to the budget.
func TestTheBudgetIsGivenBack(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	s.mustAppend("a", noStream, event())
	if _, _, err := s.appendTo("a", exact(7), event()); err != nil {
		t.Log("a conflict:", err)
	}
	tooMuch := event()
	tooMuch.Data = []byte(`{"x":"` + strings.Repeat("x", 2<<20) + `"}`)
	if _, _, err := s.appendTo("a", anyRevision, tooMuch, event()); status.Code(err) != codes.InvalidArgument {
		t.Errorf("too much: %v", err)
	}
	b := s.batch(t)
	b.send(b.frame("b", noStream, false, event()), b.frame("c", noStream, true, tooMuch), b.frame("a", exact(9), true, event()))
	b.next()
	b.next()
	for range 40 { // more unfinished appends than allowed, so the call ends
		if b.call.Send(b.frame("d", noStream, false, event())) != nil {
			break
		}
	}
	_ = b.close() // its error says that there were too many
	ctx, cancel := context.WithCancel(s.ctx)
	gone, err := s.raw.BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lost := &batched{t, gone}
	lost.send(lost.frame("e", noStream, false, event()))
	cancel()
	s.mustTombstone("a")
	until(t, s.server.ReceivedIsDone)
}

// isOpen reads the first bytes that the server sends, and then tells whether the connection is
// still open.
func isOpen(conn net.Conn) bool {
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := io.Copy(io.Discard, conn)
	timeout, ok := err.(net.Error) //nolint:errorlint // as net gives it
	return ok && timeout.Timeout()
}

// One address cannot take all connections, and cannot prevent others from connecting. Connections
// that are in use stay.
func TestManyConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	users := members{"root": {"$admins"}}
	c := gatewayWithUsers{}
	options := gateway.Options{Users: users, Limits: gateway.Limits{HandshakeTime: time.Hour}}
	options.TLS, c.trust = certificate(t)
	c.served = serve(t, memory.New(), options)
	idle := c.as(t, as("root"))
	idle.mustAppend("a", noStream, event())
	sub := idle.subscribe(t, ofAll())
	sub.wants("confirmation", "a/0", "caught up")
	var silent []net.Conn
	for range 600 { // none of these connections sends anything
		silent = append(silent, dialFrom(t, "127.0.0.2", c.address))
	}
	c.as(t, as("root")).mustAppend("a", exact(0), event()) // a new connection from elsewhere
	sub.wants("a/1")
	open := func() (n int) {
		for _, conn := range silent {
			if isOpen(conn) {
				n++
			}
		}
		return n
	}
	until(t, func() bool { return open() <= 100 })
}

// If there are too many connections, the gateway closes those on which nobody has authenticated,
// the oldest first, as soon as they have had enough time for it.
func TestStrangersMakeRoom(t *testing.T) {
	t.Parallel()
	c := gatewayWithUsers{}
	options := gateway.Options{Users: members{"root": {"$admins"}}, Limits: gateway.Limits{MaxConnections: 8, HandshakeTime: 5 * time.Second}}
	options.TLS, c.trust = certificate(t)
	c.served = serve(t, memory.New(), options)
	good := c.as(t, as("root"))
	good.mustAppend("a", noStream, event())
	sub := good.subscribe(t, ofAll())
	sub.wants("confirmation", "a/0", "caught up")
	var strangers []*attacker
	for range 7 {
		a := attack(t, "127.0.0.2", c.address, c.trust)
		if got := a.answer(a.call(gossip.Gossip_Read_FullMethodName, "")); got != codes.OK {
			t.Fatal(got)
		}
		strangers = append(strangers, a)
	}
	// A client whose connection is closed at first tries again by itself.
	late := c.as(t, as("root"))
	hangs, cancel := context.WithTimeout(late.ctx, time.Minute)
	defer cancel()
	late.ctx = hangs
	if _, err := late.raw.Append(late.ctx, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	late.mustAppend("a", exact(0), event())
	sub.wants("a/1")
	strangers[0].mu.Lock()
	for strangers[0].gone == nil {
		strangers[0].changed.Wait()
	}
	strangers[0].mu.Unlock()
}

// The time of a handshake is bounded, however slowly the client sends. Only a few connections may
// be in a handshake at once.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	server, trust := certificate(t)
	open := func(limits gateway.Limits) *served {
		return serve(t, memory.New(), gateway.Options{TLS: server, Limits: limits})
	}
	t.Run("a slow one is served", func(t *testing.T) {
		t.Parallel()
		if gateway.DefaultHandshakeTime < 10*time.Second {
			t.Errorf("handshakes may take %s, want at least 10 s for slow clients", gateway.DefaultHandshakeTime)
		}
		s := open(gateway.Limits{HandshakeTime: patience})
		secure := tls.Client(slowly{dialFrom(t, "127.0.0.1", s.address)}, alpn(trust))
		if err := secure.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := attackOver(t, secure)
		if got := a.answer(a.call(gossip.Gossip_Read_FullMethodName, "")); got != codes.OK {
			t.Error(got)
		}
	})
	for name, begin := range map[string]func(net.Conn) net.Conn{
		"TLS":    func(conn net.Conn) net.Conn { return conn },
		"HTTP/2": func(conn net.Conn) net.Conn { return tls.Client(conn, alpn(trust)) },
	} {
		t.Run("one that dribbles is cut off, in "+name, func(t *testing.T) {
			t.Parallel()
			s := open(gateway.Limits{HandshakeTime: 500 * time.Millisecond})
			conn := begin(dialFrom(t, "127.0.0.1", s.address))
			// Each client sends the beginning of something that has more than 500 bytes, and the
			// server waits for the rest: a first record of TLS, or the settings of HTTP/2.
			hello := []byte(http2.ClientPreface + "\x00\x02\x00\x04\x00\x00\x00\x00\x00")
			if name == "TLS" {
				hello = []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}
			}
			hello = append(hello, make([]byte, 500)...)
			ended := make(chan error, 1)
			go func() {
				if name != "TLS" {
					if err := conn.(*tls.Conn).HandshakeContext(t.Context()); err != nil {
						ended <- err
						return
					}
				}
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			}()
			ticks := time.NewTicker(100 * time.Millisecond)
			defer ticks.Stop()
			for i := 0; ; i++ {
				select {
				case err := <-ended:
					t.Logf("it ended after %d bytes with %v", i, err)
					return
				case <-ticks.C:
					if i == len(hello) {
						t.Fatal("it was not cut off")
					}
					_, _ = conn.Write(hello[i : i+1]) // the reader notices the end of the connection
				}
			}
		})
	}
	t.Run("they do not hold up closing", func(t *testing.T) {
		t.Parallel()
		s := open(gateway.Limits{HandshakeTime: time.Hour})
		conn := dialFrom(t, "127.0.0.1", s.address)
		until(t, func() bool { return s.server.Guests() == 1 }) // the server has accepted the connection
		closed := closes(t, s)
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Log("it ended with", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// slowly sends byte by byte.
type slowly struct{ net.Conn }

func (s slowly) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var sent int
		sent, err = s.Conn.Write(p[n : n+1])
		n += sent
	}
	return n, err
}

func alpn(trust *tls.Config) *tls.Config {
	trust = trust.Clone()
	trust.NextProtos = []string{"h2"}
	return trust
}
