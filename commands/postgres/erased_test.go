package postgres

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"daybook/domain/unit"
	"daybook/eventstore/sealing"
)

// While many nodes ask for keys of a subject, it is erased. Afterwards no key of it exists, and it
// gets none any more.
func TestAnErasedSubjectGetsNoKey(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	keys, erased := DataKeys{Pool: pool}, Erased{Pool: pool}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		subject := fmt.Sprintf("%s:%d", []string{"customer", "cart"}[round%2], round)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				if _, err := keyOf(t.Context(), keys, subject, "m1"); err != nil && !errors.Is(err, sealing.ErrSubjectErased) && !errors.Is(err, sealing.ErrMasterChanged) {
					t.Error(err)
				}
			})
		}
		if _, err := erased.Note(t.Context(), unit.Owner(subject), []unit.Owner{unit.Owner(subject)}); err != nil {
			t.Fatal(err)
		}
		asking.Wait()
		if left, err := erased.WithKeys(t.Context(), []unit.Owner{unit.Owner(subject)}); err != nil || len(left) > 0 {
			t.Fatalf("round %d: %q have keys, %v", round, left, err)
		}
		if row, err := keyOf(t.Context(), keys, subject, "m1"); !errors.Is(err, sealing.ErrSubjectErased) {
			t.Errorf("a new key: %+v, %v", row, err)
		}
	}
}

// A customer's erasure also erases the guests that the customer was, and nobody else. Keys that
// come back are destroyed again.
func TestAnErasureDestroysKeys(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	keys, erased := DataKeys{Pool: pool}, Erased{Pool: pool}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, subject := range []string{"customer:1", "cart:c", "customer:2"} {
		row, err := keyOf(t.Context(), keys, subject, "m1")
		if err != nil {
			t.Fatal(err)
		}
		ids[subject] = row.ID
	}
	for range 2 {
		gone, err := erased.Note(t.Context(), "customer:1", []unit.Owner{"customer:1", "cart:c"})
		slices.Sort(gone)
		want := []string{ids["customer:1"], ids["cart:c"]}
		slices.Sort(want)
		if err != nil || !slices.Equal(gone, want) {
			t.Fatalf("destroyed %q, %v, want %q", gone, err, want)
		}
	}
	if listed, err := erased.DestroyedKeys(t.Context(), time.Hour); err != nil || len(listed) != 2 {
		t.Errorf("listed %q, %v", listed, err)
	}
	restore := func() {
		t.Helper()
		if _, err := pool.Exec(t.Context(), `UPDATE commands.data_keys SET wrapped = 'x', destroyed_at = NULL`); err != nil {
			t.Fatal(err)
		}
	}
	restore()
	if n, err := erased.DestroyAgain(t.Context()); err != nil || n != 2 {
		t.Errorf("destroyed again: %d, %v", n, err)
	}
	if left, err := erased.WithKeys(t.Context(), []unit.Owner{"customer:1", "cart:c", "customer:2"}); err != nil || !slices.Equal(left, []unit.Owner{"customer:2"}) {
		t.Errorf("with keys: %q, %v", left, err)
	}

	// A database that does not know of the erasure: the list of key ids says so.
	restore()
	if _, err := pool.Exec(t.Context(), `DELETE FROM commands.erased`); err != nil {
		t.Fatal(err)
	}
	if n, err := erased.DestroyListed(t.Context(), []string{ids["customer:1"], "unknown"}); err != nil || n != 1 {
		t.Errorf("destroyed by the list: %d, %v", n, err)
	}
	if row, err := keyOf(t.Context(), keys, "customer:1", "m1"); !errors.Is(err, sealing.ErrSubjectErased) {
		t.Errorf("a new key: %+v, %v", row, err)
	}
}

// An erasure is done when its copies were removed a second time.
func TestAnErasureHasSteps(t *testing.T) {
	t.Parallel()
	erased := Erased{Pool: migrated(t)}
	if done, err := erased.Done(t.Context(), "customer:1"); err != nil || done {
		t.Errorf("an unknown subject: %t, %v", done, err)
	}
	if _, err := erased.Note(t.Context(), "customer:1", []unit.Owner{"customer:1"}); err != nil {
		t.Fatal(err)
	}
	expect := func(old time.Duration, want ...Unfinished) {
		t.Helper()
		if list, err := erased.Unfinished(t.Context(), old, 10); err != nil || !slices.Equal(list, want) {
			t.Errorf("unfinished %+v, %v, want %+v", list, err, want)
		}
	}
	expect(time.Hour, Unfinished{Subject: "customer:1"})
	if err := erased.Step(t.Context(), "customer:1", false); err != nil {
		t.Fatal(err)
	}
	expect(time.Hour, Unfinished{Subject: "customer:1", Cleaned: true})
	expect(0, Unfinished{Subject: "customer:1", Cleaned: true, Old: true})
	if err := erased.Step(t.Context(), "customer:1", true); err != nil {
		t.Fatal(err)
	}
	expect(0)
	if done, err := erased.Done(t.Context(), "customer:1"); err != nil || !done {
		t.Errorf("done: %t, %v", done, err)
	}
}

// The copies of a subject's things are removed, and those of others stay.
func TestCopiesAreRemoved(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	erased := Erased{Pool: pool}
	fill := func() {
		for _, sql := range []string{
			`INSERT INTO commands.answers (scope, key, request_hash, status, headers, body) VALUES
				('staff', 'a', '', 200, '{}', '{"order_id":"o-1"}'), ('customer:1', 'b', '', 200, '{}', '{}'), ('staff', 'c', '', 200, '{"Location":["/v1/orders/o-1"]}', '{}'),
				('staff', 'd', '', 200, '{}', '{"order_id":"o-2"}')`,
			`INSERT INTO commands.snapshots (stream, fold_version, revision, data) VALUES ('order-o-1', 1, 0, ''), ('order-o-2', 1, 0, '')`,
			`INSERT INTO commands.parked (id, kind, subject, step, stream, revision, position, since, meta, reason, tries, first_tried, last_tried)
				SELECT gen_random_uuid(), 'event', '', '', s, 0, '0', now(), '', '', 1, now(), now() FROM unnest(ARRAY['order-o-1', 'order-o-2']) s`,
		} {
			if _, err := pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() (text string) {
		t.Helper()
		err := pool.QueryRow(t.Context(), `SELECT string_agg(x, ' ' ORDER BY x) FROM (
			SELECT key AS x FROM commands.answers UNION ALL SELECT 'snapshot ' || stream FROM commands.snapshots UNION ALL SELECT 'parked ' || stream FROM commands.parked) l`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	fill()
	if err := erased.RemoveCopies(t.Context(), []string{"order-o-1"}, []string{"customer:1", "o-1"}); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != "d parked order-o-2 snapshot order-o-2" {
		t.Errorf("left: %s", got)
	}
	many := make([]string, manyNames+1)
	for i := range many {
		many[i] = fmt.Sprint("name", i)
	}
	if err := erased.RemoveCopies(t.Context(), nil, many); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != "parked order-o-2 snapshot order-o-2" {
		t.Errorf("left: %s", got)
	}
}
