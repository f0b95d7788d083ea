package walk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands"
	"daybook/commands/payments"
	"daybook/commands/reactor"
	"daybook/eventstore"
)

// clock is the real clock, or a clock that the test moves.
type clock struct {
	mu     sync.Mutex
	manual time.Time // zero stands for the real clock
}

func newClock(byHand bool) *clock {
	if !byHand {
		return &clock{}
	}
	return &clock{manual: time.Date(2024, 2, 28, 22, 0, 0, 0, time.UTC)} // before a leap day
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.manual.IsZero() {
		return time.Now()
	}
	return c.manual
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.manual.IsZero() {
		c.manual = c.manual.Add(d)
	}
}

// journal is the reactor's journal. It keeps the checkpoint and the timers in memory, because
// timers must follow the walk's clock. They outlive a restart of the program. There is one node, so
// it always leads.
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

// due returns the timer that has been due for the longest time.
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

// fired removes a timer that has fired. If err asks for a later time, it sets the timer to that
// time. It returns any other error that is no alarm.
func (j *journal) fired(timer reactor.Timer, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if later, postponed := errors.AsType[*reactor.PostponedError](err); postponed {
		timer.DueAt = later.Until
		j.timers[timer.Deadline] = timer
		return nil
	}
	if _, alarm := errors.AsType[*commands.RefundOverdueError](err); alarm {
		err = nil // it would be parked, so that a person asks the provider
	}
	if err == nil {
		delete(j.timers, timer.Deadline)
	}
	return err
}

// cuttableLog is a log whose appends fail after a given number of them.
type cuttableLog struct {
	eventstore.Store

	mu            sync.Mutex
	reactorFilter eventstore.Filter // the filter of the reactor, which is the only subscriber
	cut           bool
	appendsLeft   int  // appends that still succeed
	lose          bool // the append after those is recorded, but its caller gets an error
	stepByStep    bool // it hides that the log can append to several streams at once
}

var errCut = errors.New("cut off by the walk")

// cutAfter lets this many appends succeed. Later ones fail until restore.
func (c *cuttableLog) cutAfter(appends int, lose bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.appendsLeft, c.lose = true, appends, lose
}

func (c *cuttableLog) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

func (c *cuttableLog) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	c.mu.Lock()
	c.reactorFilter = filter
	c.mu.Unlock()
	return c.Store.Subscribe(ctx, after, filter)
}

// lastForReactor is the position of the latest event that the reactor's filter selects.
func (c *cuttableLog) lastForReactor(ctx context.Context) (eventstore.Position, error) {
	c.mu.Lock()
	filter := c.reactorFilter
	c.mu.Unlock()
	for e, err := range c.ReadAllBackwards(ctx, eventstore.End, filter, 1) {
		return e.Position, err
	}
	return eventstore.Start, nil
}

func (c *cuttableLog) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	return cuttable(c, func() (eventstore.Result, error) { return c.Store.Append(ctx, stream, expected, events) })
}

// MultiAppender tells that the log can append to several streams at once, unless that is hidden.
func (c *cuttableLog) MultiAppender() (eventstore.MultiAppender, bool) { return c, !c.stepByStep }

// AppendAll counts as one append.
func (c *cuttableLog) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	all, _ := eventstore.MultiAppenderOf(c.Store)
	return cuttable(c, func() ([]eventstore.Result, error) { return all.AppendAll(ctx, writes) })
}

// cuttable carries out an append, unless it is cut off.
func cuttable[R any](c *cuttableLog, carryOut func() (R, error)) (result R, err error) {
	c.mu.Lock()
	cut, lose := c.cut && c.appendsLeft <= 0, c.cut && c.appendsLeft <= 0 && c.lose
	if c.cut {
		c.appendsLeft--
	}
	if lose {
		c.lose = false
	}
	c.mu.Unlock()
	if lose {
		if result, err := carryOut(); err != nil {
			return result, err
		}
		return result, &eventstore.OutcomeUnknownError{Cause: errCut}
	}
	if cut {
		return result, &eventstore.UnavailableError{Cause: errCut}
	}
	return carryOut()
}

// answers keeps answers in memory. They are lost when the program ends, as a real program loses the
// answers that it has not written yet.
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
	return nil, nil //nolint:nilnil // the interface asks for this
}

func (a *answers) Keep(answer commands.KeptAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, found := a.kept[answer.Scope+" "+answer.Key]; !found {
		a.kept[answer.Scope+" "+answer.Key] = answer
	}
}

// Read implements payments.Reporter. A message of the bank is a report as it is.
func (b bank) Read(_ func(name string) string, body []byte, _ time.Time) (report payments.Report, err error) {
	if json.Unmarshal(body, &report) != nil || report.Payment == "" {
		return report, payments.ErrUnreadable
	}
	for _, t := range report.Transactions {
		if t.Reference == "" || t.Amount.Sign() <= 0 {
			return report, payments.ErrUnreadable
		}
	}
	return report, nil
}

// bank is a provider that carries out most refunds, and fails some. What it does with an
// instruction depends only on its key, so a repeated walk gets the same outcomes.
type bank struct{ payments.Manual }

func (b bank) Refund(_ context.Context, i payments.Instruction) payments.Outcome {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(i.Key))
	if hash.Sum32()%4 == 0 {
		return payments.Outcome{State: payments.Failed, Reason: "the account is closed"}
	}
	return payments.Outcome{State: payments.Succeeded, Reference: "re-" + i.Key}
}

func (b bank) LookUp(ctx context.Context, i payments.Instruction) payments.Outcome {
	return b.Refund(ctx, i)
}
