package product

import (
	"slices"

	"daybook/domain/money/faults"
	"daybook/domain/unit"
)

// MaxGrams is the largest weight of one unit: 100 tons.
const MaxGrams = 100_000_000

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case List:
		return list(cmd, s)
	case SetPrice:
		return setPrice(cmd, s)
	case Describe:
		return describe(cmd, s)
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
	case cmd.Price.Sign() < 0:
		return nil, ErrPriceNegative
	}
	if now, priced := s.Prices[cmd.Price.Currency]; priced && now.Equal(cmd.Price) {
		return nil, nil
	}
	return []Event{Priced{Price: cmd.Price}}, nil
}

func describe(cmd Describe, s State) ([]Event, error) {
	switch s.Phase {
	case NotListed:
		return nil, ErrNotFound
	case OffSale:
		return nil, ErrRetired
	case OnSale:
	}
	next := s.Description
	if cmd.TaxClass != nil {
		next.TaxClass = *cmd.TaxClass
	}
	if cmd.Categories != nil {
		next.Categories = *cmd.Categories
	}
	if cmd.Grams != nil {
		next.Grams = *cmd.Grams
	}
	if cmd.GiftCard != nil {
		next.GiftCard = *cmd.GiftCard
	}
	var found faults.List
	found.Code("/tax_class", next.TaxClass)
	found.Codes("/categories", next.Categories)
	found.If(next.Grams < 0 || next.Grams > MaxGrams, "/weight_grams", "want 0 to %d", MaxGrams)
	found.If(next.GiftCard && s.Kind != unit.Service, "/gift_card", "a gift card is a service, because there is no stock of it")
	if err := found.Refusal(ErrDescriptionInvalid); err != nil {
		return nil, err
	}
	if next.same(s.Description) {
		return nil, nil
	}
	return []Event{Described{next}}, nil
}

func (d Description) same(other Description) bool {
	return d.TaxClass == other.TaxClass && slices.Equal(d.Categories, other.Categories) && d.Grams == other.Grams && d.GiftCard == other.GiftCard
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
