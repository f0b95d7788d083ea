package eventstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// first is the id that the first programs gave to a command's nth event.
func first(command uuid.UUID, n int) uuid.UUID {
	return uuid.NewSHA1(command, []byte{0, 0, byte(n >> 8), byte(n)})
}

func TestAnEventsIDTellsWhoWroteIt(t *testing.T) {
	t.Parallel()
	command := uuid.MustParse("a6c7da62-b288-5573-9986-e1087f28ea18")
	of := func(command uuid.UUID) string {
		return `{"command_id":"` + command.String() + `","$correlationId":"c","actor":"anonymous"}`
	}
	v7, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id   uuid.UUID
		meta string
		ours bool
	}{
		"of today":                           {uuid.MustParse("16fbcb3a-04b9-8fa1-8bab-017213fd8973"), of(command), true},
		"a late one of a command":            {eventstore.EventID(command, 9999), of(command), true},
		"of the first programs":              {first(command, 0), of(command), true},
		"a late one of the first programs":   {first(command, 2047), of(command), true},
		"drawn":                              {uuid.New(), of(command), false},
		"drawn by time":                      {v7, of(command), false},
		"derived from a name":                {uuid.NewSHA1(uuid.NameSpaceURL, []byte("order/1")), of(command), false},
		"derived from another command":       {first(uuid.New(), 0), of(command), false},
		"derived from no command":            {first(uuid.Nil, 0), of(uuid.Nil), false},
		"of the first programs, unexplained": {first(command, 0), "", false},
		"of the first programs, unreadable":  {first(command, 0), `{"command_id":7}`, false},
		"none":                               {uuid.Nil, of(command), false},
		"derived from an MD5 sum":            {uuid.NewMD5(command, []byte{0, 0, 0, 0}), of(command), false},
	} {
		e := &eventstore.Recorded{Event: eventstore.Event{ID: c.id, Type: "order.confirmed.v1", Data: []byte(`{}`), Meta: []byte(c.meta)}, Stream: "order-1", Revision: 3}
		read, err := eventstore.Decode(e, func(eventType string, data []byte) (string, error) { return eventType + string(data), nil })
		if c.ours && (err != nil || read != "order.confirmed.v1{}" || eventstore.Foreign(e) != nil) {
			t.Errorf("%s: %q, %v; want the event", name, read, err)
		}
		foreign, is := errors.AsType[*eventstore.ForeignError](err)
		if !c.ours && (!is || *foreign != eventstore.ForeignError{Stream: "order-1", Revision: 3, Type: "order.confirmed.v1", ID: c.id} ||
			!eventstore.IsForeign(eventstore.Foreign(e)) || read != "") {
			t.Errorf("%s: %q, %v; want that another program wrote it", name, read, err)
		}
		if is && !slices.Equal(strings.Fields(err.Error())[:4], []string{"another", "program", "wrote", "order.confirmed.v1"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
