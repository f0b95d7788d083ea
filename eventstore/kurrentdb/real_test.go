package kurrentdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
	"daybook/eventstore/storetest"
	"daybook/internal/racetest"
)

// habits are things that real servers do and the gateway does not.
type habits struct {
	late    time.Duration // how long it takes at most until a written event can be read
	eager   bool          // an append is answered before its events can be read
	between bool          // a checkpoint is (commit, 0): everything before that commit was examined
	strict  bool          // positions have gaps, and one that is in a gap is refused
	drops   bool          // some appends are written, and their answers are lost
	aborts  bool          // some appends are written, and answered ABORTED
}

// apart is the distance between the positions of two events if the server has gaps (habits.strict).
const apart = 1000

// realServer is a gateway over a log in memory, with habits.
type realServer struct {
	habits
	fake
	log     *lateLog
	onward  streams.StreamsClient
	apart   uint64
	clients atomic.Int64 // connections made
	appends atomic.Int64
	reads   atomic.Int64
	ends    atomic.Int64 // how many streams were ended

	mu      sync.Mutex
	refused map[string]int // how many answers were kept back, by the append's stream and first id
}

func serveReal(t *testing.T, h habits) *realServer {
	t.Helper()
	s := &realServer{habits: h, log: newLateLog(memory.New(), h.late, h.eager), apart: 1, refused: make(map[string]int)}
	if h.strict {
		s.apart = apart
	}
	conn, err := grpc.NewClient(serve(t, s.log, "127.0.0.1:0").at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.onward = streams.NewStreamsClient(conn)
	s.fake = fake{append: s.passAppend, read: s.passRead, tombstone: s.passTombstone, version: func() string {
		s.clients.Add(1)
		return "24.10.0"
	}}
	return s
}

func (s *realServer) url(t *testing.T) string {
	t.Helper()
	host, port := s.serve(t)
	return "esdb://" + net.JoinHostPort(host, strconv.Itoa(port)) + "?tls=false" + unhurried
}

func (s *realServer) passAppend(call streams.Streams_AppendServer) error {
	s.appends.Add(1)
	onward, err := s.onward.Append(call.Context())
	if err != nil {
		return err
	}
	var stream, first string
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if options := req.GetOptions(); options != nil {
			stream = string(options.GetStreamIdentifier().GetStreamName())
		} else if first == "" {
			first = req.GetProposedMessage().GetId().String()
		}
		if err := onward.Send(req); err != nil {
			return err
		}
	}
	resp, err := onward.CloseAndRecv()
	if err != nil {
		call.SetTrailer(onward.Trailer())
		return err
	}
	if resp.GetSuccess() != nil {
		if err := s.keepBack(stream + first); err != nil {
			return err
		}
	}
	if at := resp.GetSuccess().GetPosition(); at != nil {
		at.CommitPosition, at.PreparePosition = at.CommitPosition*s.apart, at.PreparePosition*s.apart
	}
	return call.SendAndClose(resp)
}

// lost are the errors that stand for the answer to a write that was done.
func (h habits) lost() (errs []error) {
	if h.aborts {
		errs = append(errs, status.Error(codes.Aborted, "Commit phase timeout."))
	}
	if h.drops {
		errs = append(errs, status.Error(codes.Unavailable, "the connection was reset"))
	}
	return errs
}

// keepBack returns the error that a written append gets instead of its answer; nil if it gets its
// answer. One append of many loses its answer, once for each habit.
func (s *realServer) keepBack(name string) error {
	errs := s.lost()
	s.mu.Lock()
	defer s.mu.Unlock()
	done, known := s.refused[name]
	if !known && len(s.refused)%32 != 0 {
		done = len(errs)
	}
	s.refused[name] = done + 1
	if done >= len(errs) {
		return nil
	}
	return errs[done]
}

func (s *realServer) passTombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	var trailer metadata.MD
	resp, err := s.onward.Tombstone(ctx, req, grpc.Trailer(&trailer))
	if err != nil {
		return nil, errors.Join(err, grpc.SetTrailer(ctx, trailer))
	}
	if errs := s.lost(); len(errs) > 0 {
		if n := s.ends.Add(1); n%3 == 1 {
			return nil, errs[n%int64(len(errs))]
		}
	}
	if at := resp.GetPosition(); at != nil {
		at.CommitPosition, at.PreparePosition = at.CommitPosition*s.apart, at.PreparePosition*s.apart
	}
	return resp, err
}

