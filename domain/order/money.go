package order

import "daybook/domain/unit"

// This file has the sums that compare what an order owes with the money that moved. There is one
// pot for each order: a return lowers what is owed (Credited), and has no money of its own.
//
//	kept       = captured - refunded - charged back + reversed
//	balance    = kept + compensated + lost - owed
//	to return  = balance above zero, less the settlement refunds that are in flight
//	to collect = balance below zero

// Owed is what the customer has to pay: the exact total of everything that was not taken off,
// rounded to be charged, less the credits and what was written off. It is never below zero.
func (s State) Owed() unit.Money { return s.owedWith(s.Total, s.Credited) }

// owedWith is what would be owed with another total and other credits. Only amounts are computed,
// because a fold takes whatever currencies an old log has.
func (s State) owedWith(total, credited unit.Money) unit.Money {
	owed := total.Charge()
	owed.Amount = owed.Amount.Sub(credited.Amount).Sub(s.WrittenOff.Amount)
	owed = floor(owed)
	owed.Amount = owed.Amount.Add(s.KeptAsGain.Amount)
	return owed
}

// Captured is the money that came in.
func (s State) Captured() unit.Money { return s.succeeded(Capture) }

// Returned is the money that went out again: refunds and chargebacks, less chargebacks that were
// reversed.
func (s State) Returned() unit.Money {
	return s.succeeded(Refund, Chargeback).Minus(s.succeeded(Reversal))
}

// Kept is the money that the shop has.
func (s State) Kept() unit.Money { return s.Captured().Minus(s.Returned()) }

// Compensated is the money that was given on top, without a change of what is owed.
func (s State) Compensated() unit.Money {
	return s.sum(func(t Transaction) bool { return t.Type == Refund && t.State == Succeeded && t.Purpose == Compensation })
}

// Balance is what the shop has more than the order owes; below zero if it has less.
func (s State) Balance() unit.Money {
	balance := s.Kept().Plus(s.Compensated()).Minus(s.Owed())
	balance.Amount = balance.Amount.Add(s.Lost.Amount)
	return balance
}

// InFlight is the money of settlement refunds whose outcome is not known yet.
func (s State) InFlight() unit.Money {
	return s.sum(func(t Transaction) bool { return t.Type == Refund && t.State == Pending && t.Purpose != Compensation })
}

// ToReturn is what has to be given back, and for which no refund is under way.
func (s State) ToReturn() unit.Money { return floor(s.Balance().Minus(s.InFlight())) }

// ToCollect is what is still to be paid.
func (s State) ToCollect() unit.Money { return floor(s.Balance().Negated()) }

// Unexplained is the money of refunds that somebody has made without this program, as far as
// nothing accounts for it.
func (s State) Unexplained() unit.Money {
	total := unit.Zero(s.Currency())
	for _, t := range s.Transactions {
		if t.Unexplained != nil && t.State == Succeeded && t.Unexplained.Currency == total.Currency {
			total = total.Plus(*t.Unexplained)
		}
	}
	if most := s.ToCollect(); total.Compare(most) > 0 {
		return most
	}
	return total
}

// PaymentState compares an order's money with what is owed. It is computed, and never set.
type PaymentState string

const (
	Unpaid              PaymentState = "unpaid"
	PaymentAuthorized   PaymentState = "authorized"
	PartiallyAuthorized PaymentState = "partially_authorized"
	PartiallyPaid       PaymentState = "partially_paid"
	Paid                PaymentState = "paid"
	PartiallyRefunded   PaymentState = "partially_refunded"
	Refunded            PaymentState = "refunded"
	Overpaid            PaymentState = "overpaid" // money is owed back, or is on its way back
	Due                 PaymentState = "due"      // it was paid, and the money went back although it is owed
	Voided              PaymentState = "voided"
)

