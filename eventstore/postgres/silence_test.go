package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
	"daybook/internal/pgpool"
	"daybook/internal/proxytest"
)

// The bounds for a node whose connection falls silent, with some more time for a busy machine.
const (
	noticeMax = 15 * time.Second
	stopMax   = 5 * time.Second
	slack     = 10 * time.Second
)

// logText is what a store has logged so far.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(text))
}

// deafNode is a node whose connection to the database a test can let fall silent.
type deafNode struct {
	*postgres.Store
	proxy *proxytest.Proxy
	pool  *pgxpool.Pool
	log   *logText
}

func openDeafNode(t *testing.T, direct *pgxpool.Pool) deafNode {
	t.Helper()
	proxy, url := proxytest.ToPostgres(t, direct.Config().ConnString())
	n := deafNode{proxy: proxy, log: &logText{}}
	logger := slog.New(slog.NewTextHandler(n.log, nil))
	var err error
	if n.pool, err = pgpool.Open(t.Context(), url, pgpool.Options{Purpose: "deaf", Size: 8, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.pool.Close)
	if n.Store, err = postgres.Open(t.Context(), n.pool, postgres.Options{Logger: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopMax)
		defer cancel()
		_ = n.Close(ctx) // a test may have closed it
	})
	return n
}

// follow subscribes and sends each event to a channel. It closes live when the subscription has
// caught up.
func follow(t *testing.T, store eventstore.Store) (events <-chan eventstore.Recorded, live <-chan struct{}) {
	t.Helper()
	got, caughtUp := make(chan eventstore.Recorded, 10_000), make(chan struct{})
	told := sync.OnceFunc(func() { close(caughtUp) })
	go func() {
		for item, err := range store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
			_, closed := errors.AsType[*eventstore.UnavailableError](err)
			switch {
			case err != nil && t.Context().Err() == nil && !closed:
				t.Errorf("the subscription ended: %v", err)
				return
			case err != nil:
				return
			case item.Event != nil:
				got <- *item.Event
			case item.CaughtUp:
				told()
			}
		}
	}()
	return got, caughtUp
}

