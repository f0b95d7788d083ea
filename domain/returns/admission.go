package returns

import (
	"cmp"
	"slices"

	"daybook/domain/unit"
)

// Admission is what the orders have replied about the units that come back.
type Admission string

const (
	AdmissionAsked  Admission = "asked"
	AdmissionGiven  Admission = "admitted"
	AdmissionDenied Admission = "refused"
)

// OpenOrderStep is a step that the orders may not have recorded yet.
type OpenOrderStep struct {
	Step   OrderStep          `json:"step"`
	Ref    unit.TransactionID `json:"ref,omitempty"`
	Shares []Share            `json:"shares,omitempty"` // of a refund; a release has none and goes to all orders that were asked to admit
	// Credits are of a credit.
	Credits []OrderCredit `json:"credits,omitempty"`
}

// byOrder adds up the linked units of the lines, by order and order line. So each order is
// asked once.
func byOrder(lines []Line) []OrderUnits {
	var all []OrderUnits
	for _, l := range lines {
		for _, link := range l.Links {
			at, found := slices.BinarySearchFunc(all, link.OrderID, func(o OrderUnits, id unit.OrderID) int { return cmp.Compare(o.OrderID, id) })
			if !found {
				all = slices.Insert(all, at, OrderUnits{OrderID: link.OrderID})
			}
			of := &all[at]
			i, found := slices.BinarySearchFunc(of.Lines, link.Line, func(l LineUnits, number int) int { return l.Line - number })
			if !found {
				of.Lines = slices.Insert(of.Lines, i, LineUnits{Line: link.Line})
			}
			of.Lines[i].Quantity += link.Quantity
		}
	}
	return all
}

// undecided reports whether an outcome of the admission is still to be recorded.
func (s State) undecided() bool { return s.Status == StatusRequested && s.Admission == AdmissionAsked }

func admit(s State) ([]Event, error) {
	if !s.undecided() {
		return nil, nil
	}
	return []Event{Admitted{}}, nil
}

func refuseAdmission(cmd RefuseAdmission, s State) ([]Event, error) {
	if !s.undecided() {
		return nil, nil
	}
	return []Event{AdmissionRefused{
		OrderID: cmd.OrderID, Code: cmd.Code, Reason: cmd.Reason,
		Line: cmd.Line, Returnable: cmd.Returnable, Requested: cmd.Requested,
	}}, nil
}

// openRelease opens the step that releases the units, after a return has ended and brought
// nothing. It does so even if the admission has no outcome yet, because some orders may have
// admitted their units.
func (s *State) openRelease() {
	if s.Admission != "" {
		s.OrdersUnsettled = append(s.OrdersUnsettled, OpenOrderStep{Step: StepRelease})
	}
}

func (s *State) applyRefunded(e Refunded) {
	s.Refunds = append(s.Refunds, e)
	if len(e.Shares) > 0 {
		s.OrdersUnsettled = append(s.OrdersUnsettled, OpenOrderStep{Step: StepRefund, Ref: e.TransactionID, Shares: e.Shares})
	}
}

// shares divides a refund among orders. If the return names an order, that order gets the
// whole refund. Otherwise the linked orders get it one after the other, each up to the worth
// of its linked units. The rest belongs to no order.
func (s State) shares(amount unit.Money) []Share {
	if id := s.Requested.OrderID; id != "" {
		return []Share{{OrderID: id, Amount: amount}}
	}
	var orders []unit.OrderID // in the order of the lines
	worth := map[unit.OrderID]unit.Money{}
	for _, l := range s.Requested.Lines {
		for _, link := range l.Links {
			if !slices.Contains(orders, link.OrderID) {
				orders = append(orders, link.OrderID)
				worth[link.OrderID] = unit.Zero(s.Requested.Currency)
			}
			worth[link.OrderID] = worth[link.OrderID].Plus(l.Price.Times(link.Quantity))
		}
	}
	var shares []Share
	// Refunds without shares count as if they had been divided in the same way.
	own, before := s.sharesBefore()
	for _, id := range orders {
		capacity := worth[id].Charge()
		if shared, some := own[id]; some {
			capacity = capacity.Minus(shared)
		}
		if capacity.Sign() <= 0 {
			continue
		}
		taken := lesser(capacity, before)
		before = before.Minus(taken)
		if part := lesser(capacity.Minus(taken), amount); part.Sign() > 0 {
			amount = amount.Minus(part)
			shares = append(shares, Share{OrderID: id, Amount: part})
		}
	}
	return shares
}

// sharesBefore adds up the shares of earlier refunds by order, and the amounts of refunds
// without shares. A refund may lack the share of an order that refused it.
func (s State) sharesBefore() (own map[unit.OrderID]unit.Money, unshared unit.Money) {
	own, unshared = map[unit.OrderID]unit.Money{}, unit.Zero(s.Requested.Currency)
	for _, refund := range s.Refunds {
		if len(refund.Shares) == 0 {
			unshared = unshared.Plus(refund.Amount)
		}
		for _, share := range refund.Shares {
			sum, some := own[share.OrderID]
			if !some {
				sum = unit.Zero(s.Requested.Currency)
			}
			own[share.OrderID] = sum.Plus(share.Amount)
		}
	}
	return own, unshared
}

func lesser(a, b unit.Money) unit.Money {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

func settleOrders(cmd SettleOrders, s State) ([]Event, error) {
	open := slices.ContainsFunc(s.OrdersUnsettled, func(open OpenOrderStep) bool { return open.Step == cmd.Step && open.Ref == cmd.Ref })
	if !open {
		return nil, nil // settled before
	}
	return []Event{OrdersSettled{Step: cmd.Step, Ref: cmd.Ref}}, nil
}
