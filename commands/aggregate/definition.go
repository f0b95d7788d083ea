// Package aggregate carries out commands on aggregates of any kind. It folds a stream, calls
// the aggregate's Decide, and appends the events that Decide returns. It imports no aggregate.
// A Definition has the functions of one kind.
//
//   - handler.go takes commands and keeps a lane for each stream.
//   - queue.go has the jobs that wait for a lane.
//   - condition.go is what a request expects of the stream's revision.
//   - lane.go decides the commands of one stream, and appends them as one batch.
//   - joint.go carries out commands of several streams, and records them in one append.
//   - fold.go reads a stream into a state, from a snapshot if there is one.
//   - news.go hears of what other nodes record.
//   - memory.go remembers the latest commands of a stream.
//   - search.go and searches.go look in the log for what the memory or a state has forgotten.
//   - doubt.go finds out whether an error leaves it unknown what was recorded.
//   - safely.go turns a panic into an error.
package aggregate

import (
	"errors"
	"fmt"
	"slices"

	"daybook/eventstore"
)

// Definition has the functions of one kind of aggregate, for its Handler. They come from the
// aggregate's package under domain.
type Definition[S, C, E any] struct {
	// Category names the kind, for logs and metrics.
	Category string
	// FoldVersion is the version of State and Evolve. A change that makes stored snapshots
	// wrong raises it.
	FoldVersion int
	// SnapshotEvery is how many events there are between two snapshots. 0 means no snapshots,
	// for streams that stay short.
	SnapshotEvery int64

	// Guarded tells whether the state itself keeps an event from being recorded twice, even if its
	// command comes again much later. Example: stock's state knows a reservation's id. Only 256
	// commands with such events are remembered, and 4,096 others (see Options.Remembered), so that
	// a stock that sells does not forget its receipts and counts. nil means that no event is
	// guarded.
	Guarded func(E) bool

	// About and Recall are set if Decide may return a *rule.ForgottenError. About selects the
	// stream's events about the forgotten name. Recall adds these events to the state. Then
	// Decide is called again with that state.
	About  func(name string, e E) (about, enough bool)
	Recall func(s S, name string, about []E) S

	// Owned tells whether an aggregate belongs to an owner, such as "customer:17850". It is called
	// only for a stream that has events. nil means that aggregates of this kind belong to nobody.
	// NotOwned is the error for a request of somebody else. It is the same error as for an
	// aggregate that does not exist, so that nobody learns which ids others have.
	Owned    func(s S, owner string) bool
	NotOwned error

	// Within returns an error if a command would reach past the locations of its request
	// (Request.Locations). nil means that commands of this kind are at no location.
	Within func(locations []string, c C, s S) error

	// Subject returns whom the personal fields of the latest event are about, such as
	// "customer:17850"; see eventstore.Event.Subject. nil means that events of this kind have no
	// personal fields that are sealed.
	Subject func(s S) string

	Decide func(C, S) ([]E, error)
	Evolve func(S, E) S
	Encode func(E) (eventType string, data []byte, err error)
	Decode func(eventType string, data []byte) (E, error)
}

func (a *Definition[S, C, E]) guards(event E) bool { return a.Guarded != nil && a.Guarded(event) }

// owns tells whether one of the owners of a request owns the aggregate.
func (a *Definition[S, C, E]) owns(s S, r *Request[C]) bool {
	return a.Owned != nil && (a.Owned(s, r.Owner) || slices.ContainsFunc(r.Also, func(owner string) bool { return a.Owned(s, owner) }))
}

// within refuses the commands of a request that reach past its locations.
func (a *Definition[S, C, E]) within(r Request[C], s S) error {
	if a.Within == nil || len(r.Locations) == 0 {
		return nil
	}
	for _, command := range r.Commands {
		if err := a.Within(r.Locations, command, s); err != nil {
			return err
		}
	}
	return nil
}

// Request is one or more commands for a stream, with one command id.
type Request[C any] struct {
	Stream string
	// Meta is recorded with every event. Meta.CommandID must be set. The events' ids derive
	// from it, so a repeated request is recognised.
	Meta eventstore.Metadata
	// Commands are decided one after the other. All of them take effect, or none.
	Commands []C
	// If, if set, must be met. Otherwise the request is refused with StaleError.
	If *Condition
	// Owner, if set, must own the aggregate. Otherwise the request is refused with
	// Definition.NotOwned, also if it was carried out before. Everyone may begin a stream that has
	// no events.
	Owner string
	// Also are further owners. If one of them owns the aggregate, that is as good.
	Also []string
	// Locations, if there are any, are the only ones that the commands may reach. Otherwise the
	// request is refused with the error of Definition.Within.
	Locations []string
	// New says that the stream probably does not exist yet. Then the handler does not read it
	// first. If the guess is wrong, the handler must try again.
	New bool
	// With Redecide, the rules decide again even if the command id is known. It is for commands
	// whose present result matters. The steps of processes set it. Example: a process that reserves
	// again wants to know whether its reservation is still active.
	Redecide bool
	// With AnyContent, the handler accepts a known command id with another Meta.Request. The caller
	// must check it. Only a checkout sets it, because after a refusal the same key may come with
	// other content.
	AnyContent bool
}

// Result tells what a request did.
type Result[E any] struct {
	// Revision and Position are those of the request's last event. If the request recorded
	// nothing, they are those of the shop's last event in the stream. An empty stream has
	// revision -1.
	Revision int64
	Position eventstore.Position
	// Events are the events that this request recorded. If there are none, the state was
	// already as the commands want it.
	Events []E
	// Replayed means that a request with the same command id was carried out before. Revision
	// and Position are those of that time.
	Replayed bool
}

// StaleError means that the caller's Condition does not hold.
type StaleError struct {
	Stream string
	If     Condition
	Actual int64 // the revision of the stream; -1 if it is empty
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("stream %s is at revision %d, not as expected: %+v", e.Stream, e.Actual, e.If)
}

// ErrOverloaded means that too many commands wait for this stream, or that too many commands
// wait for searches of the log. The caller should try again later.
var ErrOverloaded = errors.New("too many commands are waiting for this stream")

// ErrCommandReused means that another request with the same command id has changed something.
// That request was of another kind, or had other content (eventstore.Metadata.Request).
var ErrCommandReused = errors.New("the command id was used before, for another request")

// errBelongsToNobody means that a request with an owner is about an aggregate of a kind that
// belongs to nobody. This is a fault of the program.
var errBelongsToNobody = errors.New("aggregates of this kind belong to nobody, and the request has an owner")

// ErrClosed means that the handler is shutting down.
var ErrClosed = errors.New("the command handler is closed")

// UndecodableError means that a stream of the shop has an event that this program cannot read.
// A newer version wrote it, or another program used the shop's names. Trying again does not
// help, but a newer version of this program may read the event.
type UndecodableError struct {
	Stream   string
	Revision int64
	Cause    error
}

func (e *UndecodableError) Error() string {
	return fmt.Sprintf("stream %s, revision %d: %v", e.Stream, e.Revision, e.Cause)
}

func (e *UndecodableError) Unwrap() error { return e.Cause }
