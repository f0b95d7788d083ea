package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

// packing connects to the same gateway, and compresses its requests.
func (s *served) packing(options ...grpc.DialOption) *served {
	s.tb.Helper()
	other := *s
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip")))
	other.conn = s.dial(options...)
	other.raw = streams.NewStreamsClient(other.conn)
	return &other
}

// large is an event with this many bytes, which compression makes very small.
func large(bytes int) eventstore.Event {
	e := event()
	e.Data = []byte(`{"x":"` + strings.Repeat("x", bytes) + `"}`)
	return e
}

// sizes remembers the size of the largest messages of a client as they were sent.
type sizes struct {
	mu             sync.Mutex
	sent, received int
}

func (*sizes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*sizes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*sizes) HandleConn(context.Context, stats.ConnStats)                       {}

func (s *sizes) HandleRPC(_ context.Context, what stats.RPCStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch payload := what.(type) {
	case *stats.OutPayload:
		s.sent = max(s.sent, payload.CompressedLength)
	case *stats.InPayload:
		s.received = max(s.received, payload.CompressedLength)
	}
}

func (s *sizes) largest() (sent, received int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.received
}

// Compressed requests are accepted like others, in every kind of call.
func TestCompressedRequests(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		seen := &sizes{}
		s := serve(t, store, gateway.Options{})
		packed := s.packing(grpc.WithStatsHandler(seen))
		packed.mustAppend("a", noStream, large(20_000), event())
		b := packed.batch(t)
		b.send(b.frame("a", exact(1), true, large(20_000)), b.frame("b", noStream, true, event()))
		for range 2 {
			if got := b.next(); got.GetSuccess() == nil {
				t.Errorf("batched: %v", got)
			}
		}
		packed.read(ofStream("a")).wants(t, "a/0", "a/1", "a/2")
		s.read(ofStream("a")).wants(t, "a/0", "a/1", "a/2")
		sub := packed.subscribe(t, ofStream("a"))
		sub.wants("confirmation", "a/0", "a/1", "a/2", "caught up")
		sub.cancel()
		if err := b.close(); err != nil {
			t.Error(err)
		}
		packed.mustDelete("a")
		packed.mustTombstone("b")
		packed.read(ofStream("a")).wants(t, "not found a")
		until(t, s.server.ReceivedIsDone)
		sent, received := seen.largest()
		if sent == 0 || sent > 10_000 {
			t.Errorf("the largest request has %d bytes on the line: was it compressed?", sent)
		}
		if received < 20_000 {
			t.Errorf("the largest answer has %d bytes on the line: it is compressed", received)
		}
	})
}

// The decompressed size of a message counts, and not its compressed size: in the limit of a
// message, in the limit of an append, and in the budget of the node.
func TestCompressedRequestsCountAsTheyAre(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{Limits: gateway.Limits{MaxMessage: 2 << 20}})
	packed := s.packing()
	tooLarge := refusal{codes.InvalidArgument, map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576"}}
	for name, size := range map[string]int{"an append": 1 << 20, "a message": 3 << 20, "what can be read past": 64 << 20} {
		_, trailers, err := packed.appendTo("a", noStream, event(), large(size), event())
		if err == nil {
			t.Errorf("more than %s was taken", name)
			continue
		}
		checkRefused(t, err, trailers, tooLarge)
	}
	b := packed.batch(t)
	b.send(b.frame("a", noStream, true, large(3<<20)))
	if _, err := b.call.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("batched, more than a message: %v", err)
	}
	many := ofStream(strings.Repeat("x", 3<<20))
	if a := packed.read(many); status.Code(a.err) != codes.ResourceExhausted {
		t.Errorf("read, more than a message: %v", a.err)
	}
	s.read(ofStream("a")).wants(t, "not found a")
	until(t, s.server.ReceivedIsDone)
}

func TestCompressedRequestsAreInTheBudget(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 100), release: make(chan struct{})}
	limits := gateway.Limits{MaxMessage: 2 << 20, MaxReceived: 4 << 20, RoomTime: 300 * time.Millisecond}
	s := serve(t, log, gateway.Options{Limits: limits}).packing()
	outcomes := make(chan error, 8)
	for i := range 3 { // each has 1.06 MB, and also counts the memory that decompressing takes
		go func() {
			_, _, err := s.appendTo(fmt.Sprint(i), noStream, large(1_000_000))
			outcomes <- err
		}()
		<-log.begun
	}
	if _, _, err := s.appendTo("more", noStream, large(1_000_000), large(10_000)); status.Code(err) != codes.Unavailable {
		t.Errorf("an append over the budget: %v", err)
	}
	close(log.release)
	for range 3 {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	until(t, s.server.ReceivedIsDone)
	s.mustAppend("more", noStream, large(1_000_000))
}

