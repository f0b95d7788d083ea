package eventstore_test

import (
	"errors"
	"testing"
	"unicode"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Most names take a short way through the check. So this test compares the check with its rule for
// each character, in the name of a stream and in the name of a type.
func TestANameIsRefusedForEachControlCharacter(t *testing.T) {
	for r := range rune(0x3000) {
		refused := unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
		name := "cart-" + string(r) + "1"
		for what, err := range map[string]error{
			"name":        eventstore.CheckName("name", name),
			"stream":      eventstore.CheckAppend(name, eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "a", Data: []byte(`{}`)}}),
			"second type": eventstore.CheckAppend("a", eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "a", Data: []byte(`{}`)}, {ID: uuid.New(), Type: name, Data: []byte(`{}`)}}),
		} {
			invalid, is := errors.AsType[*eventstore.InvalidError](err)
			if is != refused || !refused && err != nil {
				t.Errorf("%U in the %s: %v, want refused = %t", r, what, err, refused)
			}
			if what == "second type" && refused && r != 0 && invalid.Reason[:26] != "type name of event 1 holds" {
				t.Errorf("%U: the error does not name the event: %v", r, err)
			}
		}
	}
	if err := eventstore.CheckName("name", "cart-\xff"); err == nil {
		t.Error("a byte that is not UTF-8 passed")
	}
}
