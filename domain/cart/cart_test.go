package cart

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
)

var carts = decidertest.Decider[Command, Event, State]{
	Decide: Decide, Evolve: Evolve, About: About, Recall: Recall,
}

type row = decidertest.Case[Command, Event]

func money(t testing.TB, amount, currency string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, currency)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var deadline = time.Date(2026, 3, 1, 12, 15, 0, 0, time.UTC)

// after returns a history: the events of first, and then the events of more.
func after(first []Event, more ...Event) []Event {
	return append(append([]Event{}, first...), more...)
}

func lineRows(t testing.TB) map[string]row {
	opened := Opened{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom"}
	lamp := Offer{Title: "A lamp", Kind: unit.Stocked, Price: money(t, "2.55", "GBP")}
	line := Line{Number: 1, SKU: "LAMP", Title: "A lamp", Kind: unit.Stocked, Quantity: 3, Price: lamp.Price}
	second := line
	second.Number, second.Price, second.Overridden = 2, money(t, "0", "GBP"), true
	given := []Event{opened}
	filled := []Event{opened, LineAdded{line}}
	ended := after(filled, Abandoned{})
	nobodys := []Event{Opened{CartID: "c1", Currency: "GBP"}, LineAdded{line}}
	became := after(nobodys, CheckoutStarted{OrderID: "o1", Lines: []Line{line}}, CheckedOut{OrderID: "o1"})
	three := after(filled, LineAdded{numbered(line, 2)}, LineAdded{numbered(line, 3)})
	add := AddLine{SKU: "LAMP", SKUText: "LAMP", Quantity: 3, Offer: lamp}
	with := func(change func(*AddLine)) AddLine { c := add; change(&c); return c }

	return map[string]row{
		"a cart can be opened": {
			When: Open{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom"}, Then: []Event{opened},
		},
		"opening a cart again with the same content does nothing": {
			Given: given, When: Open{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom"}, Nothing: true,
		},
		"opening a cart again with other content is refused": {
			Given: given, When: Open{CartID: "c1", CustomerID: "13047", Currency: "GBP", Country: "United Kingdom"}, Refused: ErrExists,
		},
		"a country has at most 100 characters": {
			When:    Open{CartID: "c1", Currency: "GBP", Country: strings.Repeat("x", 101)},
			Refused: ErrTextTooLong.With("", map[string]any{"field": "country", "max_characters": 100}),
		},

		"a line can be added": {Given: given, When: add, Then: []Event{LineAdded{line}}, Repeats: true},
		"a line is not added to a cart that was never opened": {When: add, Refused: ErrNotFound},
		"a line is not added to an abandoned cart":            {Given: ended, When: add, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "abandoned"})},
		"the line keeps the code as it was given":             {Given: given, When: with(func(c *AddLine) { c.SKUText = "lamp" }), Then: []Event{LineAdded{Line{1, "LAMP", "lamp", "A lamp", unit.Stocked, 3, lamp.Price, false}}}, Repeats: true},
		"a SKU can have a second line, at another price": {
			Given: filled, When: with(func(c *AddLine) { c.Offer.Price, c.Offer.Overridden = money(t, "0", "GBP"), true }),
			Then: []Event{LineAdded{second}}, Repeats: true,
		},
		"units can join the first line with the same offer": {
			Given: after(filled, LineAdded{second}), When: with(func(c *AddLine) { c.Join = true }), Then: []Event{QuantityChanged{1, 6}}, Repeats: true,
		},
		"units join a line although the title has changed": {
			Given: filled, When: with(func(c *AddLine) { c.Join, c.SKUText, c.Offer.Title = true, "lamp", "A lamp, renamed" }), Then: []Event{QuantityChanged{1, 6}}, Repeats: true,
		},
		"units at another price do not join a line": {
			Given: filled, When: with(func(c *AddLine) { c.Join, c.Offer.Price = true, money(t, "2.56", "GBP") }), Repeats: true,
			Then: []Event{LineAdded{Line{2, "LAMP", "", "A lamp", unit.Stocked, 3, money(t, "2.56", "GBP"), false}}},
		},
		"units with a price that the caller gave do not join a line with a catalogue price": {
			Given: filled, When: with(func(c *AddLine) { c.Join, c.Offer.Overridden = true, true }), Repeats: true,
			Then: []Event{LineAdded{Line{2, "LAMP", "", "A lamp", unit.Stocked, 3, lamp.Price, true}}},
		},
		"units that could join a line get a new one if there is none": {Given: given, When: with(func(c *AddLine) { c.Join = true }), Then: []Event{LineAdded{line}}, Repeats: true},
		"units do not join a line that was removed": {
			Given: after(filled, LineRemoved{Line: 1}), When: with(func(c *AddLine) { c.Join = true }), Then: []Event{LineAdded{numbered(line, 2)}}, Repeats: true,
		},
		"zero units cannot join a line":            {Given: filled, When: with(func(c *AddLine) { c.Join, c.Quantity = true, 0 }), Refused: ErrQuantityInvalid},
		"a full cart takes units that join a line": {Given: after(given, manyLines(line, MaxLines)...), When: with(func(c *AddLine) { c.Join = true }), Then: []Event{QuantityChanged{1, 6}}, Repeats: true},
		"the number of a removed line is not used again": {
			Given: after(filled, LineRemoved{Line: 1}), When: with(func(c *AddLine) { c.Offer.Price, c.Offer.Overridden = money(t, "0", "GBP"), true }),
			Then: []Event{LineAdded{second}}, Repeats: true,
		},
		"the number of the last line is not used again after it was removed": {
			Given: after(given, LineAdded{numbered(line, 1)}, LineAdded{numbered(line, 2)}, LineRemoved{1}, LineAdded{numbered(line, 3)}, LineRemoved{3}),
			When:  add, Then: []Event{LineAdded{numbered(line, 4)}}, Repeats: true,
		},
		"a line of zero units is refused":                              {Given: given, When: with(func(c *AddLine) { c.Quantity = 0 }), Refused: ErrQuantityInvalid},
		"a line of more than 1,000,000,000 units is refused":           {Given: given, When: with(func(c *AddLine) { c.Quantity = unit.MaxQuantity + 1 }), Refused: ErrQuantityInvalid},
		"a line of an unknown kind is refused":                         {Given: given, When: with(func(c *AddLine) { c.Offer.Kind = "" }), Refused: ErrKindUnknown},
		"a price in another currency is refused":                       {Given: given, When: with(func(c *AddLine) { c.Offer.Price = money(t, "2", "EUR") }), Refused: ErrCurrencyMismatch.With("", map[string]any{"cart": "GBP", "price": "EUR"})},
		"a negative price of goods is refused":                         {Given: given, When: with(func(c *AddLine) { c.Offer.Price = money(t, "-0.01", "GBP") }), Refused: ErrPriceNegative},
		"a negative price of a service is refused":                     {Given: given, When: with(func(c *AddLine) { c.Offer = Offer{Kind: unit.Service, Price: money(t, "-1", "GBP")} }), Refused: ErrPriceNegative},
		"goods of an import cannot have a negative price":              {Given: given, When: with(func(c *AddLine) { c.Offer.Price, c.Offer.BelowZero = money(t, "-1", "GBP"), true }), Refused: ErrPriceNegative},
		"a service of an import can have a negative price":             {Given: given, When: with(func(c *AddLine) { c.Offer = Offer{Kind: unit.Service, Price: money(t, "-1", "GBP"), BelowZero: true} }), Then: []Event{LineAdded{Line{1, "LAMP", "", "", unit.Service, 3, money(t, "-1", "GBP"), false}}}, Repeats: true},
		"a title has at most 200 letters":                              {Given: given, When: with(func(c *AddLine) { c.Offer.Title = strings.Repeat("x", 201) }), Refused: ErrTextTooLong.With("", map[string]any{"field": "title", "max_characters": 200})},
		"a code as given has at most 100 letters":                      {Given: given, When: with(func(c *AddLine) { c.SKUText = strings.Repeat("x", 101) }), Refused: ErrTextTooLong.With("", map[string]any{"field": "sku_text", "max_characters": 100})},
		"a line beyond the largest number of lines is refused":         {Given: after(given, manyLines(line, MaxLines)...), When: add, Refused: ErrFull},
		"a line can be added to a full cart after another was removed": {Given: after(after(given, manyLines(line, MaxLines)...), LineRemoved{Line: 7}), When: add, Then: []Event{LineAdded{numbered(line, MaxLines+1)}}, Repeats: true},
		"a line whose texts no longer fit is refused":                  {Given: after(given, manyLines(titled(line, strings.Repeat("x", 200)), 1261)...), When: add, Refused: ErrFull},
		"a line fits again after the texts of another were removed": {
			Given: after(after(given, manyLines(titled(line, strings.Repeat("x", 200)), 1261)...), LineRemoved{7}), When: add,
			Then: []Event{LineAdded{numbered(line, 1262)}}, Repeats: true,
		},
		"line 0 cannot be removed":                                     {Given: filled, When: RemoveLine{}, Refused: ErrLineUnknown.With("", map[string]any{"line": 0})},
		"texts count with their escapes in JSON":                       {Given: after(given, manyLines(titled(line, strings.Repeat("\x01", 200)), 217)...), When: add, Refused: ErrFull},
		"a quantity can be changed":                                    {Given: filled, When: ChangeQuantity{Line: 1, Quantity: 5}, Then: []Event{QuantityChanged{1, 5}}},
		"changing a quantity to what it is does nothing":               {Given: after(filled, QuantityChanged{1, 5}), When: ChangeQuantity{Line: 1, Quantity: 5}, Nothing: true},
		"changing a quantity to zero removes the line":                 {Given: filled, When: ChangeQuantity{Line: 1}, Then: []Event{LineRemoved{1}}},
		"changing the quantity of a removed line to zero does nothing": {Given: after(filled, LineRemoved{1}), When: ChangeQuantity{Line: 1}, Nothing: true},
		"the quantity of an unknown line cannot be changed to zero":    {Given: filled, When: ChangeQuantity{Line: 2}, Refused: ErrLineUnknown.With("", map[string]any{"line": 2})},
		"a quantity cannot be changed to zero in an abandoned cart":    {Given: ended, When: ChangeQuantity{Line: 1}, Refused: ErrNotOpen},
		"a quantity below zero is refused":                             {Given: filled, When: ChangeQuantity{Line: 1, Quantity: -1}, Refused: ErrQuantityInvalid},
		"the quantity of an unknown line cannot be changed":            {Given: filled, When: ChangeQuantity{Line: 2, Quantity: 5}, Refused: ErrLineUnknown.With("", map[string]any{"line": 2})},
		"the quantity of a removed line cannot be changed":             {Given: after(filled, LineRemoved{1}), When: ChangeQuantity{Line: 1, Quantity: 5}, Refused: ErrLineUnknown},
		"a quantity cannot be changed in an abandoned cart":            {Given: ended, When: ChangeQuantity{Line: 1, Quantity: 5}, Refused: ErrNotOpen},
		"a line can be removed":                                        {Given: filled, When: RemoveLine{Line: 1}, Then: []Event{LineRemoved{1}}},
		"removing a line again does nothing":                           {Given: after(filled, LineRemoved{1}), When: RemoveLine{Line: 1}, Nothing: true},
		"a line that was never added cannot be removed":                {Given: filled, When: RemoveLine{Line: 2}, Refused: ErrLineUnknown.With("", map[string]any{"line": 2})},
		"a line cannot be removed from an abandoned cart":              {Given: ended, When: RemoveLine{Line: 1}, Refused: ErrNotOpen},

		"a guest's cart can become a customer's": {
			Given: []Event{Opened{CartID: "c1", Currency: "GBP"}}, When: ChangeCustomer{CustomerID: "17850"}, Then: []Event{CustomerChanged{"17850"}},
		},
		"a customer's cart can become a guest's":              {Given: given, When: ChangeCustomer{}, Then: []Event{CustomerChanged{}}},
		"changing to the same customer does nothing":          {Given: given, When: ChangeCustomer{CustomerID: "17850"}, Nothing: true},
		"the customer of an abandoned cart cannot be changed": {Given: ended, When: ChangeCustomer{CustomerID: "1"}, Refused: ErrNotOpen},
		"a guest's cart follows its order to a customer":      {Given: became, When: FollowOrder{OrderID: "o1", CustomerID: "17850"}, Then: []Event{CustomerChanged{"17850"}}},
		"a cart follows its order once":                       {Given: after(became, CustomerChanged{"17850"}), When: FollowOrder{OrderID: "o1", CustomerID: "17850"}, Nothing: true},
		"a cart does not follow another order":                {Given: became, When: FollowOrder{OrderID: "o2", CustomerID: "17850"}, Nothing: true},
		"a cart follows nobody":                               {Given: became, When: FollowOrder{OrderID: "o1"}, Nothing: true},
		"a customer's cart does not follow its order":         {Given: after(filled, CheckoutStarted{OrderID: "o1", Lines: []Line{line}}, CheckedOut{OrderID: "o1"}), When: FollowOrder{OrderID: "o1", CustomerID: "1"}, Nothing: true},
		"a cart that is being checked out has no order":       {Given: after(nobodys, CheckoutStarted{OrderID: "o1", Lines: []Line{line}}), When: FollowOrder{OrderID: "o1", CustomerID: "17850"}, Nothing: true},
		"a cart that was never opened follows no order":       {When: FollowOrder{OrderID: "o1", CustomerID: "17850"}, Refused: ErrNotFound},
		"the country can be changed":                          {Given: given, When: ChangeCountry{Country: "France"}, Then: []Event{CountryChanged{"France"}}},
		"the country can be cleared":                          {Given: given, When: ChangeCountry{}, Then: []Event{CountryChanged{}}},
		"changing to the same country does nothing":           {Given: given, When: ChangeCountry{Country: "United Kingdom"}, Nothing: true},
		"the country of an abandoned cart cannot be changed":  {Given: ended, When: ChangeCountry{Country: "France"}, Refused: ErrNotOpen},
		"a new country has at most 100 characters":            {Given: given, When: ChangeCountry{Country: strings.Repeat("x", 101)}, Refused: ErrTextTooLong.With("", map[string]any{"field": "country", "max_characters": 100})},
		"a checkout has the latest customer and country": {
			Given: after(filled, CustomerChanged{"2"}, CountryChanged{"France"}), When: StartCheckout{OrderID: "o1", ReserveUntil: deadline},
			Then: []Event{CheckoutStarted{
				OrderID: "o1", CartID: "c1", CustomerID: "2", Currency: "GBP", Country: "France", Lines: []Line{line},
				Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromCaller,
			}},
		},
		"opening a cart again does nothing after its customer and country were changed": {
			Given: after(given, CustomerChanged{"2"}, CountryChanged{"France"}, CustomerChanged{"3"}), Nothing: true,
			When: Open{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom"},
		},
		"opening a cart again with its present customer is refused": {
			Given: after(given, CustomerChanged{"2"}), When: Open{CartID: "c1", CustomerID: "2", Currency: "GBP", Country: "United Kingdom"}, Refused: ErrExists,
		},

		"lines can be set": {
			Given: three, When: SetLines{[]LineQuantity{{1, 5}, {3, 1}}},
			Then: []Event{LineRemoved{2}, QuantityChanged{3, 1}, QuantityChanged{1, 5}},
		},
		"setting all lines to what they are does nothing": {Given: three, When: SetLines{[]LineQuantity{{1, 3}, {2, 3}, {3, 3}}}, Nothing: true},
		"setting no lines removes all":                    {Given: after(filled, LineAdded{second}), When: SetLines{}, Then: []Event{LineRemoved{1}, LineRemoved{2}}},
		"setting a line to zero removes it":               {Given: filled, When: SetLines{[]LineQuantity{{1, 0}}}, Then: []Event{LineRemoved{1}}},
		"a removed line can be set to zero":               {Given: after(three, LineRemoved{2}), When: SetLines{[]LineQuantity{{1, 3}, {2, 0}, {3, 3}}}, Nothing: true},
		"a removed line cannot be set to a quantity":      {Given: after(three, LineRemoved{2}), When: SetLines{[]LineQuantity{{2, 1}}}, Refused: ErrLineUnknown.With("", map[string]any{"line": 2})},
		"an unknown line cannot be set, not even to zero": {Given: filled, When: SetLines{[]LineQuantity{{4, 0}}}, Refused: ErrLineUnknown.With("", map[string]any{"line": 4})},
		"a line cannot be set below zero":                 {Given: filled, When: SetLines{[]LineQuantity{{1, -1}}}, Refused: ErrQuantityInvalid},
		"lines cannot be set in an abandoned cart":        {Given: ended, When: SetLines{}, Refused: ErrNotOpen},

		"an open cart can be abandoned":                           {Given: filled, When: Abandon{Reason: "changed my mind"}, Then: []Event{Abandoned{"changed my mind"}}},
		"abandoning a cart again does nothing":                    {Given: ended, When: Abandon{}, Nothing: true},
		"an expired cart cannot be abandoned":                     {Given: after(filled, Expired{}), When: Abandon{}, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "expired"})},
		"the reason of an abandonment has at most 500 characters": {Given: filled, When: Abandon{Reason: strings.Repeat("x", 501)}, Refused: ErrTextTooLong.With("", map[string]any{"field": "reason", "max_characters": 500})},
		"an open cart can expire":                                 {Given: filled, When: Expire{}, Then: []Event{Expired{}}},
		"expiring a cart again does nothing":                      {Given: after(filled, Expired{}), When: Expire{}, Nothing: true},
		"an abandoned cart does not expire":                       {Given: ended, When: Expire{}, Refused: ErrNotOpen},
	}
}

