package cart

import (
	"slices"

	"daybook/domain/unit"
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	if cmd, ok := cmd.(Open); ok {
		return open(cmd, s)
	}
	if s.Phase == NotOpened {
		return nil, ErrNotFound
	}
	switch cmd := cmd.(type) {
	case Open: // answered above
	case AddLine:
		return addLine(cmd, s)
	case ChangeQuantity:
		return changeQuantity(cmd, s)
	case RemoveLine:
		return removeLine(cmd, s)
	case SetLines:
		return setLines(cmd, s)
	case ChangeCustomer:
		return changeCustomer(cmd, s)
	case FollowOrder:
		return followOrder(cmd, s)
	case ChangeCountry:
		return changeCountry(cmd, s)
	case SetDetails:
		return setDetails(cmd, s)
	case AddCoupon:
		return addCoupon(cmd, s)
	case RemoveCoupon:
		return removeCoupon(cmd, s)
	case ChooseShipping:
		return chooseShipping(cmd, s)
	case GiveDiscount:
		return giveDiscount(cmd, s)
	case WithdrawDiscount:
		return withdrawDiscount(cmd, s)
	case SetTaxStatus:
		return setTaxStatus(cmd, s)
	case StartCheckout:
		return startCheckout(cmd, s)
	case RefuseCheckout:
		return refuseCheckout(cmd, s)
	case CompleteCheckout:
		return completeCheckout(cmd, s)
	case WithdrawCheckout:
		return withdrawCheckout(cmd, s)
	case Abandon:
		return abandon(cmd, s)
	case Expire:
		return expire(s)
	case MergeInto:
		return mergeInto(cmd, s)
	case MergeFrom:
		return mergeFrom(cmd, s)
	case DeclineMerge:
		return []Event{MergeDeclined(cmd)}, nil
	case RefuseMerge:
		return refuseMerge(cmd, s)
	}
	panic("cart: unknown command")
}

func open(cmd Open, s State) ([]Event, error) {
	opening := cmd.opening()
	was := s.openedFor()
	same := cmd.CustomerID == was.CustomerID && cmd.Currency == s.Currency && cmd.Country == was.Country && opening == s.Opening
	switch {
	case s.Phase != NotOpened && same:
		return nil, nil
	case s.Phase != NotOpened:
		return nil, ErrExists
	}
	if err := textFault("country", unit.LineFault(cmd.Country, unit.MaxReference), unit.MaxReference); err != nil {
		return nil, err
	}
	if err := textFault("channel", unit.LineFault(cmd.Channel, unit.MaxReference), unit.MaxReference); err != nil {
		return nil, err
	}
	event := Opened{CartID: cmd.CartID, CustomerID: cmd.CustomerID, Currency: cmd.Currency, Country: cmd.Country, Channel: cmd.Channel, Opening: opening}
	opened := Evolve(State{}, event)
	for _, line := range cmd.Lines {
		added, err := addLine(line, opened)
		if err != nil {
			return nil, err
		}
		opened = Evolve(opened, added[0])
	}
	event.Lines = opened.Lines
	return []Event{event}, nil
}

func addLine(cmd AddLine, s State) ([]Event, error) {
	line := Line{
		Number: s.LastLine + 1, SKU: cmd.SKU, SKUText: cmd.SKUText, Title: cmd.Offer.Title, Kind: cmd.Offer.Kind,
		Quantity: cmd.Quantity, Price: cmd.Offer.Price, Overridden: cmd.Offer.Overridden,
	}
	if line.SKUText == string(line.SKU) {
		line.SKUText = ""
	}
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case !line.Quantity.Valid():
		return nil, ErrQuantityInvalid
	case !line.Kind.Known():
		return nil, ErrKindUnknown
	case line.Price.Currency != s.Currency:
		return nil, ErrCurrencyMismatch.With(ErrCurrencyMismatch.Detail,
			map[string]any{"cart": s.Currency, "price": line.Price.Currency})
	case line.Price.Sign() < 0 && (!cmd.Offer.BelowZero || line.Kind != unit.Service):
		return nil, ErrPriceNegative
	}
	if err := line.texts(); err != nil {
		return nil, err
	}
	if i := s.sameOffer(line); cmd.Join && i >= 0 {
		if err := s.mayAdd(s.Lines[i], line.Quantity); err != nil {
			return nil, err
		}
		return []Event{QuantityChanged{Line: s.Lines[i].Number, Quantity: s.Lines[i].Quantity + line.Quantity}}, nil
	}
	if len(s.Lines) >= MaxLines || s.TextBytes+textBytes(line) > MaxTextBytes {
		return nil, ErrFull.With(ErrFull.Detail, map[string]any{"lines": len(s.Lines), "max_lines": MaxLines, "max_text_bytes": MaxTextBytes})
	}
	if err := s.mayAdd(line, line.Quantity); err != nil {
		return nil, err
	}
	return []Event{LineAdded{Line: line}}, nil
}

