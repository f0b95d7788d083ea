package orderview_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

func cardFact(b *viewtest.Bench, id giftcard.ID, at time.Time, events ...giftcard.Event) {
	b.Helper()
	viewtest.Fact(b, giftcard.Stream(id), by("operator:ann", at), giftcard.Encode, events...)
}

func theCard(b *viewtest.Bench, id giftcard.ID) orderview.Card {
	b.Helper()
	list, err := orderview.ListCards(b.Context(), b.Pool, orderview.CardFilter{}, query.Page{})
	if err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(list.Items, func(c orderview.Card) bool { return c.GiftCardID == string(id) })
	if at < 0 {
		b.Fatalf("%s is not in %+v", id, list.Items)
	}
	return list.Items[at]
}

// wantMoney checks what a card shows: issued, balance and held.
func wantMoney(b *viewtest.Bench, c orderview.Card, status, issued, balance, held string) {
	b.Helper()
	got := fmt.Sprint(c.Status, " ", c.Issued, " ", c.Balance, " ", c.Held)
	if want := strings.Join([]string{status, issued, balance, held}, " "); got != want {
		b.Errorf("%s at revision %d shows %s, want %s", c.GiftCardID, c.Revision, got, want)
	}
}

func TestAGiftCardShowsWhatItsEventsSay(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	end := day.AddDate(1, 0, 0)
	issued := giftcard.Issued{
		ID: "g1", Kind: giftcard.Card, Amount: gbp("50"), ExpiresAt: end, Sold: &giftcard.Sold{OrderID: "o-1", Line: 1, Unit: 1}, Reason: "for aunt Emma",
	}
	cardFact(b, "g1", day, issued)
	b.CaughtUp() // each append is in a batch of its own, so that the row is read again and changed
	c := theCard(b, "g1")
	wantMoney(b, c, "active", "50", "50", "0")
	if c.Kind != "gift_card" || c.OrderID != "o-1" || c.CustomerID != "" || c.Currency != "GBP" || !c.IssuedAt.Equal(day) || c.ExpiresAt == nil || !c.ExpiresAt.Equal(end) {
		t.Errorf("the card is %+v", c)
	}
	if before, after := c.StatusAt(end.Add(-1)), c.StatusAt(end); before != "active" || after != "expired" {
		t.Errorf("it is %s before its end and %s at its end", before, after)
	}
	held := giftcard.Held{OrderID: "o-2", CartID: "c-1", Amount: gbp("30"), ExpiresAt: day}
	cardFact(b, "g1", day.Add(time.Hour), giftcard.CodeShown{}, held)
	b.CaughtUp()
	wantMoney(b, theCard(b, "g1"), "active", "50", "50", "30")
	cardFact(b, "g1", day.Add(2*time.Hour), giftcard.Redeemed{OrderID: "o-2", Amount: gbp("25")}, giftcard.CreditedBack{RefundID: "r", OrderID: "o-2", Amount: gbp("5")})
	b.CaughtUp()
	wantMoney(b, theCard(b, "g1"), "active", "50", "30", "0")
	cardFact(b, "g1", end, giftcard.Expired{Amount: gbp("30")})
	b.CaughtUp()
	wantMoney(b, theCard(b, "g1"), "expired", "50", "0", "0")
	cardFact(b, "g1", end.Add(time.Hour), giftcard.Disabled{Amount: gbp("0"), Reason: "lost by aunt Emma"})
	b.CaughtUp()
	c = theCard(b, "g1")
	wantMoney(b, c, "disabled", "50", "0", "0")
	if c.Revision != 6 || !c.IssuedAt.Equal(day) || !c.ChangedAt.After(c.IssuedAt) {
		t.Errorf("the card is %+v", c)
	}
	b.SameWhenRebuilt("orders")
}

// Money that a customer gets later is added to the row. An expiry begins again with it.
func TestACreditAccountGetsMoreMoney(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	id := giftcard.AccountID("ann", "GBP")
	more := giftcard.Issued{ID: id, Kind: giftcard.Account, Amount: gbp("5"), CustomerID: "ann", ExpiresAt: day.AddDate(0, 1, 0)}
	cardFact(b, id, day, more)
	b.CaughtUp()
	cardFact(b, id, day.AddDate(0, 1, 0), giftcard.Expired{Amount: gbp("5")})
	b.CaughtUp()
	wantMoney(b, theCard(b, id), "expired", "5", "0", "0")
	more.Amount, more.ExpiresAt = gbp("2.50"), time.Time{}
	cardFact(b, id, day.AddDate(0, 2, 0), more)
	b.CaughtUp()
	c := theCard(b, id)
	wantMoney(b, c, "active", "7.5", "2.5", "0")
	if c.Kind != "credit" || c.CustomerID != "ann" || c.ExpiresAt != nil || !c.IssuedAt.Equal(day) {
		t.Errorf("the account is %+v", c)
	}
	b.SameWhenRebuilt("orders")
}

