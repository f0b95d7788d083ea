package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var multiLinearRules = []rule{
	{"what racing clients see of several streams happened in some one order", multiLinearizable},
}

// contents is what the streams hold. Events are known by a rune.
type contents [3]string

// multiCall is an operation on the streams: a read of one, or one event for each of some streams.
type multiCall struct {
	read   int // a stream, if there are no writes
	writes []multiWrite
}

type multiWrite struct {
	stream   int
	expected eventstore.Expected
	event    rune
}

// multiReply is the answer to a call.
type multiReply struct {
	content  string // the answer to a read
	results  []eventstore.Result
	conflict int // the stream of a ConflictError or DuplicateEventError; -1 if there was none
}

// multiLinearizable does what linearizable does, with writes to several streams among the appends.
func multiLinearizable(l *log) {
	all := l.multi()
	const clients, calls = 6, 20
	c := &multiClientele{log: l, all: all, ids: newEvents(clients * calls * len(contents{}))}
	for i := range c.streams {
		c.streams[i] = l.stream(fmt.Sprint(2*i%len(c.streams), "-stream"))
	}
	histories := make([][]porcupine.Operation, clients)
	var group errgroup.Group
	for client := range clients {
		group.Go(func() (err error) {
			histories[client], err = c.run(client, calls)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	model := porcupine.Model{
		Init: func() any { return contents{} },
		Step: func(state, input, output any) (bool, any) {
			return multiStep(state.(contents), input.(multiCall), output.(multiReply))
		},
	}
	history := slices.Concat(histories...)
	switch porcupine.CheckOperationsTimeout(model, history, l.patience) {
	case porcupine.Ok:
	case porcupine.Illegal:
		l.Errorf("no order of the %d calls explains their answers", len(history))
	case porcupine.Unknown:
		l.Logf("no order of the %d calls was found or excluded in time", len(history))
	}
}

// multiClientele has what all clients share.
type multiClientele struct {
	*log
	all     eventstore.MultiAppender
	streams [len(contents{})]string
	ids     []eventstore.Event
	ticks   atomic.Int64 // a clock, which tells whether one call had ended before another began
}

// run makes the calls of one client, which appends at the revisions that it knows.
func (c *multiClientele) run(client, calls int) ([]porcupine.Operation, error) {
	random := rand.New(rand.NewPCG(3, uint64(client)))
	var history []porcupine.Operation
	var made []multiCall
	last := [len(contents{})]int64{-1, -1, -1}
	for n := range calls {
		next := multiCall{read: random.IntN(len(c.streams))}
		switch choice := random.IntN(10); {
		case choice < 2:
		case choice < 4 && len(made) > 0:
			next = made[random.IntN(len(made))] // a retry, of all or of a part
			if choice == 3 {
				next.writes = next.writes[:1]
			}
		default:
			for i, stream := range random.Perm(len(c.streams))[:1+random.IntN(len(c.streams))] {
				w := multiWrite{stream, eventstore.AtRevision(last[stream]), rune((client*calls+n)*len(c.streams) + i)}
				if choice == 9 {
					w.expected = eventstore.Any
				}
				next.writes = append(next.writes, w)
			}
		}
		began := c.ticks.Add(1)
		answer, err := c.make(next)
		if err != nil {
			return nil, err
		}
		history = append(history, porcupine.Operation{ClientId: client, Input: next, Call: began, Output: answer, Return: c.ticks.Add(1)})
		if len(next.writes) == 0 {
			last[next.read] = int64(len([]rune(answer.content))) - 1
			continue
		}
		made = append(made, next)
		for i, result := range answer.results {
			last[next.writes[i].stream] = result.Revision
		}
	}
	return history, nil
}

func (c *multiClientele) make(next multiCall) (multiReply, error) {
	if len(next.writes) == 0 {
		return c.read(next.read)
	}
	writes := make([]eventstore.Write, len(next.writes))
	for i, w := range next.writes {
		writes[i] = eventstore.Write{Stream: c.streams[w.stream], Expected: w.expected, Events: c.ids[w.event : w.event+1]}
	}
	results, err := c.all.AppendAll(c.ctx, writes)
	if conflict, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return multiReply{conflict: slices.Index(c.streams[:], conflict.Stream)}, nil
	}
	if duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return multiReply{conflict: slices.Index(c.streams[:], duplicate.Stream)}, nil
	}
	if err != nil {
		return multiReply{}, fmt.Errorf("writes: %w", err)
	}
	return multiReply{results: results, conflict: -1}, nil
}

func (c *multiClientele) read(stream int) (multiReply, error) {
	var content strings.Builder
	for e, err := range c.ReadStream(c.ctx, c.streams[stream], 0, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			break
		}
		if err != nil {
			return multiReply{}, fmt.Errorf("read: %w", err)
		}
		content.WriteRune(rune(slices.IndexFunc(c.ids, func(own eventstore.Event) bool { return own.ID == e.ID })))
	}
	return multiReply{content: content.String(), conflict: -1}, nil
}

// verdict says what must happen to an event that is appended to a stream with this content: the
// revision that it has or gets, and whether it was there before. fits is false if it is refused.
func verdict(content string, w multiWrite) (revision int64, replayed, fits bool) {
	held := []rune(content)
	for place, event := range held {
		if event == w.event && (w.expected < eventstore.NoStream || int64(w.expected)+1 == int64(place)) {
			return int64(place), true, true
		}
	}
	next := int64(len(held))
	return next, false, w.expected == eventstore.Any || int64(w.expected)+1 == next
}

// multiStep tells whether streams with these contents would give this reply to a call, and returns
// the contents after the call.
func multiStep(held contents, in multiCall, out multiReply) (bool, contents) {
	if len(in.writes) == 0 {
		return out.content == held[in.read], held
	}
	after := held
	refused, replays, first := -1, 0, -1
	for i, w := range in.writes {
		revision, replayed, fits := verdict(held[w.stream], w)
		switch {
		case !fits:
			if refused < 0 {
				refused = w.stream
			}
		case replayed:
			if replays++; first < 0 {
				first = w.stream
			}
		default:
			after[w.stream] += string(w.event)
		}
		if fits && out.conflict < 0 && (out.results[i].Revision != revision || out.results[i].Replayed != replayed) {
			return false, held
		}
	}
	if refused < 0 && replays > 0 && replays < len(in.writes) {
		refused = first
	}
	if refused >= 0 {
		return out.conflict == refused, held
	}
	return out.conflict < 0, after
}
