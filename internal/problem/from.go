package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"daybook/domain/access"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricing"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/eventstore"
)

// From turns an error into a problem by this table. It never returns nil.
//
//	a *Document (also wrapped)         as it is
//	*rule.Rejection                    409, or 404 for codes ending in -not-found or -unknown (but not of taxes), or 403 for -above-limit and returns.ErrRefundOfNoOrder
//	*access.LacksError                 403 forbidden
//	*access.ScopeError                 403 outside-scope
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
// This package may import only some packages (see internal/arch), so this table cannot have the
// errors of all others. Example: readapi turns its own BeyondError into the Document of
// PositionBeyondHead before it calls From.
func From(ctx context.Context, err error) *Document {
	d := *table(err) // a copy, because several requests may share the document
	request := RequestOf(ctx)
	d.RequestID = request.ID
	request.refused(d.Code())
	request.noteRefusal(&d, err)
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
	if lacks, ok := errors.AsType[*access.LacksError](err); ok {
		return Forbidden(lacks.Permission)
	}
	if outside, ok := errors.AsType[*access.ScopeError](err); ok {
		return OutsideScope(outside)
	}
	// This error comes first, because it can wrap other errors of the table, and it says more than
	// they do. It usually wraps the error of an ended context, or a DivergedError of a log that was
	// replaced before the response came.
	if _, ok := errors.AsType[*eventstore.OutcomeUnknownError](err); ok {
		return OutcomeUnknown(err)
	}
	if diverged, ok := errors.AsType[*eventstore.DivergedError](err); ok {
		return Diverged(diverged).because(err)
	}
	if _, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return New(http.StatusConflict, CodeConflict, "Other requests changed the same thing at the same time. Try again.").retryIn(retrySoon).because(err)
	}
	if _, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return KeyReused().because(err)
	}
	if large, ok := errors.AsType[*eventstore.TooLargeError](err); ok {
		return TooLarge(int64(large.Limit), large.What).because(err)
	}
	if _, ok := errors.AsType[*eventstore.NotFoundError](err); ok {
		return NotFound("There is nothing with this name.").because(err)
	}
	if _, ok := errors.AsType[*eventstore.DeletedError](err); ok {
		return New(http.StatusConflict, CodeGone, "The stream of this thing was deleted for good.").because(err)
	}
	if _, ok := errors.AsType[*eventstore.UnavailableError](err); ok {
		return Unavailable(err)
	}
	if _, ok := errors.AsType[*eventstore.DeniedError](err); ok {
		return Unavailable(err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return New(http.StatusServiceUnavailable, CodeTimeout, "The request took too long. Nothing more will be done.").
			retryIn(retrySoon).because(err)
	}
	return internal(err)
}

// StatusOfRule is the status of a refusal by a rule. It is 404 if the code says that a thing does
// not exist, such as order-not-found, but not if only its tax is unknown, 403 if the sender may not do so much, such as
// refund-above-limit, and 409 otherwise.
func StatusOfRule(code string) int {
	if strings.HasSuffix(code, "-above-limit") || code == returns.ErrRefundOfNoOrder.Code {
		return http.StatusForbidden
	}
	if code == pricing.ErrTaxUnknown.Code || code == entity.ErrClassUnknown.Code {
		return http.StatusConflict // the tax of something that exists
	}
	if strings.HasSuffix(code, "-not-found") || strings.HasSuffix(code, "-unknown") {
		return http.StatusNotFound
	}
	return http.StatusConflict
}

// Panicked is the problem for a panic of a handler.
func Panicked(value any, stack []byte) *Document {
	return internal(fmt.Errorf("panic: %v\n%s", value, stack))
}