// What does not follow from the events before it changes no row. A card that ended before it was
// issued has none.
func TestOddEventsOfGiftCardsChangeNoRow(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	issued := giftcard.Issued{ID: "g1", Kind: giftcard.Card, Amount: gbp("5")}
	cardFact(b, "g1", day, issued, issued)
	cardFact(b, "g2", day, giftcard.Disabled{Amount: gbp("0")})
	cardFact(b, "g3", day, giftcard.Released{OrderID: "o", Amount: gbp("1")})
	b.CaughtUp()
	wantMoney(b, theCard(b, "g1"), "active", "5", "5", "0")
	list, err := orderview.ListCards(t.Context(), b.Pool, orderview.CardFilter{}, query.Page{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("listed %+v, %v; want one card", list.Items, err)
	}
	b.SameWhenRebuilt("orders")
}

// A row has no text of a person: neither before nor after the person is erased.
func TestGiftCardsHaveNoTextOfAPerson(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	id := giftcard.AccountID("ann", "GBP")
	cardFact(b, id, day, giftcard.Issued{ID: id, Kind: giftcard.Account, Amount: gbp("5"), CustomerID: "ann", Reason: "for aunt Emma"})
	cardFact(b, id, day, giftcard.Disabled{Amount: gbp("5"), Reason: "lost by aunt Emma"})
	without := func() {
		t.Helper()
		b.CaughtUp()
		var found int
		if err := b.Pool.QueryRow(t.Context(), `SELECT count(*) FROM read.gift_cards AS c WHERE c::text LIKE '%Emma%'`).Scan(&found); err != nil || found > 0 {
			t.Errorf("%d rows have the text, %v", found, err)
		}
		wantMoney(b, theCard(b, id), "disabled", "5", "0", "0")
	}
	without()
	ann := unit.CustomerID("ann").Owner()
	viewtest.Fact(b, subject.Stream(ann), eventstore.Metadata{}, subject.Encode, subject.Event(subject.Erased{CustomerID: "ann", Reason: subject.Requested}))
	without()
	b.SameWhenRebuilt("orders")
}

func TestGiftCardsAreListedByFilterAndPage(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	for i, e := range []giftcard.Issued{
		{ID: "g1", Kind: giftcard.Card, Amount: gbp("5"), Sold: &giftcard.Sold{OrderID: "o-1", Line: 1, Unit: 1}},
		{ID: "g2", Kind: giftcard.Card, Amount: gbp("9"), ExpiresAt: day.AddDate(0, 1, 0)},
		{ID: "a3", Kind: giftcard.Account, Amount: gbp("7"), CustomerID: "ann"},
		{ID: "a4", Kind: giftcard.Account, Amount: unit.OfMinor(100, "EUR"), CustomerID: "bob"},
	} {
		cardFact(b, e.ID, day.Add(time.Duration(i)*time.Hour), e)
	}
	cardFact(b, "g1", day.Add(5*time.Hour), giftcard.Disabled{Amount: gbp("5")})
	b.CaughtUp()
	now, yes, no := day.AddDate(0, 2, 0), true, false
	for name, test := range map[string]struct {
		filter orderview.CardFilter
		page   query.Page
		want   string
	}{
		"all, the newest first":   {want: "a4 a3 g2 g1"},
		"the oldest first":        {page: query.Page{Sort: "issued_at"}, want: "g1 g2 a3 a4"},
		"the last changed first":  {page: query.Page{Sort: "-changed_at"}, want: "g1 a4 a3 g2"},
		"by balance":              {page: query.Page{Sort: "balance"}, want: "g1 a4 a3 g2"},
		"by kind":                 {filter: orderview.CardFilter{Kinds: []string{"credit"}}, want: "a4 a3"},
		"by currency":             {filter: orderview.CardFilter{Currencies: []string{"EUR"}}, want: "a4"},
		"by customer":             {filter: orderview.CardFilter{CustomerIDs: []string{"ann"}}, want: "a3"},
		"by order":                {filter: orderview.CardFilter{SoldWith: []string{"o-1", "o-2"}}, want: "g1"},
		"with balance":            {filter: orderview.CardFilter{WithBalance: &yes}, want: "a4 a3 g2"},
		"without":                 {filter: orderview.CardFilter{WithBalance: &no}, want: "g1"},
		"active before an end":    {filter: orderview.CardFilter{Statuses: []string{"active"}, Now: day}, want: "a4 a3 g2"},
		"active after an end":     {filter: orderview.CardFilter{Statuses: []string{"active"}, Now: now}, want: "a4 a3"},
		"expired, or was stopped": {filter: orderview.CardFilter{Statuses: []string{"expired", "disabled"}, Now: now}, want: "g2 g1"},
	} {
		var ids []string
		for test.page.Limit = 1; ; {
			list, err := orderview.ListCards(t.Context(), b.Pool, test.filter, test.page)
			if err != nil {
				t.Fatal(name, err)
			}
			for _, c := range list.Items {
				ids = append(ids, c.GiftCardID)
			}
			if test.page.After = list.Next; list.Next == "" {
				break
			}
		}
		if got := strings.Join(ids, " "); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
