package postgres

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
	"daybook/eventstore"
)

// The statements that every checkout needs are planned only a few times on each connection, however
// few rows they have.
func TestStatementsOfACheckoutKeepTheirPlans(t *testing.T) {
	t.Parallel()
	pool := oneConnection(t)
	keys, answers := DataKeys{Pool: pool}, NewAnswers(pool, slog.New(slog.DiscardHandler))
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	const times = 20
	for n := range times {
		if _, err := keyOf(t.Context(), keys, fmt.Sprint("cart:", n), "m1"); err != nil {
			t.Fatal(err)
		}
		if found, err := answers.Find(t.Context(), "ann", fmt.Sprint(n)); err != nil || found != nil {
			t.Fatal(found, err)
		}
	}
	for name, statement := range map[string]string{"storeSQL": storeSQL, "findSQL": findSQL} {
		var again int
		err := pool.QueryRow(t.Context(), `SELECT custom_plans FROM pg_prepared_statements WHERE statement = $1 AND generic_plans + custom_plans = $2`, statement, times).Scan(&again)
		if err != nil || again > 5 {
			t.Errorf("%s was planned %d times for %d calls, %v", name, again, times, err)
		}
	}
}

// Statements that look up rows by their keys use the index of a table that has grown since their
// plan was made. A plan that is made while the table is small must therefore use it, too, because
// PostgreSQL may keep that plan.
func TestLookUpsReadNoWholeTable(t *testing.T) {
	t.Parallel()
	pool := oneConnection(t)
	journal, answers, keys := Journal{Pool: pool, Reader: "r"}, NewAnswers(pool, slog.New(slog.DiscardHandler)), DataKeys{Pool: pool}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	at := eventstore.Start
	lookUps := map[string]func(n int) error{
		"answers": func(n int) error {
			_, err := answers.Find(t.Context(), "ann", fmt.Sprint("none-", n))
			return err
		},
		"timers": func(n int) error {
			next := eventstore.At(uint64(n + 1))
			err := journal.Advance(t.Context(), at, next, reactor.Notes{Clear: []reactor.Deadline{{Kind: "k", Target: fmt.Sprint("none-", n)}}})
			at = next
			return err
		},
		"data_keys": func(n int) error {
			_, err := keyOf(t.Context(), keys, fmt.Sprint("cart:", n), "m1")
			return err
		},
	}
	const times, rows = 20, 5000
	run := func(from int) {
		t.Helper()
		for n := range times {
			for table, lookUp := range lookUps {
				if err := lookUp(from + n); err != nil {
					t.Fatal(table, err)
				}
			}
		}
	}
	fill := func(from, to int) {
		t.Helper()
		for _, insert := range []string{
			`INSERT INTO commands.answers (scope, key, request_hash, status, headers, body) SELECT 'ann', 'k' || n, '', 200, '{}', convert_to(repeat('a', 1000), 'UTF8') FROM generate_series($1::int, $2::int) n`,
			`INSERT INTO commands.timers (kind, target, item, due_at) SELECT 'k', 't' || n, '', now() FROM generate_series($1::int, $2::int) n`,
			`INSERT INTO commands.data_keys (id, subject, master, wrapped) SELECT 'id' || n, 's' || n, 'm1', '' FROM generate_series($1::int, $2::int) n`,
		} {
			if _, err := pool.Exec(t.Context(), insert, from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(1, 50)
	run(0)
	fill(51, rows)
	read := func() map[string]int64 {
		t.Helper()
		if _, err := pool.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
			t.Fatal(err)
		}
		got, _ := pool.Query(t.Context(), `SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'commands'`)
		counts := map[string]int64{}
		var table string
		var count int64
		if _, err := pgx.ForEachRow(got, []any{&table, &count}, func() error { counts[table] = count; return nil }); err != nil {
			t.Fatal(err)
		}
		return counts
	}
	before := read()
	run(times)
	for table, after := range read() {
		if n := after - before[table]; n >= rows {
			t.Errorf("%d look-ups read %d rows of %s one after the other", times, n, table)
		}
	}
}

// oneConnection is a migrated database and a pool with one connection, which has all plans.
func oneConnection(t *testing.T) *pgxpool.Pool {
	t.Helper()
	config := migrated(t).Config()
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["random_page_cost"] = "4" // as in a server that nobody has set up
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
