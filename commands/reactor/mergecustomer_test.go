package reactor

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"daybook/domain/customer"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// The reactor works on a merge of accounts from the end of the first account until the other one
// has taken it, or until the first one is open again.
func TestAMergeOfAccountsIsWorkUntilItIsDecided(t *testing.T) {
	t.Parallel()
	log := memory.New()
	for _, event := range []struct {
		of customer.Event
		in string
	}{
		{customer.Merged{Into: "open", Attempt: 1}, "merged"},
		{customer.Absorbed{CustomerID: "merged", Attempt: 1}, "open"},
		{customer.Merged{Into: "blocked", Attempt: 1}, "declined"},
		{customer.MergeDeclined{CustomerID: "declined", Attempt: 1, Reason: "customer-limit"}, "blocked"},
		{customer.MergeRefused{Into: "blocked", Attempt: 1, Reason: "customer-limit"}, "declined"},
		{customer.Merged{Into: "open", Attempt: 1}, "begun"},
	} {
		name, data, err := customer.Encode(event.of)
		if err == nil {
			_, err = log.Append(t.Context(), "customer-"+event.in, eventstore.Any, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: name, Data: data}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	work := newTracker(eventstore.Start, 0)
	var open []string
	for e, err := range log.ReadAll(t.Context(), eventstore.Start, reactorReads, 0) {
		if err == nil {
			err = work.event(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		for key := range work.open {
			open = append(open, key.id+" into "+key.step+" after "+e.Type)
		}
	}
	want := []string{
		"merged into open after customer.merged.v1",
		"declined into blocked after customer.merged.v1", "declined into blocked after customer.merge_declined.v1",
		"begun into open after customer.merged.v1",
	}
	if !slices.Equal(open, want) {
		t.Errorf("open: %q, want %q", open, want)
	}
	parked := UnfinishedWork{Kind: string(workAccounts), Stream: "customer-begun", Subject: "begun", Step: "open"}
	if got := parked.streams(); !slices.Equal(got, []string{"customer-begun", "customer-open"}) {
		t.Errorf("a parked merge looks at %q", got)
	}
	finisher := &stubborn{fails: func(string) error { return nil }, tried: map[string]int{}}
	for key, one := range work.open {
		if err := finishAs(t.Context(), finisher, *one); err != nil || key.kind != workAccounts || finisher.tries("begun") != 1 {
			t.Errorf("%s: %v, %d tries", key, err, finisher.tries("begun"))
		}
	}
	if len(work.open) != 1 {
		t.Errorf("%d merges are open", len(work.open))
	}
}
