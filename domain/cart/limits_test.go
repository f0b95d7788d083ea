package cart

import (
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// limitRows has two rows for each command that adds to a sum: the largest command that fits, and
// the smallest one that does not.
func limitRows(t testing.TB) map[string]row {
	opened := Opened{CartID: "c1", Currency: "GBP"}
	line := func(number int, quantity unit.Quantity, price string) Line {
		return Line{Number: number, SKU: "FEE", Kind: unit.Service, Quantity: quantity, Price: money(t, price, "GBP")}
	}
	add := func(quantity unit.Quantity, price string) AddLine {
		return AddLine{SKU: "FEE", Quantity: quantity, Offer: Offer{Kind: unit.Service, Price: money(t, price, "GBP")}}
	}
	units := func(before, more unit.Quantity) *rule.Rejection {
		return ErrUnitLimit.With("", map[string]any{"limit": unit.MaxQuantity, "units": before, "quantity": more})
	}
	const most = unit.MaxQuantity
	nearly := []Event{opened, LineAdded{line(1, most-5, "1")}}
	dear := []Event{opened, LineAdded{line(1, 9, "-100000000000000000")}}
	tooMany := []Event{opened, LineAdded{line(1, most, "1")}, LineAdded{line(2, most, "1")}}
	return map[string]row{
		"a new line can reach the limit of units":     {Given: nearly, When: add(5, "1"), Then: []Event{LineAdded{line(2, 5, "1")}}, Repeats: true},
		"a new line cannot exceed the limit of units": {Given: nearly, When: add(6, "1"), Refused: units(most-5, 6)},
		"units that join a line can reach the limit of units": {
			Given: nearly, When: joining(add(5, "1")), Then: []Event{QuantityChanged{1, most}}, Repeats: true,
		},
		"units that join a line cannot exceed the limit of units": {Given: nearly, When: joining(add(6, "1")), Refused: units(most-5, 6)},
		"SetLines can reach the limit of units":                   {Given: nearly, When: SetLines{[]LineQuantity{{1, most}}}, Then: []Event{QuantityChanged{1, most}}},
		"SetLines cannot exceed the limit of units":               {Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: SetLines{[]LineQuantity{{1, most - 5}, {2, 6}}}, Refused: units(most, 1)},
		"SetLines can move units from one line to another at the limit": {
			Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: SetLines{[]LineQuantity{{1, 1}, {2, most - 1}}},
			Then: []Event{QuantityChanged{1, 1}, QuantityChanged{2, most - 1}},
		},
		"ChangeQuantity can reach the limit of units":                {Given: nearly, When: ChangeQuantity{Line: 1, Quantity: most}, Then: []Event{QuantityChanged{1, most}}},
		"ChangeQuantity cannot exceed the limit of units":            {Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: ChangeQuantity{Line: 2, Quantity: 6}, Refused: units(most, 1)},
		"units can be added again after a line was removed":          {Given: append(nearly[:2:2], LineRemoved{1}), When: add(most, "1"), Then: []Event{LineAdded{line(2, most, "1")}}, Repeats: true},
		"a new line can reach the limit of the amount":               {Given: dear, When: add(1, "99999999999999999.999999"), Then: []Event{LineAdded{line(2, 1, "99999999999999999.999999")}}, Repeats: true},
		"a new line cannot exceed the limit of the amount":           {Given: dear, When: add(1, "100000000000000000"), Refused: ErrAmountLimit},
		"ChangeQuantity cannot exceed the limit of the amount":       {Given: dear, When: ChangeQuantity{Line: 1, Quantity: 10}, Refused: ErrAmountLimit},
		"a merge can reach the limit of units":                       {Given: nearly, When: MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{line(1, 5, "1")}}, Then: []Event{MergedFrom{Source: "c0", Attempt: 1}, QuantityChanged{1, most}}, Repeats: true},
		"a merge cannot exceed the limit of units":                   {Given: nearly, When: MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{line(1, 5, "1"), line(2, 1, "2")}}, Refused: units(most, 1)},
		"a quantity can be reduced in a cart that exceeds the limit": {Given: tooMany, When: ChangeQuantity{Line: 2, Quantity: most - 1}, Then: []Event{QuantityChanged{2, most - 1}}},
		"a cart that exceeds the limit cannot be checked out":        {Given: tooMany, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline}, Refused: units(2*most, 0)},
	}
}

