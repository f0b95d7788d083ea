package main

import (
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/reactor"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// An answer or a reservation that PostgreSQL knows counts as in the log only if the shop, and not
// another program, wrote its events.
func TestAnotherProgramsEventsShowNothingToBeInTheLog(t *testing.T) {
	t.Parallel()
	command := uuid.New()
	meta, err := eventstore.Metadata{CommandID: command, Channel: "import"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	eventType, data, err := stock.Encode(stock.Reserved{ReservationID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	stream := stock.Stream("MUG", unit.DefaultLocation)
	for id, left := range map[uuid.UUID]int{uuid.New(): 1, eventstore.EventID(command, 0): 0} {
		c := &comparison{
			answers:      map[uuid.UUID]commands.KeptAnswer{command: {}},
			reservations: map[reactor.Deadline]reactor.Timer{{Kind: reactor.ReservationDeadline, Target: stream, Item: "r"}: {}},
		}
		c.removeFound(eventstore.Recorded{Event: eventstore.Event{ID: id, Type: eventType, Data: data, Meta: meta}, Stream: stream})
		if len(c.answers) != left || len(c.reservations) != left || c.imported != (left == 0) {
			t.Errorf("an event with the id %s leaves %d answers and %d reservations, imported %t; want %d each", id, len(c.answers), len(c.reservations), c.imported, left)
		}
	}
}