// The connections of one node fall silent: existing ones hang, new ones work. Within 15 s the node
// logs this, and its subscriber has every event of both nodes, once and in order.
func TestASilentLineIsNoticedAndLeft(t *testing.T) {
	t.Parallel()
	direct := migrated(t)
	there, here := open(t, direct), openDeafNode(t, direct)
	events, live := follow(t, here)
	<-live
	next := uint64(0)
	want := func(n int, limit time.Duration) {
		t.Helper()
		timeout := time.After(limit)
		for range n {
			select {
			case e := <-events:
				if next++; e.Position != eventstore.At(next) {
					t.Fatalf("event at %s where %d should come", e.Position, next)
				}
			case <-timeout:
				t.Fatalf("no event %d within %s; the node has logged:\n%s", next+1, limit, here.log.text.String())
			}
		}
	}
	for round := range 2 {
		if _, err := there.Append(t.Context(), "there", eventstore.Any, newEvents(2)); err != nil {
			t.Fatal(err)
		}
		want(2, time.Minute)
		proven := here.Pulse().Proven
		here.proxy.Silence()
		if _, err := there.Append(t.Context(), "there", eventstore.Any, newEvents(3)); err != nil {
			t.Fatal(err)
		}
		silent := time.Now()
		want(3, noticeMax+slack)
		t.Logf("round %d: served again after %s", round, time.Since(silent))
		ctx, cancel := context.WithTimeout(t.Context(), noticeMax+slack)
		if _, _, err := settle(ctx, here, "here", eventstore.AtRevision(int64(round-1)), newEvents(1)); err != nil {
			t.Fatalf("append: %v", err)
		}
		cancel()
		want(1, noticeMax+slack)
		if !here.log.contains("does not answer") || !here.log.contains("silent_since=") {
			t.Errorf("the node did not say that its database is silent:\n%s", here.log.text.String())
		}
		waitFor(t, "a pulse after the silence", func() bool {
			p := here.Pulse()
			return p.Trouble == nil && p.Proven.After(silent) && p.Proven.After(proven)
		})
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !condition() {
		select {
		case <-limit:
			t.Fatalf("no %s within a minute", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// While nothing gets through at all, not even over new connections, the node says so, and does not
// claim to know the log's end. When connections work again, its subscriber has every event once.
func TestALogThatIsSilentForLongIsDeafUntilItIsHeardAgain(t *testing.T) {
	t.Parallel()
	direct := migrated(t)
	there, here := open(t, direct), openDeafNode(t, direct)
	events, live := follow(t, here)
	<-live
	waitFor(t, "first proof of hearing", func() bool { return !here.Pulse().Deaf(time.Now()) })
	here.proxy.SilenceAll()
	waitFor(t, "deafness", func() bool { p := here.Pulse(); return p.Deaf(time.Now()) && p.Trouble != nil })
	if !here.log.contains("bring nothing new") {
		t.Errorf("the node did not say that it is deaf:\n%s", here.log.text.String())
	}
	if _, err := there.Append(t.Context(), "there", eventstore.Any, newEvents(5)); err != nil {
		t.Fatal(err)
	}
	here.proxy.Restore()
	for n := range 5 {
		select {
		case e := <-events:
			if e.Position != eventstore.At(uint64(n+1)) {
				t.Fatalf("event at %s where %d should come", e.Position, n+1)
			}
		case <-time.After(noticeMax + slack):
			t.Fatalf("no event %d", n+1)
		}
	}
	waitFor(t, "hearing", func() bool { return !here.Pulse().Deaf(time.Now()) })
	waitFor(t, "word that it hears again", func() bool { return here.log.contains("again") })
}

// On a silent connection every call of the engine ends in time, even if its caller sets no
// deadline.
func TestEveryCallEndsInTimeOnASilentLine(t *testing.T) {
	t.Parallel()
	here := openDeafNode(t, migrated(t))
	if _, err := here.Append(t.Context(), "a", eventstore.NoStream, newEvents(1)); err != nil {
		t.Fatal(err)
	}
	here.proxy.SilenceAll()
	var group sync.WaitGroup
	everything := eventstore.Filter{}
	first := func(items func(func(eventstore.Recorded, error) bool)) (err error) {
		for _, e := range items {
			err = e
			break
		}
		return err
	}
	for name, call := range map[string]func(context.Context, *postgres.Store) error{
		"Head": func(ctx context.Context, s *postgres.Store) error { _, err := s.Head(ctx); return err },
		"Append": func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Append(ctx, "b", eventstore.Any, newEvents(1))
			return err
		},
		"ReadStream": func(ctx context.Context, s *postgres.Store) error { return first(s.ReadStream(ctx, "a", 0, 0)) },
		"ReadStreamBackwards": func(ctx context.Context, s *postgres.Store) error {
			return first(s.ReadStreamBackwards(ctx, "a", eventstore.LastRevision, 0))
		},
		"ReadAll": func(ctx context.Context, s *postgres.Store) error {
			return first(s.ReadAll(ctx, eventstore.Start, everything, 0))
		},
		"ReadAllBackwards": func(ctx context.Context, s *postgres.Store) error {
			return first(s.ReadAllBackwards(ctx, eventstore.End, everything, 0))
		},
	} {
		group.Go(func() {
			began := time.Now()
			err := call(t.Context(), here.Store)
			_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
			_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
			if !unavailable && !unknown {
				t.Errorf("%s: error %v, want an UnavailableError or an OutcomeUnknownError", name, err)
			}
			if took := time.Since(began); took > noticeMax+slack {
				t.Errorf("%s took %s", name, took)
			}
		})
	}
	group.Wait()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), stopMax)
	defer cancel()
	_ = here.Close(ctx)
	if took := time.Since(began); took > stopMax+slack {
		t.Errorf("closing took %s", took)
	}
}

// Open refuses a pool that package pgpool has not made, because its queries could wait for ever.
func TestAPoolWithoutBoundsIsRefused(t *testing.T) {
	t.Parallel()
	migrated := migrated(t)
	pool, err := pgxpool.New(t.Context(), migrated.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := postgres.Open(t.Context(), pool, postgres.Options{}); err == nil {
		t.Error("a pool without time limits was taken")
	}
}
