// Package aggregate carries out commands on aggregates of any kind: it folds a stream,
// lets the aggregate decide, and appends what was decided. It knows no aggregate by name;
// a Definition says how one is folded and asked.
//
//   - handler.go takes commands and keeps a lane for each stream.
//   - lane.go decides the commands of one stream, and appends them as one batch.
//   - fold.go reads a stream into a state, from a snapshot if there is one.
//   - memory.go remembers the latest commands of a stream.
//   - search.go and searches.go look up in the log what was forgotten.
//   - doubt.go tells an outcome that is not known from a refusal.
package aggregate

import (
	"errors"
	"fmt"

	"daybook/eventstore"
)

// Definition tells a Handler how one kind of aggregate is folded and asked.
// The functions are those of its package under domain.
type Definition[S, C, E any] struct {
	// Category names the kind, for logs and metrics.
	Category string
	// FoldVersion is raised when State or Evolve change in a way that makes
	// stored snapshots wrong.
	FoldVersion int
	// SnapshotEvery is how many events lie between snapshots; 0 is never, for
	// streams that stay short.
	SnapshotEvery int64

	// Guarded tells the events that the state itself keeps from being recorded
	// twice, as it does with a reservation, however late their command is asked
	// for again. Such commands are soon forgotten, so that a flood of them does not
	// wash out the others. nil: there are none.
	Guarded func(E) bool

	// Decide may answer with a *rule.ForgottenError. The stream's events that About
	// selects for its name are then given to Recall, the latest first, and Decide is asked
	// again with the state that it returns. Both are nil where Decide forgets nothing.
	About  func(name string, e E) (about, enough bool)
	Recall func(s S, name string, about []E) S

	Decide func(C, S) ([]E, error)
	Evolve func(S, E) S
	Encode func(E) (eventType string, data []byte, err error)
	Decode func(eventType string, data []byte) (E, error)
}

func (a *Definition[S, C, E]) guards(event E) bool { return a.Guarded != nil && a.Guarded(event) }

// Request asks an aggregate for something.
type Request[C any] struct {
	Stream string
	// Meta goes on every event. Meta.CommandID must be set: events get their
	// ids from it, which is what makes a repeated request the same request.
	Meta eventstore.Metadata
	// Commands are decided one after the other and take effect all or none.
	Commands []C
	// If, where set, refuses with StaleError unless it holds.
	If *Condition
	// New says that the stream probably does not exist yet, so that reading it
	// first would be a wasted round trip. A wrong guess costs a retry.
	New bool
	// Redecide asks the rules even if the command id is known, for commands
	// that are repeatable by nature and whose present answer matters (a process
	// asking whether its reservation still stands).
	Redecide bool
	// With AnyContent, the handler accepts a known command id with another
	// Meta.Request. The caller must check it.
	AnyContent bool
}

// Result tells what a request did.
type Result[E any] struct {
	// Revision and Position are of the last event of the request, or, when
	// nothing had to happen, of the stream's last event. A stream that is still
	// empty has revision -1.
	Revision int64
	Position eventstore.Position
	// Events were recorded by this request; none means "already so".
	Events []E
	// Replayed means the request had been carried out before, under the same
	// command id, and Revision and Position are from then.
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

// ErrOverloaded means a stream has more commands waiting than it may, or more commands
// than may wait for searches of the log; the caller
// should come back later.
var ErrOverloaded = errors.New("too many commands are waiting for this stream")

// ErrCommandReused means that the command id belongs to another request, which
// has changed something: one of another kind, or with another content
// (eventstore.Metadata.Request).
var ErrCommandReused = errors.New("the command id was used before, for another request")

// ErrClosed means the handler is shutting down.
var ErrClosed = errors.New("the command handler is closed")

// UndecodableError means that a stream of ours holds an event that this program
// cannot read: one of a newer program, or of something else that wrote under our
// names. Trying again does not help; a newer program may.
type UndecodableError struct {
	Stream   string
	Revision int64
	Cause    error
}

func (e *UndecodableError) Error() string {
	return fmt.Sprintf("stream %s, revision %d: %v", e.Stream, e.Revision, e.Cause)
}

func (e *UndecodableError) Unwrap() error { return e.Cause }
