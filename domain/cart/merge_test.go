package cart

import (
	"errors"
	"slices"
	"testing"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// mergeRows are the cases of both carts of a merge.
func mergeRows(t testing.TB) map[string]row {
	opened := Opened{CartID: "c1", Currency: "GBP"}
	lamp := Line{Number: 1, SKU: "LAMP", SKUText: "lamp", Title: "A lamp", Kind: unit.Stocked, Quantity: 3, Price: money(t, "2.55", "GBP")}
	gift := Line{Number: 4, SKU: "LAMP", Title: "A gift", Kind: unit.Stocked, Quantity: 1, Price: money(t, "0", "GBP"), Overridden: true}
	filled := []Event{opened, LineAdded{lamp}}
	first, second := MergedInto{Target: "c2", Attempt: 1}, MergedInto{Target: "c3", Attempt: 2}
	merged := after(filled, first)
	again := after(merged, MergeRefused{Target: "c2", Attempt: 1, Reason: "cart-full"})
	isMerged := ErrNotOpen.With("", map[string]any{"cart_status": "merged", "merged_into": "c2"})
	from := MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{lamp}}
	with := func(lines ...Line) MergeFrom { from.Lines = lines; return from }
	comes := MergedFrom{Source: "c0", Attempt: 1}
	renamed, dearer, euros := lamp, lamp, lamp
	renamed.Title, renamed.SKUText = "A lamp, renamed", ""
	dearer.Price = money(t, "2.56", "GBP")
	euros.Price = money(t, "2.55", "EUR")
	at := func(n int, l Line) LineAdded { return LineAdded{numbered(l, n)} }

	return map[string]row{
		"a cart can be merged into another":                              {Given: filled, When: MergeInto{Target: "c2"}, Then: []Event{first}},
		"a merge can require a revision of the other cart":               {Given: filled, When: MergeInto{Target: "c2", IfRevision: new(int64(4))}, Then: []Event{MergedInto{Target: "c2", Attempt: 1, IfRevision: new(int64(4))}}},
		"merging a cart into the same cart again does nothing":           {Given: merged, When: MergeInto{Target: "c2"}, Nothing: true},
		"a merged cart cannot be merged into a second cart":              {Given: merged, When: MergeInto{Target: "c3"}, Refused: isMerged},
		"a cart cannot be merged into itself":                            {Given: filled, When: MergeInto{Target: "c1"}, Refused: ErrMergeSelf},
		"an expired cart cannot be merged into itself either":            {Given: after(filled, Expired{}), When: MergeInto{Target: "c1"}, Refused: ErrMergeSelf},
		"a cart without lines cannot be merged":                          {Given: []Event{opened}, When: MergeInto{Target: "c2"}, Refused: ErrEmpty},
		"an abandoned cart cannot be merged":                             {Given: after(filled, Abandoned{}), When: MergeInto{Target: "c2"}, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "abandoned"})},
		"a cart in its checkout cannot be merged":                        {Given: after(filled, CheckoutStarted{OrderID: "o1", Lines: []Line{lamp}}), When: MergeInto{Target: "c2"}, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "completing", "order_id": "o1"})},
		"a cart that became an order cannot be merged":                   {Given: after(filled, CheckoutStarted{OrderID: "o1", Lines: []Line{lamp}}, CheckedOut{OrderID: "o1"}), When: MergeInto{Target: "c2"}, Refused: ErrNotOpen},
		"a cart that was never opened cannot be merged":                  {When: MergeInto{Target: "c2"}, Refused: ErrNotFound},
		"a merged cart takes no lines":                                   {Given: merged, When: AddLine{SKU: "LAMP", Quantity: 1, Offer: Offer{Kind: unit.Stocked, Price: lamp.Price}}, Refused: isMerged},
		"a merged cart cannot be checked out":                            {Given: merged, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline}, Refused: isMerged},
		"a merged cart does not expire":                                  {Given: merged, When: Expire{}, Refused: isMerged},
		"a merged cart cannot be abandoned":                              {Given: merged, When: Abandon{}, Refused: isMerged},
		"a merge can be refused":                                         {Given: merged, When: RefuseMerge{Attempt: 1, Reason: "cart-full"}, Then: again[len(again)-1:]},
		"refusing a merge again does nothing":                            {Given: again, When: RefuseMerge{Attempt: 1, Reason: "cart-full"}, Nothing: true},
		"refusing a merge that never began does nothing":                 {Given: filled, When: RefuseMerge{}, Nothing: true},
		"refusing an earlier merge does not end a later one":             {Given: after(again, second), When: RefuseMerge{Attempt: 1, Reason: "cart-full"}, Nothing: true},
		"after a refused merge the cart is open with its lines":          {Given: again, When: ChangeQuantity{Line: 1, Quantity: 4}, Then: []Event{QuantityChanged{1, 4}}},
		"after a refused merge the cart can be merged into another one":  {Given: again, When: MergeInto{Target: "c3"}, Then: []Event{second}},
		"after a refused merge the cart can be merged into the same one": {Given: again, When: MergeInto{Target: "c2"}, Then: []Event{MergedInto{Target: "c2", Attempt: 2}}},
		"a cart can take the lines of another one":                       {Given: []Event{opened}, When: with(lamp, gift), Then: []Event{comes, LineAdded{lamp}, at(2, gift)}, Repeats: true},
		"units join the line of the same offer":                          {Given: filled, When: with(renamed, gift), Then: []Event{comes, QuantityChanged{1, 6}, at(2, gift)}, Repeats: true},
		"units at another price get a line of their own":                 {Given: filled, When: with(dearer), Then: []Event{comes, at(2, dearer)}, Repeats: true},
		"lines of one offer join each other":                             {Given: []Event{opened}, When: with(lamp, numbered(lamp, 2)), Then: []Event{comes, LineAdded{lamp}, QuantityChanged{1, 6}}, Repeats: true},
		"numbers of removed lines are not used again":                    {Given: after(filled, LineRemoved{1}), When: with(lamp), Then: []Event{comes, at(2, lamp)}, Repeats: true},
		"an expired cart does not take lines":                            {Given: after(filled, Expired{}), When: from, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "expired"})},
		"a cart in its checkout does not take lines":                     {Given: after(filled, CheckoutStarted{OrderID: "o1", Lines: []Line{lamp}}), When: from, Refused: ErrNotOpen},
		"a merged cart does not take lines of another one":               {Given: merged, When: from, Refused: isMerged},
		"a cart does not take lines in another currency":                 {Given: filled, When: with(lamp, euros), Refused: ErrCurrencyMismatch.With("", map[string]any{"cart": "GBP", "price": "EUR"})},
		"a cart that was never opened does not take lines":               {When: from, Refused: ErrNotFound},
		"a full cart takes units that join its lines":                    {Given: after([]Event{opened}, manyLines(lamp, MaxLines)...), When: with(lamp), Then: []Event{comes, QuantityChanged{1, 6}}, Repeats: true},
		"a cart takes all lines of another one or none":                  {Given: after([]Event{opened}, manyLines(lamp, MaxLines)...), When: with(lamp, gift), Refused: ErrFull},
		"a cart can decline a merge":                                     {Given: after(filled, Expired{}), When: DeclineMerge{Source: "c0", Attempt: 1, Reason: "cart-not-open"}, Then: []Event{MergeDeclined{Source: "c0", Attempt: 1, Reason: "cart-not-open"}}, Repeats: true},
		"declining a merge changes nothing in the cart":                  {Given: after(filled, MergeDeclined{Source: "c0", Attempt: 1, Reason: "cart-full"}), When: ChangeQuantity{Line: 1, Quantity: 4}, Then: []Event{QuantityChanged{1, 4}}},
		"a cart that was never opened cannot decline a merge":            {When: DeclineMerge{Source: "c0", Attempt: 1}, Refused: ErrNotFound},
	}
}

