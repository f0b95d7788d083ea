package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/pgmigrate"
	"daybook/internal/pgtest"
)

func TestDeadlinesThatDifferInAnyMemberAreTwoTimers(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal := Journal{Pool: pool, Reader: "reactor"}
	one := reactor.Deadline{Kind: "kind", Target: "target", Item: "item"}
	all := []reactor.Deadline{one}
	for i := range reflect.TypeFor[reactor.Deadline]().NumField() {
		other := one
		reflect.ValueOf(&other).Elem().Field(i).SetString("another")
		all = append(all, other)
	}
	var set []reactor.Timer
	for _, deadline := range all {
		set = append(set, reactor.Timer{Deadline: deadline, DueAt: time.Now().Add(-time.Hour)})
	}
	if err := journal.Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Set: set}); err != nil {
		t.Fatal(err)
	}
	if err := journal.Advance(t.Context(), eventstore.At(1), eventstore.At(2), reactor.Notes{Clear: []reactor.Deadline{one}}); err != nil {
		t.Fatal(err)
	}
	fired := firedTimers(t, Timers{Pool: pool})
	for _, deadline := range all[1:] {
		if !slices.Contains(fired, deadline) {
			t.Errorf("%+v was not fired", deadline)
		}
	}
	if slices.Contains(fired, one) {
		t.Errorf("%+v was cleared and fired", one)
	}
}

func firedTimers(t *testing.T, timers Timers) (fired []reactor.Deadline) {
	t.Helper()
	_, _, err := timers.FireDue(t.Context(), func(_ context.Context, timer reactor.Timer, _ time.Time) error {
		fired = append(fired, timer.Deadline)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fired
}

// before returns the migrations up to one of them, as an older program has them.
func before(t *testing.T, first string) fs.FS {
	t.Helper()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	older := fstest.MapFS{}
	for _, name := range names {
		if name >= "migrations/"+first {
			continue
		}
		data, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: data}
	}
	return older
}

func TestTimersOfAnOlderProgramFireAndAreCleared(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := pgmigrate.Up(t.Context(), pool, before(t, "00003"), "daybook_commands_version"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `
		INSERT INTO commands.timers (key, kind, target, due_at) VALUES
		('order/o1', 'order', 'o1', now() - interval '1 hour'),
		('reservation/r1', 'reservation', 'stock-A@main', now() - interval '1 hour'),
		('reservation/r2', 'reservation', 'stock-A@main', now() - interval '1 hour')`); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	ended := []reactor.Deadline{{Kind: reactor.ReservationDeadline, Target: "stock-A@main", Item: "r2"}}
	if err := (Journal{Pool: pool, Reader: "reactor"}).Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Clear: ended}); err != nil {
		t.Fatal(err)
	}
	fired := firedTimers(t, Timers{Pool: pool})
	slices.SortFunc(fired, func(a, b reactor.Deadline) int { return slices.Compare([]string{a.Target}, []string{b.Target}) })
	if got, want := fmt.Sprint(fired), "[order o1 reservation stock-A@main r1]"; got != want {
		t.Errorf("fired %s, want %s", got, want)
	}
}

func TestAPostponedTimerComesBackWhenItSaysAndHasNotFailed(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal, timers := Journal{Pool: pool, Reader: "reactor"}, Timers{Pool: pool}
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: reactor.CartDeadline, Target: "c"}, DueAt: time.Now().Add(-time.Hour)}
	if err := journal.Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Set: []reactor.Timer{timer}}); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	due, _, err := timers.FireDue(t.Context(), func(context.Context, reactor.Timer, time.Time) error {
		return fmt.Errorf("cart c: %w", &reactor.PostponedError{Until: until})
	})
	if err != nil || due != 1 {
		t.Fatalf("%d were due, %v; want 1", due, err)
	}
	if fired := firedTimers(t, timers); len(fired) != 0 {
		t.Errorf("fired again at once: %v", fired)
	}
	var dueAt time.Time
	var failures int
	if err := pool.QueryRow(t.Context(), `SELECT due_at, failures FROM commands.timers`).Scan(&dueAt, &failures); err != nil {
		t.Fatal(err)
	}
	if !dueAt.Equal(until) || failures != 0 {
		t.Errorf("due at %s after %d failures, want %s and none", dueAt, failures, until)
	}
}

