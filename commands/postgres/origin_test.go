package postgres_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/commands/postgres"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

func TestADatabaseStaysWithItsLog(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	origin := postgres.Origin{Pool: pool}
	mine, other, empty := memory.New(), memory.New(), memory.New()
	// An empty log has nothing by which it can be recognized.
	if err := origin.Check(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	for _, log := range []*memory.Store{mine, other} {
		// Another program has a stream with a name of the shop's, and may delete it.
		if _, err := log.Append(t.Context(), "order-theirs", eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		for n, stream := range []string{"foreign", "stock-a", "stock-a", "stock-b"} {
			// Both logs have the same event ids, as if the same file was imported into both.
			id := aggregate.EventID(uuid.Nil, n)
			events := []eventstore.Event{{ID: id, Type: "t.v1", Data: []byte(`{}`)}}
			if _, err := log.Append(t.Context(), stream, eventstore.Any, events); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := origin.Check(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]*memory.Store{"another log": other, "an empty log": empty} {
		err := origin.Check(t.Context(), log)
		if refused, ok := errors.AsType[*postgres.AnotherLogError](err); !ok || refused.Stream != "stock-a" || refused.Revision != 0 {
			t.Errorf("%s: error %v, want an AnotherLogError", name, err)
		}
	}
	if err := origin.Check(t.Context(), mine); err != nil {
		t.Errorf("after others were refused: %v", err)
	}
}

// A program began on an empty log. At its next start, it must notice another log.
func TestADatabaseIsTiedWhileTheProgramRuns(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	origin, mine := postgres.Origin{Pool: pool}, memory.New()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- origin.Run(ctx, mine) }()
	events := []eventstore.Event{{ID: aggregate.EventID(uuid.New(), 0), Type: "t.v1", Data: []byte(`{}`)}}
	if _, err := mine.Append(ctx, "stock-a", eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	for tied := 0; tied == 0; { // no longer than the test may take
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.origin`).Scan(&tied); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if _, refused := errors.AsType[*postgres.AnotherLogError](origin.Check(t.Context(), memory.New())); !refused {
		t.Error("another log was taken, though the program has run on its own")
	}
}

// Two nodes that begin on empty logs see no difference. When both logs have an event, the node
// whose log was the second to get one must stop.
func TestADatabaseIsTiedToOneOfTwoEmptyLogs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	origin := postgres.Origin{Pool: pool}
	ctx, stop := context.WithCancel(t.Context())
	run := func(log eventstore.Store) chan error {
		if err := origin.Check(ctx, log); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- origin.Run(ctx, log) }()
		return ended
	}
	first, second := follows{memory.New(), make(chan struct{})}, follows{memory.New(), make(chan struct{})}
	one, two := run(first), run(second)
	for _, log := range []follows{first, second} {
		<-log.followed // Run has seen that the database belongs to no log yet
	}
	for _, log := range []follows{first, second} {
		events := []eventstore.Event{{ID: aggregate.EventID(uuid.New(), 0), Type: "t.v1", Data: []byte(`{}`)}}
		if _, err := log.Append(ctx, "stock-a", eventstore.NoStream, events); err != nil {
			t.Fatal(err)
		}
		for tied := 0; tied == 0; {
			if err := pool.QueryRow(ctx, `SELECT count(*) FROM commands.origin`).Scan(&tied); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, refused := errors.AsType[*postgres.AnotherLogError](<-two); !refused {
		t.Error("a second log was taken while the programs ran")
	}
	if _, refused := errors.AsType[*postgres.AnotherLogError](origin.Run(ctx, memory.New())); !refused {
		t.Error("an empty log was taken between the look at the start and the run")
	}
	stop()
	if err := <-one; !errors.Is(err, context.Canceled) {
		t.Errorf("the first ended with %v", err)
	}
}

// follows is a log that reports when a subscription begins.
type follows struct {
	eventstore.Store
	followed chan struct{}
}

func (f follows) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	close(f.followed)
	return f.Store.Subscribe(ctx, after, filter)
}

// away answers the first reads as a log without a leader does.
type away struct {
	*memory.Store
	first chan struct{} // closed by the first read that is answered
	once  sync.Once
}

func (a *away) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	outage := false
	a.once.Do(func() { outage = true })
	if !outage {
		defer close(a.first)
		return a.Store.ReadStream(ctx, stream, from, limit)
	}
	return func(yield func(eventstore.Recorded, error) bool) {
		yield(eventstore.Recorded{}, &eventstore.UnavailableError{Cause: errors.New("no leader for a moment")})
	}
}

func TestALogThatIsAwayForAMomentEndsNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	origin, log := postgres.Origin{Pool: pool}, memory.New()
	if _, err := log.Append(t.Context(), "stock-a", eventstore.Any, []eventstore.Event{{ID: aggregate.EventID(uuid.New(), 0), Type: "t.v1", Data: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	if err := origin.Check(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	back, ended := &away{Store: log, first: make(chan struct{})}, make(chan error, 1)
	go func() { ended <- origin.Run(ctx, back) }()
	select {
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case <-back.first:
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was stopped", err)
	}
}
