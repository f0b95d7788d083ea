package verify_test

import (
	"strings"
	"testing"

	"daybook/domain/money/coupon"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/eventstore"
	"daybook/projections/viewtest"
)

// Events of gift cards, promotions and codes that do not follow from those before them are found,
// each with its reason.
func TestWhatGiftCardsAndPromotionsCannotDoIsFound(t *testing.T) {
	issued := giftcard.Issued{ID: "gx", Kind: giftcard.Card, Amount: gbp("10")}
	held := func(amount string) giftcard.Held {
		return giftcard.Held{OrderID: "o", CartID: "c", Amount: gbp(amount)}
	}
	cards := map[string][]giftcard.Event{
		"":                        {issued, held("10"), giftcard.Redeemed{OrderID: "o", Amount: gbp("4")}, giftcard.CreditedBack{OrderID: "o", Amount: gbp("1")}, giftcard.Disabled{Amount: gbp("7")}},
		"it holds 11.00 GBP, and": {issued, held("11")},
		"it redeems 5.00 GBP for order o, and 4 are held": {issued, held("4"), giftcard.Redeemed{OrderID: "o", Amount: gbp("5")}},
		"nothing is held for order o":                     {issued, giftcard.Released{OrderID: "o"}},
		"3.00 GBP are missing on it":                      {issued, held("10"), giftcard.Expired{Amount: gbp("3")}},
		"it begins a stream that has begun":               {issued, issued},
		"the stream has not begun":                        {held("1")},
	}
	created := promotion.Created{ID: "x", Kind: pricing.Automatic, Class: pricing.OrderClass, Terms: promotion.Terms{Title: "X", Limits: pricing.Limits{Uses: 1}}}
	use := promotion.UseHeld{OrderID: "o", CartID: "c", Amount: gbp("1")}
	other := promotion.UseHeld{OrderID: "p", CartID: "c", Amount: gbp("1")}
	promotions := map[string][]promotion.Event{
		"":                           {created, use, promotion.UseExpired{OrderID: "o"}, other, promotion.UseCommitted{OrderID: "p"}},
		"all 1 uses are taken":       {created, use, promotion.UseCommitted{OrderID: "o"}, other},
		"order o holds no use":       {created, promotion.UseCommitted{OrderID: "o"}},
		"it gives a use back":        {created, promotion.UseReleased{OrderID: "o", Committed: true}},
		"it comes after the end":     {created, promotion.Ended{}, use},
		"it is active: false, and":   {created, promotion.Deactivated{}},
		"the stream has not begun":   {use},
		"order o holds a use alread": {created, use, use},
	}
	for want, events := range cards {
		t.Run("card: "+want, func(t *testing.T) {
			s := newShop(t)
			viewtest.Fact(s.Bench, "giftcard-gx", eventstore.Metadata{}, giftcard.Encode, events...)
			s.wantOne(want)
		})
	}
	for want, events := range promotions {
		t.Run("promotion: "+want, func(t *testing.T) {
			s := newShop(t)
			viewtest.Fact(s.Bench, "promotion-x", eventstore.Metadata{}, promotion.Encode, events...)
			s.wantOne(want)
		})
	}
	t.Run("code", func(t *testing.T) {
		s := newShop(t)
		viewtest.Fact(s.Bench, coupon.Stream("TEN"), eventstore.Metadata{}, coupon.Encode,
			coupon.Event(coupon.Given{Code: "TEN", Promotion: "a"}), coupon.Event(coupon.Given{Code: "TEN", Promotion: "b"}))
		s.wantOne(`the code belongs to promotion "a"`)
	})
}

// A card whose purchase was undone may end before it is issued. Nothing is wrong, and it has no
// row.
func TestACardThatEndedBeforeItWasIssuedIsFine(t *testing.T) {
	s := newShop(t)
	viewtest.Fact(s.Bench, "giftcard-gx", eventstore.Metadata{}, giftcard.Encode, giftcard.Event(giftcard.Disabled{Amount: gbp("0")}))
	s.wantOne("")
}