func TestTheRuleOfTheCartsIsKeptWithTheirTimers(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal := Journal{Pool: pool, Reader: "reactor"}
	if _, known, err := journal.CartExpiry(t.Context()); known || err != nil {
		t.Errorf("a new database knows a rule: %t, %v", known, err)
	}
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: reactor.CartDeadline, Target: "c"}, DueAt: time.Now().Add(-time.Hour)}
	for _, want := range []time.Duration{720 * time.Hour, 0, 90*time.Second + time.Microsecond} {
		if err := journal.KeepCartExpiry(t.Context(), want, []reactor.Timer{timer}); err != nil {
			t.Fatal(err)
		}
		if got, known, err := journal.CartExpiry(t.Context()); got != want || !known || err != nil {
			t.Errorf("the rule is %s (%t, %v), want %s", got, known, err, want)
		}
	}
	if fired := firedTimers(t, Timers{Pool: pool}); !slices.Equal(fired, []reactor.Deadline{timer.Deadline}) {
		t.Errorf("fired %v, want %v", fired, timer.Deadline)
	}
}

// Any number of carts may be open. Each statement sets only as many timers as it can in its time.
// The rule is stored only when all timers are set.
func TestTheTimersOfManyCartsAreSetSomeAtATime(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal := Journal{Pool: pool, Reader: "reactor"}
	many := make([]reactor.Timer, 2*timersSetAtOnce+1)
	for i := range many {
		many[i] = reactor.Timer{Deadline: reactor.Deadline{Kind: reactor.CartDeadline, Target: fmt.Sprint("c", i)}, DueAt: time.Now()}
	}
	broken := slices.Clone(many)
	broken[timersSetAtOnce].Target = "\x00"
	if err := journal.KeepCartExpiry(t.Context(), time.Hour, broken); err == nil {
		t.Error("PostgreSQL takes a NUL")
	}
	if _, known, err := journal.CartExpiry(t.Context()); known || err != nil {
		t.Errorf("the rule is noted (%t, %v), and not all timers are set", known, err)
	}
	if err := journal.KeepCartExpiry(t.Context(), time.Hour, many); err != nil {
		t.Fatal(err)
	}
	var timers, transactions int
	if err := pool.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT xmin::text) FROM commands.timers`).Scan(&timers, &transactions); err != nil {
		t.Fatal(err)
	}
	if timers != len(many) || transactions != 3 {
		t.Errorf("%d timers were set in %d transactions, want %d in 3", timers, transactions, len(many))
	}
}

// The reactor changes timers while they are fired, and its statements have 9 s. If the log does not
// answer while a timer is fired, the reactor must still lead.
func TestTheReactorAdvancesWhileATimerThatHangsIsFired(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal := Journal{Pool: pool, Reader: "reactor"}
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: reactor.OrderDeadline, Target: "o"}, DueAt: time.Now().Add(-time.Hour)}
	if err := journal.Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Set: []reactor.Timer{timer}}); err != nil {
		t.Fatal(err)
	}
	firing, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, _, err := Timers{Pool: pool}.FireDue(t.Context(), func(ctx context.Context, _ reactor.Timer, _ time.Time) error {
			close(firing)
			<-ctx.Done()
			return ctx.Err()
		})
		done <- err
	}()
	<-firing
	if err := journal.Advance(t.Context(), eventstore.At(1), eventstore.At(2), reactor.Notes{Clear: []reactor.Deadline{timer.Deadline}}); err != nil {
		t.Errorf("the reactor: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Timers and answers can be many, and few of them are due or old. A search for these must not look
// at the others, or each search costs more as the shop grows.
func TestWhatIsDueIsFoundByItsIndex(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO commands.timers (kind, target, item, due_at) SELECT 'order', 'o-' || n, '', now() + interval '1 day' FROM generate_series(1, 5000) n;
		INSERT INTO commands.answers (scope, key, request_hash, status, headers, body) SELECT 's', 'k-' || n, '', 200, '{}', '' FROM generate_series(1, 5000) n;
		ANALYZE commands.timers, commands.answers`)
	if err != nil {
		t.Fatal(err)
	}
	for index, search := range map[string]struct {
		sql  string
		args []any
	}{
		"timers_due":  {dueSQL, []any{timersAtOnce}},
		"answers_age": {pruneSQL, []any{time.Hour.Seconds(), answersPrunedAt}},
	} {
		rows, err := pool.Query(t.Context(), `EXPLAIN `+search.sql, search.args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, index) })
		if at < 0 || at+1 == len(lines) || !strings.Contains(lines[at+1], "Index Cond") {
			t.Errorf("the search does not begin at its place in %s:\n%s", index, strings.Join(lines, "\n"))
		}
	}
}
