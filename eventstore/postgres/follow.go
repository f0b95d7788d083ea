package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
	"daybook/internal/pause"
	"daybook/internal/pgpool"
)

const (
	// channel carries the head's position to other nodes. It is only a hint, because nodes
	// also read the head by themselves at intervals.
	channel     = "daybook_eventstore_head"
	notifyEvery = 10 * time.Millisecond
	// gapGrace is how long a gap may last before it is read from the database. Two writers of
	// this node may commit in one order and receive their answers in the other order.
	gapGrace = 5 * time.Millisecond
	// heartbeat is how long the listener waits for a notification before it asks the database
	// whether the connection still works.
	heartbeat = 2 * time.Second
	// headMax bounds a read of the head. A read that takes longer is no proof that events arrive.
	// So a loss is noticed within this time plus the time between two reads.
	headMax = 5 * time.Second
)

// publish hands what a batch recorded to the tail, and returns the position of
// its last event, or 0 if it recorded nothing.
func (s *Store) publish(batch []*request, b *batchResult) uint64 {
	if b.base == 0 && b.recordedAt.IsZero() {
		return 0
	}
	var events []eventstore.Recorded
	wanted := s.tail.wanted()
	position := b.base
	var last eventstore.Recorded
	for _, r := range batch {
		for i := range r.writes {
			w := &r.writes[i]
			if b.statusOf(w) != appended {
				continue
			}
			begin := 0
			if !wanted {
				begin = len(w.Events) - 1
				position += uint64(begin) //nolint:gosec // it has events
			}
			for j := begin; j < len(w.Events); j++ {
				position++
				last = eventstore.Recorded{
					Event:      w.Events[j],
					Stream:     w.Stream,
					Revision:   b.revision[w.number] - int64(len(w.Events)-1-j),
					Position:   eventstore.At(position),
					RecordedAt: b.recordedAt,
				}
				if wanted {
					events = append(events, last)
				}
			}
		}
	}
	s.latest.note(&last)
	s.tail.add(events)
	return position
}

// follow reads into the tail what this node did not write. It is the only reader of the log's
// end on this node, even with many subscriptions.
func (s *Store) follow(ctx context.Context, poll time.Duration) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-s.tail.gap:
			if pause.For(ctx, gapGrace); !s.tail.hasGap() {
				continue
			}
		case <-s.tail.headRequest:
		case <-ticker.C:
		}
		began := time.Now()
		err := s.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		s.pulse.Note(ctx, s.logger, began, err)
		if err != nil {
			pause.For(ctx, maxBackoff)
			signal(s.tail.headRequest)
		}
	}
}

// Pulse implements eventstore.PulseReporter.
func (s *Store) Pulse() eventstore.Pulse { return s.pulse.Pulse() }

// catchUp reads from the tail's end to the head. If the log has diverged, it ends all
// subscriptions.
func (s *Store) catchUp(ctx context.Context) error {
	err := s.readOn(ctx)
	if isDiverged(err) {
		s.tail.fail(err)
		return nil
	}
	return err
}

func (s *Store) readOn(ctx context.Context) error {
	head, err := s.head(pgpool.Within(ctx, headMax))
	if err != nil || !s.tail.wanted() {
		return err
	}
	p := newPager(eventstore.Filter{}, s.large)
	defer p.done()
	s.tail.prove(head) // so that no subscription is told that it has caught up while pages are missing
	for last := s.tail.begin(head); last < head && s.tail.wanted(); {
		page, reached, err := p.page(ctx, s, last, head, 0)
		if err != nil {
			return err
		}
		s.tail.add(page)
		last = reached
	}
	return nil
}

// listen waits for other nodes' notifications. After each connect it requests a read of the
// head, because notifications may have been sent while it was not connected.
func (s *Store) listen(ctx context.Context) {
	backoff := maxBackoff / 16
	for ctx.Err() == nil {
		connected, err := s.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if backoff = min(2*backoff, maxBackoff); connected {
			backoff = maxBackoff / 16
		}
		s.logger.WarnContext(ctx, "event store cannot listen to other nodes", "error", err)
		pause.For(ctx, backoff)
	}
}

func (s *Store) listenOnce(ctx context.Context) (connected bool, err error) {
	conn, err := s.connect(ctx, "listener")
	if err != nil {
		return false, err
	}
	defer closeQuietly(conn)
	pgpool.Limit(conn, headMax)
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	signal(s.tail.headRequest)
	for {
		head, err := awaitHead(ctx, conn)
		if err != nil {
			return true, fmt.Errorf("listen: %w", err)
		}
		if last, known := s.tail.end(); !known || head > last {
			signal(s.tail.headRequest)
		}
	}
}

// awaitHead waits for the head's position. It comes from another node's notification or, if none
// comes for a while, from a query. So a connection that has fallen silent is not taken for a
// log in which nothing happens.
func awaitHead(ctx context.Context, conn *pgx.Conn) (head uint64, err error) {
	waiting, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	notification, err := conn.WaitForNotification(waiting)
	if err == nil {
		if head, err = strconv.ParseUint(notification.Payload, 10, 64); err == nil {
			return head, nil
		}
	} else if ctx.Err() != nil || waiting.Err() == nil || conn.IsClosed() {
		return 0, err // wrapped by its caller
	}
	err = conn.QueryRow(ctx, positionSQL).Scan(&head)
	return head, err
}

func closeQuietly(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // an error here changes nothing
}

// notifier notifies other nodes of the head. It does so after the commit and outside the
// append's transaction, because a notification locks the whole database at commit. It does
// not notify for every batch.
type notifier struct {
	connect func(ctx context.Context, role string) (*pgx.Conn, error)
	logger  *slog.Logger
	head    atomic.Uint64
	signal  chan struct{}
}

func (n *notifier) tell(head uint64) {
	for {
		before := n.head.Load()
		if head <= before {
			return
		}
		if n.head.CompareAndSwap(before, head) {
			signal(n.signal)
			return
		}
	}
}

func (n *notifier) run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			closeQuietly(conn)
		}
	}()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-n.signal:
		}
		if err := n.send(ctx, &conn); err != nil && ctx.Err() == nil {
			n.logger.WarnContext(ctx, "event store cannot notify other nodes", "error", err)
			pause.For(ctx, maxBackoff)
		}
		pause.For(ctx, notifyEvery)
	}
}

func (n *notifier) send(ctx context.Context, conn **pgx.Conn) (err error) {
	if *conn == nil || (*conn).IsClosed() {
		if *conn, err = n.connect(ctx, "notifier"); err != nil {
			return err
		}
		pgpool.Limit(*conn, headMax)
		// No flush is needed: a lost notification costs a poll interval and loses no event.
		if _, err := (*conn).Exec(ctx, "SET synchronous_commit = off"); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	if _, err := (*conn).Exec(ctx, "SELECT pg_notify($1, $2)", channel, strconv.FormatUint(n.head.Load(), 10)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}
