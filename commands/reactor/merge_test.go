package reactor

import (
	"testing"

	"daybook/commands"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// The reactor works on a merge from the end of the first cart until the other cart has its lines,
// or until the first cart is open again.
func TestAMergeIsWorkUntilBothCartsAreDone(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	cartsOfAllPhases(s)
	work := newTracker(eventstore.Start, 0)
	var open []string
	for e, err := range s.Log.ReadAll(t.Context(), eventstore.Start, reactorReads, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if err := work.event(e); err != nil {
			t.Fatal(err)
		}
		for _, id := range []unit.CartID{"merged", "declined"} {
			if work.open[workKey{workMerge, string(id), "open"}] != nil || work.open[workKey{workMerge, string(id), "abandoned"}] != nil {
				open = append(open, string(id)+" "+e.Type)
			}
		}
	}
	for key := range work.open {
		if key.kind == workMerge {
			t.Errorf("%s is open", key)
		}
	}
	want := []string{"merged cart.merged_into.v1", "declined cart.merged_into.v1", "declined cart.merge_declined.v1"}
	if len(open) != len(want) || open[0] != want[0] || open[1] != want[1] || open[2] != want[2] {
		t.Errorf("open after %q, want %q", open, want)
	}
	parked := UnfinishedWork{Kind: string(workMerge), Stream: cart.Stream("declined"), Subject: "declined", Step: "abandoned"}
	if got := parked.streams(); len(got) != 2 || got[1] != cart.Stream("abandoned") {
		t.Errorf("a parked merge looks at %q", got)
	}
}