func (s *realServer) passRead(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
	s.reads.Add(1)
	options, waits, err := s.placed(options)
	if err != nil {
		return err
	}
	if waits {
		if err := call.Send(confirmed()); err != nil {
			return err
		}
		<-call.Context().Done()
		return nil
	}
	onward, err := s.onward.Read(call.Context(), &streams.ReadReq{Options: options})
	if err != nil {
		return err
	}
	var said *streams.ReadResp // the last checkpoint
	for {
		resp, err := onward.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			call.SetTrailer(onward.Trailer())
			return err
		}
		s.place(resp)
		if resp.GetCheckpoint() != nil {
			said = resp
		}
		if s.between && resp.GetCaughtUp() != nil && said != nil { // says again how far it is
			if err := call.Send(said); err != nil {
				return err
			}
		}
		if err := call.Send(resp); err != nil {
			return err
		}
	}
}

// placed returns a read with its position in the gateway's form. waits is true for a subscription
// from beyond the end: a real server never answers it.
func (s *realServer) placed(options *streams.ReadReq_Options) (_ *streams.ReadReq_Options, waits bool, err error) {
	at := options.GetAll().GetPosition()
	if at == nil {
		return options, false, nil
	}
	n, rest := at.GetCommitPosition()/s.apart, at.GetCommitPosition()%s.apart
	if rest != 0 || at.GetPreparePosition() != 0 && at.GetPreparePosition() != at.GetCommitPosition() {
		return nil, false, status.Error(codes.Unknown, "Exception was thrown by handler. InvalidReadException: Log record at actual pos "+
			strconv.FormatUint(at.GetCommitPosition(), 10)+" has too large length")
	}
	before := at.GetPreparePosition() == 0
	shown, _ := s.log.view()
	head, _ := shown.Pair()
	if isSubscription(options) {
		if before { // it begins with the event there
			n--
		}
		waits = n > head
	}
	options = proto.CloneOf(options)
	if all := options.GetAll(); n == 0 {
		all.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: nil}
	} else {
		all.GetPosition().CommitPosition, all.GetPosition().PreparePosition = n, n
	}
	return options, waits, nil
}

// place gives an answer the positions of this server.
func (s *realServer) place(resp *streams.ReadResp) {
	switch content := resp.GetContent().(type) {
	case *streams.ReadResp_Event:
		for _, e := range []*streams.ReadResp_ReadEvent_RecordedEvent{content.Event.GetEvent(), content.Event.GetLink()} {
			if e != nil {
				e.CommitPosition, e.PreparePosition = e.GetCommitPosition()*s.apart, e.GetPreparePosition()*s.apart
			}
		}
		if at, ok := content.Event.GetPosition().(*streams.ReadResp_ReadEvent_CommitPosition); ok {
			at.CommitPosition *= s.apart
		}
	case *streams.ReadResp_Checkpoint_:
		at := content.Checkpoint
		if s.between {
			at.CommitPosition, at.PreparePosition = (at.GetCommitPosition()+1)*s.apart, 0
			return
		}
		at.CommitPosition, at.PreparePosition = at.GetCommitPosition()*s.apart, at.GetPreparePosition()*s.apart
	}
}

// apartStore appends with one store and does everything else with another. So the second store has
// a subscription only while somebody subscribes, and each new one has to catch up.
type apartStore struct {
	eventstore.Store
	writer eventstore.Store
}

func (s apartStore) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	return s.writer.Append(ctx, stream, expected, events)
}

// promises are what the suite may expect of a server with habits: the same as of our gateway,
// except for what a habit makes impossible.
func (h habits) promises() []storetest.Option {
	options := []storetest.Option{storetest.LogWideIDs(), storetest.LoneTombstones(), storetest.Patience(patience)}
	if !h.strict { // places that are refused are between events
		options = append(options, storetest.Contiguous())
	}
	if len(h.lost()) > 0 {
		// If an append gets no answer and the stream has ended meanwhile, the writer cannot learn
		// whether its append was recorded before. The server also keeps no id of a tombstone, so no
		// writer can tell whether the tombstone is its own.
		options = append(options, storetest.LosesResponses())
	}
	return options
}

