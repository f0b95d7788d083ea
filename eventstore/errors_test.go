package eventstore_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// internal finds numbers that have a meaning only in this program's code, such as -2.
var internal = regexp.MustCompile(`-\d`)

// An error says in words what an append expected. It shows none of the numbers that stand
// for states, such as -2.
func TestErrorsShowNoNumbersOfStates(t *testing.T) {
	t.Parallel()
	words := map[eventstore.Expected]string{
		eventstore.NoStream: "no stream", eventstore.Any: "any state", eventstore.StreamExists: "an existing stream",
		eventstore.AtRevision(0): "revision 0", eventstore.AtRevision(7): "revision 7", eventstore.AtRevision(eventstore.LastRevision): "revision 9223372036854775807",
	}
	for expected, word := range words {
		for actual, told := range map[int64]string{
			eventstore.UnknownRevision: "it is in another state", -1: "it does not exist", 0: "it is at revision 0", 5: "it is at revision 5",
		} {
			text := (&eventstore.ConflictError{Stream: "a", Expected: expected, Actual: actual}).Error()
			want := "stream a: expected " + word + ", but " + told
			if expected == eventstore.Any || expected == eventstore.StreamExists && actual >= 0 {
				want = "stream a: expected " + word + "; " + told + ", but it holds some of these events already"
			}
			if internal.MatchString(text) || text != want {
				t.Errorf("expected %d, actual %d: %q, want %q", expected, actual, text, want)
			}
		}
	}
}

// An error names what is too large, such as the stream's name, and not only the kind of limit.
func TestErrorsNameWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	one := []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte("{}")}}
	long := []eventstore.Event{{ID: uuid.New(), Type: strings.Repeat("t", 600), Data: []byte("{}")}}
	for text, err := range map[string]error{
		"stream name of 600 bytes is over the limit of 512":    eventstore.CheckAppend(strings.Repeat("s", 600), eventstore.Any, one),
		"type name of 600 bytes is over the limit of 512":      eventstore.CheckAppend("a", eventstore.Any, long),
		"append of 10001 events is over the limit of 10000":    eventstore.CheckAppend("a", eventstore.Any, make([]eventstore.Event, 10_001)),
		"append of 1048577 bytes is over the limit of 1048576": &eventstore.TooLargeError{What: "bytes", Size: 1<<20 + 1, Limit: 1 << 20},
	} {
		if err == nil || err.Error() != text {
			t.Errorf("told %v, want %s", err, text)
		}
	}
}
