package gateway

import (
	"sync"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// shownIDs are the ids under which a consumer has seen events, if they are not the ids that the log
// has (User.Show). The consumer names an event by the id that it has seen. It has the latest
// groups.MaxSlots ids, which is as many as a consumer works on. If the consumer answers for an
// older event, the answer has no effect, and the group sends the event again.
type shownIDs struct {
	mu       sync.Mutex
	recorded map[uuid.UUID]uuid.UUID // by the shown id
	order    []uuid.UUID             // the shown ids, the oldest first
}

// note remembers the id of an event that is sent.
func (s *shownIDs) note(recorded, shown *eventstore.Recorded) {
	if recorded == nil || recorded.ID == shown.ID {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.recorded[shown.ID]; known {
		return
	}
	if s.recorded == nil {
		s.recorded = make(map[uuid.UUID]uuid.UUID)
	}
	if len(s.order) == groups.MaxSlots {
		delete(s.recorded, s.order[0])
		s.order = s.order[1:]
	}
	s.recorded[shown.ID] = recorded.ID
	s.order = append(s.order, shown.ID)
}

// replace replaces ids that the consumer has seen by those that the log has.
func (s *shownIDs) replace(ids []uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		if recorded, known := s.recorded[id]; known {
			ids[i] = recorded
		}
	}
}