// sameOffer finds the first line that units of another line can be added to, or returns -1.
// Units with another price need a line of their own, because a line has one price.
func (s State) sameOffer(l Line) int {
	return slices.IndexFunc(s.Lines, func(old Line) bool {
		return old.SKU == l.SKU && old.Kind == l.Kind && old.Overridden == l.Overridden && old.Price.Equal(l.Price)
	})
}

// texts refuses a line with texts that cannot be recorded. A title of the catalogue is not
// checked here, because it was checked when the product was listed. A bad title that an older
// program listed does not stop the sale of the product.
func (l Line) texts() error {
	if err := textFault("sku_text", unit.LineFault(l.SKUText, unit.MaxReference), unit.MaxReference); err != nil {
		return err
	}
	fault := unit.LineFault(l.Title, unit.MaxTitle)
	if !l.Overridden && unit.Fits(l.Title, unit.MaxTitle) {
		fault = ""
	}
	return textFault("title", fault, unit.MaxTitle)
}

func changeQuantity(cmd ChangeQuantity, s State) ([]Event, error) {
	if cmd.Quantity == 0 {
		return removeLine(RemoveLine{Line: cmd.Line}, s)
	}
	if s.Phase != PhaseOpen {
		return nil, notOpen(s)
	}
	i, found := s.line(cmd.Line)
	switch {
	case !found:
		return nil, lineUnknown(cmd.Line)
	case !cmd.Quantity.Valid():
		return nil, ErrQuantityInvalid
	case s.Lines[i].Quantity == cmd.Quantity:
		return nil, nil
	}
	if err := s.mayAdd(s.Lines[i], cmd.Quantity-s.Lines[i].Quantity); err != nil {
		return nil, err
	}
	return []Event{QuantityChanged{Line: cmd.Line, Quantity: cmd.Quantity}}, nil
}

// mayAdd refuses more units of a line if a sum would exceed its limit. Fewer units are always
// allowed, because a cart that was filled before there were limits may exceed them.
func (s State) mayAdd(l Line, more unit.Quantity) error {
	if more <= 0 {
		return nil
	}
	s.addToTotals(l, more)
	return s.withinLimits(more)
}

// withinLimits checks the sums of the cart as if it had that many more units.
func (s State) withinLimits(more unit.Quantity) error {
	switch {
	case s.Units > unit.MaxQuantity:
		return ErrUnitLimit.With(ErrUnitLimit.Detail, map[string]any{"limit": unit.MaxQuantity, "units": s.Units - more, "quantity": more})
	case !s.AbsoluteTotal.WithinLimit():
		return ErrAmountLimit.With(ErrAmountLimit.Detail, map[string]any{"worth": s.AbsoluteTotal, "quantity": more})
	}
	return nil
}

func removeLine(cmd RemoveLine, s State) ([]Event, error) {
	if s.Phase != PhaseOpen {
		return nil, notOpen(s)
	}
	_, found := s.line(cmd.Line)
	switch {
	case found:
		return []Event{LineRemoved{Line: cmd.Line}}, nil
	case cmd.Line >= 1 && cmd.Line <= s.LastLine:
		return nil, nil // removed before
	}
	return nil, lineUnknown(cmd.Line)
}

