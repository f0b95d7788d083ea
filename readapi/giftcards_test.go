package readapi_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
)

// issue issues a gift card, or gives credit to a customer.
func (s *shop) issue(wanted commands.NewGiftCard) (id giftcard.ID, code string) {
	s.Helper()
	id, code, _, err := s.service.IssueGiftCard(s.Context(), call("ann"), wanted)
	if err != nil {
		s.Fatal(err)
	}
	return id, code
}

// The list has what the single gift card has, and never its code. Filters choose rows, and pages
// have each row once.
func TestGiftCardsAreListed(t *testing.T) {
	t.Parallel()
	s := open(t)
	lost, code := s.issue(commands.NewGiftCard{Amount: unit.OfMinor(300, "GBP"), Reason: "for aunt Emma"})
	ends, _ := s.issue(commands.NewGiftCard{Amount: unit.OfMinor(500, "EUR"), ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second)})
	credit, _ := s.issue(commands.NewGiftCard{Amount: unit.OfMinor(2_000, "GBP"), CustomerID: "jane"})
	done, err := s.service.DisableGiftCard(t.Context(), call("ann"), lost, "lost by aunt Emma")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(query string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			page := s.at(done.Position, "/v1/gift-cards?limit=1"+query+cursor)
			if page.status != 200 {
				t.Fatalf("%s: %s", query, page.text)
			}
			if strings.Contains(page.text, code) || strings.Contains(page.text, "Emma") {
				t.Errorf("a code or a reason is in %s", page.text)
			}
			items, _ := page.value("items").([]any)
			for i := range items {
				ids = append(ids, page.value("items", i, "gift_card_id").(string))
			}
			next, more := page.value("next").(string)
			if !more {
				return ids
			}
			cursor = "&cursor=" + next
		}
	}
	for query, want := range map[string][]giftcard.ID{
		"":                                 {credit, ends, lost},
		"&sort=issued_at":                  {lost, ends, credit},
		"&sort=-changed_at":                {lost, credit, ends},
		"&sort=-balance":                   {credit, ends, lost},
		"&status=active":                   {credit, ends},
		"&status=disabled,expired":         {lost},
		"&kind=credit":                     {credit},
		"&kind=gift_card&currency=gbp,usd": {lost},
		"&currency=EUR":                    {ends},
		"&customer_id=jane":                {credit},
		"&order_id=none":                   {},
		"&with_balance=true":               {credit, ends},
		"&with_balance=false":              {lost},
	} {
		ids := make([]string, len(want))
		for i, id := range want {
			ids[i] = string(id)
		}
		if got := listed(query); !slices.Equal(got, ids) {
			t.Errorf("%s: %q, want %q", query, got, ids)
		}
	}
	all := s.at(done.Position, "/v1/gift-cards")
	for i, id := range []giftcard.ID{credit, ends, lost} {
		one := s.get("/v1/gift-cards/" + string(id))
		for _, member := range []string{"gift_card_id", "kind", "status", "customer_id", "sold_in_order", "issued", "balance", "held", "expires_at", "revision"} {
			got, want := all.value("items", i, member), one.value(member)
			if amount := one.value(member, "amount"); amount != nil {
				got, want = all.value("items", i, member, "amount"), amount
			}
			if got != want {
				t.Errorf("%s of %s: the list has %v, and the card itself %v", member, id, got, want)
			}
		}
	}
	if s.get("/v1/gift-cards?status=gone").status != 422 || s.get("/v1/gift-cards?cursor=none").status != 422 {
		t.Error("a state or a cursor that does not exist is taken")
	}
}

// A card that was sold is found by its order.
func TestASoldGiftCardIsListedByItsOrder(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.issue(commands.NewGiftCard{Amount: unit.OfMinor(300, "GBP")})
	sold := giftcard.Sold{OrderID: "o-1", Line: 1, Unit: 1}
	if err := s.service.IssueSold(t.Context(), call("ann").Meta, sold, unit.OfMinor(2_500, "GBP")); err != nil {
		t.Fatal(err)
	}
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page := s.at(head, "/v1/gift-cards?order_id=o-1&count=true")
	if page.value("count", "value") != 1.0 || page.value("items", 0, "sold_in_order") != "o-1" || page.value("items", 0, "issued", "amount") != "25.00" {
		t.Errorf("listed %s, want the card of o-1", page.text)
	}
	if none := s.get("/v1/gift-cards?order_id=o-2&count=true"); none.value("count", "value") != 0.0 {
		t.Errorf("of another order: %s", none.text)
	}
}
