package aggregate

import (
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// A command is displaced only by later commands of its own kind (guarded or not). This is the
// same for commands that were carried out here and for those that were read from the log.
func TestTheLatestCommandsOfEachKindAreRemembered(t *testing.T) {
	t.Parallel()
	limits := Options{}.withDefaults().limits()
	const pairs = 4096 + 10
	here, folded := commandMemory{limits: limits}, commandMemory{limits: limits}
	read := reading{memory: &folded}
	var ids [2 * pairs]uuid.UUID
	for i := range ids {
		ids[i] = uuid.New()
		meta, err := eventstore.Metadata{CommandID: ids[i]}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		guarded := i%2 == 1
		here.add(pastCommand{Command: ids[i], Revision: int64(i)}, guarded)
		read.add(eventstore.Recorded{Revision: int64(i), Event: eventstore.Event{ID: EventID(ids[i], 0), Meta: meta}}, guarded)
	}
	read.end()
	for name, memory := range map[string]commandMemory{"carried out": here, "read": folded} {
		for i, id := range ids {
			want := i/2 >= pairs-limits.done
			if i%2 == 1 {
				want = i/2 >= pairs-limits.guarded
			}
			// A command that is not found is known as forgotten, unless the state guards it.
			if forgotten := memory.hasForgotten(id); forgotten != (!want && i%2 == 0) {
				t.Fatalf("%s: command %d of %d: forgotten: %v", name, i, len(ids), forgotten)
			}
			if found, known := memory.find(id); known != want || known && found.Revision != int64(i) {
				t.Fatalf("%s: command %d of %d: found %+v, %v; want %v", name, i, len(ids), found, known, want)
			}
		}
	}
}
