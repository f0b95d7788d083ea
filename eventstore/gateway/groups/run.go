package groups

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

const (
	backoff     = 100 * time.Millisecond // wait before a failed attempt is repeated,
	longest     = 5 * time.Second        // doubled each time up to this
	saveMax     = 5 * time.Second        // for one save
	endMax      = time.Second            // for work in progress when a group or the service ends
	replayBatch = 100                    // parked events read at a time
	maxAhead    = 10_000                 // parked events, after the checkpoint, that are remembered
)

// MaxSlots is how many events a consumer works on at most, whatever it asks for.
const MaxSlots = 1 << 16

// running is a group that is being served. One goroutine reads the source, one reads parked
// events to be replayed, and one saves and watches the time. All share the rules, which mu
// guards.
type running struct {
	definition Definition
	log        Log
	store      Store
	epoch      int64
	logger     *slog.Logger

	mu    sync.Mutex
	rules *group
	// consumerEnds has, for each consumer of the rules, the Consumer that its connection uses.
	consumerEnds map[*consumer]*Consumer
	stopped      error // why no consumer is served any more
	// unfollow ends the reading of the source, if it is under way.
	unfollow context.CancelFunc
	wakeAt   time.Time // until when save waits; zero: it waits only for a token
	stored   *Place    // the checkpoint in the store
	seen     eventstore.Anchor

	// Each of these channels holds a token when there may be something to do.
	readable, savable, replayable chan struct{}

	stop   context.CancelFunc
	ended  chan struct{}
	fenced func() // called when another node has taken over
}

// start runs a group with what the store holds of it.
func start(ctx context.Context, s *Service, epoch int64, g Group) (*running, error) {
	after := None
	if g.Checkpoint != nil {
		after = *g.Checkpoint
	}
	parked, err := s.store.ParkedAfter(ctx, g.Key, after, maxAhead)
	if err != nil {
		return nil, err
	}
	r := &running{
		definition:   g.Definition,
		log:          s.log,
		store:        s.store,
		epoch:        epoch,
		logger:       s.logger.With("group", g.Name, "source", g.Source),
		rules:        newGroup(g.Settings, g.Checkpoint, parked, time.Now()),
		consumerEnds: make(map[*consumer]*Consumer),
		stored:       g.Checkpoint,
		readable:     make(chan struct{}, 1),
		savable:      make(chan struct{}, 1),
		replayable:   make(chan struct{}, 1),
		ended:        make(chan struct{}),
		fenced:       s.fencedAt(epoch),
	}
	// The context is a new one, because the group lives longer than the request that made it.
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.run(life)
	return r, nil
}

func (r *running) run(ctx context.Context) {
	defer close(r.ended)
	var work errgroup.Group
	work.Go(func() error { return r.read(ctx) })
	work.Go(func() error { return r.replay(ctx) })
	work.Go(func() error { return r.save(ctx) })
	_ = work.Wait() // each ends with ctx, after it has logged its errors
}

