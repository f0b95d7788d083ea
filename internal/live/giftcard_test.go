package live_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	handlers "daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/live"
	"daybook/internal/resource"
	"daybook/projections/query"
)

// A gift card is read with its balance after each thing that has happened. What another program
// wrote to its stream is left out, and so is the reason of a person.
func TestAGiftCardShowsWhatHasHappened(t *testing.T) {
	t.Parallel()
	store, now := memory.New(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	service := commands.NewService(store, commands.DefaultPolicy(), func() time.Time { return now }, handlers.Options{})
	call := func() commands.Call {
		return commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}
	}
	pounds := unit.Money{Amount: decimal.NewFromInt(5), Currency: "GBP"}
	id, _, _, err := service.IssueGiftCard(t.Context(), call(), commands.NewGiftCard{Amount: pounds, CustomerID: "17850", ExpiresAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	foreign := eventstore.Event{ID: uuid.New(), Type: "giftcard.issued.v1", Data: []byte(`{}`), Meta: []byte(`{}`)}
	if _, err := store.Append(t.Context(), giftcard.Stream(id), eventstore.AtRevision(0), []eventstore.Event{foreign}); err != nil {
		t.Fatal(err)
	}
	if _, err := service.DisableGiftCard(t.Context(), call(), id, "a secret reason"); err != nil {
		t.Fatal(err)
	}
	history := live.History{Store: store}
	card, err := history.GiftCard(t.Context(), string(id), now)
	if err != nil {
		t.Fatal(err)
	}
	if card.Status != "disabled" || card.Balance.Amount != "0.00" || card.CustomerID != "17850" || card.Revision != 2 || !card.ExpiresAt.Equal(now.Add(time.Hour)) {
		t.Errorf("card %+v", card)
	}
	want := []resource.GiftCardEntry{
		{Type: "issued", Amount: &resource.Money{Amount: "5.00", Currency: "GBP"}, Balance: resource.Money{Amount: "5.00", Currency: "GBP"}},
		{Type: "disabled", Amount: &resource.Money{Amount: "5.00", Currency: "GBP"}, Balance: resource.Money{Amount: "0.00", Currency: "GBP"}},
	}
	if len(card.Entries) != len(want) {
		t.Fatalf("entries %+v", card.Entries)
	}
	for i, got := range card.Entries {
		if got.Type != want[i].Type || *got.Amount != *want[i].Amount || got.Balance != want[i].Balance || got.At.IsZero() {
			t.Errorf("entry %d: %+v, want %+v", i, got, want[i])
		}
	}
	for _, unknown := range []string{"g0", "", "a b", string(id) + "0"} {
		if _, err := history.GiftCard(t.Context(), unknown, now); !errors.Is(err, query.ErrNotFound) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}
