package verify

import (
	"time"

	"daybook/domain/access"
	"daybook/eventstore"
)

// Actors says from where on the actors of events come from principals: a name such as "key:k1" then
// belongs to somebody who was authenticated. Before that, a client could name any actor.
type Actors struct {
	// From is the position of the first event about keys and roles, and FromTime is when it was
	// recorded. Programs that record such an event let nobody claim such a name.
	From     eventstore.Position `json:"from"`
	FromTime time.Time           `json:"from_time"`
	// Unproven is how many events of the shop after it have another actor, or none. A node without
	// access control has recorded them.
	Unproven int64 `json:"unproven"`
}

// noteActor notes who has caused an event of the shop.
func (b *Book) noteActor(e *event) {
	switch {
	case b.actors == nil && e.Stream == access.Stream():
		b.actors = &Actors{From: e.Position, FromTime: e.RecordedAt.UTC()}
	case b.actors != nil && access.AuthenticatedPrefix(e.meta.Actor) == "":
		b.actors.Unproven++
	}
}
