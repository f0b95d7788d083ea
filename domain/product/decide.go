package product

import "daybook/domain/unit"

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case List:
		return list(cmd, s)
	case SetPrice:
		return setPrice(cmd, s)
	case Retire:
		return retire(cmd, s)
	}
	panic("product: unknown command")
}

func list(cmd List, s State) ([]Event, error) {
	switch {
	case cmd.Title == "":
		return nil, ErrTitleInvalid
	case unit.LineFault(cmd.Title, unit.MaxTitle) != "":
		return nil, ErrTitleInvalid.With("The title is refused: "+unit.LineFault(cmd.Title, unit.MaxTitle)+".", nil)
	case !cmd.Kind.Known():
		return nil, ErrKindUnknown.With(ErrKindUnknown.Detail, map[string]any{"kind": cmd.Kind})
	case s.Phase != NotListed && cmd.Kind != s.Kind:
		return nil, ErrKindFixed.With(ErrKindFixed.Detail, map[string]any{"kind": s.Kind})
	case s.Phase == OnSale && cmd.Title == s.Title:
		return nil, nil
	case s.Phase == OnSale:
		return []Event{Retitled{Title: cmd.Title}}, nil
	}
	return []Event{Listed{SKU: cmd.SKU, Title: cmd.Title, Kind: cmd.Kind}}, nil
}

func setPrice(cmd SetPrice, s State) ([]Event, error) {
	switch {
	case s.Phase == NotListed:
		return nil, ErrNotFound
	case s.Phase == OffSale:
		return nil, ErrRetired
	case cmd.Price.Sign() < 0 && s.Kind != unit.Service:
		return nil, ErrPriceNegative
	}
	if now, priced := s.Prices[cmd.Price.Currency]; priced && now.Equal(cmd.Price) {
		return nil, nil
	}
	return []Event{Priced{Price: cmd.Price}}, nil
}

func retire(cmd Retire, s State) ([]Event, error) {
	switch {
	case s.Phase == NotListed:
		return nil, ErrNotFound
	case s.Phase == OffSale:
		return nil, nil
	case unit.TextFault(cmd.Reason, unit.MaxNote) != "":
		return nil, ErrTextTooLong.With("The reason is refused: "+unit.TextFault(cmd.Reason, unit.MaxNote)+".",
			map[string]any{"field": "reason", "max_characters": unit.MaxNote})
	}
	return []Event{Retired{Reason: cmd.Reason}}, nil
}
