package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"daybook/eventstore/sealing"
)

// A master key becomes the current one only when all running nodes have it, and then it wraps all
// keys, batch by batch.
func TestAMasterKeyReplacesAnother(t *testing.T) {
	t.Parallel()
	keys := DataKeys{Pool: migrated(t)}
	if _, err := keys.CurrentMaster(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := keyOf(t.Context(), keys, fmt.Sprint("customer:", i), "m1"); err != nil {
			t.Fatal(err)
		}
	}
	for node, has := range map[string][]string{"a": {"m1", "m2"}, "b": {"m1"}} {
		if err := keys.ReportMasters(t.Context(), node, has); err != nil {
			t.Fatal(err)
		}
	}
	err := keys.SetMaster(t.Context(), "m2")
	if lack, is := errors.AsType[*NodesLackError](err); !is || !slices.Equal(lack.Nodes, []string{"b"}) {
		t.Fatalf("with a node that lacks the key: %v", err)
	}
	if _, err := keys.Rewrap(t.Context(), "m2", 2, nil); !errors.Is(err, sealing.ErrMasterChanged) {
		t.Errorf("to a key that is not the current one: %v", err)
	}
	if err := keys.ForgetMasters(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := keys.SetMaster(t.Context(), "m2"); err != nil {
			t.Fatal(err)
		}
	}
	again := func(row sealing.Row) (sealing.Row, error) {
		row.Wrapped = []byte("by m2")
		return row, nil
	}
	if n, err := keys.Rewrap(t.Context(), "m2", 2, again); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	if needed, err := keys.NeededMasters(t.Context()); err != nil || !slices.Equal(needed, []string{"m1", "m2"}) {
		t.Errorf("in the middle %q are needed, %v", needed, err)
	}
	refused := errors.New("the service is away")
	if n, err := keys.Rewrap(t.Context(), "m2", 2, func(row sealing.Row) (sealing.Row, error) { return row, refused }); n != 0 || !errors.Is(err, refused) {
		t.Errorf("a batch that fails: %d, %v", n, err)
	}
	for _, want := range []int{2, 1, 0} {
		if n, err := keys.Rewrap(t.Context(), "m2", 2, again); err != nil || n != want {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	use, err := keys.MasterUse(t.Context())
	if err != nil || use.Current != "m2" || use.Keys["m2"] != 5 || use.Needed("m1") || !use.Needed("m2") || !slices.Equal(use.Former, []string{"m1"}) || len(use.Nodes) != 1 {
		t.Errorf("use %+v, %v", use, err)
	}
	// After a restore nobody knows the current one. It is the one that wraps the keys, and not the
	// first of the file.
	if _, err := keys.Pool.Exec(t.Context(), `DELETE FROM commands.master_key`); err != nil {
		t.Fatal(err)
	}
	if current, err := keys.CurrentMaster(t.Context(), "m1"); err != nil || current != "m2" {
		t.Errorf("after a restore: %s, %v", current, err)
	}
}
