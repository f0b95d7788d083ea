package groups

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// countingSource is a source that grows. It counts how many events are read and how many followers
// it has.
type countingSource struct {
	mu     sync.Mutex
	length int
	reads  int               // events given
	open   int               // followers
	broken bool              // reading fails
	anchor eventstore.Anchor // the event that marks name
	grown  chan struct{}
}

func newCountingSource() *countingSource { return &countingSource{grown: make(chan struct{})} }

func (l *countingSource) grow(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.length += by
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *countingSource) breaks(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

// tells sets the event that marks name.
func (l *countingSource) tells(anchor eventstore.Anchor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.anchor = anchor
}

func (l *countingSource) counts() (reads, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads, l.open
}

func (l *countingSource) Follow(ctx context.Context, _ Definition, after Place) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		l.mu.Lock()
		l.open++
		l.mu.Unlock()
		defer func() { l.mu.Lock(); l.open--; l.mu.Unlock() }()
		for next := int(RevisionOf(after)) + 1; ; {
			l.mu.Lock()
			length, grown, broken, anchor := l.length, l.grown, l.broken, l.anchor
			if next < length {
				l.reads++
			}
			l.mu.Unlock()
			switch {
			case broken:
				yield(Item{}, errors.New("the source is broken"))
				return
			case next < length:
				e := testEvent(next, "s")
				if !yield(Item{Event: &e, Place: e.Place}, nil) {
					return
				}
				next++
				continue
			}
			if !yield(Item{Place: InStream(int64(next) - 1), CaughtUp: true, Anchor: anchor}, nil) {
				return
			}
			select {
			case <-ctx.Done():
				yield(Item{}, ctx.Err())
				return
			case <-grown:
			}
		}
	}
}

func (l *countingSource) Read(_ context.Context, _ Definition, at Place) (*Event, error) {
	e := testEvent(int(RevisionOf(at)), "s")
	return &e, nil
}

func (l *countingSource) Last(context.Context, string) (Place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return InStream(int64(l.length) - 1), nil
}

// failingStore is a store that a test can make fail.
type failingStore struct {
	*Memory
	mu   sync.Mutex
	fail error
	seen map[Key]eventstore.Anchor // saved last
}

func (f *failingStore) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// errHangs is the error of a store that does not answer.
var errHangs = errors.New("no answer")

func (f *failingStore) trouble(ctx context.Context) error {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if errors.Is(fail, errHangs) {
		<-ctx.Done()
		return ctx.Err()
	}
	return fail
}

func (f *failingStore) Save(ctx context.Context, epoch int64, key Key, changes Changes) error {
	if err := f.trouble(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	if f.seen == nil {
		f.seen = make(map[Key]eventstore.Anchor)
	}
	f.seen[key] = changes.Seen
	f.mu.Unlock()
	return f.Memory.Save(ctx, epoch, key, changes)
}

func (f *failingStore) lastSeen(key Key) eventstore.Anchor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[key]
}

// Put makes the group. While the store fails, the group is made but the answer is lost.
func (f *failingStore) Put(ctx context.Context, epoch int64, group Group) error {
	return errors.Join(f.Memory.Put(ctx, epoch, group), f.trouble(ctx))
}

// Delete returns the error of a database if there is no such group. While the store fails, the
// group is deleted but the answer is lost.
func (f *failingStore) Delete(ctx context.Context, epoch int64, key Key) error {
	f.Memory.mu.Lock()
	missing := f.groups[key] == nil
	f.Memory.mu.Unlock()
	if missing {
		return &NotFoundError{Key: key}
	}
	return errors.Join(f.Memory.Delete(ctx, epoch, key), f.trouble(ctx))
}

// ledNode is a node whose leadership the test decides.
type ledNode struct {
	mu      sync.Mutex
	now     Leadership
	changed chan struct{}
}

func newLedNode(lead Leadership) *ledNode { return &ledNode{now: lead, changed: make(chan struct{})} }

func (n *ledNode) Leadership() (Leadership, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now, n.changed
}

