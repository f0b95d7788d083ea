package aggregate

import (
	"context"
	"errors"
	"sync/atomic"

	"daybook/eventstore"
)

// notedKey is where a context has a flag for what was recorded under it.
type notedKey struct{}

// Noting returns a context under which it is noted whether a Handler has recorded
// anything, now or when the same command was first carried out. Unsettled needs it.
func Noting(ctx context.Context) context.Context {
	return context.WithValue(ctx, notedKey{}, new(atomic.Bool))
}

func noteRecorded(ctx context.Context) {
	if recorded, ok := ctx.Value(notedKey{}).(*atomic.Bool); ok {
		recorded.Store(true)
	}
}

// Unsettled makes an OutcomeUnknownError of an error that says that nothing was done, if
// something was recorded under the context. A request of several steps may have been cut
// off between them, or after the last, where its answer is made.
func Unsettled(ctx context.Context, err error) error {
	if recorded, ok := ctx.Value(notedKey{}).(*atomic.Bool); ok && recorded.Load() && saysNothingDone(err) {
		return &eventstore.OutcomeUnknownError{Cause: err}
	}
	return err
}

// saysNothingDone tells whether an error says that the log was not asked, or did not
// take it. What was recorded before is not undone by that.
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
