package returns

import (
	"slices"

	"daybook/domain/refunds"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
//
// Texts are checked last. So a command that repeats what an older program has recorded still
// changes nothing.
func Decide(cmd Command, s State) ([]Event, error) {
	events, err := decide(cmd, s)
	if err == nil && len(events) > 0 {
		err = texts(cmd)
	}
	if err != nil {
		return nil, err
	}
	return events, nil
}

func decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Request:
		return request(cmd, s)
	case NoteCredit:
		return noteCredit(cmd, s)
	case Admit, RefuseAdmission, Approve, Decline, Cancel, Receive, RecordRefund, Close, TakeOver, SettleStock, SettleOrders, WithdrawRefund:
	}
	switch s.Status {
	case "":
		return nil, ErrNotFound
	case StatusNoted:
		return nil, ErrCreditNote
	case StatusRequested, StatusOpen, StatusReceived, StatusClosed, StatusDeclined, StatusCanceled:
	}
	switch cmd := cmd.(type) {
	case Request, NoteCredit: // answered above
	case Admit:
		return admit(s)
	case RefuseAdmission:
		return refuseAdmission(cmd, s)
	case Approve:
		return approve(s)
	case Decline:
		return decline(cmd, s)
	case Cancel:
		return cancel(cmd, s)
	case Receive:
		return receive(cmd, s)
	case RecordRefund:
		return recordRefund(cmd, s)
	case Close:
		return closeReturn(s)
	case TakeOver:
		return takeOver(cmd, s)
	case SettleStock:
		return settleStock(cmd, s)
	case SettleOrders:
		return settleOrders(cmd, s)
	case WithdrawRefund:
		return withdrawRefund(cmd, s)
	}
	panic("returns: unknown command") // a programmer's error, never input
}

func request(cmd Request, s State) ([]Event, error) {
	e := Requested{
		ReturnID: cmd.ReturnID, OrderID: cmd.OrderID, CustomerID: cmd.CustomerID, CartID: cmd.CartID, Reference: cmd.Reference,
		Currency: cmd.Currency, Country: cmd.Country, Lines: numbered(cmd.Lines), Reason: cmd.Reason,
		Admit: byOrder(cmd.Lines),
	}
	if s.Exists() {
		if s.TakenOverBy != "" && e.CustomerID == s.TakenOverBy {
			e.CustomerID = s.Requested.CustomerID // the return has this customer by now
		}
		if s.Status != StatusNoted && sameRequest(s.Requested, e) {
			return nil, nil
		}
		return nil, ErrExists
	}
	if len(e.Lines) == 0 {
		return nil, ErrEmpty
	}
	all := sum{worth: unit.Zero(e.Currency)}
	for _, l := range e.Lines {
		switch {
		case !l.Quantity.Valid():
			return nil, ErrQuantityInvalid
		case l.Price.Currency != e.Currency:
			return nil, ErrCurrencyMixed
		case l.Kind != unit.Service && l.Price.Sign() < 0:
			return nil, ErrPriceNegative.With(ErrPriceNegative.Detail, map[string]any{"line": l.Number})
		}
		if err := all.add(l.Quantity, l.Price); err != nil {
			// The sums are limited, because all units of a SKU may become one movement of stock.
			return nil, err
		}
		var linked unit.Quantity
		for _, link := range l.Links {
			if link.Quantity <= 0 || link.Quantity > unit.MaxQuantity {
				return nil, ErrQuantityInvalid
			}
			linked += link.Quantity
		}
		if linked > l.Quantity {
			return nil, ErrLinkExceeded.With(ErrLinkExceeded.Detail,
				map[string]any{"line": l.Number, "linked": linked, "quantity": l.Quantity})
		}
	}
	return []Event{e}, nil
}

// sum adds the absolute totals of the lines of a return.
type sum struct {
	units unit.Quantity
	worth unit.Money
}

// add refuses a line if a sum would exceed its limit with it.
func (s *sum) add(units unit.Quantity, price unit.Money) error {
	if units < 0 {
		units = -max(units, -unit.MaxQuantity-1)
	}
	if units > unit.MaxQuantity-s.units {
		return ErrUnitLimit.With(ErrUnitLimit.Detail, map[string]any{"limit": unit.MaxQuantity, "units": s.units, "quantity": units})
	}
	s.units += units
	s.worth = s.worth.Plus(price.Abs().Times(units))
	if !s.worth.WithinLimit() {
		return ErrAmountLimit.With(ErrAmountLimit.Detail, map[string]any{"worth": s.worth, "quantity": units})
	}
	return nil
}

