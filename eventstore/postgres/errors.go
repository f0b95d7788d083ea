package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
)

// fate is what an error says about a batch. It decides what is done about the batch.
type fate int

const (
	unknown     fate = iota // it may be committed
	unsent                  // it never reached the server
	retryable               // surely not committed, and trying again can help
	duplicateID             // surely not committed: an event id is recorded already
	refused                 // surely not committed: the server does not take these bytes
	rejected                // surely not committed: the server is not able to
)

// judge is the only place that knows the errors of the server and of the driver. An error of
// severity ERROR comes before the commit and rolls the transaction back. An error that ends
// the connection may come after the commit.
func judge(err error) fate {
	if pgconn.SafeToRetry(err) {
		return unsent
	}
	if isDiverged(err) {
		return rejected
	}
	reply, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || reply.SeverityUnlocalized != "ERROR" {
		return unknown
	}
	switch reply.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return retryable
	case "23505": // unique violation
		return duplicateID
	}
	switch reply.Code[:2] {
	case "22", "54": // data exception, program limit exceeded
		return refused
	}
	return rejected
}

// translate makes an append's error from the error that ended its batch.
func translate(err error) error {
	if isDiverged(err) {
		return err
	}
	switch judge(err) {
	case unknown:
		return &eventstore.OutcomeUnknownError{Cause: err}
	case refused:
		reason := "the database refuses it"
		if reply, ok := errors.AsType[*pgconn.PgError](err); ok {
			// Clients read the message. Its codes and places would tell them nothing.
			reason += ": " + reply.Message
		}
		return &eventstore.InvalidError{Reason: reason}
	default:
		return &eventstore.UnavailableError{Cause: err}
	}
}

// isOutage tells whether a read failed because the server is away. Such a read can be
// repeated when the server is back.
func isOutage(err error) bool {
	if isDiverged(err) {
		return false
	}
	reply, ok := errors.AsType[*pgconn.PgError](err)
	if !ok { // network, connection refused, pool closed
		return true
	}
	switch reply.Code[:2] {
	case "08", "53", "57", "40", "58": // connection, resources, operator, rollback, system
		return true
	}
	return strings.HasPrefix(reply.Code, "55") // lock not available, object in use
}

// readError makes a reader's error. If the reader's context ended, it is the context's error,
// because drivers report that in many ways.
func readError(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if isOutage(err) {
		return &eventstore.UnavailableError{Cause: fmt.Errorf("%s: %w", what, err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func isDiverged(err error) bool {
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	return diverged
}