// What the list of gift cards says about a card is compared with what its events say.
func TestAWrongBalanceOfAListedGiftCardIsFound(t *testing.T) {
	s := newShop(t)
	events := []giftcard.Event{
		giftcard.Issued{ID: "gx", Kind: giftcard.Card, Amount: gbp("10"), Sold: &giftcard.Sold{OrderID: "o-1", Line: 1, Unit: 1}},
		giftcard.Held{OrderID: "o-2", CartID: "c", Amount: gbp("4")},
		giftcard.Redeemed{OrderID: "o-2", Amount: gbp("3")},
		giftcard.Held{OrderID: "o-3", CartID: "c", Amount: gbp("2")},
		giftcard.Expired{Amount: gbp("5")},
	}
	viewtest.Fact(s.Bench, "giftcard-gx", eventstore.Metadata{}, giftcard.Encode, events...)
	s.CaughtUp()
	for column, test := range map[string]struct{ planted, found string }{
		"balance":  {"7", "giftcard-gx: balance is 7.00 GBP, want 2.00 GBP"},
		"held":     {"0", "giftcard-gx: held is 0.00 GBP, want 2.00 GBP"},
		"status":   {"'active'", `giftcard-gx: status is "active", want "expired"`},
		"order_id": {"'o-2'", `giftcard-gx: order_id is "o-2", want "o-1"`},
	} {
		s.mustExec(`UPDATE read.gift_cards SET ` + column + ` = ` + test.planted)
		if found := differences(s.verify())["read.gift_cards"]; len(found) != 1 || !strings.Contains(found[0], test.found) {
			t.Errorf("%s: found %q, want %q", column, found, test.found)
		}
		s.mustExec(`DELETE FROM read.gift_cards`)
		if err := s.Runner.Rebuild(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		if found := differences(s.verify())["read.gift_cards"]; len(found) > 0 {
			t.Errorf("rebuilt after %s was wrong: found %q", column, found)
		}
	}
}

// What gift cards and promotions have for an order is compared with the order.
func TestWhatCardsAndOrdersDoNotAgreeOnIsFound(t *testing.T) {
	card := []giftcard.Event{giftcard.Issued{ID: "gx", Kind: giftcard.Card, Amount: gbp("10")}, giftcard.Held{OrderID: "o", CartID: "c", Amount: gbp("4")}}
	use := []promotion.Event{
		promotion.Created{ID: "x", Kind: pricing.Automatic, Class: pricing.OrderClass, Terms: promotion.Terms{Title: "X", Limits: pricing.Limits{Uses: 1}}},
		promotion.UseHeld{OrderID: "o", CartID: "c", Amount: gbp("1")},
	}
	redeemed := append(card[:2:2], giftcard.Redeemed{OrderID: "o", Amount: gbp("4")})
	released := append(card[:2:2], giftcard.Released{OrderID: "o"})
	given := append(use[:2:2], promotion.UseReleased{OrderID: "o"})
	pays := func(amount string) order.Event {
		return order.TransactionRecorded{TransactionID: order.GiftCardPayment("o", "gx"), Type: order.Capture, State: order.Succeeded, Amount: gbp(amount), Provider: order.GiftCardProvider, Reference: "gx", Tender: order.GiftCard}
	}
	placed := order.Placed{OrderID: "o", CartID: "c", Currency: "GBP", Total: gbp("4"), Charge: gbp("4")}
	for want, test := range map[string]struct {
		card  []giftcard.Event
		use   []promotion.Event
		order []order.Event
	}{
		"": {redeemed, given, []order.Event{placed, order.Confirmed{}, pays("4")}},
		"giftcard-gx has paid 4 for order o, which has recorded 0": {redeemed, given, []order.Event{placed, order.Confirmed{}}},
		"giftcard-gx has paid 4 for order o, which has recorded 3": {redeemed, given, []order.Event{placed, order.Confirmed{}, pays("3")}},
		"order o is expired, and giftcard-gx still holds":          {card, given, []order.Event{placed, order.Expired{}}},
		"order o is expired, and promotion-x still holds":          {released, use, []order.Event{placed, order.Expired{}}},
	} {
		t.Run(want, func(t *testing.T) {
			s := newShop(t)
			viewtest.Fact(s.Bench, "giftcard-gx", eventstore.Metadata{}, giftcard.Encode, test.card...)
			viewtest.Fact(s.Bench, "promotion-x", eventstore.Metadata{}, promotion.Encode, test.use...)
			viewtest.Fact(s.Bench, order.Stream("o"), eventstore.Metadata{}, order.Encode, test.order...)
			s.CaughtUp()
			found := differences(s.verify())[ordersAddUp]
			if all := strings.Join(found, "\n"); want == "" && len(found) > 0 || want != "" && (len(found) != 1 || !strings.Contains(all, want)) {
				t.Errorf("found %q, want %q", found, want)
			}
		})
	}
}

// wantOne verifies that one event does not follow from those before it, and why; empty: each does.
func (s *shop) wantOne(why string) {
	s.Helper()
	s.CaughtUp()
	found := differences(s.verify())
	all := strings.Join(found[readable], "\n")
	if why == "" && len(found) > 0 || why != "" && (len(found[readable]) != 1 || !strings.Contains(all, why)) {
		s.Errorf("found %q, want %q", found, why)
	}
}