// signal puts a token into a channel.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// waitFor waits for a token, for a time (zero: none), or for the end of ctx.
func waitFor(ctx context.Context, token <-chan struct{}, until time.Time) error {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-token:
	case <-due:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// backOff waits before an attempt that has failed so many times is repeated, longer each time.
func backOff(ctx context.Context, failed int) error {
	return waitFor(ctx, nil, time.Now().Add(min(backoff<<min(failed-1, 10), longest)))
}

// with calls apply with the rules and passes on the effects.
func (r *running) with(apply func(g *group, now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	apply(r.rules, now)
	r.rules.idle(now)
	for _, e := range r.rules.effects() {
		box := r.consumerEnds[e.to]
		if box == nil {
			continue
		}
		switch e.kind {
		case deliver:
			box.put(e.delivery)
		case recall:
			box.recall(e.delivery.Place)
		case dropped:
			box.end(&DroppedError{Key: r.definition.Key})
			delete(r.consumerEnds, e.to)
		}
	}
	if len(r.rules.consumers) == 0 && r.unfollow != nil {
		r.unfollow()
	}
	if r.rules.wants(false) {
		signal(r.readable)
	}
	if r.rules.wantsReplay() {
		signal(r.replayable)
	}
	if next := r.rules.next(); r.rules.urgent(now) || !next.IsZero() && (r.wakeAt.IsZero() || next.Before(r.wakeAt)) {
		signal(r.savable)
	}
}

// read reads the source while there are consumers and space, and resumes by place. Of several
// failures in a row it logs only the first, because a group may begin at a place that the log does
// not reach for a long time.
func (r *running) read(ctx context.Context) error {
	for failed := 0; ; {
		if err := r.until(ctx, r.readable, func(g *group) bool { return g.wants(false) }); err != nil {
			return err
		}
		read, err := r.follow(ctx)
		if read || err == nil {
			failed = 0
		}
		if err == nil {
			continue
		}
		if failed++; failed == 1 && ctx.Err() == nil {
			r.logger.WarnContext(ctx, "a group cannot read its source; it tries again until it can", "error", err)
		}
		if err := backOff(ctx, failed); err != nil {
			return err
		}
	}
}

// follow reads until it fails or there are no consumers. If there is no space, it stops and
// later goes on from there. Meanwhile the log is not read. read tells whether anything was
// read; "nothing new" counts, too.
func (r *running) follow(ctx context.Context) (read bool, err error) {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	after := r.rules.readTo
	r.unfollow = cancel
	r.mu.Unlock()
	// If all consumers left before unfollow was set, this call ends the read.
	r.with(func(*group, time.Time) {})
	for item, err := range r.log.Follow(following, r.definition, after) {
		if err == nil {
			read = true
			err = r.passOn(following, item)
		}
		if following.Err() != nil {
			break
		}
		if err != nil {
			return read, err
		}
	}
	r.with(func(g *group, _ time.Time) { g.behind() })
	return read, ctx.Err()
}

// passOn gives an item to the rules and waits until they want another item.
func (r *running) passOn(ctx context.Context, item Item) error {
	r.noteSeen(item)
	r.with(func(g *group, now time.Time) { g.read(item, now) })
	if r.ask(func(g *group) bool { return g.wants(true) }) {
		return nil
	}
	r.with(func(g *group, _ time.Time) { g.behind() })
	return r.until(ctx, r.readable, func(g *group) bool { return g.wants(false) })
}

// noteSeen notes the latest event that was read.
func (r *running) noteSeen(item Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.seen.Later(item.Anchor)
	if item.Event != nil {
		r.seen = r.seen.Later(eventstore.AnchorOf(item.Event.Original))
	}
}

// ask asks the rules a question.
func (r *running) ask(question func(*group) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return question(r.rules)
}

// until waits until the rules answer yes.
func (r *running) until(ctx context.Context, token <-chan struct{}, yes func(*group) bool) error {
	for !r.ask(yes) {
		if err := waitFor(ctx, token, time.Time{}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// replay hands out marked parked events when there is space.
func (r *running) replay(ctx context.Context) error {
	for failed := 0; ; {
		if err := r.until(ctx, r.replayable, (*group).wantsReplay); err != nil {
			return err
		}
		err := r.replaySome(ctx)
		if failed++; err == nil {
			failed = 0
			continue
		}
		if ctx.Err() == nil {
			r.logger.WarnContext(ctx, "a group cannot read the events to be replayed; it tries again", "error", err)
		}
		if err := backOff(ctx, failed); err != nil {
			return err
		}
	}
}

func (r *running) replaySome(ctx context.Context) error {
	r.mu.Lock()
	after, asked := r.rules.replayedTo, r.rules.asked
	r.mu.Unlock()
	parked, err := r.store.Replaying(ctx, r.definition.Key, after, min(r.definition.Settings.ReadBatchSize, replayBatch))
	if err != nil {
		return err
	}
	for _, p := range parked {
		event, err := r.log.Read(ctx, r.definition, p.Place)
		if err != nil {
			return err
		}
		taken := true
		r.with(func(g *group, now time.Time) {
			if event == nil {
				g.gone(p.Number)
				return
			}
			taken = g.replay(p.Number, *event, now)
		})
		if !taken {
			return nil
		}
	}
	if len(parked) == 0 {
		r.with(func(g *group, _ time.Time) { g.begun = asked })
	}
	return nil
}

// save saves what is to be saved, and watches the time.
func (r *running) save(ctx context.Context) error {
	for {
		var changes *Changes
		var next time.Time
		r.with(func(g *group, now time.Time) {
			g.tick(now)
			changes, next = g.take(false, now), g.next()
			r.wakeAt = next
		})
		if changes != nil {
			if err := r.saveChanges(ctx, *changes); err != nil {
				return err
			}
			continue
		}
		if err := waitFor(ctx, r.savable, next); err != nil {
			return r.saveLast(ctx)
		}
	}
}

// saveChanges repeats until the changes are saved, or the group is taken over or stopped.
func (r *running) saveChanges(ctx context.Context, changes Changes) error {
	for failed := 1; ; failed++ {
		err := r.saveOnce(ctx, changes)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrFenced):
			r.fenced()
			<-ctx.Done()
			return err
		}
		r.logger.WarnContext(ctx, "the state of a group could not be saved; the group tries again", "error", err)
		if backOff(ctx, failed) != nil {
			return err
		}
	}
}

// outlive is a context for work that has begun. It does not end together with ctx, so that the work
// can finish. It ends soon after ctx, so that the work does not delay the end, and it lasts for the
// time most at the longest.
func outlive(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	stop := context.AfterFunc(ctx, func() {
		_ = waitFor(longer, nil, time.Now().Add(endMax)) // the time ends in both cases
		cancel()
	})
	return longer, func() { stop(); cancel() }
}

// saveOnce tries once to save. If the group stops meanwhile, the attempt is cut off a little later.
// It may then be unknown whether the changes were saved. This does no harm: the group's next run
// begins with what the store holds, and some events come again. If the next run is on another node,
// it has a new epoch, and the store refuses changes that still come from here.
func (r *running) saveOnce(ctx context.Context, changes Changes) error {
	ctx, cancel := outlive(ctx, saveMax)
	defer cancel()
	r.mu.Lock()
	changes.Seen = r.seen
	r.mu.Unlock()
	if err := r.store.Save(ctx, r.epoch, r.definition.Key, changes); err != nil {
		return err
	}
	r.with(func(g *group, now time.Time) {
		g.saved(now)
		if changes.Checkpoint != nil {
			r.stored = changes.Checkpoint
		}
	})
	return nil
}

// saveLast saves what was handled when a group stops. What it cannot save comes again.
func (r *running) saveLast(ctx context.Context) error {
	for {
		var changes *Changes
		r.with(func(g *group, now time.Time) { changes = g.take(true, now) })
		if changes == nil {
			return nil
		}
		if err := r.saveOnce(ctx, *changes); err != nil {
			if !errors.Is(err, ErrFenced) {
				r.logger.WarnContext(ctx, "the last state of a group could not be saved; some events come again", "error", err)
			}
			return err
		}
	}
}

// close ends the group and its consumers, and waits until its goroutines have ended.
func (r *running) close(why error) {
	r.mu.Lock()
	r.stopped = why
	for c, box := range r.consumerEnds {
		box.end(why)
		delete(r.consumerEnds, c)
	}
	r.mu.Unlock()
	r.stop()
	<-r.ended
}

// connect adds a consumer.
func (r *running) connect(who Connection, slots int) (box *Consumer, err error) {
	r.with(func(g *group, now time.Time) {
		switch {
		case r.stopped != nil:
			err = r.stopped
		case g.full():
			err = &FullError{Key: r.definition.Key}
		default:
			c := g.connect(min(slots, MaxSlots), now)
			box = &Consumer{of: r, is: c, who: who, filled: make(chan struct{}, 1)}
			r.consumerEnds[c] = box
		}
	})
	return box, err
}

// checkpoint is the checkpoint in the store; nil if there is none.
func (r *running) checkpoint() *Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored
}
