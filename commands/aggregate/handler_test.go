package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
)

// A box of coins is the smallest aggregate with a rule: it holds at most 1,000 coins.
type (
	box    struct{ Coins int }
	coined struct{ Coins int }
	boxCmd struct {
		put  int
		halt bool // the aggregate has a bug
	}
)

var errBoxFull = &rule.Rejection{Code: "box-full", Detail: "The box is full."}

func boxes(snapshotEvery int64) Definition[box, boxCmd, coined] {
	return Definition[box, boxCmd, coined]{
		Category: "box", FoldVersion: 1, SnapshotEvery: snapshotEvery,
		Decide: func(c boxCmd, s box) ([]coined, error) {
			switch {
			case c.halt:
				panic("a bug")
			case c.put == 0:
				return nil, nil
			case s.Coins+c.put > 1000:
				return nil, errBoxFull
			}
			return []coined{{Coins: c.put}}, nil
		},
		Evolve: func(s box, e coined) box { return box{Coins: s.Coins + e.Coins} },
		Encode: func(e coined) (string, []byte, error) {
			data, err := json.Marshal(e)
			return "box.coined.v1", data, err
		},
		Decode: func(_ string, data []byte) (e coined, err error) {
			err = json.Unmarshal(data, &e)
			return e, err
		},
	}
}

func newBox(store eventstore.Store) *Handler[box, boxCmd, coined] {
	return NewHandler(store, boxes(0), Options{})
}

func put(id uuid.UUID, coins ...int) Request[boxCmd] {
	r := Request[boxCmd]{Stream: "box-1", Meta: eventstore.Metadata{CommandID: id}}
	for _, n := range coins {
		r.Commands = append(r.Commands, boxCmd{put: n})
	}
	return r
}

func coinsIn(t *testing.T, store eventstore.Store, stream string) (total, events int) {
	t.Helper()
	for recorded, err := range store.ReadStream(t.Context(), stream, 0, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return 0, 0
		}
		if err != nil {
			t.Fatal(err)
		}
		var e coined
		if err := json.Unmarshal(recorded.Data, &e); err != nil {
			t.Fatal(err)
		}
		total, events = total+e.Coins, events+1
	}
	return total, events
}

// spy counts the calls of the store. It can hold appends back, or lose their answers.
type spy struct {
	eventstore.Store
	appends, reads atomic.Int64
	gate           chan struct{} // set: an append waits for a token
	lose           func() bool   // set: tells whether to lose a committed append's answer
}

func (s *spy) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	s.appends.Add(1)
	if s.gate != nil {
		<-s.gate
	}
	result, err := s.Store.Append(ctx, stream, expected, events)
	if err == nil && s.lose != nil && s.lose() {
		return eventstore.Result{}, &eventstore.OutcomeUnknownError{Cause: errors.New("the answer was lost")}
	}
	return result, err
}

func (s *spy) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range s.Store.ReadStream(ctx, stream, from, limit) {
			s.reads.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

// await lets other goroutines run until a condition holds. The time limit of the test bounds it.
func await(holds func() bool) {
	for !holds() {
		runtime.Gosched()
	}
}

func queued[S, C, E any](h *Handler[S, C, E]) int {
	return len(waitingJobs(h))
}

// waitingJobs returns the jobs in the queue of the box.
func waitingJobs[S, C, E any](h *Handler[S, C, E]) []*job[S, C, E] {
	h.mu.Lock()
	q := &h.lanes["box-1"].queue
	h.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.jobs)
}

func TestCommandsThatQueueAreAppendedTogether(t *testing.T) {
	t.Parallel()
	store := &spy{Store: memory.New(), gate: make(chan struct{})}
	handler := newBox(store)
	var wait sync.WaitGroup
	revisions := make([]int64, 200)
	handle := func(i int) {
		wait.Go(func() {
			answer, err := handler.Handle(t.Context(), put(uuid.New(), 1))
			if err != nil {
				t.Error(err)
			}
			revisions[i] = answer.Revision
		})
	}
	handle(0)
	await(func() bool { return store.appends.Load() == 1 })
	for i := range 199 {
		handle(i + 1)
	}
	await(func() bool { return queued(handler) == 199 })
	close(store.gate)
	wait.Wait()
	if got := store.appends.Load(); got != 2 {
		t.Errorf("200 commands took %d appends, want one and one for all that queued", got)
	}
	if total, events := coinsIn(t, store, "box-1"); total != 200 || events != 200 {
		t.Errorf("the box holds %d coins in %d events, want 200 in 200", total, events)
	}
	seen := map[int64]bool{}
	for _, r := range revisions {
		seen[r] = true
	}
	if len(seen) != 200 {
		t.Errorf("200 commands were answered with %d different revisions", len(seen))
	}
}

