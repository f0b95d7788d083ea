package cartview_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/cartview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

var morning = time.Date(2011, 1, 4, 10, 0, 0, 0, time.UTC)

func fact(b *viewtest.Bench, id string, minute int, events ...cart.Event) {
	b.Helper()
	meta := eventstore.Metadata{Channel: "web", OccurredAt: morning.Add(time.Duration(minute) * time.Minute)}
	viewtest.Fact(b, cart.Stream(unit.CartID(id)), meta, cart.Encode, events...)
}

func opened(id, customer string) cart.Opened {
	return cart.Opened{CartID: unit.CartID(id), CustomerID: unit.CustomerID(customer), Currency: "GBP", Country: "EIRE"}
}

func line(number int, sku string, quantity unit.Quantity) cart.LineAdded {
	return cart.LineAdded{Line: cart.Line{
		Number: number, SKU: unit.SKU(sku), Kind: unit.Stocked, Quantity: quantity,
		Price: unit.Money{Amount: decimal.RequireFromString("2.55"), Currency: "GBP"},
	}}
}

func get(b *viewtest.Bench, id string) cartview.Cart {
	b.Helper()
	b.CaughtUp()
	c, err := cartview.Get(b.Context(), b.Pool, id)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func TestACartShowsItsLinesAndWhatTheLastCheckoutCouldNotGet(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	fact(b, "c-1", 0, opened("c-1", "7"), line(1, "A", 2))
	if c := get(b, "c-1"); c.Phase != "open" || c.LineCount != 1 || c.Total.String() != "5.1" || c.Channel != "web" {
		t.Errorf("cart %+v", c)
	}
	fact(b, "c-1", 1, line(2, "B", 1), cart.QuantityChanged{Line: 1, Quantity: 3}, cart.LineRemoved{Line: 2})
	fact(b, "c-1", 2, cart.CheckoutStarted{OrderID: "o-1"})
	if c := get(b, "c-1"); c.Phase != "completing" || c.OrderID != "o-1" || c.Units != 3 || len(c.Fold.Lines) != 1 {
		t.Errorf("cart %+v", c)
	}
	short := []cart.Shortage{{SKU: "A", Lines: []int{1}, Requested: 3, Available: 1, Reason: "stock-insufficient"}}
	fact(b, "c-1", 3, cart.CheckoutRefused{OrderID: "o-1", Shortages: short})
	if c := get(b, "c-1"); c.Phase != "open" || c.OrderID != "" || !c.Short || fmt.Sprint(c.Shortages) != fmt.Sprint(short) {
		t.Errorf("cart %+v", c)
	}
	fact(b, "c-1", 4, cart.CheckoutStarted{OrderID: "o-2"}, cart.CheckedOut{OrderID: "o-2"})
	c := get(b, "c-1")
	if c.Phase != "completed" || c.OrderID != "o-2" || c.Short || len(c.Fold.Lines) != 0 || !c.ChangedAt.Equal(morning.Add(4*time.Minute)) || !c.OpenedAt.Equal(morning) {
		t.Errorf("cart %+v", c)
	}
	b.SameWhenRebuilt("carts")
}

func TestACartShowsWhoseItIsNow(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	fact(b, "c-1", 0, opened("c-1", ""), line(1, "A", 2))
	get(b, "c-1")
	fact(b, "c-1", 1, cart.CustomerChanged{CustomerID: "7"}, cart.CountryChanged{Country: "France"})
	if c := get(b, "c-1"); c.CustomerID != "7" || c.Country != "France" || c.Channel != "web" {
		t.Errorf("cart %+v", c)
	}
	list, err := cartview.List(t.Context(), b.Pool, cartview.Filter{CustomerIDs: []string{"7"}}, query.Page{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("carts of the customer %+v, %v", list, err)
	}
	b.SameWhenRebuilt("carts")
}

func TestACheckoutThatIsWithdrawnGivesTheLinesBack(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	fact(b, "c-1", 0, opened("c-1", "7"), line(1, "A", 2))
	before := get(b, "c-1")
	fact(b, "c-1", 1, cart.CheckoutStarted{OrderID: "o-1"}, cart.CheckedOut{OrderID: "o-1"})
	fact(b, "c-1", 2, cart.CheckoutRefused{OrderID: "o-1", OrderIDTaken: true, Lines: before.Fold.Lines})
	if c := get(b, "c-1"); c.Phase != "open" || c.OrderID != "" || fmt.Sprint(c.Fold.Lines) != fmt.Sprint(before.Fold.Lines) || !c.Total.Equal(before.Total) {
		t.Errorf("cart %+v, it was %+v", c, before)
	}
	b.SameWhenRebuilt("carts")
}

func TestACartShowsWhichCartItWasMergedInto(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	fact(b, "c-1", 0, opened("c-1", ""), line(1, "A", 2))
	fact(b, "c-2", 1, opened("c-2", "7"))
	fact(b, "c-1", 2, cart.MergedInto{Target: "c-2", Attempt: 1})
	if c := get(b, "c-1"); c.Phase != "merged" || c.MergedInto != "c-2" || len(c.Fold.Lines) != 1 {
		t.Errorf("cart %+v", c)
	}
	fact(b, "c-2", 3, cart.MergeDeclined{Source: "c-1", Attempt: 1, Reason: "cart-full"})
	fact(b, "c-1", 3, cart.MergeRefused{Target: "c-2", Attempt: 1, Reason: "cart-full"})
	if c := get(b, "c-1"); c.Phase != "open" || c.MergedInto != "" || c.Units != 2 {
		t.Errorf("cart %+v", c)
	}
	fact(b, "c-1", 4, cart.MergedInto{Target: "c-2", Attempt: 2})
	fact(b, "c-2", 4, cart.MergedFrom{Source: "c-1", Attempt: 2}, line(1, "A", 2))
	if c := get(b, "c-2"); c.Phase != "open" || c.MergedInto != "" || c.Units != 2 {
		t.Errorf("cart %+v", c)
	}
	list, err := cartview.List(t.Context(), b.Pool, cartview.Filter{Phases: []string{"merged"}}, query.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].MergedInto != "c-2" {
		t.Errorf("merged carts %+v, %v", list, err)
	}
	b.SameWhenRebuilt("carts")
}

func TestAnAbandonedCartKeepsItsLines(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	fact(b, "c-1", 0, opened("c-1", "7"), line(1, "A", 2))
	fact(b, "c-1", 1, cart.Abandoned{Reason: "too dear"})
	fact(b, "c-2", 2, opened("c-2", ""), line(1, "A", 1), cart.Expired{})
	if c := get(b, "c-1"); c.Phase != "abandoned" || len(c.Fold.Lines) != 1 || c.Reason != "too dear" || c.Units != 2 {
		t.Errorf("cart %+v", c)
	}
	if c := get(b, "c-2"); c.Phase != "expired" || len(c.Fold.Lines) != 1 {
		t.Errorf("cart %+v", c)
	}
	b.SameWhenRebuilt("carts")
}

func TestCartsAreListedByFilterAndPage(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, cartview.View())
	for i, id := range []string{"c-1", "c-2", "c-3", "c-4"} {
		fact(b, id, i/2, opened(id, []string{"7", ""}[i%2]))
	}
	fact(b, "c-3", 9, cart.CheckoutStarted{OrderID: "o-1"}, cart.CheckoutRefused{OrderID: "o-1", Shortages: []cart.Shortage{{SKU: "A"}}})
	fact(b, "c-1", 10, cart.Abandoned{})
	b.CaughtUp()
	for name, row := range map[string]struct {
		filter cartview.Filter
		want   []string
	}{
		"all":         {cartview.Filter{}, []string{"c-1", "c-3", "c-4", "c-2"}},
		"open":        {cartview.Filter{Phases: []string{"open"}}, []string{"c-3", "c-4", "c-2"}},
		"by customer": {cartview.Filter{CustomerIDs: []string{"7"}}, []string{"c-1", "c-3"}},
		"short":       {cartview.Filter{Short: true}, []string{"c-3"}},
		"by time":     {cartview.Filter{From: morning.Add(time.Minute), To: morning.Add(9 * time.Minute)}, []string{"c-4"}},
	} {
		var got []string
		for p := (query.Page{Limit: 2}); ; {
			list, err := cartview.List(t.Context(), b.Pool, row.filter, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range list.Items {
				got = append(got, item.CartID)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	if _, err := cartview.Get(t.Context(), b.Pool, "c-9"); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
