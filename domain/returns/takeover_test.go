package returns

import (
	"testing"

	"daybook/domain/unit"
)

// ofOrders is a return of nobody that names no order. Each of its lines has the given links.
func ofOrders(lines ...[]Link) []Event {
	e := Requested{ReturnID: "r4", Currency: "GBP"}
	for _, links := range lines {
		e.Lines = append(e.Lines, Line{SKU: "A", Kind: unit.Stocked, Quantity: 2, Price: pounds("1"), Links: links})
	}
	e.Lines = numbered(e.Lines)
	return []Event{e}
}

func linked(orders ...unit.OrderID) (links []Link) {
	for _, id := range orders {
		links = append(links, Link{OrderID: id, Line: 1, Quantity: 1})
	}
	return links
}

func guests(events ...Event) []Event { return append([]Event{ofGuest}, events...) }

var (
	follow    = TakeOver{OrderID: "o1", CustomerID: "u2"}
	takenOver = TakenOver{CustomerID: "u2"}
)

func askedFor(customer unit.CustomerID) Request {
	return Request{ReturnID: "r2", OrderID: "o1", CustomerID: customer, Currency: "GBP", Lines: comeBack, Reason: "too dark"}
}

var takingOver = map[string]row{
	"a return follows its order":                                {Given: guests(), When: follow, Then: []Event{takenOver}},
	"a return that has ended follows its order":                 {Given: guests(Canceled{}), When: follow, Then: []Event{takenOver}},
	"a return follows once":                                     {Given: guests(takenOver), When: follow, Nothing: true},
	"a return that has a customer does not follow":              {Given: given(), When: follow, Nothing: true},
	"a return that was taken over stays":                        {Given: guests(takenOver), When: TakeOver{OrderID: "o1", CustomerID: "u3"}, Nothing: true},
	"a return does not follow another order":                    {Given: guests(), When: TakeOver{OrderID: "o2", CustomerID: "u2"}, Nothing: true},
	"a return follows nobody":                                   {Given: guests(), When: TakeOver{OrderID: "o1"}, Nothing: true},
	"a return whose lines are of one order follows it":          {Given: ofOrders(linked("o1"), linked("o1", "o1")), When: follow, Then: []Event{takenOver}},
	"a return of several orders follows none":                   {Given: ofOrders(linked("o1", "o2")), When: follow, Nothing: true},
	"a return whose lines are of several orders follows none":   {Given: ofOrders(linked("o1"), linked("o2")), When: follow, Nothing: true},
	"a return with goods of no order follows none":              {Given: ofOrders(linked("o1"), nil), When: follow, Nothing: true},
	"a credit note follows no order":                            {Given: []Event{isNoted}, When: follow, Refused: ErrCreditNote},
	"a return that was never requested does not follow":         {When: follow, Refused: ErrNotFound},
	"a request can be repeated after the return was taken over": {Given: guests(takenOver), When: askedFor(""), Nothing: true},
	"the customer can repeat it, too":                           {Given: guests(takenOver), When: askedFor("u2"), Nothing: true},
	"the request of another customer is another one":            {Given: guests(takenOver), When: askedFor("u3"), Refused: ErrExists},
	"of two who took over a return, the first one has it":       {Given: guests(takenOver, TakenOver{CustomerID: "u3"}), When: askedFor("u3"), Refused: ErrExists},
	"no event gives a return to another customer":               {Given: given(takenOver), When: Request{ReturnID: "r1", OrderID: "o1", CustomerID: "u2", Reference: "C536379", Currency: "GBP", Country: "United Kingdom", Lines: comeBack, Reason: "too dark"}, Refused: ErrExists},
}

func TestTakingOver(t *testing.T) { backs.Run(t, takingOver) }

// The guest's token is not good for a return that a customer has.
func TestWhoOwnsAReturnThatWasTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		of    []Event
		whose unit.CustomerID
		guest bool
	}{
		"before":                {guests(), "", true},
		"afterwards":            {guests(takenOver), "u2", false},
		"a customer's":          {given(takenOver), "u1", false},
		"a customer's credit":   {[]Event{isNoted, takenOver}, "u1", false},
		"by two, one after one": {guests(takenOver, TakenOver{CustomerID: "u3"}), "u2", false},
	} {
		s := backs.Fold(c.of...)
		if s.Customer() != c.whose || s.OwnedBy("cart:c1") != c.guest || c.whose != "" && s.Status != StatusNoted && !s.OwnedBy(c.whose.Owner()) {
			t.Errorf("%s, it is %q's: %+v", name, s.Customer(), s)
		}
	}
}