func TestARepeatedCommandIsAnsweredAsBefore(t *testing.T) {
	t.Parallel()
	store := memory.New()
	id := uuid.New()
	first, err := newBox(store).Handle(t.Context(), put(id, 5, 6))
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]*Handler[box, boxCmd, coined]{"same": newBox(store), "restarted": newBox(store)} {
		for range 2 {
			again, err := handler.Handle(t.Context(), put(id, 5, 6))
			if err != nil {
				t.Fatal(err)
			}
			if !again.Replayed || again.Revision != first.Revision || again.Position != first.Position {
				t.Errorf("%s: repeated, answered %+v, want revision %d replayed", name, again, first.Revision)
			}
		}
	}
	if total, _ := coinsIn(t, store, "box-1"); total != 11 {
		t.Errorf("the box holds %d coins, want 11", total)
	}
}

func TestACommandOlderThanTheMemoryIsStillKnownByTheLog(t *testing.T) {
	t.Parallel()
	store := memory.New()
	aggregate := boxes(0)
	aggregate.Guarded = func(coined) bool { return true } // as far as the handler knows
	handler := NewHandler(store, aggregate, Options{})
	id := uuid.New()
	if _, err := handler.Handle(t.Context(), put(id, 1)); err != nil {
		t.Fatal(err)
	}
	for range 256 + 10 {
		if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := handler.Handle(t.Context(), put(id, 1))
	if err != nil || !again.Replayed || again.Revision != 0 {
		t.Errorf("an old command repeated: %+v, %v; want revision 0, replayed", again, err)
	}
	if total, _ := coinsIn(t, store, "box-1"); total != 256+11 {
		t.Errorf("the box holds %d coins, want %d", total, 256+11)
	}
}

func TestALostAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	var mu sync.Mutex
	store := &spy{Store: memory.New(), lose: func() bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(3) == 0
	}}
	handler := newBox(store)
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	wait.Wait()
	if total, events := coinsIn(t, store, "box-1"); total != 40 || events != 40 {
		t.Errorf("seed %d: the box holds %d coins in %d events, want 40 in 40", seed, total, events)
	}
}