// PaymentState compares what was paid with what is owed. An order that owes nothing is paid without
// a transaction (a free order). If such an order was canceled or has expired, or if its goods came
// back, it is unpaid, because nothing was paid.
func (s State) PaymentState() PaymentState {
	owed, captured := s.Owed(), s.Captured()
	if captured.Sign() == 0 {
		authorized := s.Authorized()
		switch {
		case authorized.Sign() > 0 && authorized.Compare(owed) >= 0:
			return PaymentAuthorized
		case authorized.Sign() > 0:
			return PartiallyAuthorized
		case s.succeeded(Void).Sign() > 0:
			return Voided
		case owed.Sign() == 0 && !s.expiredOrCanceled() && s.Credited.Sign() == 0:
			return Paid
		}
		return Unpaid
	}
	kept, balance := s.Kept(), s.Balance()
	switch {
	case balance.Sign() > 0:
		return Overpaid
	case balance.Sign() < 0 && (captured.Compare(owed) >= 0 || kept.Sign() <= 0):
		return Due
	case balance.Sign() < 0:
		return PartiallyPaid
	case owed.Sign() == 0 && kept.Sign() <= 0:
		return Refunded
	case s.Returned().Minus(s.Compensated()).Sign() > 0 && s.reduced():
		return PartiallyRefunded
	}
	return Paid
}

// reduced tells whether anything was taken off the order.
func (s State) reduced() bool {
	if s.Credited.Sign() > 0 {
		return true
	}
	for _, l := range s.Lines {
		if l.Canceled > 0 {
			return true
		}
	}
	return false
}

// paidUp tells whether exactly what is owed was paid.
func (s State) paidUp() bool { return s.Balance().Sign() == 0 }

// Disputed tells whether a bank's question about a payment is open.
func (s State) Disputed() bool {
	for _, t := range s.Transactions {
		if t.Type == Dispute && t.State == Pending {
			return true
		}
	}
	return false
}

// Attention is a reason why a person has to look at an order.
type Attention string

// The reasons.
const (
	StockLost         Attention = "stock_lost"
	MoneyToReturn     Attention = "to_return"              // money is owed back, and no refund is under way
	MoneyDue          Attention = "due"                    // see Due
	RefundFailed      Attention = "refund_failed"          // and its money is still to be returned
	RefundUnknown     Attention = "refund_unknown"         // the provider has not said how it ended
	RefundUnplaced    Attention = "refund_unplaced"        // a part of it fits no payment
	RefundUnexplained Attention = "refund_unexplained"     // see TransactionRecorded.Unexplained
	DisputeOpen       Attention = "dispute_open"           // a bank waits for a reply
	ParcelAstray      Attention = "parcel_undelivered"     // a parcel did not arrive, and nobody has said what follows
	Unreadable        Attention = "transaction_unreadable" // see TransactionUnreadable
)

// Attention lists why a person has to look at the order, in the order of the constants.
func (s State) Attention() (reasons []Attention) {
	add := func(on bool, reason Attention) {
		if on {
			reasons = append(reasons, reason)
		}
	}
	add(s.AllocationFailed, StockLost)
	add(s.parcelAstray(), ParcelAstray)
	if len(s.Transactions) == 0 && len(s.Unreadable) == 0 { // nearly all orders, and the sums below take time
		return reasons
	}
	toReturn := s.ToReturn().Sign() > 0
	add(toReturn, MoneyToReturn)
	add(s.PaymentState() == Due, MoneyDue)
	var failed, unknown, unplaced bool
	for _, refund := range s.Refunds {
		for _, part := range refund.Parts {
			failed = failed || part.State == RefundHasFailed
			unknown = unknown || part.State == RefundIsUnknown
		}
		unplaced = unplaced || refund.Unplaced.Sign() > 0
	}
	add(failed && toReturn, RefundFailed)
	add(unknown, RefundUnknown)
	add(unplaced && toReturn, RefundUnplaced)
	add(s.Unexplained().Sign() > 0, RefundUnexplained)
	add(s.Disputed(), DisputeOpen)
	add(len(s.Unreadable) > 0, Unreadable)
	return reasons
}

// NeedsAttention tells whether a person has to look at the order.
func (s State) NeedsAttention() bool { return len(s.Attention()) > 0 }
