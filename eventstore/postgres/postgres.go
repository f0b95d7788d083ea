// Package postgres is the log in PostgreSQL. It is the default, with the embedded server, and
// an engine for production. README.md describes the life of an append.
//
// It has only the log. Read models have their own tables, migrations and checkpoints, even if
// they are in the same database.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"

	"daybook/eventstore"
	"daybook/internal/pgpool"
)

// Options of a store; the zero value of each is its default.
type Options struct {
	Logger *slog.Logger // default: discards
	// QueueBytes bounds the size of the appends that wait to be sent. Each append counts some
	// bytes more than its events. Default: 64 MiB.
	QueueBytes int64
	// QueueWait bounds how long an append waits for space in a full queue before it is
	// refused as unavailable. Default: 1 s.
	QueueWait time.Duration
	// Poll is how often the head is read while there are subscriptions, in case notifications
	// were lost. Default: 1 s.
	Poll time.Duration
}

const (
	writers        = 2    // connections that append: one fills a batch while the other commits
	appendOverhead = 4096 // bytes that an append in the queue counts in addition to its events
)

// Store is the log in one database. Several nodes may open the same one.
//
// It reads over the pool. In addition it has connections of its own: two to append, one to listen,
// one to notify and, once it takes turns, one for that. They hold session state, so the pool's
// address must not lead through a transaction pooler.
type Store struct {
	pool       *pgxpool.Pool
	config     *pgxpool.Config
	logger     *slog.Logger
	wait       time.Duration
	queueBytes *semaphore.Weighted // bytes in the queue
	large      *semaphore.Weighted // large pages that may be read at the same time
	queue      *queue
	tail       *tail
	notify     *notifier
	pulse      eventstore.PulseRecorder
	latest     latestEvent
	turns      turns

	connections atomic.Uint64                                         // of the engine's own, made so far
	admit       atomic.Pointer[func(context.Context) (uint64, error)] // see AskBeforeAppend

	stop     context.CancelCauseFunc // ends everything that runs in the background
	writing  sync.WaitGroup
	watching sync.WaitGroup
	closed   chan struct{} // ends subscriptions
	close    sync.Once
}

var (
	_ eventstore.Store         = (*Store)(nil)
	_ eventstore.MultiAppender = (*Store)(nil)
	_ eventstore.TurnTaker     = (*Store)(nil)
)

const defaultQueueWait, defaultPoll = time.Second, time.Second

var errClosed = errors.New("the store is closed")

// Open starts an engine on a database that Migrate has prepared. The caller owns the pool and
// keeps it open until Close returns. Package pgpool makes such a pool; with it no query waits
// for ever.
func Open(ctx context.Context, pool *pgxpool.Pool, options Options) (*Store, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.QueueBytes <= 0 {
		options.QueueBytes = 64 << 20
	}
	if options.QueueWait <= 0 {
		options.QueueWait = defaultQueueWait
	}
	if options.Poll <= 0 {
		options.Poll = defaultPoll
	}
	s := &Store{
		pool:       pool,
		config:     pool.Config(),
		logger:     options.Logger,
		wait:       options.QueueWait,
		queueBytes: semaphore.NewWeighted(max(options.QueueBytes, eventstore.MaxAppendBytes+appendOverhead)),
		large:      semaphore.NewWeighted(largePages),
		queue:      newQueue(),
		tail:       newTail(),
		closed:     make(chan struct{}),
	}
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	s.start(options.Poll)
	return s, nil
}

// check refuses a database without the log, and warns of settings with which the database can
// lose events.
func (s *Store) check(ctx context.Context) error {
	if err := pgpool.CheckBounded(ctx, s.pool); err != nil {
		return fmt.Errorf("open the event store: %w", err)
	}
	if _, err := s.head(ctx); err != nil {
		return fmt.Errorf("open the event store (is the database migrated?): %w", err)
	}
	if err := s.checkKeys(ctx); err != nil {
		return fmt.Errorf("open the event store: %w", err)
	}
	var unsafe []string
	const query = `SELECT coalesce(array_agg(name), '{}') FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'`
	if err := s.pool.QueryRow(ctx, query).Scan(&unsafe); err != nil {
		return fmt.Errorf("open the event store: %w", err)
	}
	if len(unsafe) > 0 {
		s.logger.WarnContext(ctx, "a crash of the database machine can lose acknowledged events", "settings_off", unsafe)
	}
	return nil
}

