package projections

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// errLost means that this worker may not post to the build any more. Either another node posts to
// it, so its checkpoint is not where this worker left it or it has another epoch. Or another build
// has replaced it.
var errLost = errors.New("this node may not post to the build any more")

// Passing tells whether an error of a Runner may go away by itself.
func Passing(err error) bool { return passing(err) }

// passing tells whether an error may go away by itself: a lost connection, a deadlock, a
// server that restarts. Any other error is a fault of the program, and would come again each
// time.
func passing(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code[:min(2, len(pgErr.Code))] {
		case "08", "40", "53", "55", "57", "58": // connection, rollback, resources, locks, operator, system
			return true
		}
		// A statement that was prepared before a switch of builds. The driver prepares it
		// again.
		return strings.Contains(pgErr.Message, "cached plan must not change result type")
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*eventstore.UnavailableError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// backOff pauses before attempt n (0, 1, ...), longer each time. It returns false if ctx ended.
func backOff(ctx context.Context, attempt int) bool {
	pause.For(ctx, min(firstBackoff<<min(attempt, 10), lastBackoff))
	return ctx.Err() == nil
}
