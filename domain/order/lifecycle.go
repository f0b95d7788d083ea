package order

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// claim records which cart has the order id, if no cart has it yet.
func claim(cmd Claim, s State) ([]Event, error) {
	switch {
	case !s.MayBelongTo(cmd.CartID):
		return nil, idTaken(cmd.OrderID)
	case s.CartID == cmd.CartID:
		return nil, nil
	}
	return []Event{Claimed{CartID: cmd.CartID}}, nil
}

// place refuses an order only if another cart has the order id; then the checkout is
// withdrawn. Nothing else that checkout.Place makes from a recorded CheckedOut is refused,
// because that would leave its stock reserved for no order. So no amount is refused here. An
// order whose total is zero, or below zero because of a discount, owes nothing.
func place(cmd Place, s State) ([]Event, error) {
	if !s.MayBelongTo(cmd.CartID) {
		return nil, idTaken(cmd.OrderID)
	}
	if s.Exists() {
		if s.sameAs(cmd) {
			return nil, nil
		}
		return nil, ErrExists
	}
	if cmd.QuoteWithOrder {
		return nil, errNeverPlaced
	}
	if len(cmd.Lines) == 0 {
		return nil, ErrEmpty
	}
	for i, l := range cmd.Lines {
		switch {
		case i > 0 && l.Number <= cmd.Lines[i-1].Number:
			return nil, ErrLinesDisordered
		case l.Quantity <= 0:
			return nil, ErrLineQuantityInvalid
		case l.Price.Currency != cmd.Currency:
			return nil, ErrCurrencyMixed
		}
	}
	if err := quoteFault(cmd.Quote, cmd.Lines, cmd.Currency); err != nil {
		return nil, err
	}
	total := totalOf(cmd)
	if !coverExactly(cmd.Reservations, cmd.Lines) {
		return nil, ErrNotReserved
	}
	return []Event{Placed{
		OrderID: cmd.OrderID, CartID: cmd.CartID, CustomerID: cmd.CustomerID, Reference: cmd.Reference,
		Currency: cmd.Currency, Country: cmd.Country, Details: cmd.Details, Lines: cmd.Lines, Reservations: cmd.Reservations,
		Quote: cmd.Quote, RoundedLines: cmd.RoundedLines && cmd.Quote == nil,
		Total: total, Charge: total.Charge(), Holds: cmd.Holds, ConfirmBy: cmd.ConfirmBy.UTC(),
	}}, nil
}

// errNeverPlaced means that the log has lost an event. The two were appended together.
var errNeverPlaced = errors.New("the checkout says that its order was recorded with it, but there is no order")

// coverExactly compares the reservations with what the stocked lines need, for each SKU. A
// SKU has at most one reservation at a location.
func coverExactly(reservations []cart.Reservation, lines []cart.Line) bool {
	type place struct {
		sku      unit.SKU
		location unit.LocationID
	}
	places := make(map[place]bool, len(reservations))
	balance := make(map[unit.SKU]unit.Quantity, len(reservations))
	for _, h := range reservations {
		at := place{h.SKU, h.Location}
		if h.Quantity <= 0 || places[at] {
			return false
		}
		places[at] = true
		balance[h.SKU] += h.Quantity
	}
	for _, l := range lines {
		if l.Kind == unit.Stocked {
			balance[l.SKU] -= l.Quantity
		}
	}
	for rest := range maps.Values(balance) {
		if rest != 0 {
			return false
		}
	}
	return true
}

// sameAs compares a repeated Place with the order, by everything that the rules use. The
// texts of a line (its title, and its code as given) are not compared.
func (s State) sameAs(cmd Place) bool {
	if cmd.OrderID != s.OrderID || cmd.CartID != s.CartID || cmd.CustomerID != s.placedFor() ||
		cmd.Reference != s.Reference || cmd.Country != s.Country || cmd.Currency != s.Currency() ||
		!cmd.ConfirmBy.Equal(s.placedUntil()) || !cmd.QuoteWithOrder && !sameQuote(cmd.Quote, s.Quote) || !sameHolds(cmd.Holds, s.Holds) || len(cmd.Lines) != len(s.Lines) || len(cmd.Reservations) != len(s.Holdings) {
		return false
	}
	for i, l := range cmd.Lines {
		have := s.Lines[i]
		if l.Number != have.Number || l.SKU != have.SKU || l.Kind != have.Kind || l.Quantity != have.Quantity || !l.Price.Equal(have.Price) {
			return false
		}
	}
	for _, h := range cmd.Reservations {
		i := s.holdingIndex(h.SKU, h.Location)
		// After a retry, the holding has the reservation of the retry.
		if i < 0 || s.Holdings[i].ReservationID != h.ReservationID && s.Retries == 0 || s.Holdings[i].Quantity != h.Quantity {
			return false
		}
	}
	return true
}