// openingRows are carts that are opened with lines.
func openingRows(t testing.TB) map[string]row {
	offer := Offer{Title: "A lamp", Kind: unit.Stocked, Price: money(t, "2.55", "GBP")}
	ask := func(quantities ...unit.Quantity) Open {
		open := Open{CartID: "c1", Currency: "GBP"}
		for _, q := range quantities {
			open.Lines = append(open.Lines, AddLine{SKU: "LAMP", SKUText: "lamp", Quantity: q, Offer: offer})
		}
		return open
	}
	line := func(number int, q unit.Quantity) Line {
		return Line{Number: number, SKU: "LAMP", SKUText: "lamp", Title: "A lamp", Kind: unit.Stocked, Quantity: q, Price: offer.Price}
	}
	opened := Opened{CartID: "c1", Currency: "GBP", Opening: ask(3, 2).opening()}
	before := []Event{opened, LineAdded{line(1, 3)}, LineAdded{line(2, 2)}} // as version 1 did
	opened.Lines = []Line{line(1, 3), line(2, 2)}
	given := []Event{opened}
	dearer := ask(3, 2)
	dearer.Lines[0].Offer = Offer{Title: "A lamp, new", Kind: unit.Stocked, Price: money(t, "9", "GBP")}
	tooMany := ask(1)
	tooMany.Lines[0].Quantity = unit.MaxQuantity + 1
	return map[string]row{
		"a cart can be opened with lines":                                    {When: ask(3, 2), Then: given},
		"opening a cart again with the same lines does nothing":              {Given: given, When: ask(3, 2), Nothing: true},
		"opening a cart of version 1 again with the same lines does nothing": {Given: before, When: ask(3, 2), Nothing: true},
		"a line that is added later has the next number":                     {Given: given, When: ask(1).Lines[0], Then: []Event{LineAdded{line(3, 1)}}, Repeats: true},
		"opening a cart again does nothing after its lines were changed":     {Given: after(given, LineRemoved{1}, Abandoned{}), When: ask(3, 2), Nothing: true},
		"opening a cart again does nothing after the catalogue was changed":  {Given: given, When: dearer, Nothing: true},
		"lines that join each other become one line": {
			When: joint(ask(3, 2)), Then: []Event{Opened{CartID: "c1", Currency: "GBP", Opening: joint(ask(3, 2)).opening(), Lines: []Line{line(1, 5)}}},
		},
		"opening a cart again is refused if the lines now join each other": {Given: given, When: joint(ask(3, 2)), Refused: ErrExists},
		"opening a cart again with another quantity is refused":            {Given: given, When: ask(3, 1), Refused: ErrExists},
		"opening a cart again with one more line is refused":               {Given: given, When: ask(3, 2, 1), Refused: ErrExists},
		"opening a cart again without its lines is refused":                {Given: given, When: ask(), Refused: ErrExists},
		"opening a cart again with its lines in another order is refused":  {Given: given, When: ask(2, 3), Refused: ErrExists},
		"opening a cart again with lines that were added later is refused": {Given: after([]Event{Opened{CartID: "c1", Currency: "GBP"}}, LineAdded{line(1, 3)}), When: ask(3), Refused: ErrExists},
		"a cart is not opened if one of its lines is refused":              {When: tooMany, Refused: ErrQuantityInvalid},
	}
}

func joining(add AddLine) AddLine { add.Join = true; return add }

func joint(open Open) Open {
	for i := range open.Lines {
		open.Lines[i].Join = true
	}
	return open
}

func TestOpening(t *testing.T) { carts.Run(t, openingRows(t)) }

func TestSumsHaveLimits(t *testing.T) { carts.Run(t, limitRows(t)) }

func TestEveryCommandIsBounded(t *testing.T) {
	decidertest.EveryCommandIsBounded(t, limitRows(t), []*rule.Rejection{ErrUnitLimit, ErrAmountLimit, ErrFull}, map[string]string{
		"Open": "adds its lines like AddLine", "RemoveLine": "takes away", "ChangeCustomer": "adds nothing", "FollowOrder": "adds nothing", "ChangeCountry": "adds nothing", "SetDetails": "replaces", "AddCoupon": "has a limit of its own, cart-coupon-limit", "RemoveCoupon": "takes away", "ChooseShipping": "replaces", "GiveDiscount": "has a limit of its own, cart-discount-limit", "WithdrawDiscount": "takes away", "SetTaxStatus": "replaces", "RefuseCheckout": "records an outcome", "CompleteCheckout": "keeps what the checkout began with",
		"WithdrawCheckout": "gives back what the checkout began with", "Abandon": "ends", "Expire": "ends",
		"MergeInto": "ends", "DeclineMerge": "adds nothing", "RefuseMerge": "gives back what the merge began with",
	})
}
