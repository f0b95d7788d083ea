package aggregate

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// notedKey is the context key of a flag that says whether something was recorded.
type notedKey struct{}

// Noting returns a context in which a Handler notes whether it has recorded anything, now or
// when the same command was first carried out. OutcomeUnknownIfRecorded reads this note.
func Noting(ctx context.Context) context.Context {
	return context.WithValue(ctx, notedKey{}, new(atomic.Bool))
}

func noteRecorded(ctx context.Context) {
	if recorded, ok := ctx.Value(notedKey{}).(*atomic.Bool); ok {
		recorded.Store(true)
	}
}

// OutcomeUnknownIfRecorded turns an error that says "nothing was done" into an OutcomeUnknownError,
// if something was recorded in this context. This can happen to a request of several steps, if it
// is cut off between two steps or after the last one.
func OutcomeUnknownIfRecorded(ctx context.Context, err error) error {
	if recorded, ok := ctx.Value(notedKey{}).(*atomic.Bool); ok && recorded.Load() && saysNothingDone(err) {
		return &eventstore.OutcomeUnknownError{Cause: err}
	}
	return err
}

// saysNothingDone tells whether an error says that the last step recorded nothing. Earlier
// steps may have recorded something.
func saysNothingDone(err error) bool {
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown {
		return false
	}
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, deleted := errors.AsType[*eventstore.DeletedError](err)
	return diverged || away || denied || deleted || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// untilKnown calls try, which makes an append. If the outcome is unknown, it calls try again, until
// the outcome is known or ctx ends. try must use the same ids and expected revisions each time. If
// the log cannot be reached, untilKnown also tries again, but only if an earlier try may have been
// recorded. Before each repetition it calls onRepeat with the error. It keeps doubt up to date:
// doubt is true while the events may be recorded.
func untilKnown(ctx context.Context, doubt *bool, try func() (replayed bool, err error), onRepeat func(error)) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		replayed, err := try()
		_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
		_, away := errors.AsType[*eventstore.UnavailableError](err)
		_, conflict := errors.AsType[*eventstore.ConflictError](err)
		_, duplicate := errors.AsType[*eventstore.DuplicateEventError](err)
		*doubt = (*doubt || unknown || replayed) && !conflict && !duplicate
		_, diverged := errors.AsType[*eventstore.DivergedError](err)
		if repeat := unknown || away && *doubt; !repeat || diverged || ctx.Err() != nil {
			return err
		}
		onRepeat(err)
		pause.For(ctx, wait)
	}
}