func numbered(l Line, n int) Line      { l.Number = n; return l }
func titled(l Line, title string) Line { l.Title = title; return l }
func manyLines(l Line, n int) (all []Event) {
	for i := range n {
		all = append(all, LineAdded{numbered(l, i+1)})
	}
	return all
}

func withID(started CheckoutStarted, id unit.OrderID) CheckoutStarted {
	started.OrderID = id
	return started
}

func checkoutRows(t testing.TB) map[string]row {
	opened := Opened{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "France"}
	line := Line{Number: 1, SKU: "LAMP", Kind: unit.Stocked, Quantity: 3, Price: money(t, "2.55", "GBP")}
	discount := Line{Number: 2, SKU: "D", Kind: unit.Service, Quantity: 1, Price: money(t, "-7.65", "GBP")}
	start := StartCheckout{
		OrderID: "o1", Reference: "536365", Sourcing: Sourcing{Locations: []unit.LocationID{"north", "south", "north"}, Split: true},
		Policy: LineByLine, ReserveUntil: deadline,
	}
	started := CheckoutStarted{
		OrderID: "o1", CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "France", Reference: "536365",
		Lines: []Line{line}, Sourcing: Sourcing{Locations: []unit.LocationID{"north", "south"}, Split: true},
		Policy: LineByLine, ReserveUntil: deadline, OrderIDFrom: FromCaller,
	}
	plain := started
	plain.Reference, plain.Sourcing, plain.Policy = "", Sourcing{Locations: []unit.LocationID{"main"}}, AllOrNothing
	derived := started
	derived.OrderIDFrom = FromServer
	withdraw, withdrawn := WithdrawCheckout{OrderID: "o1", Lines: started.Lines}, CheckoutRefused{OrderID: "o1", OrderIDTaken: true, Lines: started.Lines}
	free := plain
	free.Lines = []Line{line, discount}
	shortages := []Shortage{{SKU: "LAMP", Location: "main", Requested: 3, Available: 2, Reason: "stock-insufficient"}}
	reservations := []Reservation{{ReservationID: "r1", SKU: "LAMP", Location: "main", Quantity: 3}}
	refused := CheckoutRefused{OrderID: "o1", Shortages: shortages}
	checkedOut := CheckedOut{OrderID: "o1", Reservations: reservations}

	filled := []Event{opened, LineAdded{line}}
	completing := after(filled, started)
	open := after(completing, refused)
	again := plain
	again.OrderID = "o2"
	completed := after(completing, checkedOut)
	with := func(change func(*StartCheckout)) StartCheckout { c := start; change(&c); return c }
	outcome := func(o string) map[string]any { return map[string]any{"order_id": "o1", "outcome": o} }

	short := with(func(c *StartCheckout) { c.Short = shortages })
	atOnce := CheckoutRefused{OrderID: "o1", Shortages: shortages, Asked: &Asked{
		OrderIDFrom: FromCaller, Reference: "536365", Sourcing: started.Sourcing, Policy: LineByLine,
	}}

	return map[string]row{
		"a checkout that is short from the start is refused at once":                    {Given: filled, When: short, Then: []Event{atOnce}},
		"after a refusal at once, a checkout can start under another id":                {Given: after(filled, atOnce), When: with(func(c *StartCheckout) { c.OrderID = "o2" }), Then: []Event{withID(started, "o2")}},
		"the order id of a checkout that was refused at once stays refused":             {Given: after(filled, atOnce), When: short, Refused: ErrCheckoutDecided.With("", outcome("refused"))},
		"an empty cart is refused as empty, also if stock is short":                     {Given: []Event{opened}, When: short, Refused: ErrEmpty},
		"starting a checkout that is under way does nothing, also if stock is short":    {Given: completing, When: short, Nothing: true},
		"a checkout freezes lines and prices":                                           {Given: filled, When: start, Then: []Event{started}},
		"a checkout without policy and locations takes the defaults":                    {Given: filled, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline}, Then: []Event{plain}},
		"starting a checkout again does nothing":                                        {Given: completing, When: start, Nothing: true},
		"starting a checkout again does nothing after it was completed":                 {Given: completed, When: start, Nothing: true},
		"a second checkout is refused while one is under way":                           {Given: completing, When: with(func(c *StartCheckout) { c.OrderID = "o2" }), Refused: ErrNotOpen.With("", map[string]any{"cart_status": "completing", "order_id": "o1"})},
		"a second checkout is refused after one was completed":                          {Given: completed, When: with(func(c *StartCheckout) { c.OrderID = "o2" }), Refused: ErrNotOpen.With("", map[string]any{"cart_status": "completed", "order_id": "o1"})},
		"a refused order id stays refused":                                              {Given: open, When: start, Refused: ErrCheckoutDecided.With("", outcome("refused"))},
		"a refused checkout can be tried again under another order id":                  {Given: open, When: StartCheckout{OrderID: "o2", ReserveUntil: deadline}, Then: []Event{again}},
		"an empty cart cannot be checked out":                                           {Given: []Event{opened}, When: start, Refused: ErrEmpty},
		"a cart whose lines were all removed cannot be checked out":                     {Given: after(filled, LineRemoved{1}), When: start, Refused: ErrEmpty},
		"a checkout without a deadline is refused":                                      {Given: filled, When: with(func(c *StartCheckout) { c.ReserveUntil = time.Time{} }), Refused: ErrNoDeadline},
		"a checkout with an unknown policy is refused":                                  {Given: filled, When: with(func(c *StartCheckout) { c.Policy = "some" }), Refused: ErrPolicyUnknown},
		"a reference has at most 100 characters":                                        {Given: filled, When: with(func(c *StartCheckout) { c.Reference = strings.Repeat("x", 101) }), Refused: ErrTextTooLong},
		"a total of zero is allowed":                                                    {Given: after(filled, LineAdded{discount}), When: StartCheckout{OrderID: "o1", ReserveUntil: deadline}, Then: []Event{free}},
		"a total below zero is refused":                                                 {Given: after(filled, LineAdded{discount}, QuantityChanged{1, 2}), When: start, Refused: ErrTotalNegative.With("", map[string]any{"total": map[string]any{"amount": "-2.55", "currency": "GBP"}})},
		"the lines of a cart in its checkout cannot be changed":                         {Given: completing, When: ChangeQuantity{Line: 1, Quantity: 9}, Refused: ErrNotOpen.With("", map[string]any{"cart_status": "completing", "order_id": "o1"})},
		"a cart in its checkout cannot be abandoned":                                    {Given: completing, When: Abandon{}, Refused: ErrNotOpen},
		"a cart in its checkout does not expire":                                        {Given: completing, When: Expire{}, Refused: ErrNotOpen},
		"a checkout can be refused":                                                     {Given: completing, When: RefuseCheckout{OrderID: "o1", Shortages: shortages}, Then: []Event{refused}},
		"refusing a checkout again does nothing":                                        {Given: open, When: RefuseCheckout{OrderID: "o1", Shortages: shortages}, Nothing: true},
		"a completed checkout cannot be refused":                                        {Given: completed, When: RefuseCheckout{OrderID: "o1"}, Refused: ErrCheckoutDecided.With("", outcome("completed"))},
		"a checkout that never began cannot be refused":                                 {Given: filled, When: RefuseCheckout{OrderID: "o1"}, Refused: ErrCheckoutUnknown.With("", map[string]any{"order_id": "o1"})},
		"a checkout cannot be refused under another order id":                           {Given: completing, When: RefuseCheckout{OrderID: "o2"}, Refused: ErrCheckoutUnknown},
		"a checkout can be completed":                                                   {Given: completing, When: CompleteCheckout{OrderID: "o1", Reservations: reservations}, Then: []Event{checkedOut}},
		"completing a checkout again does nothing":                                      {Given: completed, When: CompleteCheckout{OrderID: "o1", Reservations: reservations}, Nothing: true},
		"a refused checkout cannot be completed":                                        {Given: open, When: CompleteCheckout{OrderID: "o1"}, Refused: ErrCheckoutDecided.With("", outcome("refused"))},
		"a refused checkout cannot be completed while the next one is under way":        {Given: after(open, again), When: CompleteCheckout{OrderID: "o1"}, Refused: ErrCheckoutDecided.With("", outcome("refused"))},
		"a checkout that never began cannot be completed":                               {Given: filled, When: CompleteCheckout{OrderID: "o1"}, Refused: ErrCheckoutUnknown},
		"a checkout of a cart that was never opened cannot be completed":                {When: CompleteCheckout{OrderID: "o1"}, Refused: ErrNotFound},
		"a checkout records that the server chose the order id":                         {Given: filled, When: with(func(c *StartCheckout) { c.OrderIDFrom = FromServer }), Then: []Event{derived}},
		"a completed checkout can be withdrawn":                                         {Given: completed, When: withdraw, Then: []Event{withdrawn}},
		"withdrawing a checkout again does nothing":                                     {Given: after(completed, withdrawn), When: withdraw, Nothing: true},
		"a withdrawn checkout gives the cart its lines back":                            {Given: after(completed, withdrawn), When: ChangeQuantity{Line: 1, Quantity: 4}, Then: []Event{QuantityChanged{Line: 1, Quantity: 4}}},
		"after a withdrawn checkout the cart can be checked out under another order id": {Given: after(completed, withdrawn), When: StartCheckout{OrderID: "o2", ReserveUntil: deadline}, Then: []Event{again}},
		"after a withdrawn checkout its order id stays refused":                         {Given: after(completed, withdrawn), When: start, Refused: ErrCheckoutDecided},
		"withdrawing a checkout without an outcome refuses it":                          {Given: completing, When: withdraw, Then: []Event{CheckoutRefused{OrderID: "o1", OrderIDTaken: true}}},
		"a checkout cannot be withdrawn under another order id":                         {Given: completed, When: WithdrawCheckout{OrderID: "o2"}, Refused: ErrCheckoutUnknown},
		"the outcome of a checkout has the dropped lines":                               {Given: completing, When: CompleteCheckout{OrderID: "o1", Dropped: []int{1}, Shortages: shortages}, Then: []Event{CheckedOut{OrderID: "o1", Dropped: []int{1}, Shortages: shortages}}},
	}
}

