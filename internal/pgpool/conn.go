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

// SilentError means that the server sent nothing, or accepted nothing, until the limit of the
// wait. The connection is closed. A statement that was sent before may have taken effect.
type SilentError struct {
	Purpose string        // of the connection
	Waited  time.Duration // how long this read or write waited
	Heard   time.Time     // when the last byte came over the connection
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("no answer from the database for %s", e.Waited.Round(time.Millisecond))
}

// Timeout and Temporary make SilentError a net.Error. The driver returns timeouts as they are. It
// replaces other errors by "conn closed", which would say that nothing was sent.
func (*SilentError) Timeout() bool { return true }

// Temporary says that another attempt, on another connection, can succeed.
func (*SilentError) Temporary() bool { return true }

// poolConns has what the connections of one pool have in common. Connections that Connect opens
// with the configuration of the pool belong to it too.
type poolConns struct {
	purpose     string
	responseMax time.Duration
	// The timeouts that the server has for a session. Within sets longer ones for one caller.
	statement, idle time.Duration
	logger          *slog.Logger
	pool            atomic.Pointer[pgxpool.Pool]
	lastWarning     atomic.Int64 // when a silent connection was last logged: Unix time in nanoseconds
}

// warnEvery is the shortest time between two warnings of silent connections. A pool has many
// connections, and most likely all of them fall silent at the same time.
const warnEvery = time.Second

// dial opens a connection whose waits have bounds.
func (p *poolConns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:         connectMax,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         control,
	}
	inner, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &boundedConn{Conn: inner, pool: p}
	// This limit is for the handshake, or for a connection that only cancels a statement. The limit
	// of a connection in use is set when the pool hands it out.
	c.limit.Store(int64(min(connectMax, p.responseMax)))
	c.lastByte.Store(time.Now().UnixNano())
	return c, nil
}

// onSilent is called when a connection was silent. Most likely the other connections of the pool
// are silent too, so they are replaced: idle ones now, those in use when they are given back.
func (p *poolConns) onSilent(err *SilentError) {
	last, now := p.lastWarning.Load(), time.Now().UnixNano()
	if now-last < int64(warnEvery) || !p.lastWarning.CompareAndSwap(last, now) {
		return
	}
	p.logger.Warn("the database does not answer; its connections are replaced",
		"connections", p.purpose, "silent_since", err.Heard, "waited", err.Waited)
	if pool := p.pool.Load(); pool != nil {
		go pool.Reset() // in a goroutine, because it may wait for the pool's lock
	}
}

// boundedConn is a connection whose reads and writes end after a limited time. The driver sets
// deadlines of its own when a context ends. The earlier deadline counts.
type boundedConn struct {
	net.Conn
	pool         *poolConns
	limit        atomic.Int64 // of a read or write, in nanoseconds
	lastByte     atomic.Int64 // Unix time of the last byte, in nanoseconds
	longTimeouts bool         // the session has longer timeouts; only the caller that has the connection reads or sets it

	mu            sync.Mutex
	reads, writes direction
	// broken is set when the connection was silent. Every later read and write fails with it,
	// because a late answer would be taken for the answer to the next statement.
	broken *SilentError
}

// direction is one direction of a connection, reading or writing, with its deadlines.
type direction struct {
	driverDeadline  time.Time // the driver's deadline; zero if it has none
	waitUntil       time.Time // when the present read or write must end; zero if there is none
	currentDeadline time.Time // the deadline that the connection below has
}

// applyDeadline sets the deadline of the connection below, unless it is set already.
func (d *direction) applyDeadline(set func(time.Time) error) error {
	deadline := d.deadline()
	if deadline.Equal(d.currentDeadline) {
		return nil
	}
	d.currentDeadline = deadline
	return set(deadline)
}

// slack is how much longer than its limit a read or write may take. With the slack, the next reads
// and writes can use the deadline that is set already. This is faster, because setting a deadline
// takes a lock of the runtime.
func slack(limit time.Duration) time.Duration { return limit / 16 }

func (d *direction) deadline() time.Time {
	if d.waitUntil.IsZero() || !d.driverDeadline.IsZero() && d.driverDeadline.Before(d.waitUntil) {
		return d.driverDeadline
	}
	return d.waitUntil
}

// idleFor is how long ago the last byte came.
func (c *boundedConn) idleFor() time.Duration { return time.Since(time.Unix(0, c.lastByte.Load())) }

func (c *boundedConn) Read(p []byte) (int, error) {
	began, err := c.beginWait(&c.reads, c.Conn.SetReadDeadline)
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.lastByte.Store(time.Now().UnixNano())
	}
	return n, c.endWait(&c.reads, began, err)
}

func (c *boundedConn) Write(p []byte) (int, error) {
	began, err := c.beginWait(&c.writes, c.Conn.SetWriteDeadline)
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, c.endWait(&c.writes, began, err)
}

func (c *boundedConn) beginWait(d *direction, set func(time.Time) error) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.broken != nil {
		return now, c.broken
	}
	limit := time.Duration(c.limit.Load())
	if left := d.currentDeadline.Sub(now); d.driverDeadline.IsZero() && left >= limit && left <= limit+slack(limit) {
		d.waitUntil = d.currentDeadline
		return now, nil
	}
	d.waitUntil = now.Add(limit + slack(limit))
	return now, d.applyDeadline(set)
}

func (c *boundedConn) endWait(d *direction, began time.Time, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	silent := errors.Is(err, os.ErrDeadlineExceeded) && !now.Before(d.waitUntil) && (d.driverDeadline.IsZero() || now.Before(d.driverDeadline))
	d.waitUntil = time.Time{}
	if !silent {
		return err
	}
	c.broken = &SilentError{Purpose: c.pool.purpose, Waited: now.Sub(began), Heard: time.Unix(0, c.lastByte.Load())}
	c.pool.onSilent(c.broken)
	return c.broken
}

// SetDeadline implements net.Conn for the driver. When a context ends, the driver sets a time in
// the past. When it gives up a connection, it sets a time some seconds ahead and then tells the
// server that it leaves. This time is cut to closeMax, because the connection keeps its place in
// the pool until then.
func (c *boundedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *boundedConn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.reads, t, c.Conn.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.writes, t, c.Conn.SetWriteDeadline)
}

func (c *boundedConn) setDeadline(d *direction, t time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if latest := time.Now().Add(closeMax); t.After(latest) {
		t = latest
	}
	d.driverDeadline = t
	return d.applyDeadline(set)
}
