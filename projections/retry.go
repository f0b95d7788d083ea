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
)

// errLost means the build's checkpoint was not where this worker left it, or
// its epoch is another's: someone else posts to the build now.
var errLost = errors.New("the build is another's now")

// Passing tells whether an error of a Runner is of the kind that goes away.
func Passing(err error) bool { return passing(err) }

// passing tells whether an error is of the kind that goes away: a lost
// connection, a deadlock, a server that restarts. What is not is a bug, and
// trying again would fail for ever.
func passing(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code[:min(2, len(pgErr.Code))] {
		case "08", "40", "53", "55", "57", "58": // connection, rollback, resources, locks, operator, system
			return true
		}
		// A statement prepared before a switch of builds; the driver prepares it anew.
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

// pause waits before attempt n (0, 1, ...), longer each time; false means ctx
// ended.
func pause(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(min(firstBackoff<<min(attempt, 10), lastBackoff))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
