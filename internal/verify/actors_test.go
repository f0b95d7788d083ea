package verify_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/product"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// The report says from which position on the actors of events were authenticated, and how many
// events after it have another actor. Before the first event about keys there is no such position.
func TestTheReportSaysFromWhereActorsAreAuthenticated(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	list := func(who access.Principal, actor string, sku unit.SKU) {
		t.Helper()
		call := commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: actor}}
		if _, err := s.Product(t.Context(), call, sku, product.List{SKU: sku, Title: "A mug", Kind: unit.Stocked}); err != nil {
			t.Fatal(err)
		}
	}
	report := func() *verify.Report {
		t.Helper()
		_, report, err := verify.Log(t.Context(), log, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	list(access.Everyone, "operator:ann", "EARLY")
	if actors := report().Actors; actors != nil {
		t.Errorf("without keys: %+v", actors)
	}
	console := access.System("console")
	picks := make(access.Grants)
	picks[access.ShipOrders] = access.All
	define := access.DefineRole{Role: "picker", Grants: picks}
	result, err := s.Access(t.Context(), commands.Call{Who: console, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: console.ID}}, define)
	if err != nil {
		t.Fatal(err)
	}
	list(console, console.ID, "A")
	list(access.Everyone, "operator:ann", "B")
	list(access.Everyone, "", "C")
	actors := report().Actors
	if actors == nil || actors.From != result.Position || actors.FromTime.IsZero() || actors.Unproven != 2 {
		t.Errorf("%+v, want position %s and 2 events with another actor", actors, result.Position)
	}
}