func TestLines(t *testing.T)    { carts.Run(t, lineRows(t)) }
func TestCheckout(t *testing.T) { carts.Run(t, checkoutRows(t)) }

func TestEveryRefusalHasARow(t *testing.T) {
	carts.EveryRefusalHasARow(t, Rejections, lineRows(t), checkoutRows(t), limitRows(t), mergeRows(t), detailsRows(t), pricingRows(t), discountRows(t))
}

func TestStream(t *testing.T) {
	if got, want := Stream("7f3a"), "cart-7f3a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRefusedOrderIDsAreBounded(t *testing.T) {
	var s State
	s = Evolve(s, Opened{CartID: "c1", Currency: "GBP"})
	for i := range 3 * maxRefused {
		s = Evolve(s, CheckoutRefused{OrderID: unit.OrderID(strings.Repeat("x", i+1))})
	}
	if got := len(s.Refused); got != maxRefused {
		t.Errorf("%d remembered, want %d", got, maxRefused)
	}
	if got := len(s.Refused[maxRefused-1]); got != 3*maxRefused {
		t.Errorf("the newest is forgotten: %d", got)
	}
}

// A checkout that was refused stays refused, even after many more checkouts were refused.
func TestEveryRefusedOrderIDIsKnownForEver(t *testing.T) {
	const refusals = 3 * maxRefused
	history := []Event{Opened{CartID: "c1", Currency: "GBP"}}
	for i := range refusals {
		history = append(history, CheckoutRefused{OrderID: unit.OrderID(fmt.Sprint("o", i))})
	}
	s := carts.Fold(history...)
	for i := range refusals {
		id := unit.OrderID(fmt.Sprint("o", i))
		if events, err := carts.Ask(StartCheckout{OrderID: id}, s, history); !errors.Is(err, ErrCheckoutDecided) {
			t.Fatalf("%s is checked out again: %v, %v", id, events, err)
		}
		if events, err := carts.Ask(CompleteCheckout{OrderID: id}, s, history); !errors.Is(err, ErrCheckoutDecided) {
			t.Fatalf("%s is completed: %v, %v", id, events, err)
		}
		if events, err := carts.Ask(RefuseCheckout{OrderID: id}, s, history); err != nil || len(events) > 0 {
			t.Fatalf("%s is refused again: %v, %v", id, events, err)
		}
	}
	if _, err := carts.Ask(StartCheckout{OrderID: "new"}, s, history); errors.Is(err, ErrCheckoutDecided) {
		t.Errorf("an order id that was not used: %v", err)
	}
}