func TestTwoNodesKeepTheRuleBetweenThem(t *testing.T) {
	t.Parallel()
	store := memory.New()
	nodes := []*Handler[box, boxCmd, coined]{newBox(store), newBox(store)}
	var taken, refused atomic.Int64
	var wait sync.WaitGroup
	for i := range 300 {
		wait.Go(func() {
			_, err := nodes[i%2].Handle(t.Context(), put(uuid.New(), 5))
			switch {
			case err == nil:
				taken.Add(1)
			case errors.Is(err, errBoxFull):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if taken.Load() != 200 || refused.Load() != 100 {
		t.Errorf("%d taken and %d refused, want 200 and 100", taken.Load(), refused.Load())
	}
	if total, _ := coinsIn(t, store, "box-1"); total != 1000 {
		t.Errorf("the box holds %d coins, want 1000", total)
	}
}

func TestARefusalIsOfThePresent(t *testing.T) {
	t.Parallel()
	store := memory.New()
	here, there := newBox(store), newBox(store)
	if _, err := here.Handle(t.Context(), put(uuid.New(), 999)); err != nil {
		t.Fatal(err)
	}
	// Another node empties the box by a negative coin. The handler here still remembers it as
	// full.
	if _, err := there.Handle(t.Context(), put(uuid.New(), -999)); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Handle(t.Context(), put(uuid.New(), 900)); err != nil {
		t.Errorf("refused on a state that is gone: %v", err)
	}
	var coins int
	if _, err := there.Handle(t.Context(), put(uuid.New(), 50)); err != nil {
		t.Fatal(err)
	}
	if err := here.View(t.Context(), "box-1", func(s box, _ int64) { coins = s.Coins }); err != nil || coins != 950 {
		t.Errorf("a view shows %d coins (%v), want 950", coins, err)
	}
}

func TestCommandsOfARequestTakeEffectAllOrNone(t *testing.T) {
	t.Parallel()
	store := &spy{Store: memory.New(), gate: make(chan struct{})}
	handler := newBox(store)
	var wait sync.WaitGroup
	handle := func(want error, coins ...int) {
		wait.Go(func() {
			if _, err := handler.Handle(t.Context(), put(uuid.New(), coins...)); !errors.Is(err, want) {
				t.Errorf("put %v: %v, want %v", coins, err, want)
			}
		})
	}
	handle(nil, 1)
	store.gate <- struct{}{}
	handle(errBoxFull, 500, 600) // the first fits, the second does not
	handle(nil, 2)
	handle(errBoxFull, 700, 800)
	handle(nil, 3)
	go func() {
		for {
			select {
			case store.gate <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	wait.Wait()
	if total, _ := coinsIn(t, store, "box-1"); total != 6 {
		t.Errorf("the box holds %d coins, want 6", total)
	}
}

func TestAStaleRevisionIsRefused(t *testing.T) {
	t.Parallel()
	handler := newBox(memory.New())
	first, err := handler.Handle(t.Context(), put(uuid.New(), 1))
	if err != nil {
		t.Fatal(err)
	}
	stale := put(uuid.New(), 1)
	older := first.Revision - 1
	stale.If = AtRevision(older)
	_, err = handler.Handle(t.Context(), stale)
	if got, ok := errors.AsType[*StaleError](err); !ok || got.Actual != 0 {
		t.Errorf("stale request: %v", err)
	}
	current := put(uuid.New(), 1)
	current.If = AtRevision(first.Revision)
	if _, err := handler.Handle(t.Context(), current); err != nil {
		t.Errorf("request at the present revision: %v", err)
	}
}

func TestAWrongGuessThatAStreamIsNewCostsOnlyARetry(t *testing.T) {
	t.Parallel()
	store := memory.New()
	if _, err := newBox(store).Handle(t.Context(), put(uuid.New(), 990)); err != nil {
		t.Fatal(err)
	}
	fits, full := put(uuid.New(), 5), put(uuid.New(), 50)
	fits.New, full.New = true, true
	if _, err := newBox(store).Handle(t.Context(), fits); err != nil {
		t.Error(err)
	}
	if _, err := newBox(store).Handle(t.Context(), full); !errors.Is(err, errBoxFull) {
		t.Errorf("guessed new: %v, want %v", err, errBoxFull)
	}
	nothing := put(uuid.New(), 0)
	nothing.New = true
	if answer, err := newBox(store).Handle(t.Context(), nothing); err != nil || answer.Revision != 1 {
		t.Errorf("nothing to do on a stream guessed new: %+v, %v; want revision 1", answer, err)
	}
}

func TestABugInOneCommandHarmsNoOther(t *testing.T) {
	t.Parallel()
	store := memory.New()
	handler := newBox(store)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			request := put(uuid.New(), 1)
			if i == 25 {
				request.Commands[0].halt = true
			}
			_, err := handler.Handle(t.Context(), request)
			if failed := err != nil; failed != (i == 25) {
				t.Errorf("command %d: %v", i, err)
			}
			if i == 25 && !strings.Contains(fmt.Sprint(err), "a bug") {
				t.Errorf("the bug is reported as %v", err)
			}
		})
	}
	wait.Wait()
	if total, _ := coinsIn(t, store, "box-1"); total != 49 {
		t.Errorf("the box holds %d coins, want 49", total)
	}
}

func TestACanceledCommandThatHasNotBegunIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	store := &spy{Store: memory.New(), gate: make(chan struct{})}
	handler := newBox(store)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
			t.Error(err)
		}
	})
	await(func() bool { return store.appends.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	wait.Go(func() {
		if _, err := handler.Handle(ctx, put(uuid.New(), 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled command: %v", err)
		}
	})
	await(func() bool { return queued(handler) == 1 })
	cancel()
	await(func() bool { // the canceled one is withdrawn before the lane goes on
		return waitingJobs(handler)[0].stage.Load() == withdrawn
	})
	store.gate <- struct{}{}
	wait.Wait()
	if total, _ := coinsIn(t, store, "box-1"); total != 1 {
		t.Errorf("the box holds %d coins, want 1", total)
	}
}

func TestACallerWhoseTimeEndsIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	store := &spy{Store: memory.New(), gate: make(chan struct{})}
	handler := newBox(store)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		await(func() bool { return store.appends.Load() == 1 })
		cancel()
	}()
	id := uuid.New()
	_, err := handler.Handle(ctx, put(id, 1)) // its append never returns
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); !unknown {
		t.Errorf("got %v, want an unknown outcome", err)
	}
	close(store.gate)
	answer, err := handler.Handle(t.Context(), put(id, 1))
	if err != nil || answer.Revision != 0 || !answer.Replayed {
		t.Errorf("asked again: %+v, %v; want revision 0, replayed", answer, err)
	}
}

