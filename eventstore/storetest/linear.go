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

var linearRules = []rule{
	{"what racing clients see of a stream happened in some one order", linearizable},
}

// call is an operation on the stream: a read, or an append of one event. Events
// are known by a rune, so that a stream's content is a string.
type call struct {
	read     bool
	expected eventstore.Expected
	event    rune
}

// reply is the answer to a call.
type reply struct {
	content   string // the answer to a read
	revision  int64  // of an append that was accepted or replayed; after a conflict, the actual revision
	replayed  bool
	conflict  bool
	duplicate bool
}

// linearizable records the requests and answers of several clients, with reads and
// repetitions among the appends. It looks for an order of all calls that explains every
// answer. In that order no call may come before a call that had ended when it began.
func linearizable(l *log) {
	const clients, calls = 8, 24
	c := &clientele{log: l, stream: l.stream("a"), ids: newEvents(clients * calls)}
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
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	model := porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, output any) (bool, any) { return step(state.(string), input.(call), output.(reply)) },
	}
	switch porcupine.CheckOperationsTimeout(model, history, l.patience) {
	case porcupine.Ok:
	case porcupine.Illegal:
		l.Errorf("no order of the %d calls explains their answers", len(history))
	case porcupine.Unknown:
		l.Logf("no order of the %d calls was found or excluded in time", len(history))
	}
}

// clientele has what all clients share.
type clientele struct {
	*log
	stream string
	ids    []eventstore.Event
	ticks  atomic.Int64 // a clock, which tells whether one call had ended before another began
}

// run makes the calls of one client, which appends at the revision that it knows.
func (c *clientele) run(client, calls int) ([]porcupine.Operation, error) {
	random := rand.New(rand.NewPCG(1, uint64(client)))
	var history []porcupine.Operation
	var appends []call
	revision := int64(-1)
	for n := range calls {
		next := call{expected: eventstore.AtRevision(revision), event: rune(client*calls + n)}
		switch choice := random.IntN(10); {
		case choice < 3:
			next = call{read: true}
		case choice < 4:
			next.expected = eventstore.Any
		case choice < 6 && len(appends) > 0:
			next = appends[random.IntN(len(appends))] // a retry
		case choice < 7 && len(appends) > 0:
			next.event = appends[random.IntN(len(appends))].event // an id that is used again
		}
		began := c.ticks.Add(1)
		answer, err := c.make(next)
		if err != nil {
			return nil, err
		}
		history = append(history, porcupine.Operation{ClientId: client, Input: next, Call: began, Output: answer, Return: c.ticks.Add(1)})
		if next.read {
			revision = int64(len([]rune(answer.content))) - 1
			continue
		}
		appends = append(appends, next)
		if answer.revision != eventstore.UnknownRevision && !answer.duplicate {
			revision = answer.revision
		}
	}
	return history, nil
}

func (c *clientele) make(next call) (reply, error) {
	if next.read {
		return c.readAll()
	}
	result, err := c.Append(c.ctx, c.stream, next.expected, c.ids[next.event:next.event+1])
	if conflict, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return reply{conflict: true, revision: conflict.Actual}, nil
	}
	if _, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return reply{duplicate: true}, nil
	}
	if err != nil {
		return reply{}, fmt.Errorf("append: %w", err)
	}
	return reply{revision: result.Revision, replayed: result.Replayed}, nil
}

func (c *clientele) readAll() (reply, error) {
	var content strings.Builder
	for e, err := range c.ReadStream(c.ctx, c.stream, 0, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			break
		}
		if err != nil {
			return reply{}, fmt.Errorf("read: %w", err)
		}
		content.WriteRune(rune(slices.IndexFunc(c.ids, func(own eventstore.Event) bool { return own.ID == e.ID })))
	}
	return reply{content: content.String()}, nil
}

// step tells whether a stream with this content would give this reply to a call, and returns the
// content after the call.
func step(content string, in call, out reply) (bool, string) {
	if in.read {
		return out.content == content, content
	}
	held := []rune(content)
	exact := in.expected >= eventstore.NoStream
	last := int64(len(held)) - 1
	found := false
	for place, event := range held {
		if event != in.event {
			continue
		}
		found = true
		if !exact || int64(in.expected)+1 == int64(place) {
			return out.replayed && out.revision == int64(place), content
		}
	}
	if exact && int64(in.expected) != last {
		told := out.conflict && (out.revision == last || out.revision == eventstore.UnknownRevision)
		return told || found && out.duplicate, content
	}
	taken := !out.conflict && !out.duplicate && !out.replayed && out.revision == last+1
	return taken, content + string(in.event)
}