// The frozen lines must fit into one append, and so must the lines together with their
// reservations. Otherwise a checkout could succeed whose order can never be recorded.
func TestTheFullestCartFitsOneAppend(t *testing.T) {
	const appendBytesMax = 1 << 20
	s := Evolve(State{}, Opened{CartID: "c1", Currency: "GBP", Country: strings.Repeat("x", 100)})
	widest := AddLine{
		SKU: unit.SKU(strings.Repeat("S", 6)), SKUText: strings.Repeat("s", 6), Quantity: unit.MaxQuantity / MaxLines,
		Offer: Offer{Title: strings.Repeat("\"", 18), Kind: unit.Stocked, Price: money(t, "999999999.999999", "GBP"), Overridden: true},
	}
	var reservations []Reservation
	for len(s.Lines) < MaxLines {
		events, err := Decide(widest, s)
		if err != nil {
			break
		}
		s = Evolve(s, events[0])
		reservations = append(reservations, Reservation{unit.ReservationID(strings.Repeat("r", 36)), widest.SKU, unit.LocationID(strings.Repeat("l", 64)), widest.Quantity})
	}
	if s.TextBytes < MaxTextBytes*95/100 {
		t.Fatalf("the cart has %d lines and %d bytes of text: not the fullest", len(s.Lines), s.TextBytes)
	}
	started, err := Decide(StartCheckout{OrderID: "o1", ReserveUntil: deadline}, s)
	if err != nil {
		t.Fatal(err)
	}
	_, lines, err := Encode(started[0])
	if err != nil {
		t.Fatal(err)
	}
	_, reservedBytes, err := Encode(CheckedOut{OrderID: "o1", Reservations: reservations})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(lines) + len(reservedBytes); got > appendBytesMax-4096 {
		t.Errorf("%d lines take %d bytes", len(s.Lines), got)
	}
}