func (n *ledNode) set(lead Leadership) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = lead
	close(n.changed)
	n.changed = make(chan struct{})
}

// bench is a service with a group over a countingSource.
type bench struct {
	*Service
	*testing.T
	source *countingSource
	store  *failingStore
	node   *ledNode
	key    Key
	end    func()       // of the service
	logs   bytes.Buffer // what it logged
}

// inBubble runs a test of a service in a bubble of synctest, where time passes only when nothing
// else can happen.
func inBubble(t *testing.T, settings func(*Settings), test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, source: newCountingSource(), store: &failingStore{Memory: NewMemory()}, node: newLedNode(Leadership{Epoch: 1}), key: Key{Source: "s", Name: "g"}}
		b.Service = New(b.source, b.store, b.node, slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &b.logs), nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Service.Run(ctx) }()
		b.end = func() { cancel(); <-done }
		defer b.end()
		d := Definition{Key: b.key, Settings: defaults()}
		d.Settings.StartFrom = InStream(0)
		if settings != nil {
			settings(&d.Settings)
		}
		b.must(b.Create(ctx, d))
		test(b)
	})
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// pass lets time of the bubble pass. That takes no real time.
func (b *bench) pass(d time.Duration) { <-time.After(d) }

func (b *bench) connect(slots int) *Consumer {
	b.Helper()
	c, err := b.Connect(b.Context(), b.key, Connection{From: "here", Username: "u", Name: "n"}, slots)
	b.must(err)
	return c
}

func (b *bench) info() Info {
	b.Helper()
	info, err := b.Info(b.Context(), b.key)
	b.must(err)
	return info
}

// got returns what a consumer has received so far, each as revision/retries.
func (b *bench) got(c *Consumer) (got []string, ids []uuid.UUID) {
	b.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.waiting {
		got = append(got, fmt.Sprintf("%d/%d", RevisionOf(d.Place), d.Retries))
		ids = append(ids, d.Original.ID)
	}
	c.waiting = nil
	return got, ids
}

func (b *bench) want(c *Consumer, want ...string) []uuid.UUID {
	b.Helper()
	got, ids := b.got(c)
	if !slices.Equal(got, want) {
		b.Fatalf("the consumer has %q, want %q", got, want)
	}
	return ids
}

func (b *bench) wantOver(c *Consumer, over error) {
	b.Helper()
	if _, err := c.Next(b.Context()); err == nil || err.Error() != over.Error() {
		b.Fatalf("the consumer ends with %v, want %v", err, over)
	}
}

func (b *bench) wantLogged(what string, times int) {
	b.Helper()
	synctest.Wait()
	if n := strings.Count(b.logs.String(), what); n != times {
		b.Fatalf("%q was logged %d times, want %d", what, n, times)
	}
}

func TestAMessageThatIsNotAnsweredComesAgainAndIsParked(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MessageTimeout, s.MaxRetryCount = 10*time.Second, 2 }, func(b *bench) {
		b.source.grow(2)
		c := b.connect(5)
		b.want(c, "0/0", "1/0")
		b.pass(9 * time.Second)
		b.want(c)
		b.pass(time.Second)
		b.want(c, "0/1", "1/1")
		b.pass(10 * time.Second)
		b.want(c, "0/2", "1/2")
		if info := b.info(); info.ParkedEvents != 0 || info.InFlight != 2 {
			b.Fatalf("before the last timeout %+v", info)
		}
		b.pass(10 * time.Second)
		b.want(c)
		if info := b.info(); info.ParkedEvents != 2 || info.InFlight != 0 || info.Outstanding != 0 {
			b.Fatalf("after the last timeout %+v", info)
		}
	})
}

func TestWithoutATimeoutAMessageIsWaitedForForEver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MessageTimeout = 0 }, func(b *bench) {
		b.source.grow(1)
		c := b.connect(5)
		b.want(c, "0/0")
		b.pass(1000 * time.Hour)
		b.want(c)
	})
}

