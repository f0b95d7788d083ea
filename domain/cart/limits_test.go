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
		"units fill the cart":  {Given: nearly, When: add(5, "1"), Then: []Event{LineAdded{line(2, 5, "1")}}, Repeats: true},
		"units do not pass it": {Given: nearly, When: add(6, "1"), Refused: units(most-5, 6)},
		"units that join a line fill it": {
			Given: nearly, When: joining(add(5, "1")), Then: []Event{QuantityChanged{1, most}}, Repeats: true,
		},
		"nor do units that join a line": {Given: nearly, When: joining(add(6, "1")), Refused: units(most-5, 6)},
		"a line can be set to it":       {Given: nearly, When: SetLines{[]LineQuantity{{1, most}}}, Then: []Event{QuantityChanged{1, most}}},
		"lines are not set beyond it":   {Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: SetLines{[]LineQuantity{{1, most - 5}, {2, 6}}}, Refused: units(most, 1)},
		"what one line leaves another can take": {
			Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: SetLines{[]LineQuantity{{1, 1}, {2, most - 1}}},
			Then: []Event{QuantityChanged{1, 1}, QuantityChanged{2, most - 1}},
		},
		"a line grows to it":                                {Given: nearly, When: ChangeQuantity{Line: 1, Quantity: most}, Then: []Event{QuantityChanged{1, most}}},
		"a line does not grow beyond it":                    {Given: append(nearly[:2:2], LineAdded{line(2, 5, "1")}), When: ChangeQuantity{Line: 2, Quantity: 6}, Refused: units(most, 1)},
		"a removed line leaves room":                        {Given: append(nearly[:2:2], LineRemoved{1}), When: add(most, "1"), Then: []Event{LineAdded{line(2, most, "1")}}, Repeats: true},
		"a worth fills the cart":                            {Given: dear, When: add(1, "99999999999999999.999999"), Then: []Event{LineAdded{line(2, 1, "99999999999999999.999999")}}, Repeats: true},
		"a worth does not pass it":                          {Given: dear, When: add(1, "100000000000000000"), Refused: ErrAmountLimit},
		"nor by more units":                                 {Given: dear, When: ChangeQuantity{Line: 1, Quantity: 10}, Refused: ErrAmountLimit},
		"units of another cart fill it":                     {Given: nearly, When: MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{line(1, 5, "1")}}, Then: []Event{MergedFrom{Source: "c0", Attempt: 1}, QuantityChanged{1, most}}, Repeats: true},
		"units of another do not pass it":                   {Given: nearly, When: MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{line(1, 5, "1"), line(2, 1, "2")}}, Refused: units(most, 1)},
		"a cart from before the limits can be made smaller": {Given: tooMany, When: ChangeQuantity{Line: 2, Quantity: most - 1}, Then: []Event{QuantityChanged{2, most - 1}}},
		"but is not checked out":                            {Given: tooMany, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline}, Refused: units(2*most, 0)},
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
		"a cart is opened with its lines":    {When: ask(3, 2), Then: given},
		"opened with them again, nothing":    {Given: given, When: ask(3, 2), Nothing: true},
		"nor in a cart of version 1":         {Given: before, When: ask(3, 2), Nothing: true},
		"the next line has the next number":  {Given: given, When: ask(1).Lines[0], Then: []Event{LineAdded{line(3, 1)}}, Repeats: true},
		"also once it has changed":           {Given: after(given, LineRemoved{1}, Abandoned{}), When: ask(3, 2), Nothing: true},
		"what the catalogue says may change": {Given: given, When: dearer, Nothing: true},
		"lines that join are one": {
			When: joint(ask(3, 2)), Then: []Event{Opened{CartID: "c1", Currency: "GBP", Opening: joint(ask(3, 2)).opening(), Lines: []Line{line(1, 5)}}},
		},
		"joined or apart is not the same":        {Given: given, When: joint(ask(3, 2)), Refused: ErrExists},
		"with another quantity it is another":    {Given: given, When: ask(3, 1), Refused: ErrExists},
		"with one more line":                     {Given: given, When: ask(3, 2, 1), Refused: ErrExists},
		"without lines":                          {Given: given, When: ask(), Refused: ErrExists},
		"with the lines the other way":           {Given: given, When: ask(2, 3), Refused: ErrExists},
		"lines that came later are no opening":   {Given: after([]Event{Opened{CartID: "c1", Currency: "GBP"}}, LineAdded{line(1, 3)}), When: ask(3), Refused: ErrExists},
		"one line that is refused opens no cart": {When: tooMany, Refused: ErrQuantityInvalid},
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
		"Open": "adds its lines like AddLine", "RemoveLine": "takes away", "ChangeCustomer": "adds nothing", "ChangeCountry": "adds nothing", "RefuseCheckout": "records an outcome", "CompleteCheckout": "keeps what the checkout began with",
		"WithdrawCheckout": "gives back what the checkout began with", "Abandon": "ends", "Expire": "ends",
		"MergeInto": "ends", "DeclineMerge": "adds nothing", "RefuseMerge": "gives back what the merge began with",
	})
}