func TestWireForm(t *testing.T) {
	price := money(t, "2.55", "GBP")
	line := Line{Number: 1, SKU: "85123A", SKUText: "85123a", Title: "WHITE \"HANGING\" HEART £", Kind: unit.Stocked, Quantity: 6, Price: price, Overridden: true}
	shortage := Shortage{SKU: "85123A", Location: "main", Requested: 6, Available: 2, Reason: "stock-insufficient"}
	reservations := Reservation{ReservationID: "2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11", SKU: "85123A", Location: "main", Quantity: 6}
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Opened{CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom"},
		Opened{CartID: "c1", Currency: "GBP"},
		Opened{CartID: "c1", Currency: "GBP", Opening: "2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11"},
		Opened{CartID: "c1", Currency: "GBP", Opening: "2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11", Lines: []Line{line}},
		LineAdded{line},
		LineAdded{Line{Number: 2, SKU: "POST", Kind: unit.Service, Quantity: 1, Price: money(t, "-0.001", "JPY")}},
		QuantityChanged{Line: 1, Quantity: 7},
		LineRemoved{Line: 1},
		CustomerChanged{CustomerID: "17850"},
		CustomerChanged{},
		CountryChanged{Country: "France"},
		CountryChanged{},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", CustomerID: "17850", Currency: "GBP", Country: "United Kingdom", Reference: "536365",
			Lines: []Line{line}, Sourcing: Sourcing{Locations: []unit.LocationID{"main", "north"}, Split: true}, Policy: LineByLine, ReserveUntil: deadline,
		},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: []Line{line},
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline,
		},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: []Line{line},
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromServer,
		},
		CheckoutRefused{OrderID: "o1", Shortages: []Shortage{shortage}},
		CheckoutRefused{OrderID: "o1", OrderIDTaken: true, Lines: []Line{line}},
		CheckoutRefused{OrderID: "o1", Shortages: []Shortage{shortage}, Asked: &Asked{
			OrderIDFrom: FromCaller, Reference: "536365", Sourcing: Sourcing{Locations: []unit.LocationID{"main", "north"}, Split: true}, Policy: LineByLine,
		}},
		CheckedOut{OrderID: "o1", Reservations: []Reservation{reservations}, Dropped: []int{2}, Shortages: []Shortage{shortage}},
		CheckedOut{OrderID: "o1"},
		CheckedOut{OrderID: "o1", Reservations: []Reservation{reservations}, Dropped: []int{2}, Shortages: []Shortage{{SKU: "85123A", Location: "main", Lines: []int{1, 2}, Requested: 6, Available: 2, Reason: "stock-insufficient"}}},
		Abandoned{Reason: "changed my mind"},
		Expired{},
		MergedInto{Target: "c2", Attempt: 1},
		MergedInto{Target: "c2", Attempt: 2, IfRevision: new(int64(0))},
		MergeRefused{Target: "c2", Attempt: 1, Reason: "cart-full"},
		MergedFrom{Source: "c1", Attempt: 1},
		MergeDeclined{Source: "c1", Attempt: 1, Reason: "cart-full"},
		DetailsSet{detailsOf("GB")},
		DetailsSet{},
		Opened{CartID: "c1", Currency: "GBP", Channel: "web"},
		CouponAdded{Code: "TEN"},
		CouponRemoved{Code: "TEN"},
		ShippingChosen{Method: "post"},
		ShippingChosen{},
		DiscountGiven{Discount: tenth},
		DiscountGiven{Discount: sorry},
		DiscountWithdrawn{ID: "tenth"},
		TaxStatusSet{Status: &business},
		TaxStatusSet{},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "EUR", Lines: []Line{goods}, Quote: new(quoteOf(t)),
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromServer,
		},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: []Line{line}, RoundedLines: true,
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromServer,
		},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "GBP", Country: "GB", Lines: []Line{line}, Details: new(detailsOf("GB")),
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromServer,
		},
		CheckoutStarted{
			OrderID: "o1", CartID: "c1", Currency: "EUR", Lines: []Line{goods}, QuoteWithOrder: true,
			Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromServer,
		},
	})
}