// setLines takes units away before it adds any. Otherwise the sums could exceed a limit
// although the result does not.
func setLines(cmd SetLines, s State) ([]Event, error) {
	if s.Phase != PhaseOpen {
		return nil, notOpen(s)
	}
	wanted := make(map[int]unit.Quantity, len(cmd.Lines))
	for _, l := range cmd.Lines {
		wanted[l.Line] = l.Quantity
		_, found := s.line(l.Line)
		switch {
		case l.Quantity != 0 && !l.Quantity.Valid():
			return nil, ErrQuantityInvalid
		case !found && (l.Quantity != 0 || l.Line < 1 || l.Line > s.LastLine):
			return nil, lineUnknown(l.Line)
		}
	}
	var fewer, more []Event
	sums := s // its lines are not changed
	for _, l := range s.Lines {
		switch quantity := wanted[l.Number]; {
		case quantity == 0:
			fewer = append(fewer, LineRemoved{Line: l.Number})
			sums.addToTotals(l, -l.Quantity)
		case quantity < l.Quantity:
			fewer = append(fewer, QuantityChanged{Line: l.Number, Quantity: quantity})
			sums.addToTotals(l, quantity-l.Quantity)
		}
	}
	for _, l := range s.Lines {
		quantity := wanted[l.Number]
		if quantity <= l.Quantity {
			continue
		}
		if err := sums.mayAdd(l, quantity-l.Quantity); err != nil {
			return nil, err
		}
		more = append(more, QuantityChanged{Line: l.Number, Quantity: quantity})
		sums.addToTotals(l, quantity-l.Quantity)
	}
	return append(fewer, more...), nil
}

func changeCustomer(cmd ChangeCustomer, s State) ([]Event, error) {
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case cmd.CustomerID == s.CustomerID:
		return nil, nil
	}
	return []Event{CustomerChanged(cmd)}, nil
}

func followOrder(cmd FollowOrder, s State) ([]Event, error) {
	if s.Phase != Completed || s.OrderID != cmd.OrderID || s.CustomerID != "" || cmd.CustomerID == "" {
		return nil, nil
	}
	return []Event{CustomerChanged{CustomerID: cmd.CustomerID}}, nil
}

func changeCountry(cmd ChangeCountry, s State) ([]Event, error) {
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case cmd.Country == s.Country:
		return nil, nil
	case s.Details != nil && s.Details.Country() != "":
		return nil, ErrCountryOfAddress.With(ErrCountryOfAddress.Detail, map[string]any{"country": s.Details.Country()})
	}
	if err := textFault("country", unit.LineFault(cmd.Country, unit.MaxReference), unit.MaxReference); err != nil {
		return nil, err
	}
	return []Event{CountryChanged(cmd)}, nil
}

// abandon ends an open cart. It refuses a cart that is being checked out, because that cart
// may become an order at any moment.
func abandon(cmd Abandon, s State) ([]Event, error) {
	switch {
	case s.Phase == PhaseAbandoned:
		return nil, nil
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	}
	if err := textFault("reason", unit.TextFault(cmd.Reason, unit.MaxNote), unit.MaxNote); err != nil {
		return nil, err
	}
	return []Event{Abandoned{Reason: cmd.Reason}}, nil
}

func expire(s State) ([]Event, error) {
	switch s.Phase {
	case PhaseExpired:
		return nil, nil
	case PhaseOpen:
		return []Event{Expired{}}, nil
	case NotOpened, Completing, Completed, PhaseAbandoned, PhaseMerged:
	}
	return nil, notOpen(s)
}

// Distinct keeps the first of equal locations. A reservation's id is derived from its
// location, so a location that is named twice would be asked for the same reservation twice.
func Distinct(locations []unit.LocationID) []unit.LocationID {
	kept := make([]unit.LocationID, 0, len(locations))
	for _, l := range locations {
		if !slices.Contains(kept, l) {
			kept = append(kept, l)
		}
	}
	return kept
}