// memorySnapshots is a Snapshots in memory.
type memorySnapshots struct {
	mu    sync.Mutex
	saved map[string]Snapshot
}

func (s *memorySnapshots) Load(_ context.Context, stream string, foldVersion int) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.saved[stream]; ok && found.FoldVersion == foldVersion {
		return &found, nil
	}
	return nil, nil
}

func (s *memorySnapshots) Save(_ context.Context, snapshot Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.saved[snapshot.Stream]; held.FoldVersion != snapshot.FoldVersion || held.Revision < snapshot.Revision {
		s.saved[snapshot.Stream] = snapshot // a slow one may come late
	}
	return nil
}

func TestALongStreamIsFoldedFromItsSnapshot(t *testing.T) {
	t.Parallel()
	for name, guarded := range map[string]bool{"guarded": true, "remembered": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aggregate := boxes(100)
			aggregate.Guarded = func(coined) bool { return guarded }
			store, shelf := &spy{Store: memory.New()}, &memorySnapshots{saved: map[string]Snapshot{}}
			first := NewHandler(store, aggregate, Options{Snapshots: shelf})
			const early = 350
			var id uuid.UUID // of the command at that revision
			for revision := range 450 {
				request := put(uuid.New(), 1)
				if revision == early {
					id = request.Meta.CommandID
				}
				if _, err := first.Handle(t.Context(), request); err != nil {
					t.Fatal(err)
				}
			}
			if err := first.Close(t.Context()); err != nil { // waits for the snapshots
				t.Fatal(err)
			}
			if at := shelf.saved["box-1"].Revision; at < early {
				t.Fatalf("the snapshot is at revision %d, want one after %d", at, early)
			}
			store.reads.Store(0)
			second := NewHandler(logtest.Unindexed{Store: store}, aggregate, Options{Snapshots: shelf})
			answer, err := second.Handle(t.Context(), put(uuid.New(), 1))
			if err != nil || answer.Revision != 450 {
				t.Errorf("after the snapshot: %+v, %v; want revision 450", answer, err)
			}
			if got := store.reads.Load(); got > 100 {
				t.Errorf("%d events were read, want at most the 100 after the snapshot", got)
			}
			if again, err := second.Handle(t.Context(), put(id, 1)); err != nil || !again.Replayed || again.Revision != early {
				t.Errorf("a command from before the snapshot: %+v, %v; want it replayed", again, err)
			}
			aggregate.FoldVersion = 2
			var coins int
			newer := NewHandler(store, aggregate, Options{Snapshots: shelf})
			if err := newer.View(t.Context(), "box-1", func(s box, _ int64) { coins = s.Coins }); err != nil || coins != 451 {
				t.Errorf("another fold version sees %d coins (%v), want 451", coins, err)
			}
		})
	}
}

// scales records the sizes of snapshots and stores none.
type scales struct {
	mu              sync.Mutex
	total, heaviest int
}

func (s *scales) Load(context.Context, string, int) (*Snapshot, error) { return nil, nil }

func (s *scales) Save(_ context.Context, snapshot Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += len(snapshot.Data)
	s.heaviest = max(s.heaviest, len(snapshot.Data))
	return nil
}

