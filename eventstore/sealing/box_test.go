package sealing_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"daybook/eventstore/sealing"
)

// A box can be opened on all nodes, only for what it was sealed for, and until its key is
// destroyed.
func TestABoxBelongsToOneThing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	first, second := r.node(t), r.node(t)
	const text = "Ann, 1 High Street"
	key, box, err := first.SealBox(t.Context(), "kept:o-1", "invoice o-1", []byte(text))
	if err != nil || strings.Contains(string(box), "High") {
		t.Fatalf("%q, %v", box, err)
	}
	if value, ok, err := second.OpenBox(t.Context(), key, "invoice o-1", box); err != nil || !ok || string(value) != text {
		t.Errorf("another node opens %q, %t, %v", value, ok, err)
	}
	other, _, err := first.SealBox(t.Context(), "kept:o-2", "invoice o-2", []byte(text))
	if err != nil || other == key {
		t.Fatalf("another subject has the key %s, %v", other, err)
	}
	same, again, err := first.SealBox(t.Context(), "kept:o-1", "invoice o-1", []byte(text))
	if err != nil || same != key || bytes.Equal(again, box) {
		t.Errorf("the second box has the key %s and is %q, %v", same, again, err)
	}
	bent := bytes.Clone(box)
	bent[len(bent)-1]++
	for what, c := range map[string]struct {
		key, about string
		box        []byte
	}{
		"another thing": {key, "invoice o-2", box}, "another key": {other, "invoice o-1", box},
		"a changed box": {key, "invoice o-1", bent}, "a short box": {key, "invoice o-1", box[:5]},
	} {
		if value, ok, err := second.OpenBox(t.Context(), c.key, c.about, c.box); !errors.Is(err, sealing.ErrMoved) || ok || value != nil {
			t.Errorf("%s: %q, %t, %v", what, value, ok, err)
		}
	}
	r.table.destroy("kept:o-1")
	third := r.node(t)
	if value, ok, err := third.OpenBox(t.Context(), key, "invoice o-1", box); err != nil || ok || value != nil {
		t.Errorf("after its key was destroyed: %q, %t, %v", value, ok, err)
	}
	r.table.setAway(errors.New("away"))
	if _, _, err := third.OpenBox(t.Context(), other, "invoice o-2", box); !sealing.IsKeyAway(err) {
		t.Errorf("while the table is away: %v", err)
	}
}
