package cart

import (
	"slices"

	"daybook/domain/contact"
	"daybook/domain/unit"
)

// startCheckout freezes the cart. A total below zero is refused here, and not when a line is
// added. So lines may be added in any order, for example a discount before the goods.
func startCheckout(cmd StartCheckout, s State) ([]Event, error) {
	if cmd.Policy == "" {
		cmd.Policy = AllOrNothing
	}
	if cmd.OrderIDFrom == "" {
		cmd.OrderIDFrom = FromCaller
	}
	if len(cmd.Sourcing.Locations) == 0 {
		cmd.Sourcing.Locations = []unit.LocationID{unit.DefaultLocation}
	}
	refused, err := s.refused(cmd.OrderID)
	switch {
	case err != nil:
		return nil, err
	case cmd.OrderID == s.OrderID && (s.Phase == Completing || s.Phase == Completed):
		return nil, nil
	case refused:
		return nil, decided(cmd.OrderID, OutcomeRefused)
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case len(s.Lines) == 0:
		return nil, ErrEmpty
	case cmd.ReserveUntil.IsZero():
		return nil, ErrNoDeadline
	case cmd.Policy != AllOrNothing && cmd.Policy != LineByLine:
		return nil, ErrPolicyUnknown
	case s.Total().Sign() < 0:
		return nil, ErrTotalNegative.With(ErrTotalNegative.Detail, map[string]any{"total": s.Total()})
	}
	if err := textFault("reference", unit.LineFault(cmd.Reference, unit.MaxReference), unit.MaxReference); err != nil {
		return nil, err
	}
	if err := s.withinLimits(0); err != nil { // the cart may have been filled before there were limits
		return nil, err
	}
	if cmd.Details != nil {
		if err := detailsFault(*cmd.Details); err != nil {
			return nil, err
		}
		s.Details = cmd.Details
	}
	lines, err := s.quoted(cmd.Quote)
	if err != nil {
		return nil, err
	}
	sourcing := Sourcing{Locations: Distinct(cmd.Sourcing.Locations), Split: cmd.Sourcing.Split}
	if len(cmd.Short) > 0 {
		asked := Asked{OrderIDFrom: cmd.OrderIDFrom, Reference: cmd.Reference, Sourcing: sourcing, Policy: cmd.Policy}
		return []Event{CheckoutRefused{OrderID: cmd.OrderID, Shortages: cmd.Short, Asked: &asked}}, nil
	}
	var more contact.Details
	if cmd.Defaults != nil {
		more = *cmd.Defaults
	}
	details, country := s.frozen(more)
	quote := frozenQuote(cmd.Quote)
	return []Event{CheckoutStarted{
		OrderID: cmd.OrderID, CartID: s.CartID, CustomerID: s.CustomerID, Currency: s.Currency, Country: country, Details: details,
		Reference: cmd.Reference, Lines: lines, Sourcing: sourcing,
		Policy: cmd.Policy, ReserveUntil: cmd.ReserveUntil.UTC(), OrderIDFrom: cmd.OrderIDFrom, Holds: cmd.Holds,
		Quote: quote, QuoteWithOrder: quote != nil && cmd.WithOrder, RoundedLines: cmd.RoundedLines || cmd.Quote != nil && cmd.Quote.Plain(),
	}}, nil
}

func refuseCheckout(cmd RefuseCheckout, s State) ([]Event, error) {
	refused, err := s.refused(cmd.OrderID)
	switch {
	case err != nil || refused:
		return nil, err
	case s.OrderID != cmd.OrderID || s.OrderID == "":
		return nil, ErrCheckoutUnknown.With(ErrCheckoutUnknown.Detail, map[string]any{"order_id": cmd.OrderID})
	case s.Phase == Completed:
		return nil, decided(cmd.OrderID, OutcomeCompleted)
	}
	return []Event{CheckoutRefused{OrderID: cmd.OrderID, Shortages: cmd.Shortages, Holds: cmd.Holds}}, nil
}

func withdrawCheckout(cmd WithdrawCheckout, s State) ([]Event, error) {
	switch {
	case slices.Contains(s.Refused, cmd.OrderID):
		return nil, nil
	case s.OrderID != cmd.OrderID || s.OrderID == "":
		return nil, ErrCheckoutUnknown.With(ErrCheckoutUnknown.Detail, map[string]any{"order_id": cmd.OrderID})
	}
	refused := CheckoutRefused{OrderID: cmd.OrderID, OrderIDTaken: true}
	if s.Phase == Completed {
		refused.Lines = slices.Clone(cmd.Lines)
	}
	return []Event{refused}, nil
}

func completeCheckout(cmd CompleteCheckout, s State) ([]Event, error) {
	refused, err := s.refused(cmd.OrderID)
	switch {
	case err != nil:
		return nil, err
	case refused:
		return nil, decided(cmd.OrderID, OutcomeRefused)
	case s.OrderID != cmd.OrderID || s.OrderID == "":
		return nil, ErrCheckoutUnknown.With(ErrCheckoutUnknown.Detail, map[string]any{"order_id": cmd.OrderID})
	case s.Phase == Completed:
		return nil, nil
	}
	return []Event{CheckedOut{OrderID: cmd.OrderID, Reservations: cmd.Reservations, Dropped: cmd.Dropped, Shortages: cmd.Shortages}}, nil
}