// A timeout of one tick (100 ns, the protocol's unit) must not keep a node busy with nothing else.
func TestATimeoutIsAMillisecondAtLeast(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MessageTimeout, s.MaxRetryCount = 100*time.Nanosecond, 1_000_000 }, func(b *bench) {
		b.source.grow(1)
		c := b.connect(1)
		b.want(c, "0/0")
		b.pass(minTimeout - 1)
		b.want(c)
		b.pass(1)
		b.want(c, "0/1")
	})
}

// If a consumer reads nothing, at most as many events wait for it as it has slots, however often
// they time out.
func TestEventsThatAConsumerDoesNotReadAreTakenBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MessageTimeout, s.MaxRetryCount = time.Second, 1 }, func(b *bench) {
		b.source.grow(100)
		c := b.connect(3)
		b.pass(20*time.Second + time.Millisecond)
		if got, _ := b.got(c); len(got) != 3 {
			b.Fatalf("%d events wait for a consumer of 3 slots: %q", len(got), got)
		}
		if info := b.info(); info.ParkedEvents != 30 {
			b.Fatalf("%d events are parked, want three each two seconds", info.ParkedEvents)
		}
	})
}

func TestAGroupWithoutConsumersReadsNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(10)
		b.pass(time.Minute)
		if reads, open := b.source.counts(); reads != 0 || open != 0 {
			b.Fatalf("without consumers %d events were read, %d readers", reads, open)
		}
		if status := b.info().Status; status != "Paused" {
			b.Fatalf("status %s", status)
		}
		c := b.connect(20)
		b.want(c, "0/0", "1/0", "2/0", "3/0", "4/0", "5/0", "6/0", "7/0", "8/0", "9/0")
		if status := b.info().Status; status != "Live" {
			b.Fatalf("status %s", status)
		}
		c.Close()
		synctest.Wait()
		b.source.grow(10)
		b.pass(time.Minute)
		if reads, open := b.source.counts(); reads != 10 || open != 0 {
			b.Fatalf("after the last consumer left %d events were read, %d readers", reads, open)
		}
	})
}

// The number of events that a group holds is bounded, whatever its consumers do. When there is
// space, it goes on from its place.
func TestReadingStopsWhenTheBufferIsFull(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.HistoryBufferSize, s.LiveBufferSize, s.ReadBatchSize = 10, 10, 4 }, func(b *bench) {
		b.source.grow(1000)
		c := b.connect(2)
		first := b.want(c, "0/0", "1/0")
		if reads, _ := b.source.counts(); reads != 12 {
			b.Fatalf("%d events were read, want the buffer of 10 and what is in flight", reads)
		}
		info := b.info()
		if info.ReadBuffer != 10 || info.Status != "Behind" || info.InFlight != 2 {
			b.Fatalf("a full group: %+v", info)
		}
		c.Ack(first)
		next := b.want(c, "2/0", "3/0")
		if reads, _ := b.source.counts(); reads != 12 {
			b.Fatalf("%d events were read before there was room for a batch", reads)
		}
		c.Ack(next)
		for revision := 4; revision < 1000; revision += 2 {
			c.Ack(b.want(c, fmt.Sprint(revision, "/0"), fmt.Sprint(revision+1, "/0")))
		}
		b.want(c)
		if info := b.info(); info.Status != "Live" || info.Total != 1000 {
			b.Fatalf("at the end: %+v", info)
		}
		b.source.grow(5)
		b.want(c, "1000/0", "1001/0")
		if info := b.info(); info.Status != "Live" || info.LiveBuffer != 3 || info.ReadBuffer != 0 {
			b.Fatalf("at the head: %+v", info)
		}
		b.source.grow(100)
		synctest.Wait()
		if info := b.info(); info.Status != "Behind" || info.ReadBuffer != 10 {
			b.Fatalf("fallen behind: %+v", info)
		}
	})
}

func TestEventsOfAConsumerThatLeavesComeFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(6)
		gone, stays := b.connect(2), b.connect(1)
		synctest.Wait()
		ids := b.want(stays, "1/0")
		gone.Close()
		synctest.Wait()
		stays.Ack(ids)
		for _, want := range []string{"0/1", "2/1", "3/0", "4/0", "5/0"} {
			stays.Ack(b.want(stays, want))
		}
	})
}

