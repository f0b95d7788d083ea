package projections_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"daybook/projections"
)

// After it is started over, a view is empty and in use. No other build is left. What users have
// built on top of it still exists.
func TestAViewThatIsStartedOverIsBuiltAgain(t *testing.T) {
	b := newBench(t)
	r, stop := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 300))
	if err := r.Rebuild(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	want := b.one(total)
	stop()
	for _, sql := range []string{
		`CREATE VIEW public.own AS SELECT * FROM read.tally`,
		// Another program made this. It has views that this program does not have.
		`CREATE SCHEMA view_other_v1_b1`, `CREATE TABLE view_other_v1_b1.others (n int)`, `CREATE VIEW read.others AS SELECT * FROM view_other_v1_b1.others`,
		`INSERT INTO projections.builds (view, build, version, schema_name, state, position) VALUES ('other', 1, 1, 'view_other_v1_b1', 'active', '5')`,
	} {
		if _, err := b.pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	err := pgx.BeginFunc(projections.LongEnough(t.Context()), b.pool, func(tx pgx.Tx) error {
		return projections.StartOver(t.Context(), tx, []projections.View{tally()})
	})
	if err != nil {
		t.Fatal(err)
	}
	builds := b.one(`SELECT string_agg(view || build || state || position, ' ') FROM projections.builds`)
	schemas := b.one(`SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'view\_%'`)
	if builds != "tally3active0" || schemas != "1" || b.one(`SELECT count(*)::text FROM public.own`) != "0" || b.one(`SELECT (to_regclass('read.others') IS NULL)::text`) != "true" {
		t.Errorf("builds %s, %s schemas", builds, schemas)
	}
	r, _ = b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 1))
	if got := b.one(total); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
}