func newPlaced(e Placed) State {
	s := State{
		OrderID: e.OrderID, CartID: e.CartID, CustomerID: e.CustomerID, Reference: e.Reference, Country: e.Country, Details: e.Details,
		Status: StatusPending, ConfirmBy: e.ConfirmBy, Total: e.Total, Holds: e.Holds,
		Credited: unit.Zero(e.Total.Currency), CreditedWorth: unit.Zero(e.Total.Currency),
		WrittenOff: unit.Zero(e.Total.Currency), Lost: unit.Zero(e.Total.Currency), KeptAsGain: unit.Zero(e.Total.Currency),
		Lines:    make([]Line, len(e.Lines)),
		Holdings: make([]Holding, len(e.Reservations)),
	}
	for i, l := range e.Lines {
		s.Lines[i] = Line{Number: l.Number, SKU: l.SKU, Kind: l.Kind, Quantity: l.Quantity, Price: l.Price}
	}
	s.openAccounts(e)
	for i, h := range e.Reservations {
		s.Holdings[i] = Holding{ReservationID: h.ReservationID, SKU: h.SKU, Location: h.Location, Quantity: h.Quantity}
	}
	slices.SortStableFunc(s.Holdings, func(a, b Holding) int { return cmp.Compare(a.SKU, b.SKU) })
	return s
}

// confirm does not check the payment, because the merchant decides whether an order is confirmed
// before it is paid. After the deadline, an order that has not ended yet can be confirmed if its
// money is there, as Expire would do it.
func confirm(cmd Confirm, s State) ([]Event, error) {
	switch {
	case s.Status == StatusConfirmed || s.Status == StatusCompleted:
		return nil, nil
	case s.Status == StatusCanceled:
		return nil, ErrCanceled
	case s.Status == StatusExpired || !cmd.Now.Before(s.ConfirmBy) && s.cover() == "":
		return nil, ErrExpired
	case s.OnHold:
		return nil, ErrOnHold
	}
	return []Event{Confirmed{Allocated: cmd.Allocated && s.asPlaced()}}, nil
}

// asPlaced tells whether nothing of the order was canceled or given back so far.
func (s State) asPlaced() bool {
	return !slices.ContainsFunc(s.Holdings, func(h Holding) bool { return h.Released || h.Canceled > 0 })
}

// applyConfirmed turns every reservation into an allocation.
func (s *State) applyConfirmed(e Confirmed) {
	s.Status = StatusConfirmed
	s.commitHolds()
	if e.Allocated {
		return
	}
	moves := make([]Move, 0, len(s.Holdings))
	for _, h := range s.Holdings {
		if !h.Released {
			reserved := Move{SKU: h.SKU, Location: h.Location, ReservationID: h.ReservationID, Quantity: h.Quantity}
			moves = append(moves, commits(reserved, h.Canceled)...)
		}
	}
	s.openStep(StepRef{Step: StepConfirm}, moves)
}

func hold(cmd Hold, s State) ([]Event, error) {
	if no := s.ended(); no != nil {
		return nil, no
	}
	if s.OnHold && s.HoldReason == cmd.Reason {
		return nil, nil
	}
	return []Event{PutOnHold{Reason: cmd.Reason}}, nil
}

// releaseHold also decides about an order whose deadline passed during the hold, because the timer
// left the order as it was.
func releaseHold(cmd ReleaseHold, s State) ([]Event, error) {
	if !s.OnHold {
		return nil, nil
	}
	s.OnHold = false
	due, err := expire(Expire{Now: cmd.Now}, s)
	return append([]Event{HoldReleased{}}, due...), err
}

// expire decides about a pending order whose deadline has passed. A timer sends the command, and it
// may be late or early. So any other order stays as it is.
//
// The money decides. If it is there, the order is confirmed, even if the call that should have
// confirmed it was lost. If a part of it is there, the order ends, and what came is given back. For
// an order on hold the clock stands still: it waits for the release of the hold.
func expire(cmd Expire, s State) ([]Event, error) {
	if s.Status != StatusPending || s.OnHold || cmd.Now.Before(s.ConfirmBy) {
		return nil, nil
	}
	if cover := s.cover(); cover != "" {
		return []Event{Confirmed{Because: cover}}, nil
	}
	return s.refundOfEnd(RefundOfExpired, "", append([]Event{Expired{}}, s.orphansOfAll()...)...), nil
}

func (s *State) applyExpired() {
	moves := s.takeEverythingOff()
	s.endHolds(StatusExpired)
	s.Status = StatusExpired
	s.openStep(StepRef{Step: StepExpire}, moves)
}

// complete requires that everything stocked has arrived, and that exactly what is owed was
// paid. Money that is still due, or that is owed back, keeps the order open. A service need
// not be shipped.
func complete(s State) ([]Event, error) {
	switch s.Status {
	case StatusCompleted:
		return nil, nil
	case StatusCanceled:
		return nil, ErrCanceled
	case StatusExpired:
		return nil, ErrExpired
	case StatusPending:
		return nil, ErrNotConfirmed
	case StatusConfirmed:
	}
	if s.OnHold {
		return nil, ErrOnHold
	}
	if len(s.Unsettled) > 0 {
		return nil, ErrStockUnsettled
	}
	payment, fulfillment := s.PaymentState(), s.FulfillmentState()
	if !s.paidUp() || fulfillment != Arrived && fulfillment != NotRequired {
		return nil, ErrNotFinished.With("The order is not yet paid and delivered.",
			map[string]any{"payment_state": payment, "fulfillment_state": fulfillment})
	}
	return []Event{Completed{}}, nil
}

func archive(s State) ([]Event, error) {
	if s.ended() == nil {
		return nil, ErrNotFinished
	}
	if s.Archived {
		return nil, nil
	}
	return []Event{Archived{}}, nil
}

func unarchive(s State) ([]Event, error) {
	if !s.Archived {
		return nil, nil
	}
	return []Event{Unarchived{}}, nil
}