func TestNoMoreConsumersThanTheSettingsAllow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MaxSubscriberCount = 1 }, func(b *bench) {
		c := b.connect(1)
		if _, err := b.Connect(b.Context(), b.key, Connection{}, 1); !isA[*FullError](err) {
			b.Fatalf("a second consumer: %v", err)
		}
		c.Close()
		b.connect(1)
	})
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestCheckpointsAreWrittenByTimeAndByCount(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) {
		s.CheckpointAfter, s.MinCheckpointCount, s.MaxCheckpointCount = 2*time.Second, 2, 4
	}, func(b *bench) {
		b.source.grow(20)
		c := b.connect(20)
		_, ids := b.got(c)
		steps := []struct {
			what string
			do   func()
			want Place
		}{
			{"one is too few", func() { c.Ack(ids[:1]); b.pass(time.Minute) }, None},
			{"two are enough by time", func() { c.Ack(ids[1:2]) }, InStream(1)},
			{"two more have to wait", func() { c.Ack(ids[2:4]); b.pass(time.Second) }, InStream(1)},
			{"until it is time", func() { b.pass(time.Second) }, InStream(3)},
			{"four are enough at once", func() { c.Ack(ids[4:8]) }, InStream(7)},
			{"a gap holds it back", func() { c.Ack(ids[9:20]); b.pass(time.Minute) }, InStream(7)},
			{"until it is closed", func() { c.Ack(ids[8:9]) }, InStream(19)},
		}
		for _, step := range steps {
			step.do()
			synctest.Wait()
			if got := b.info().Checkpoint; got != step.want {
				b.Fatalf("%s: checkpoint %s, want %s", step.what, got, step.want)
			}
		}
	})
}

// With its checkpoint a group stores the event that it has read last, so that the log can be
// recognised later. It is an event that was read, or one that a mark names.
func TestACheckpointIsKeptWithTheEventThatWasReadLast(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MaxCheckpointCount = 1 }, func(b *bench) {
		c := b.connect(10)
		for read := 3; read <= 6; read += 3 {
			b.source.grow(3)
			_, ids := b.got(c)
			c.Ack(ids)
			synctest.Wait()
			last := testEvent(read-1, "s")
			if got, want := b.store.lastSeen(b.key), eventstore.AnchorOf(last.Original); got != want || got.IsZero() {
				b.Errorf("after %d events the group keeps %q, want %q", read, got, want)
			}
		}
		anchor := eventstore.Anchor{Position: eventstore.At(50), Stream: "other", Revision: 9, ID: [16]byte{1}}
		b.source.tells(anchor)
		b.source.grow(1)
		_, ids := b.got(c)
		c.Ack(ids)
		synctest.Wait()
		if got := b.store.lastSeen(b.key); got != anchor {
			b.Errorf("after a mark the group keeps %q, want %q", got, anchor)
		}
	})
}

// A parked event counts as handled only when it is saved. Until then nothing is lost.
func TestWhatCannotBeSavedIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MaxCheckpointCount = 1 }, func(b *bench) {
		b.store.set(errors.New("no database"))
		b.source.grow(2)
		c := b.connect(2)
		ids := b.want(c, "0/0", "1/0")
		c.Nack(ids[:1], Park, "broken")
		c.Ack(ids[1:])
		b.pass(time.Minute)
		if info := b.info(); info.ParkedEvents != 0 || info.Outstanding != 1 || info.Checkpoint != None {
			b.Fatalf("while the store is away: %+v", info)
		}
		b.store.set(nil)
		b.pass(longest)
		if info := b.info(); info.ParkedEvents != 1 || info.Outstanding != 0 || info.Checkpoint != InStream(1) {
			b.Fatalf("when the store is back: %+v", info)
		}
		b.must(b.Replay(b.Context(), b.key, -1))
		c.Ack(b.want(c, "0/0"))
		synctest.Wait()
		if n := len(b.store.groups[b.key].parked); n != 0 {
			b.Fatalf("%d events stay parked", n)
		}
	})
}

func TestReadingIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(1)
		b.source.breaks(true)
		c := b.connect(3)
		b.pass(time.Minute)
		b.want(c)
		b.source.breaks(false)
		b.pass(longest)
		b.want(c, "0/0")
		b.wantLogged("cannot read its source", 1)
		b.source.breaks(true)
		b.source.grow(1)
		b.pass(time.Minute)
		b.wantLogged("cannot read its source", 2) // twice, because it could read in between
	})
}

func TestAnUpdateKeepsTheCheckpoint(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(5)
		c := b.connect(5)
		_, ids := b.got(c)
		c.Ack(ids[:3]) // by the settings these are too few for a checkpoint
		settings := defaults()
		settings.StartFrom = InStream(0) // the Go client always sends a start
		b.must(b.Update(b.Context(), b.key, settings))
		b.wantOver(c, &DroppedError{Key: b.key})
		b.want(b.connect(5), "3/0", "4/0")
	})
}

func TestAGroupFromTheEndLosesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(5)
		d := Definition{Key: Key{Source: "s", Name: "end"}, Settings: defaults()}
		d.Settings.StartFrom = eventstore.End
		b.must(b.Create(b.Context(), d))
		b.source.grow(1)
		b.must(b.Restart(b.Context()))
		d.Settings.MaxRetryCount++
		// The group starts at the end, as when it was made.
		b.must(b.Update(b.Context(), d.Key, d.Settings))
		c, err := b.Connect(b.Context(), d.Key, Connection{}, 5)
		b.must(err)
		b.want(c, "5/0")
	})
}

// As long as no consumer has handled an event, an update moves the group's start, wherever the
// group began and also after restarts.
func TestAGroupIsMovedBeforeItHasBegun(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]Place{"the end": eventstore.End, "the start": None, "the middle": InStream(3), "beyond": InStream(9)} {
		t.Run("from "+name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(b *bench) {
				b.source.grow(5)
				d := Definition{Key: Key{Source: "s", Name: "moved"}, Settings: defaults()}
				move := func(to Place) {
					d.Settings.StartFrom = to
					b.must(b.Update(b.Context(), d.Key, d.Settings))
				}
				join := func() *Consumer {
					c, err := b.Connect(b.Context(), d.Key, Connection{}, 9)
					b.must(err)
					return c
				}
				d.Settings.StartFrom = start
				b.must(b.Create(b.Context(), d))
				b.source.grow(1)
				move(InStream(4))
				b.want(join(), "4/0", "5/0") // this consumer handles nothing
				move(eventstore.End)
				b.source.grow(1)
				move(eventstore.End)
				b.want(join(), "6/0")
				b.must(b.Restart(b.Context()))
				move(InStream(1))
				if i, err := b.Info(b.Context(), d.Key); err != nil || i.Checkpoint != None {
					b.Errorf("info %+v, %v: nothing was handled yet", i, err)
				}
				c := join()
				ids := b.want(c, "1/0", "2/0", "3/0", "4/0", "5/0", "6/0")
				c.Ack(ids[:2])
				move(None) // too late, because an event was handled
				b.want(join(), "3/0", "4/0", "5/0", "6/0")
				move(eventstore.End)
				b.want(join(), "3/0", "4/0", "5/0", "6/0")
			})
		})
	}
}