// The engine keeps the contract with a server that has all habits together. `make prove` also tests
// each habit alone, and a reader that has to catch up. That takes minutes.
func TestOverAServerWithHabits(t *testing.T) {
	racetest.Skip(t, "it repeats TestOverMemory with other answers")
	t.Parallel()
	const late = 50 * time.Millisecond
	var suites sync.WaitGroup // all at once, because they mostly wait
	all := habits{late: late, eager: true, between: true, strict: true, drops: true, aborts: true}
	for name, c := range map[string]struct {
		habits
		apart bool
	}{
		"an append is seen late":               {habits{late: late}, false},
		"an append is answered, and seen late": {habits{late: late, eager: true}, false},
		"checkpoints are before a commit":      {habits{between: true}, true},
		"an unknown place is refused":          {habits{strict: true}, true},
		"answers are lost":                     {habits{drops: true}, false},
		"writes are aborted":                   {habits{aborts: true}, false},
		"all of them":                          {all, false},
		"all of them, to a reader apart":       {all, true},
	} {
		if (c.habits != all || c.apart) && !proving() {
			continue
		}
		suites.Go(func() {
			t.Run(name, func(t *testing.T) {
				storetest.Run(t, func(t *testing.T) eventstore.Store {
					url := serveReal(t, c.habits).url(t)
					if c.apart {
						return apartStore{open(t, url), open(t, url)}
					}
					return open(t, url)
				}, c.promises()...)
			})
		})
	}
	suites.Wait()
}

// racing is a server that shows events late, with nodes that follow its log. Other writers, which
// have nothing to do with the race, append there all the time.
type racing struct {
	*testing.T
	server *realServer
	nodes  []*kurrentdb.Store
	end    func() // stops the other writers
}

// eachLate runs a race on servers that show events late, together with the other habits that do not
// take a writer's answer away. `make prove` also runs it with each of these habits alone.
func eachLate(t *testing.T, race func(t *testing.T, h habits)) {
	const late = 50 * time.Millisecond
	for name, c := range map[string]struct {
		habits
		slow bool // only in make prove
	}{
		"before the winner's answer": {habits{late: late}, false},
		"after the winner's answer":  {habits{late: late, eager: true}, true},
		"with checkpoints between":   {habits{late: late, between: true}, true},
		"with gaps":                  {habits{late: late, strict: true}, true},
		"with all of these":          {habits{late: late, eager: true, between: true, strict: true}, false},
	} {
		if c.slow && !proving() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			race(t, c.habits)
		})
	}
}

func newRacing(t *testing.T, h habits, nodes int, follow bool) *racing {
	t.Helper()
	r := &racing{T: t, server: serveReal(t, h)}
	ctx, stop := context.WithCancel(within(t, patience))
	var others sync.WaitGroup
	url := r.server.url(t)
	for n := range nodes {
		store := open(t, url)
		if r.nodes = append(r.nodes, store); follow {
			arrived := listenIn(t, store)
			others.Go(func() {
				for ctx.Err() == nil {
					select {
					case <-arrived:
					case <-ctx.Done():
					}
				}
			})
		}
		for i := range 8 {
			others.Go(func() {
				stream := fmt.Sprintf("other-%d-%d", n, i)
				for revision := int64(-1); ctx.Err() == nil; revision++ {
					if _, err := store.Append(context.WithoutCancel(ctx), stream, eventstore.AtRevision(revision), newEvents(1)); err != nil {
						t.Errorf("%s: %v", stream, err)
						return
					}
				}
			})
		}
	}
	r.end = func() {
		t.Helper()
		stop()
		inTime(t, &others)
	}
	t.Cleanup(r.end)
	return r
}

// last is the last revision of a stream, as a node reads it.
func (r *racing) last(ctx context.Context, node *kurrentdb.Store, stream string) int64 {
	last := int64(-1)
	for e, err := range node.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 1) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); err != nil && !missing {
			r.Errorf("read %s: %v", stream, err)
		}
		if err == nil {
			last = e.Revision
		}
	}
	return last
}

// loses tells whether a writer lost a race. The test fails if the writer got any other error.
func (r *racing) loses(err error) bool {
	_, conflict := errors.AsType[*eventstore.ConflictError](err)
	if err != nil && !conflict {
		r.Errorf("a loser sees %v, want a ConflictError", err)
	}
	return conflict
}

