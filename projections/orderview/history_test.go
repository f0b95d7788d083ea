package orderview_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/eventstore"
	"daybook/projections/orderview"
	"daybook/projections/viewtest"
)

func TestATimelineThatMissesAnEventIsAnError(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("a", day), placed("o-1", "1", "7"), order.PutOnHold{}, order.HoldReleased{}, order.Confirmed{})
	viewtest.Fact(b, returns.Stream("r-1"), by("a", day), returns.Encode, []returns.Event{
		returns.Requested{ReturnID: "r-1", OrderID: "o-1", Currency: "GBP"}, returns.Approved{}, returns.Canceled{}, returns.Closed{},
	}...)
	for revision := range int64(4) {
		h := orderview.History{Log: viewtest.Losing{Store: b.Log, Revision: revision}}
		for last := revision; last < 4; last++ { // the row has read the stream up to here
			if entries, err := h.Order(t.Context(), "o-1", last); err == nil {
				t.Errorf("the log loses revision %d of the order: timeline up to %d %+v, want an error", revision, last, entries)
			}
			if entries, err := h.Return(t.Context(), "r-1", last); err == nil {
				t.Errorf("the log loses revision %d of the return: timeline up to %d %+v, want an error", revision, last, entries)
			}
		}
	}
}

func TestATimelineHasTheEventsOfItsRow(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	stream := order.Stream("o-1")
	// Another program has written first, and writes later.
	foreign := func() {
		t.Helper()
		if err := b.Append(stream, eventstore.Event{ID: uuid.New(), Type: "order.confirmed.v1", Data: []byte("{}"), Meta: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	foreign()
	orderFact(b, "o-1", by("a", day), order.Confirmed{}, order.Claimed{CartID: "c-1"}, placed("o-1", "1", "7"), placed("o-1", "2", "7")) // only one makes sense
	foreign()
	const times = 1200 // more than are read at once
	for range times {
		orderFact(b, "o-1", by("a", day), order.PutOnHold{Reason: "look"}, order.HoldReleased{})
	}
	foreign()
	b.CaughtUp()
	o, err := orderview.Get(t.Context(), b.Pool, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for e, err := range b.Log.ReadStream(t.Context(), stream, 3, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Revision != 4 && eventstore.LogWide(e.ID) {
			want = append(want, fmt.Sprint(e.Revision, " ", e.Type, " ", e.Position, " ", e.RecordedAt))
		}
	}
	var got []string
	timeline := orderTimeline(b, o)
	for _, e := range timeline {
		got = append(got, fmt.Sprint(e.Revision, " ", e.Type, " ", e.Position, " ", e.RecordedAt))
	}
	if len(want) != 1+2*times || !slices.Equal(got, want) {
		t.Errorf("timeline of %d entries, want %d: begins %.5q, want %.5q", len(got), len(want), got, want)
	}
	if last := timeline[len(timeline)-1]; last.Revision != o.Revision {
		t.Errorf("the last entry has revision %d, its row %d", last.Revision, o.Revision)
	}
	// The row is older than the log.
	if earlier, err := (orderview.History{Log: b.Log}).Order(t.Context(), "o-1", 10); err != nil || earlier[len(earlier)-1].Revision != 10 {
		t.Errorf("timeline up to revision 10: %+v, %v", earlier, err)
	}
}

func TestADeletedOrderHasAnEmptyTimeline(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("a", day), placed("o-1", "1", "7"))
	b.CaughtUp()
	if err := b.Append(order.Stream("o-1"), eventstore.Event{ID: uuid.New(), Type: eventstore.TombstoneType, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	o, err := orderview.Get(t.Context(), b.Pool, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	if timeline := orderTimeline(b, o); len(timeline) > 0 {
		t.Errorf("timeline %+v", timeline)
	}
}