// When another node leads, consumers are told its address. When this node leads again, it goes on
// from the groups' checkpoints.
func TestGroupsFollowTheLeader(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		b.source.grow(3)
		c := b.connect(2)
		c.Ack(b.want(c, "0/0", "1/0"))
		b.want(c, "2/0")
		other := &NotLeaderError{Host: "other", Port: 7}
		b.node.set(Leadership{Host: "other", Port: 7})
		b.wantOver(c, other)
		synctest.Wait()
		if _, err := b.Connect(b.Context(), b.key, Connection{}, 1); !isA[*NotLeaderError](err) {
			b.Fatalf("connect on a node that does not lead: %v", err)
		}
		if err := b.Delete(b.Context(), b.key); !isA[*NotLeaderError](err) {
			b.Fatalf("delete on a node that does not lead: %v", err)
		}
		if _, open := b.source.counts(); open != 0 {
			b.Fatal("a node that does not lead reads")
		}
		b.node.set(Leadership{})
		synctest.Wait()
		if _, err := b.Connect(b.Context(), b.key, Connection{}, 1); !errors.Is(err, ErrNotReady) {
			b.Fatalf("connect while nobody leads: %v", err)
		}
		b.node.set(Leadership{Epoch: 3})
		synctest.Wait()
		b.want(b.connect(2), "2/0")
	})
}

// If a node learns from the store that another node has taken over, it serves no consumer until it
// leads again.
func TestAFencedNodeStopsServing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.MaxCheckpointCount = 1 }, func(b *bench) {
		b.source.grow(2)
		c := b.connect(1)
		ids := b.want(c, "0/0")
		b.store.set(fmt.Errorf("save: %w", ErrFenced))
		c.Ack(ids)
		synctest.Wait()
		b.wantOver(c, ErrNotReady)
		if _, err := b.Connect(b.Context(), b.key, Connection{}, 1); !errors.Is(err, ErrNotReady) {
			b.Fatalf("connect on a fenced node: %v", err)
		}
		b.store.set(nil)
		b.node.set(Leadership{Epoch: 2})
		synctest.Wait()
		b.want(b.connect(1), "0/0") // it was not saved, so it comes again
	})
}

func TestInfoCounts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(s *Settings) { s.ExtraStatistics = true }, func(b *bench) {
		b.source.grow(12)
		c := b.connect(10)
		_, ids := b.got(c)
		b.pass(2 * time.Second)
		c.Ack(ids[:4])
		synctest.Wait()
		info := b.info()
		if info.Total != 12 || info.SinceLastInfo != 12 || info.PerSecond != 6 || info.InFlight != 8 || info.Last != InStream(11) {
			b.Errorf("info %+v", info)
		}
		of := info.Consumers[0]
		if of.From != "here" || of.Username != "u" || of.Name != "n" || of.InFlight != 8 || of.FreeSlots != 2 || of.Total != 12 || of.PerSecond != 6 {
			b.Errorf("consumer %+v", of)
		}
		if of.Measurements[0] != (Measurement{"Mean", 2000}) || of.Measurements[13] != (Measurement{"Highest", 2000}) {
			b.Errorf("measurements %+v", of.Measurements)
		}
		if again := b.info(); again.SinceLastInfo != 0 || again.Consumers[0].SinceLastInfo != 0 {
			b.Errorf("a second look %+v", again)
		}
	})
}

func TestGroupsThatCannotBe(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		wrong := map[string]func(*Definition){
			"a strategy that is unknown":   func(d *Definition) { d.Settings.Strategy = "Best" },
			"a batch as large as a buffer": func(d *Definition) { d.Settings.ReadBatchSize = d.Settings.HistoryBufferSize },
			"no batch":                     func(d *Definition) { d.Settings.ReadBatchSize = 0 },
			"negative retries":             func(d *Definition) { d.Settings.MaxRetryCount = -1 },
			"a negative timeout":           func(d *Definition) { d.Settings.MessageTimeout = -1 },
			"no source":                    func(d *Definition) { d.Source = "" },
			"no name":                      func(d *Definition) { d.Name = "" },
			"a filter on a stream":         func(d *Definition) { d.Filter.Regex = "a" },
		}
		for what, spoil := range wrong {
			d := Definition{Key: Key{Source: "s", Name: "x"}, Settings: defaults()}
			spoil(&d)
			if err := b.Create(b.Context(), d); !isA[*InvalidError](err) {
				b.Errorf("%s: %v, want *InvalidError", what, err)
			}
		}
		d := Definition{Key: b.key, Settings: defaults()}
		if err := b.Create(b.Context(), d); !isA[*ExistsError](err) {
			b.Errorf("a group twice: %v", err)
		}
	})
}
