package walk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"daybook/commands"
	"daybook/commands/reactor"
	"daybook/eventstore"
)

// clock is moved by hand, or is the real one.
type clock struct {
	mu   sync.Mutex
	hand time.Time // zero: the real one
}

func newClock(byHand bool) *clock {
	if !byHand {
		return &clock{}
	}
	return &clock{hand: time.Date(2024, 2, 28, 22, 0, 0, 0, time.UTC)} // before a leap day
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hand.IsZero() {
		return time.Now()
	}
	return c.hand
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hand.IsZero() {
		c.hand = c.hand.Add(d)
	}
}

// journal is the reactor's memory, of which the checkpoint and the timers are
// kept here, where the walk's clock rules: they stay when the program ends. There
// is one node, which always leads.
type journal struct {
	reactor.Journal // the rest

	mu         sync.Mutex
	checkpoint eventstore.Position
	timers     map[reactor.Deadline]reactor.Timer
	cartsAfter time.Duration
	cartsKnown bool
}

func newJournal(rest reactor.Journal) *journal {
	return &journal{Journal: rest, timers: map[reactor.Deadline]reactor.Timer{}}
}

func (j *journal) Lead(ctx context.Context) (context.Context, func(), error) {
	ctx, resign := context.WithCancel(ctx)
	return ctx, resign, nil
}

func (j *journal) Checkpoint(context.Context) (eventstore.Position, error) { return j.at(), nil }

func (j *journal) at() eventstore.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.checkpoint
}

func (j *journal) Advance(_ context.Context, from, to eventstore.Position, notes reactor.Notes) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if from != j.checkpoint {
		return reactor.ErrNotLeading
	}
	if len(notes.Park) > 0 {
		return fmt.Errorf("nothing of a walk may be parked: %+v", notes.Park)
	}
	j.checkpoint = to
	for _, timer := range notes.Set {
		j.timers[timer.Deadline] = timer
	}
	for _, deadline := range notes.Clear {
		delete(j.timers, deadline)
	}
	return nil
}

func (j *journal) CartExpiry(context.Context) (time.Duration, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cartsAfter, j.cartsKnown, nil
}

func (j *journal) KeepCartExpiry(_ context.Context, after time.Duration, set []reactor.Timer) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cartsAfter, j.cartsKnown = after, true
	for _, timer := range set {
		j.timers[timer.Deadline] = timer
	}
	return nil
}

// due is the timer that has been due longest.
func (j *journal) due(now time.Time) (first reactor.Timer, due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []reactor.Timer
	for _, timer := range j.timers {
		if !timer.DueAt.After(now) {
			all = append(all, timer)
		}
	}
	if len(all) == 0 {
		return first, false
	}
	return slices.MinFunc(all, func(a, b reactor.Timer) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.String(), b.String()))
	}), true
}

// fired takes a timer off, or sets it for later where its firing said so. An
// error that is none of these is returned.
func (j *journal) fired(timer reactor.Timer, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if later, postponed := errors.AsType[*reactor.PostponedError](err); postponed {
		timer.DueAt = later.Until
		j.timers[timer.Deadline] = timer
		return nil
	}
	if err == nil {
		delete(j.timers, timer.Deadline)
	}
	return err
}

// cuttable is a log whose appends can be cut off after some.
type cuttable struct {
	eventstore.Store

	mu   sync.Mutex
	asks eventstore.Filter // of the reactor, which alone subscribes here
	cut  bool
	left int  // appends that still succeed
	lose bool // the next after those is recorded, and its answer lost
}

var errCut = errors.New("cut off by the walk")

// cutAfter lets so many appends succeed, and no more until mend.
func (c *cuttable) cutAfter(appends int, lose bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.left, c.lose = true, appends, lose
}

func (c *cuttable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

func (c *cuttable) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	c.mu.Lock()
	c.asks = filter
	c.mu.Unlock()
	return c.Store.Subscribe(ctx, after, filter)
}

// last is the position of the latest event that the reactor asks for.
func (c *cuttable) last(ctx context.Context) (eventstore.Position, error) {
	c.mu.Lock()
	filter := c.asks
	c.mu.Unlock()
	for e, err := range c.ReadAllBackwards(ctx, eventstore.End, filter, 1) {
		return e.Position, err
	}
	return eventstore.Start, nil
}

func (c *cuttable) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	c.mu.Lock()
	cut, lose := c.cut && c.left <= 0, c.cut && c.left <= 0 && c.lose
	if c.cut {
		c.left--
	}
	if lose {
		c.lose = false
	}
	c.mu.Unlock()
	if lose {
		if result, err := c.Store.Append(ctx, stream, expected, events); err != nil {
			return result, err
		}
		return eventstore.Result{}, &eventstore.OutcomeUnknownError{Cause: errCut}
	}
	if cut {
		return eventstore.Result{}, &eventstore.UnavailableError{Cause: errCut}
	}
	return c.Store.Append(ctx, stream, expected, events)
}

// answers are kept in memory, and lost with the program, as those of a real one are
// that were not written yet.
type answers struct {
	mu   sync.Mutex
	kept map[string]commands.KeptAnswer
}

func newAnswers() *answers { return &answers{kept: map[string]commands.KeptAnswer{}} }

func (a *answers) Find(_ context.Context, scope, key string) (*commands.KeptAnswer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if kept, found := a.kept[scope+" "+key]; found {
		return &kept, nil
	}
	return nil, nil //nolint:nilnil // so the contract says it
}

func (a *answers) Keep(answer commands.KeptAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.kept[answer.Scope+" "+answer.Key]; !found {
		a.kept[answer.Scope+" "+answer.Key] = answer
	}
}
