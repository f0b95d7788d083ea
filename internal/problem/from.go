package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/eventstore"
)

// From turns an error into a problem by this table. It never returns nil.
//
//	a *Document (also wrapped)         as it is
//	*rule.Rejection                    409, or 404 for codes ending in -not-found or -unknown
//	*eventstore.OutcomeUnknownError    503 outcome-unknown
//	*eventstore.DivergedError          503 log-diverged: its operator must act
//	*eventstore.ConflictError          409 conflict: after all attempts, try again
//	*eventstore.DuplicateEventError    422 idempotency-key-reused
//	*eventstore.TooLargeError          413
//	*eventstore.NotFoundError          404
//	*eventstore.DeletedError           409 stream-deleted
//	*eventstore.UnavailableError       503 unavailable
//	*eventstore.DeniedError            503 unavailable: its operator must act
//	an ended context                   503 timeout
//	anything else                      500 about:blank, its text in the log only
//
// This package may not import some packages. Those that import them turn their errors into a
// Document, with the functions of this package.
func From(ctx context.Context, err error) *Document {
	d := *table(err) // a copy, because several requests may share the document
	d.RequestID = RequestOf(ctx).ID
	if d.Status >= http.StatusInternalServerError {
		if d.cause == nil {
			d.cause = err
		}
		Note(ctx, d.cause)
	}
	return &d
}

func table(err error) *Document {
	if d, ok := errors.AsType[*Document](err); ok {
		return d
	}
	if refusal, ok := errors.AsType[*rule.Rejection](err); ok {
		d := New(StatusOfRule(refusal.Code), refusal.Code, refusal.Detail).With(refusal.Facts)
		if errors.Is(refusal, order.ErrStockUnsettled) || errors.Is(refusal, returns.ErrNotAdmitted) { // passes by itself
			d = d.retryIn(retrySoon)
		}
		return d
	}
	// This comes first, because it says more than the errors that can be its cause. Its cause is
	// usually an ended context, or a log that diverged before the response came.
	if _, ok := errors.AsType[*eventstore.OutcomeUnknownError](err); ok {
		return OutcomeUnknown(err)
	}
	if diverged, ok := errors.AsType[*eventstore.DivergedError](err); ok {
		return Diverged(diverged).because(err)
	}
	if _, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return New(http.StatusConflict, CodeConflict, "Others were changing it at the same time; try again.").retryIn(retrySoon).because(err)
	}
	if _, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return KeyReused().because(err)
	}
	if large, ok := errors.AsType[*eventstore.TooLargeError](err); ok {
		return TooLarge(int64(large.Limit), large.What).because(err)
	}
	if _, ok := errors.AsType[*eventstore.NotFoundError](err); ok {
		return NotFound("There is nothing by that name.").because(err)
	}
	if _, ok := errors.AsType[*eventstore.DeletedError](err); ok {
		return New(http.StatusConflict, CodeGone, "Its history was deleted for good.").because(err)
	}
	if _, ok := errors.AsType[*eventstore.UnavailableError](err); ok {
		return Unavailable(err)
	}
	if _, ok := errors.AsType[*eventstore.DeniedError](err); ok {
		return Unavailable(err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return New(http.StatusServiceUnavailable, CodeTimeout, "It took too long; nothing more is done about it.").
			retryIn(retrySoon).because(err)
	}
	return internal(err)
}

// StatusOfRule is the status of a refusal by a rule. It is 404 if the code says that a thing does
// not exist, such as order-not-found, and 409 otherwise.
func StatusOfRule(code string) int {
	if strings.HasSuffix(code, "-not-found") || strings.HasSuffix(code, "-unknown") {
		return http.StatusNotFound
	}
	return http.StatusConflict
}

// Panicked is the problem for a panic of a handler.
func Panicked(value any, stack []byte) *Document {
	return internal(fmt.Errorf("panic: %v\n%s", value, stack))
}
