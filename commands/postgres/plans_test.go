package postgres

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The statements that every checkout needs are planned only a few times on each connection, however
// few rows they have.
func TestStatementsOfACheckoutKeepTheirPlans(t *testing.T) {
	t.Parallel()
	config := migrated(t).Config()
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
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

// New keys need not wait for the disk if an append to the same database does so afterwards. If the
// log is elsewhere, they wait.
func TestNewKeysWaitForTheDiskUnlessTheLogDoes(t *testing.T) {
	t.Parallel()
	config := migrated(t).Config()
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, withLog := range []bool{false, true} {
		keys := DataKeys{Pool: pool, WithLog: withLog}
		if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
			t.Fatal(err)
		}
		// The trigger notes what holds when a key is stored.
		if _, err := pool.Exec(t.Context(), `CREATE TABLE IF NOT EXISTS noted (subject text, waits text);
			CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				INSERT INTO noted VALUES (NEW.subject, current_setting('synchronous_commit')); RETURN NEW; END $$;
			CREATE OR REPLACE TRIGGER note BEFORE INSERT ON commands.data_keys FOR EACH ROW EXECUTE FUNCTION note()`); err != nil {
			t.Fatal(err)
		}
		subject := fmt.Sprint("cart:", withLog)
		if _, err := keyOf(t.Context(), keys, subject, "m1"); err != nil {
			t.Fatal(err)
		}
		var waits, after string
		if err := pool.QueryRow(t.Context(), `SELECT waits, current_setting('synchronous_commit') FROM noted WHERE subject = $1`, subject).Scan(&waits, &after); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{false: "on", true: "off"}[withLog]; waits != want || after != "on" {
			t.Errorf("with the log in the same database: %t; synchronous_commit was %s, want %s, and is %s afterwards", withLog, waits, want, after)
		}
	}
}