func numbered(lines []Line) []Line {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i].Number = i + 1
	}
	return lines
}

// sameRequest does not compare the cart, because it follows from the order.
func sameRequest(a, b Requested) bool {
	return a.ReturnID == b.ReturnID && a.OrderID == b.OrderID && a.CustomerID == b.CustomerID && a.Reference == b.Reference &&
		a.Currency == b.Currency && a.Country == b.Country && a.Reason == b.Reason &&
		slices.EqualFunc(a.Lines, b.Lines, func(a, b Line) bool {
			// The title and the kind of a line come from the catalogue, and may have changed since.
			return a.SKU == b.SKU && a.SKUText == b.SKUText &&
				a.Quantity == b.Quantity && a.Price.Equal(b.Price) && slices.Equal(a.Links, b.Links)
		})
}

func noteCredit(cmd NoteCredit, s State) ([]Event, error) {
	e := CreditNoted{
		ReturnID: cmd.ReturnID, CustomerID: cmd.CustomerID, Reference: cmd.Reference, Country: cmd.Country,
		Reason: cmd.Reason, Lines: slices.Clone(cmd.Lines), Amount: unit.Zero(cmd.Currency),
	}
	for i, l := range e.Lines {
		if l.Price.Currency != cmd.Currency {
			return nil, ErrCurrencyMixed
		}
		e.Lines[i].Number = i + 1
		e.Amount = e.Amount.Plus(l.Price.Times(l.Quantity))
	}
	if s.Exists() {
		if s.Status == StatusNoted && sameNote(s.Noted, e) {
			return nil, nil
		}
		return nil, ErrExists
	}
	if len(e.Lines) == 0 {
		return nil, ErrEmpty
	}
	all := sum{worth: unit.Zero(cmd.Currency)}
	for _, l := range e.Lines {
		if err := all.add(l.Quantity, l.Price); err != nil {
			return nil, err
		}
	}
	return []Event{e}, nil
}

func sameNote(a, b CreditNoted) bool {
	return a.ReturnID == b.ReturnID && a.CustomerID == b.CustomerID && a.Reference == b.Reference && a.Country == b.Country &&
		a.Reason == b.Reason && a.Amount.Equal(b.Amount) && slices.EqualFunc(a.Lines, b.Lines, func(a, b CreditLine) bool {
		return a.SKU == b.SKU && a.SKUText == b.SKUText && a.Title == b.Title && a.Quantity == b.Quantity && a.Price.Equal(b.Price)
	})
}

func approve(s State) ([]Event, error) {
	if s.Status == StatusOpen || s.Status == StatusReceived || s.Status == StatusClosed {
		return nil, nil
	}
	if err := s.refusal(StatusRequested); err != nil {
		return nil, err
	}
	if s.Admission == AdmissionAsked {
		return nil, ErrNotAdmitted
	}
	return []Event{Approved{Credits: s.creditsOfServices()}}, nil
}

func decline(cmd Decline, s State) ([]Event, error) {
	if s.Status == StatusDeclined {
		return nil, nil
	}
	if err := s.refusal(StatusRequested); err != nil {
		return nil, err
	}
	return []Event{Declined{Reason: cmd.Reason}}, nil
}

func cancel(cmd Cancel, s State) ([]Event, error) {
	if s.Status == StatusCanceled {
		return nil, nil
	}
	if err := s.refusal(StatusRequested, StatusOpen); err != nil {
		return nil, err
	}
	if len(s.Refunds) > 0 {
		// The refund was for services, because goods are refunded only after they have arrived. A
		// cancel would release the services at their order, and another return could refund them
		// again.
		return nil, ErrRefunded
	}
	return []Event{Canceled{Reason: cmd.Reason}}, nil
}

func receive(cmd Receive, s State) ([]Event, error) {
	next := len(s.Receipts) + 1
	if cmd.Receipt >= 1 && cmd.Receipt < next {
		if slices.Equal(s.Receipts[cmd.Receipt-1].Lines, cmd.Lines) {
			return nil, nil
		}
		return nil, ErrReceiptDiffers
	}
	if err := s.refusal(StatusOpen, StatusReceived); err != nil {
		return nil, err
	}
	if cmd.Receipt != 0 && cmd.Receipt != next {
		return nil, ErrReceiptOrder.With(ErrReceiptOrder.Detail, map[string]any{"next": next})
	}
	if len(cmd.Lines) == 0 {
		return nil, ErrEmpty
	}
	awaited := make([]unit.Quantity, len(s.Lines))
	for i, l := range s.Lines {
		awaited[i] = l.Awaited()
	}
	for _, l := range cmd.Lines {
		if no := s.mayReceive(l, awaited); no != nil {
			return nil, no
		}
		awaited[l.Line-1] -= l.Quantity
	}
	return []Event{Received{Receipt: next, Lines: cmd.Lines, Credits: s.creditsOf(cmd.Lines)}}, nil
}

