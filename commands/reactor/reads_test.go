package reactor

import (
	"slices"
	"strings"
	"testing"

	"daybook/commands/streams"
)

// The anchor of the reactor's place is the latest event that it has read. So a newer version
// must not read more types of events than an older one. Otherwise an event that the older
// version did not read would look like one that the log did not have (decision 34).
func TestTheReactorReadsAllThatItMustNotMiss(t *testing.T) {
	t.Parallel()
	wants := Filter()
	if len(wants.StreamPrefixes)+len(reactorReads.StreamPrefixes) > 0 || len(wants.TypePrefixes) == 0 {
		t.Fatalf("it wants %+v and reads %+v; this test compares types", wants, reactorReads)
	}
	for _, wanted := range wants.TypePrefixes {
		if !slices.ContainsFunc(reactorReads.TypePrefixes, func(read string) bool { return strings.HasPrefix(wanted, read) }) {
			t.Errorf("it must not miss %q, and does not read it", wanted)
		}
	}
	for _, prefix := range streams.TypePrefixes() {
		if !reactorReads.Selects(prefix+"happened.v1", "") {
			t.Errorf("it does not read %q", prefix)
		}
	}
}
