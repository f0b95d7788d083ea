package pgpool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// SilentError means that the server sent nothing, or took nothing, for as long
// as a connection waits. The connection is closed. What was sent before may have
// taken effect.
type SilentError struct {
	Purpose string        // of the connection
	Waited  time.Duration // for this answer
	Heard   time.Time     // when the connection last brought anything
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("no answer from the database for %s", e.Waited.Round(time.Millisecond))
}

// Timeout and Temporary make it a net.Error. The driver passes timeouts on, where
// it makes "conn closed" of other errors, which says that nothing was sent.
func (*SilentError) Timeout() bool { return true }

// Temporary tells that trying again, on another connection, can help.
func (*SilentError) Temporary() bool { return true }

// lines are the connections of one pool, with those that were opened by its
// configuration.
type lines struct {
	purpose string
	answer  time.Duration
	// The sessions' own timeouts, where no caller asks for longer ones.
	statement, idle time.Duration
	logger          *slog.Logger
	pool            atomic.Pointer[pgxpool.Pool]
	told            atomic.Int64 // Unix time, in nanoseconds
}

// tellEvery bounds how often silence is told of: a pool has many connections, and
// most likely all fell silent at once.
const tellEvery = time.Second

// dial opens a connection with bounds.
func (a *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:         connectMax,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         control,
	}
	inner, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: inner, all: a}
	// Until it is in use: it may be one that only asks to cancel a statement.
	l.limit.Store(int64(min(connectMax, a.answer)))
	l.heard.Store(time.Now().UnixNano())
	return l, nil
}

// fallenSilent is told of a line from which no answer came. The other lines of
// the pool are most likely silent, too: those at rest are closed now, those in use
// when they are given back.
func (a *lines) fallenSilent(err *SilentError) {
	last, now := a.told.Load(), time.Now().UnixNano()
	if now-last < int64(tellEvery) || !a.told.CompareAndSwap(last, now) {
		return
	}
	a.logger.Warn("the database does not answer; connections are opened anew",
		"connections", a.purpose, "silent_since", err.Heard, "waited", err.Waited)
	if pool := a.pool.Load(); pool != nil {
		go pool.Reset() // it may wait for the pool's lock
	}
}

// line is a connection whose reads and writes take a bounded time. The driver
// sets deadlines of its own when a context ends; the earlier one counts.
type line struct {
	net.Conn
	all     *lines
	limit   atomic.Int64 // of a read or write, in nanoseconds
	heard   atomic.Int64 // Unix time of the last byte, in nanoseconds
	patient bool         // the session's timeouts are a patient caller's; for who has the connection

	mu            sync.Mutex
	reads, writes direction
	// broken is set once the line was silent. Every later read and write fails with
	// it, because a late answer would be taken for the next one's.
	broken *SilentError
}

// direction is one way of a line, with what bounds its present use.
type direction struct {
	driver time.Time // the driver's deadline; zero for none
	until  time.Time // the end of the line's patience; zero while it is not in use
	armed  time.Time // the deadline that the connection below was given last
}

// arm gives the connection below its deadline, unless it has it.
func (d *direction) arm(set func(time.Time) error) error {
	deadline := d.deadline()
	if deadline.Equal(d.armed) {
		return nil
	}
	d.armed = deadline
	return set(deadline)
}

// spare is how much longer than its limit a read or a write may take. It lets the next
// ones keep the deadline that is set, because setting one costs a lock of the runtime.
func spare(limit time.Duration) time.Duration { return limit / 16 }

func (d *direction) deadline() time.Time {
	if d.until.IsZero() || !d.driver.IsZero() && d.driver.Before(d.until) {
		return d.driver
	}
	return d.until
}

// rested is how long ago the line last brought anything.
func (l *line) rested() time.Duration { return time.Since(time.Unix(0, l.heard.Load())) }

func (l *line) Read(p []byte) (int, error) {
	began, err := l.begin(&l.reads, l.Conn.SetReadDeadline)
	if err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.heard.Store(time.Now().UnixNano())
	}
	return n, l.end(&l.reads, began, err)
}

func (l *line) Write(p []byte) (int, error) {
	began, err := l.begin(&l.writes, l.Conn.SetWriteDeadline)
	if err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(p)
	return n, l.end(&l.writes, began, err)
}

func (l *line) begin(d *direction, set func(time.Time) error) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.broken != nil {
		return now, l.broken
	}
	limit := time.Duration(l.limit.Load())
	if left := d.armed.Sub(now); d.driver.IsZero() && left >= limit && left <= limit+spare(limit) {
		d.until = d.armed
		return now, nil
	}
	d.until = now.Add(limit + spare(limit))
	return now, d.arm(set)
}

func (l *line) end(d *direction, began time.Time, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	silent := errors.Is(err, os.ErrDeadlineExceeded) && !now.Before(d.until) && (d.driver.IsZero() || now.Before(d.driver))
	d.until = time.Time{}
	if !silent {
		return err
	}
	l.broken = &SilentError{Purpose: l.all.purpose, Waited: now.Sub(began), Heard: time.Unix(0, l.heard.Load())}
	l.all.fallenSilent(l.broken)
	return l.broken
}

// SetDeadline implements net.Conn for the driver: it sets a past time when a
// context ends, and one some seconds ahead when it gives the connection up and
// still wants to take its leave. The pool counts the connection until then.
func (l *line) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (l *line) SetReadDeadline(t time.Time) error { return l.set(&l.reads, t, l.Conn.SetReadDeadline) }

// SetWriteDeadline implements net.Conn.
func (l *line) SetWriteDeadline(t time.Time) error {
	return l.set(&l.writes, t, l.Conn.SetWriteDeadline)
}

func (l *line) set(d *direction, t time.Time, set func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if latest := time.Now().Add(closeMax); t.After(latest) {
		t = latest
	}
	d.driver = t
	return d.arm(set)
}