func (s State) mayReceive(l ReceivedLine, awaited []unit.Quantity) *rule.Rejection {
	switch {
	case l.Line < 1 || l.Line > len(s.Lines):
		return ErrLineUnknown.With(ErrLineUnknown.Detail, map[string]any{"line": l.Line})
	case s.Lines[l.Line-1].Kind == unit.Service:
		return ErrServiceLine.With(ErrServiceLine.Detail, map[string]any{"line": l.Line})
	case l.Quantity <= 0:
		return ErrQuantityInvalid
	case l.Quantity > awaited[l.Line-1]:
		return ErrQuantityExceeded.With(ErrQuantityExceeded.Detail,
			map[string]any{"line": l.Line, "awaited": awaited[l.Line-1], "requested": l.Quantity})
	}
	switch l.Disposition {
	case Restocked, Damaged, Lost, WrongItem, WrittenOff:
		return nil
	}
	return ErrDispositionWrong
}

// recordRefund is allowed after the return is closed, too, because money often takes longer
// than goods.
func recordRefund(cmd RecordRefund, s State) ([]Event, error) {
	e := Refunded{TransactionID: cmd.TransactionID, Amount: cmd.Amount, Provider: cmd.Provider, Reference: cmd.Reference, Limit: cmd.Limit}
	for _, have := range s.Refunds {
		if have.TransactionID != e.TransactionID {
			continue
		}
		if have.Amount.Equal(e.Amount) && have.Provider == e.Provider && have.Reference == e.Reference {
			return nil, nil
		}
		return nil, ErrRefundDiffers
	}
	if err := s.refusal(StatusOpen, StatusReceived, StatusClosed); err != nil {
		return nil, err
	}
	if e.Amount.Currency != s.Requested.Currency {
		return nil, ErrCurrencyDiffers
	}
	if e.Amount.Sign() <= 0 {
		return nil, ErrAmountInvalid
	}
	// Earlier versions have recorded such refunds, and what they left must be given back.
	if e.Amount.TooFine() && !s.Refunded().TooFine() {
		return nil, ErrAmountTooFine
	}
	if left := s.Refundable().Minus(s.Refunded()); e.Amount.Compare(left) > 0 {
		return nil, ErrAmountExceeded.With(ErrAmountExceeded.Detail,
			map[string]any{"refundable": left, "requested": e.Amount})
	}
	if e.Shares = cmd.Of; cmd.Of == nil {
		e.Shares = s.shares(e.Amount)
	}
	if err := s.mayGiveBack(e); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// mayGiveBack compares a refund with the limit of its sender. What belongs to no order counts on no
// order. Otherwise somebody with a limit could give back any amount, with several returns that name
// no order.
func (s State) mayGiveBack(e Refunded) error {
	ofNoOrder := e.Amount
	for _, share := range e.Shares {
		ofNoOrder = ofNoOrder.Minus(share.Amount)
	}
	if e.Limit != nil && ofNoOrder.Sign() > 0 {
		return ErrRefundOfNoOrder.With(ErrRefundOfNoOrder.Detail, map[string]any{"without_order": ofNoOrder, "requested": e.Amount})
	}
	return refunds.WithinLimit(e.Limit, s.Refunded(), e.Amount, ErrRefundLimit, "for one return")
}

// closeReturn requires that no unit is awaited any more. A return of services alone may be
// closed as soon as it is approved.
func closeReturn(s State) ([]Event, error) {
	if s.Status == StatusClosed {
		return nil, nil
	}
	if err := s.refusal(StatusOpen, StatusReceived); err != nil {
		return nil, err
	}
	for i, l := range s.Lines {
		if awaited := l.Awaited(); awaited > 0 {
			return nil, ErrNotFinished.With(ErrNotFinished.Detail, map[string]any{"line": i + 1, "awaited": awaited})
		}
	}
	return []Event{Closed{}}, nil
}

func settleStock(cmd SettleStock, s State) ([]Event, error) {
	open := slices.ContainsFunc(s.Unsettled, func(open OpenReceipt) bool { return open.Receipt == cmd.Receipt })
	if !open {
		return nil, nil // settled before, or a receipt that moved no stock
	}
	return []Event{StockSettled{Receipt: cmd.Receipt}}, nil
}
