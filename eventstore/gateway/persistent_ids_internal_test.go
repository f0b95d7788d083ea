package gateway

import (
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// A consumer answers with the ids that it has seen. The latest ones are known, and older ones are
// forgotten, so that a consumer which never answers takes no more memory.
func TestAConsumerAnswersWithTheIDsThatItHasSeen(t *testing.T) {
	t.Parallel()
	s := &shownIDs{}
	event := func(id uuid.UUID) *eventstore.Recorded {
		return &eventstore.Recorded{Event: eventstore.Event{ID: id}}
	}
	var recorded, shown [3]uuid.UUID
	for i := range recorded {
		recorded[i], shown[i] = uuid.New(), uuid.New()
	}
	s.note(event(recorded[0]), event(shown[0]))
	for range groups.MaxSlots - 2 {
		s.note(event(uuid.New()), event(uuid.New()))
	}
	s.note(event(recorded[0]), event(shown[0])) // sent again
	s.note(event(recorded[1]), event(shown[1]))
	as, plain := uuid.New(), uuid.New()
	s.note(event(plain), event(plain)) // the log's own id
	answer := []uuid.UUID{shown[0], shown[1], as, plain}
	s.replace(answer)
	if want := [4]uuid.UUID{recorded[0], recorded[1], as, plain}; [4]uuid.UUID(answer) != want {
		t.Errorf("got %v, want %v", answer, want)
	}
	s.note(event(recorded[2]), event(shown[2]))
	answer = []uuid.UUID{shown[0], shown[2]}
	s.replace(answer)
	if answer[0] != shown[0] || answer[1] != recorded[2] || len(s.recorded) != groups.MaxSlots || len(s.order) != groups.MaxSlots {
		t.Errorf("after one more: %v, %d ids", answer, len(s.recorded))
	}
}
