package postgres

import (
	"errors"
	"testing"
	"time"

	"daybook/domain/subject"
	"daybook/domain/unit"
)

// A record is stored once, can be read until its time is over, and then goes with its key.
func TestAKeptRecordGoesWithItsKey(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	keys, kept := DataKeys{Pool: pool}, Kept{Pool: pool}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	record := func(id unit.OrderID, until time.Time, box string) KeptRecord {
		row, err := keyOf(t.Context(), keys, KeptSubject(id), "m1")
		if err != nil {
			t.Fatal(err)
		}
		return KeptRecord{Kept: subject.Kept{OrderID: id, Country: "DE", Until: until, Reason: subject.KeptInvoice}, Key: row.ID, Box: []byte(box)}
	}
	short, long := record("short", now.Add(time.Hour), "a"), record("long", now.Add(48*time.Hour), "b")
	again := short
	again.Box, again.Until = []byte("(erased)"), now.Add(96*time.Hour)
	for _, r := range []KeptRecord{short, long, again} {
		if err := kept.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	both := []unit.OrderID{"short", "long", "other"}
	found, err := kept.Of(t.Context(), both, now)
	if err != nil || len(found) != 2 || string(found[1].Box) != "a" || found[1].Kept != short.Kept || found[1].Key != short.Key {
		t.Errorf("kept: %+v, %v", found, err)
	}
	if found, err := kept.Of(t.Context(), both, now.Add(time.Hour)); err != nil || len(found) != 1 || found[0].OrderID != "long" {
		t.Errorf("after the time of one, kept: %+v, %v", found, err)
	}
	for _, want := range []int{1, 0} {
		n, gone, err := kept.Remove(t.Context(), now.Add(2*time.Hour), 10)
		if err != nil || n != want || len(gone) != want || want == 1 && gone[0] != short.Key {
			t.Errorf("deleted %d, keys %q, %v", n, gone, err)
		}
	}
	if row, ok, err := keys.Fetch(t.Context(), short.Key); err != nil || !ok || !row.Destroyed() {
		t.Errorf("the key is %+v, %t, %v", row, ok, err)
	}
	if row, _, err := keys.Fetch(t.Context(), long.Key); err != nil || row.Destroyed() {
		t.Errorf("the other key is %+v, %v", row, err)
	}
	if err := kept.Add(t.Context(), short); !errors.Is(err, ErrKeptKeyGone) {
		t.Errorf("a record whose key is destroyed: %v", err)
	}
	if found, err := kept.Of(t.Context(), both, now); err != nil || len(found) != 1 {
		t.Errorf("it is stored: %+v, %v", found, err)
	}
}

// A key that was made for a record which was never stored is destroyed a day later. Keys of
// subjects are not.
func TestTheKeyOfNoRecordIsDestroyed(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	keys, kept := DataKeys{Pool: pool}, Kept{Pool: pool}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	old, err := keyOf(t.Context(), keys, KeptSubject("old"), "m1")
	if err == nil {
		_, err = keyOf(t.Context(), keys, "customer:old", "m1")
	}
	if err == nil {
		_, err = pool.Exec(t.Context(), `UPDATE commands.data_keys SET made_at = made_at - interval '25 hours'`)
	}
	if err == nil {
		_, err = keyOf(t.Context(), keys, KeptSubject("young"), "m1")
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, gone, err := kept.Remove(t.Context(), time.Now(), 10); err != nil || n != 0 || len(gone) != 1 || gone[0] != old.ID {
		t.Errorf("deleted %d, keys %q, %v", n, gone, err)
	}
}