func TestSnapshotsOfAGrowingStateDoNotOutweighTheLog(t *testing.T) {
	t.Parallel()
	diaries := Definition[string, string, string]{
		Category: "diary", FoldVersion: 1, SnapshotEvery: 1,
		Decide: func(page, _ string) ([]string, error) { return []string{page}, nil },
		Evolve: func(diary, page string) string { return diary + page },
		Encode: func(page string) (string, []byte, error) {
			return "diary.written.v1", []byte(`{"page":"` + page + `"}`), nil
		},
		Decode: func(string, []byte) (string, error) { return "", errors.New("nothing is read back here") },
	}
	scales := &scales{}
	handler := NewHandler(memory.New(), diaries, Options{Snapshots: scales})
	const pages = 500
	page := strings.Repeat("x", 1000)
	for range pages {
		_, err := handler.Handle(t.Context(), Request[string]{
			Stream: "diary-1", Meta: eventstore.Metadata{CommandID: uuid.New()}, Commands: []string{page},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := handler.Close(t.Context()); err != nil { // waits for the snapshots
		t.Fatal(err)
	}
	if scales.heaviest < 100*len(page) {
		t.Errorf("the heaviest snapshot has %d bytes: none was taken of the grown state", scales.heaviest)
	}
	if before := scales.total - scales.heaviest; before > pages*snapshotBytes {
		t.Errorf("snapshots of %d bytes for %d events, want at most %d for each before the last", before, pages, snapshotBytes)
	}
}

func TestIdleStreamsAreForgotten(t *testing.T) {
	t.Parallel()
	store := memory.New()
	handler := NewHandler(store, boxes(0), Options{CacheStreams: 3})
	for round := range 3 {
		for i := range 20 {
			request := put(uuid.New(), 1)
			request.Stream = fmt.Sprintf("box-%d", i)
			answer, err := handler.Handle(t.Context(), request)
			if err != nil || answer.Revision != int64(round) {
				t.Fatalf("round %d: %+v, %v", round, answer, err)
			}
		}
	}
	handler.mu.Lock()
	defer handler.mu.Unlock()
	if got := len(handler.lanes); got > 4 {
		t.Errorf("%d streams are kept, want about 3", got)
	}
}

func TestAClosedHandlerRefuses(t *testing.T) {
	t.Parallel()
	handler := newBox(memory.New())
	if err := handler.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

func BenchmarkHotStream(b *testing.B) {
	for name, guarded := range map[string]bool{"guarded": true, "remembered": false} {
		b.Run(name, func(b *testing.B) {
			handler := NewHandler(memory.New(), Definition[box, boxCmd, coined]{
				Guarded: func(coined) bool { return guarded },
				Decide:  func(boxCmd, box) ([]coined, error) { return []coined{{1}}, nil },
				Evolve:  boxes(0).Evolve, Encode: boxes(0).Encode, Decode: boxes(0).Decode,
			}, Options{})
			b.SetParallelism(128)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := handler.Handle(b.Context(), put(uuid.New(), 1)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// A request on a new stream has the same result as any other, also if the stream is there
// already, or if the answer of the append was lost.
func TestARequestOnANewStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before int  // coins put before, by another node
		lost   bool // the first answer of the log
		again  bool // another node has carried out the request
		want   int  // coins in the stream
	}{
		"that is new":                  {want: 7},
		"that exists":                  {before: 5, want: 12},
		"with a lost answer":           {lost: true, want: 7},
		"that was carried out":         {again: true, want: 7},
		"refused by the present state": {before: 999, want: 999},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sound := memory.New()
			log := &spy{Store: sound}
			if c.lost {
				log.lose = func() bool { return log.appends.Load() == 1 }
			}
			request := put(uuid.New(), 7)
			request.New = true
			if c.before > 0 {
				if _, err := newBox(sound).Handle(t.Context(), put(uuid.New(), c.before)); err != nil {
					t.Fatal(err)
				}
			}
			if c.again {
				if _, err := newBox(sound).Handle(t.Context(), request); err != nil {
					t.Fatal(err)
				}
			}
			h := newBox(log)
			for try := range 2 { // the second time, the command was already carried out
				result, err := h.Handle(t.Context(), request)
				if refused := c.want == 999; refused != errors.Is(err, errBoxFull) || !refused && err != nil {
					t.Errorf("try %d: error %v", try, err)
				}
				if replayed := err == nil && (try > 0 || c.again || c.lost); result.Replayed != replayed {
					t.Errorf("try %d: replayed is %t, want %t", try, result.Replayed, replayed)
				}
			}
			if total, _ := coinsIn(t, sound, "box-1"); total != c.want {
				t.Errorf("%d coins, want %d", total, c.want)
			}
			more := put(uuid.New(), 1)
			if result, err := h.Handle(t.Context(), more); err != nil || len(result.Events) != 1 {
				t.Errorf("the next command: %+v, %v", result, err)
			}
		})
	}
}

// Several requests begin one stream at the same moment. All are carried out, each once.
func TestRequestsThatBeginOneStreamAtOnce(t *testing.T) {
	t.Parallel()
	log := memory.New()
	h := newBox(log)
	var all sync.WaitGroup
	for range 20 {
		request := put(uuid.New(), 1)
		request.New = true
		for range 2 { // each comes twice
			all.Go(func() {
				if _, err := h.Handle(context.WithoutCancel(t.Context()), request); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if total, _ := coinsIn(t, log, "box-1"); total != 20 {
		t.Errorf("%d coins, want 20", total)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	request := put(uuid.New(), 1)
	request.New, request.Stream = true, "box-2"
	if _, err := h.Handle(t.Context(), request); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, ErrClosed)
	}
}

func BenchmarkViewAged(b *testing.B) {
	handler := newBox(memory.New())
	if _, err := handler.Handle(b.Context(), put(uuid.New(), 1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := handler.ViewAged(b.Context(), "box-1", time.Hour, func(box, int64) {}); err != nil {
			b.Fatal(err)
		}
	}
}