// undisturbed fails unless each node has made one connection only, so that none was dropped.
func (r *racing) undisturbed() {
	r.Helper()
	r.end()
	if n := r.server.clients.Load(); n != int64(len(r.nodes)) {
		r.Errorf("%d connections were made by %d nodes", n, len(r.nodes))
	}
}

// The losers of a race are refused before they can read the reason. They wait until they can, and
// no connection is replaced, because that would also end the calls of others.
func TestLosersOfARaceReplaceNoConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nodes  int
		follow bool // otherwise a loser can only read the stream again and again
	}{
		"at a node that follows nothing": {1, false},
		"at two nodes":                   {2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachLate(t, func(t *testing.T, h habits) { raceWriters(newRacing(t, h, c.nodes, c.follow)) })
		})
	}
}

// raceWriters lets 64 writers append at the same revision, again and again.
func raceWriters(r *racing) {
	const writers, rounds = 64, 12
	ctx := within(r.T, patience)
	for round := range int64(rounds) {
		var won atomic.Int64
		var racers sync.WaitGroup
		for i := range writers {
			node := r.nodes[i%len(r.nodes)]
			racers.Go(func() {
				_, err := node.Append(ctx, "hot", eventstore.AtRevision(round-1), newEvents(1))
				if err == nil {
					won.Add(1)
					return
				}
				if last := r.last(ctx, node, "hot"); r.loses(err) && last < round {
					r.Errorf("round %d: a loser reads the stream at %d, want what it lost to", round, last)
				}
			})
		}
		inTime(r.T, &racers)
		if won.Load() != 1 {
			r.Fatalf("round %d: %d winners", round, won.Load())
		}
	}
	r.undisturbed()
}

// Buyers at two nodes read how much is left, and append at the revision that they have read. If a
// buyer loses a race, it reads again.
func TestBuyersAtTwoNodesReplaceNoConnection(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, h habits) { raceBuyers(newRacing(t, h, 2, true)) })
}

func raceBuyers(r *racing) {
	const buyers, units = 64, 48
	ctx := within(r.T, patience)
	var racers sync.WaitGroup
	var sold, lost [2]atomic.Int64 // by node
	for i := range buyers {
		n := i % len(r.nodes)
		racers.Go(func() {
			event := newEvents(1)
			for !r.Failed() {
				last := r.last(ctx, r.nodes[n], "stock")
				if last+1 >= units {
					return
				}
				_, err := r.nodes[n].Append(ctx, "stock", eventstore.AtRevision(last), event)
				if err == nil {
					sold[n].Add(1)
					return
				}
				if r.loses(err) {
					lost[n].Add(1)
				}
			}
		})
	}
	inTime(r.T, &racers)
	for n := range r.nodes {
		if sold[n].Load() == 0 || lost[n].Load() < units {
			r.Errorf("node %d sold %d units, and lost %d times: that was no race", n, sold[n].Load(), lost[n].Load())
		}
	}
	if total := sold[0].Load() + sold[1].Load(); total != units || r.last(ctx, r.nodes[0], "stock") != units-1 {
		r.Errorf("%d units are sold of %d", total, units)
	}
	r.undisturbed()
}

// The subscription brings the appended events, so no read is needed for an append.
func TestAnAppendIsOneCall(t *testing.T) {
	t.Parallel()
	const callers, appends = 16, 25
	server := serveReal(t, habits{})
	store := open(t, server.url(t))
	if _, err := store.Append(t.Context(), "first", eventstore.Any, newEvents(1)); err != nil {
		t.Fatal(err)
	}
	listenIn(t, store) // until the shared subscription is there
	calls, reads, began := store.Calls(), server.reads.Load(), time.Now()
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			revision := int64(-1)
			for n := range appends {
				result, err := store.Append(t.Context(), "s-"+strconv.Itoa(i), eventstore.AtRevision(revision), newEvents(1+n%3))
				if err != nil || result.Replayed {
					t.Errorf("%+v, error %v; want a new append", result, err)
					return
				}
				revision = result.Revision
			}
		})
	}
	inTime(t, &group)
	// The store also reads the head now and then by itself.
	spare := int64(callers*appends/10) + 2*int64(time.Since(began)/time.Second)
	if made := int64(store.Calls() - calls); made < callers*appends || made > callers*appends+spare {
		t.Errorf("%d calls for %d appends", made, callers*appends)
	}
	if made := server.reads.Load() - reads; made > spare {
		t.Errorf("%d reads for %d appends", made, callers*appends)
	}
}
