package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/eventstore/sealing"
)

// keyOf asks for the key of a subject, as a node does whose current master key is the given one.
func keyOf(ctx context.Context, keys DataKeys, subject, master string) (sealing.Row, error) {
	rows, err := keys.OfSubjects(ctx, []string{subject}, func(subject string) (sealing.Row, error) {
		return sealing.Row{ID: uuid.NewString(), Subject: subject, Master: master, Wrapped: []byte("wrapped")}, nil
	})
	row, stored := rows[subject]
	if err == nil && !stored {
		err = sealing.ErrSubjectErased
	}
	return row, err
}

func TestASubjectHasOneKey(t *testing.T) {
	t.Parallel()
	keys := DataKeys{Pool: migrated(t)}
	if first, err := keys.CurrentMaster(t.Context(), "m1"); err != nil || first != "m1" {
		t.Fatal(first, err)
	}
	for _, subject := range []string{"customer:1", "cart:c-1"} {
		const nodes = 8
		found := make([]sealing.Row, nodes)
		var asking sync.WaitGroup
		for i := range nodes {
			asking.Go(func() {
				var err error
				if found[i], err = keyOf(t.Context(), keys, subject, "m1"); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		later, err := keyOf(t.Context(), keys, subject, "m1")
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range append(found, later) {
			if row.ID != found[0].ID || row.Destroyed() {
				t.Fatalf("keys %+v", found)
			}
		}
		if row, ok, err := keys.Fetch(t.Context(), found[0].ID); err != nil || !ok || row.Subject != subject || row.Master != "m1" || string(row.Wrapped) != "wrapped" {
			t.Errorf("fetched %+v, %t, %v", row, ok, err)
		}
	}
	if _, ok, err := keys.Fetch(t.Context(), "none"); err != nil || ok {
		t.Errorf("a key that is not there: %t, %v", ok, err)
	}
}

// A destroyed key has a row without the key, and its subject gets another key.
func TestADestroyedKeyIsKnownAsDestroyed(t *testing.T) {
	t.Parallel()
	keys := DataKeys{Pool: migrated(t)}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	old, err := keyOf(t.Context(), keys, "customer:1", "m1")
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := keys.Destroyed(t.Context(), time.Hour); err != nil || len(gone) > 0 {
		t.Errorf("destroyed before: %q, %v", gone, err)
	}
	for range 2 { // the second time changes nothing
		if err := keys.Destroy(t.Context(), []string{old.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if row, ok, err := keys.Fetch(t.Context(), old.ID); err != nil || !ok || !row.Destroyed() {
		t.Errorf("fetched %+v, %t, %v", row, ok, err)
	}
	if gone, err := keys.Destroyed(t.Context(), time.Hour); err != nil || !slices.Equal(gone, []string{old.ID}) {
		t.Errorf("destroyed: %q, %v", gone, err)
	}
	if fresh, err := keyOf(t.Context(), keys, "customer:1", "m1"); err != nil || fresh.ID == old.ID || fresh.Destroyed() {
		t.Errorf("the next key: %+v, %v", fresh, err)
	}
}

// No key is wrapped by a master key that is not the current one. Without keys, the current one
// follows the file.
func TestOnlyTheCurrentMasterKeyWrapsNewKeys(t *testing.T) {
	t.Parallel()
	keys := DataKeys{Pool: migrated(t)}
	for _, first := range []string{"m1", "m2"} {
		if current, err := keys.CurrentMaster(t.Context(), first); err != nil || current != first {
			t.Errorf("current %q, %v", current, err)
		}
	}
	if row, err := keyOf(t.Context(), keys, "customer:1", "m1"); !errors.Is(err, sealing.ErrMasterChanged) {
		t.Errorf("with the old master key: %+v, %v", row, err)
	}
	if masters, err := keys.Masters(t.Context()); err != nil || len(masters) > 0 {
		t.Errorf("masters %q, %v", masters, err)
	}
	row, err := keyOf(t.Context(), keys, "customer:1", "m2")
	if err != nil {
		t.Fatal(err)
	}
	if current, err := keys.CurrentMaster(t.Context(), "m3"); err != nil || current != "m2" {
		t.Errorf("current %q, %v, although a key needs m2", current, err)
	}
	if masters, err := keys.Masters(t.Context()); err != nil || !slices.Equal(masters, []string{"m2"}) {
		t.Errorf("masters %q, %v", masters, err)
	}
	if err := keys.Destroy(t.Context(), []string{row.ID}); err != nil {
		t.Fatal(err)
	}
	if masters, err := keys.Masters(t.Context()); err != nil || len(masters) > 0 {
		t.Errorf("masters %q, %v: a destroyed key needs none", masters, err)
	}
}

// The plans of the statements that make keys are kept from when the table was empty. They must not
// read all keys later.
func TestKeysAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{
		`SET plan_cache_mode = force_generic_plan`,
		`PREPARE present (text[]) AS ` + presentSQL,
		`PREPARE store (text[], text[], text[], bytea[]) AS ` + storeSQL,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for statement, index := range map[string]string{`present ('{a,b}')`: "data_keys_of_subject", `store ('{i}', '{a}', '{m}', '{w}')`: "erased_pkey"} {
		rows, err := conn.Query(t.Context(), `EXPLAIN EXECUTE `+statement)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if plan := strings.Join(lines, "\n"); !strings.Contains(plan, "Index Scan using "+index) && !strings.Contains(plan, "Index Only Scan using "+index) {
			t.Errorf("%s has the plan\n%s", statement, plan)
		}
	}
}