// pack compresses.
func pack(data []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(data) // never fails, because it writes to memory
	_ = writer.Close()
	return packed.Bytes()
}

// No message becomes larger than it says. A message that is not valid gzip is refused with this
// reason. The budget gets all bytes back.
func TestMessagesWithAWrongSizeOrContent(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	request, err := proto.Marshal(&streams.ReadReq{Options: ofStream("a")})
	if err != nil {
		t.Fatal(err)
	}
	says := func(size uint32, packed []byte) []byte {
		packed = bytes.Clone(packed)
		binary.LittleEndian.PutUint32(packed[len(packed)-4:], size)
		return packed
	}
	bomb := pack(make([]byte, 64<<20))
	if len(bomb) > 1<<20 {
		t.Fatal("the bomb is too large")
	}
	good := pack(request)
	packs := [2]string{"grpc-encoding", "gzip"}
	cases := map[string]struct {
		flag    byte
		message []byte
		headers [][2]string
		want    codes.Code
	}{
		"as it says":                          {1, good, [][2]string{packs}, codes.OK},
		"not compressed":                      {0, request, [][2]string{packs}, codes.OK},
		"in two parts":                        {1, append(bytes.Clone(good), pack(nil)...), [][2]string{packs}, codes.InvalidArgument},
		"with bytes after it":                 {1, append(bytes.Clone(good), good[len(good)-4:]...), [][2]string{packs}, codes.InvalidArgument},
		"a bomb":                              {1, bomb, [][2]string{packs}, codes.ResourceExhausted},
		"a bomb that says less":               {1, says(10, bomb), [][2]string{packs}, codes.InvalidArgument},
		"a bomb that says 0":                  {1, says(0, bomb), [][2]string{packs}, codes.InvalidArgument},
		"less than it says":                   {1, says(uint32(len(request))+1, good), [][2]string{packs}, codes.InvalidArgument},
		"much less":                           {1, says(4<<20, good), [][2]string{packs}, codes.InvalidArgument},
		"another sum":                         {1, append(append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4), good[len(good)-4:]...), [][2]string{packs}, codes.InvalidArgument},
		"cut short":                           {1, good[:len(good)-5], [][2]string{packs}, codes.ResourceExhausted},
		"nothing":                             {1, nil, [][2]string{packs}, codes.InvalidArgument},
		"three bytes":                         {1, []byte{0x1f, 0x8b, 8}, [][2]string{packs}, codes.ResourceExhausted},
		"not compressed at all":               {1, append(request, 0, 0, 0, 0), [][2]string{packs}, codes.InvalidArgument},
		"without the name of the compression": {1, good, nil, codes.Internal},
		"as it is":                            {1, good, [][2]string{{"grpc-encoding", "identity"}}, codes.Internal},
		"a flag that is none":                 {2, good, [][2]string{packs}, codes.Internal},
		"another way":                         {1, good, [][2]string{{"grpc-encoding", "deflate"}}, codes.Unimplemented},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := attack(t, "127.0.0.1", s.address, nil)
			id := a.call("/event_store.client.streams.Streams/Read", "", c.headers...)
			a.send(id, binary.BigEndian.AppendUint32([]byte{c.flag}, uint32(len(c.message)))) //nolint:gosec // small
			for piece := range slices.Chunk(c.message, 16<<10) {
				a.send(id, piece)
			}
			got := a.answer(id)
			// The size in such a message may be any number.
			if name == "cut short" || name == "three bytes" {
				if got == codes.OK {
					t.Error("it was taken")
				}
				return
			}
			if got != c.want {
				t.Errorf("it ends with %s, want %s", got, c.want)
			}
		})
	}
	until(t, s.server.ReceivedIsDone)
}

// The gateway reads an append without credentials to its end, compressed or not, so that its caller
// sees why it is refused.
func TestACompressedAppendWithoutCredentials(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	stranger := *c.served
	stranger.conn = stranger.dial(grpc.WithTransportCredentials(credentials.NewTLS(c.trust)), grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip")))
	stranger.raw = streams.NewStreamsClient(stranger.conn)
	for range 20 {
		_, trailers, err := stranger.appendTo("a", anyRevision, large(100_000), large(100_000))
		checkRefused(t, err, trailers, refusal{code: codes.Unauthenticated})
	}
}
