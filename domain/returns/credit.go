package returns

import (
	"cmp"
	"slices"
	"strconv"

	"daybook/domain/unit"
)

// CreditRef names the step in which orders owe less: that of the approval (0), or of a receipt.
func CreditRef(receipt int) unit.TransactionID {
	if receipt == 0 {
		return "approval"
	}
	return unit.TransactionID("receipt-" + strconv.Itoa(receipt))
}

func (s *State) openCredit(receipt int, credits []OrderCredit) {
	if len(credits) > 0 {
		s.OrdersUnsettled = append(s.OrdersUnsettled, OpenOrderStep{Step: StepCredit, Ref: CreditRef(receipt), Credits: credits})
	}
}

// creditsOfServices are the credits for services. They need not come back, so they are credited
// with the approval.
func (s State) creditsOfServices() []OrderCredit {
	var all creditSums
	for _, l := range s.Requested.Lines {
		if l.Kind == unit.Service {
			all.add(s.Requested.OrderID, l, 0, l.Quantity)
		}
	}
	return all
}

// creditsOf are the credits for goods that have arrived. The units of a line belong to its links in
// the order of the links.
func (s State) creditsOf(received []ReceivedLine) []OrderCredit {
	var all creditSums
	ended := make([]unit.Quantity, len(s.Lines))
	for i, l := range s.Lines {
		ended[i] = l.Ended
	}
	for _, r := range received {
		i := r.Line - 1
		all.add(s.Requested.OrderID, s.Requested.Lines[i], ended[i], ended[i]+r.Quantity)
		ended[i] += r.Quantity
	}
	return all
}

// creditSums adds up what each order owes less.
type creditSums []OrderCredit

// add credits the units of a line from number from to number to. Units without a link belong to the
// order that the return names, if it names one.
func (c *creditSums) add(sole unit.OrderID, l Line, from, to unit.Quantity) {
	var before unit.Quantity
	for _, link := range l.Links {
		if units := min(to, before+link.Quantity) - max(from, before); units > 0 {
			c.addLine(link, units, l.Price.Times(units))
		}
		before += link.Quantity
	}
	units := to - max(from, before)
	if units <= 0 || sole == "" {
		return
	}
	of := c.of(sole)
	worth := l.Price.Times(units)
	if of.Worth != nil {
		worth = worth.Plus(*of.Worth)
	}
	of.Worth = &worth
}

func (c *creditSums) addLine(link Link, units unit.Quantity, worth unit.Money) {
	of := c.of(link.OrderID)
	i, found := slices.BinarySearchFunc(of.Lines, link.Line, func(l CreditedUnits, number int) int { return cmp.Compare(l.Line, number) })
	if !found {
		of.Lines = slices.Insert(of.Lines, i, CreditedUnits{Line: link.Line, Worth: unit.Zero(worth.Currency)})
	}
	of.Lines[i].Quantity += units
	of.Lines[i].Worth = of.Lines[i].Worth.Plus(worth)
}

func (c *creditSums) of(id unit.OrderID) *OrderCredit {
	i := slices.IndexFunc(*c, func(o OrderCredit) bool { return o.OrderID == id })
	if i < 0 {
		i = len(*c)
		*c = append(*c, OrderCredit{OrderID: id})
	}
	return &(*c)[i]
}