// checkKeys refuses tables without their keys. Tables have no keys in the middle of a
// restore, and an append could then write what the keys forbid.
func (s *Store) checkKeys(ctx context.Context) error {
	const query = `SELECT coalesce(array_agg(name), '{}') FROM unnest(ARRAY['streams_pkey', 'events_position_key', 'events_revision_key', 'events_id_key', 'head_pkey']) AS name
		WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conname = name AND connamespace = 'eventstore'::regnamespace)`
	var missing []string
	if err := s.pool.QueryRow(ctx, query).Scan(&missing); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("the log's tables are not all there, because it is being restored: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (s *Store) start(poll time.Duration) {
	// The context of Open is not used, because the store lives until Close.
	ctx, stop := context.WithCancelCause(context.Background())
	s.stop = stop
	s.notify = &notifier{connect: s.connect, logger: s.logger, signal: make(chan struct{}, 1)}
	for range writers {
		w := &writer{store: s}
		s.writing.Go(func() { w.run(ctx) })
	}
	s.watching.Go(func() { s.notify.run(ctx) })
	s.watching.Go(func() { s.listen(ctx) })
	s.watching.Go(func() { s.follow(ctx, poll) })
}

// Close takes no more appends, lets those that were taken finish, and ends subscriptions. If
// ctx ends first, the callers of the rest get OutcomeUnknownError.
func (s *Store) Close(ctx context.Context) error {
	var err error
	s.close.Do(func() {
		s.queue.close()
		written := make(chan struct{})
		go func() {
			s.writing.Wait()
			close(written)
		}()
		select {
		case <-written:
		case <-ctx.Done():
			err = fmt.Errorf("close the event store: %w", ctx.Err())
		}
		close(s.closed)
		s.turns.close()
		s.stop(errClosed)
		<-written
		s.watching.Wait()
	})
	return err
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := eventstore.CheckAppend(stream, expected, events); err != nil {
		return eventstore.Result{}, err
	}
	r := newRequest(eventstore.Write{Stream: stream, Expected: expected, Events: events})
	if err := s.submit(ctx, r); err != nil {
		return eventstore.Result{}, err
	}
	return r.writes[0].result, nil
}

// AppendAll implements eventstore.MultiAppender.
func (s *Store) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	if err := eventstore.CheckAppendAll(writes); err != nil {
		return nil, err
	}
	r := newRequest(writes...)
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	results := make([]eventstore.Result, len(writes))
	for i := range results {
		results[i] = r.writes[i].result
	}
	return results, nil
}

// submit queues a request and waits for its outcome. If there is no error, the writes have their
// results.
func (s *Store) submit(ctx context.Context, r *request) error {
	if err := s.reserve(ctx, r); err != nil {
		return err
	}
	defer s.queueBytes.Release(r.weight())
	if !s.queue.put(r) {
		return &eventstore.UnavailableError{Cause: errClosed}
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if s.queue.abandon(r) {
		return fmt.Errorf("append to %s: %w", r.describe(), ctx.Err())
	}
	select {
	case err := <-r.done: // the outcome came in the meantime
		return err
	default:
		return &eventstore.OutcomeUnknownError{Cause: ctx.Err()}
	}
}

// describe names the streams of the request.
func (r *request) describe() string {
	if len(r.writes) == 1 {
		return r.stream()
	}
	return fmt.Sprintf("%d streams", len(r.writes))
}

// reserve takes space in the queue. If the queue is full, it waits for a bounded time.
func (s *Store) reserve(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("append to %s: %w", r.describe(), err)
	}
	if s.queueBytes.TryAcquire(r.weight()) {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err := s.queueBytes.Acquire(waiting, r.weight())
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("append to %s: %w", r.describe(), ctx.Err())
	}
	return &eventstore.UnavailableError{Cause: errors.New("too many appends are waiting")}
}
