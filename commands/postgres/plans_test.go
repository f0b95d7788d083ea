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