func TestMerge(t *testing.T) { carts.Run(t, mergeRows(t)) }

// A merge gives the same lines as AddLine with Join for each line of the other cart, and it has the
// same limits.
func TestAMergeAddsWhatJoiningLinesAdd(t *testing.T) {
	price := money(t, "1", "GBP")
	cart := func(lines ...Line) State {
		s := Evolve(State{}, Opened{CartID: "c", Currency: "GBP"})
		for i, l := range lines {
			s = Evolve(s, LineAdded{numbered(l, i+1)})
		}
		return s
	}
	goods := func(sku unit.SKU, q unit.Quantity) Line {
		return Line{SKU: sku, Kind: unit.Stocked, Quantity: q, Price: price}
	}
	for name, c := range map[string]struct{ from, into State }{
		"joined":         {cart(goods("A", 2), goods("B", 3)), cart(goods("B", 4))},
		"to the limit":   {cart(goods("A", 2)), cart(goods("A", unit.MaxQuantity-2))},
		"over the limit": {cart(goods("A", 2), goods("B", 1)), cart(goods("A", unit.MaxQuantity-2))},
	} {
		want, apart := slices.Clone(c.into.Lines), c.into
		apart.Lines = want
		var refused error
		for _, l := range c.from.Lines {
			events, err := Decide(AddLine{SKU: l.SKU, Quantity: l.Quantity, Join: true, Offer: Offer{Kind: l.Kind, Price: l.Price}}, apart)
			if refused = err; err != nil {
				break
			}
			apart = Evolve(apart, events[0])
		}
		events, err := Decide(MergeFrom{Source: "c0", Attempt: 1, Lines: c.from.Lines}, c.into)
		if no, ok := errors.AsType[*rule.Rejection](refused); ok && !errors.Is(err, no) || (err == nil) != (refused == nil) {
			t.Errorf("%s: %v, line by line it is %v", name, err, refused)
		}
		if refused != nil {
			continue
		}
		together := c.into
		for _, e := range events {
			together = Evolve(together, e)
		}
		if together.Units != apart.Units || len(together.Lines) != len(apart.Lines) || !together.AbsoluteTotal.Equal(apart.AbsoluteTotal) {
			t.Errorf("%s: %+v, line by line it is %+v", name, together, apart)
		}
	}
}
