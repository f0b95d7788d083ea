package main

import (
	"net/http"
	"strings"
	"testing"
)

// A step of an erasure fails again and again: the one in the log, or the one that forgets logins.
// The copies of texts outside the log are removed all the same, and the erasure is not called done
// before the step has succeeded.
func TestAFailingStepOfAnErasureKeepsNoCopies(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]struct{ fails, works string }{
		"wish lists": {
			`CREATE FUNCTION eventstore.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'this step fails'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON eventstore.events FOR EACH ROW WHEN (NEW.type LIKE 'customer.wish_list_removed.%') EXECUTE FUNCTION eventstore.refuse()`,
			`DROP TRIGGER refuse ON eventstore.events`,
		},
		"logins": {`ALTER TABLE commands.people RENAME TO people_away`, `ALTER TABLE commands.people_away RENAME TO people`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openPrivate(t, "--master-key-file", writeMasterKey(t))
			pool := poolOf(t, s.database)
			s.tellOf(carol)()
			if len(marksIn(dump(t, pool), carol)) == 0 {
				t.Fatal("there is no copy")
			}
			if _, err := pool.Exec(t.Context(), step.fails); err != nil {
				t.Fatal(err)
			}
			const body = `{"customer_id":"carol","reason":"requested"}`
			state := func() string {
				_, text := s.ask(s.admin, http.MethodPost, "/v1/erasures", body)
				return text
			}
			state()
			eventually(t, recoveryLimit, "the step is tried", func() bool {
				return strings.Contains(s.log.String(), "erasures are not finished")
			})
			aMinuteLater(t, pool)
			eventually(t, recoveryLimit, "no copy is left", func() bool { return len(marksIn(dump(t, pool), carol)) == 0 })
			rows := func(sql string) (n int) {
				if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.erased WHERE `+sql).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			for range 2 { // a round may have begun before the minute was over, so the second one is looked at
				if _, err := pool.Exec(t.Context(), `UPDATE commands.erased SET cleaned_at = NULL`); err != nil {
					t.Fatal(err)
				}
				eventually(t, recoveryLimit, "a round has ended", func() bool { return rows(`cleaned_at IS NULL AND done_at IS NULL`) == 0 })
			}
			if text := state(); strings.Contains(text, `"state":"erased"`) || rows(`done_at IS NOT NULL`) != 0 {
				t.Errorf("the erasure is called done: %s", text)
			}
			if _, err := pool.Exec(t.Context(), step.works); err != nil {
				t.Fatal(err)
			}
			eventually(t, recoveryLimit, "the erasure is done", func() bool { return strings.Contains(state(), `"state":"erased"`) })
		})
	}
}
