package streams_test

import (
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/streams"
)

func TestOwnsTellsStreamsAndTypesOfTheShop(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stream, eventType string
		want              bool
	}{
		{"stock-A@MAIN", "anything", true},
		{"notes-1", "stock.received.v1", true},
		{"order-1", "order.placed.v1", true},
		{"returns", "note.taken.v1", false},
		{"stocks-1", "stocks.v1", false},
		{"$$order-1", "$metadata", false}, // the caller must first remove the prefix of a metadata stream
		{"", "", false},
	} {
		if got := streams.Owns(test.stream, test.eventType); got != test.want {
			t.Errorf("stream %q, type %q: %t, want %t", test.stream, test.eventType, got, test.want)
		}
	}
	// The stream of every aggregate is named by the aggregate's own function.
	for _, category := range []string{commands.ProductRules().Category, commands.CartRules().Category, commands.StockRules().Category, commands.OrderRules().Category, commands.ReturnRules().Category, commands.CustomerRules().Category} {
		if !streams.Owns(category+"-1", "") {
			t.Errorf("streams of category %q are not the domain's", category)
		}
	}
}

func TestEventIDsAreOfAKindOfTheirOwn(t *testing.T) {
	t.Parallel()
	command := uuid.New()
	seen := map[uuid.UUID]bool{}
	for n := range 20 {
		id := aggregate.EventID(command, n)
		if !streams.OwnsID(id) || id.Variant() != uuid.RFC4122 || id != aggregate.EventID(command, n) || seen[id] {
			t.Errorf("event %d of a command has the id %s", n, id)
		}
		seen[id] = true
	}
	if streams.OwnsID(uuid.New()) || streams.OwnsID(uuid.NewSHA1(command, nil)) || streams.OwnsID(uuid.Nil) {
		t.Error("ids of others are taken for ours")
	}
}

func TestWroteTellsOurEventsByStreamAndID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stream string
		id     uuid.UUID
		want   bool
	}{
		{"order-1", aggregate.EventID(uuid.New(), 0), true},
		{"stock-MUG@main", aggregate.EventID(uuid.New(), 3), true},
		{"order-theirs", uuid.New(), false},
		{"invoice-1", aggregate.EventID(uuid.New(), 0), false},
	} {
		if got := streams.Wrote(c.stream, c.id); got != c.want {
			t.Errorf("%s, %s: %t", c.stream, c.id, got)
		}
	}
}
