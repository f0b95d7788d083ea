package giftcard

import (
	"fmt"

	"daybook/domain/money/faults"
	"daybook/domain/unit"
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Issue:
		return issue(cmd, s)
	case ShowCode:
		return showCode(s)
	case Hold:
		return hold(cmd, s)
	case Redeem:
		return redeem(cmd, s)
	case Release:
		return release(cmd, s)
	case Revoke:
		return revoke(cmd, s)
	case CreditBack:
		return creditBack(cmd, s)
	case Expire:
		return expire(cmd, s)
	case Disable:
		return disable(cmd, s)
	}
	panic("giftcard: unknown command")
}

// amountFault says what is wrong with an amount that is to be moved.
func amountFault(amount unit.Money) (found faults.List) {
	if !found.Currency("/amount/currency", amount.Currency) {
		return found
	}
	found.If(amount.Sign() <= 0, "/amount", "%s is not more than zero", amount)
	found.If(amount.TooFine(), "/amount", "%s is finer than the currency", amount)
	found.If(!amount.WithinLimit(), "/amount", "want at most 18 digits before the point")
	return found
}

func issue(cmd Issue, s State) ([]Event, error) {
	found := amountFault(cmd.Amount)
	found.If(cmd.Kind != Card && cmd.Kind != Account, "/kind", "want gift_card or credit")
	found.If(cmd.ID == "", "/gift_card_id", "it is missing")
	found.If(cmd.Kind == Account && cmd.CustomerID == "", "/customer_id", "a credit account belongs to a customer")
	found.If(cmd.Kind == Card && cmd.CustomerID != "", "/customer_id", "a gift card belongs to whoever has its code")
	if fault := unit.TextFault(cmd.Reason, unit.MaxNote); fault != "" {
		found.Add("/reason", "%s", fault)
	}
	if err := found.Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	event := Issued{ID: cmd.ID, Kind: cmd.Kind, Amount: cmd.Amount, CustomerID: cmd.CustomerID, ExpiresAt: cmd.ExpiresAt.UTC(), Sold: cmd.Sold, Reason: cmd.Reason}
	switch {
	case s.Kind == Card && s.sameAs(event):
		return nil, nil
	case s.Kind == Card || s.Kind != "" && (s.Kind != cmd.Kind || s.CustomerID != cmd.CustomerID):
		return nil, ErrExists
	case s.Disabled:
		return nil, ErrDisabled
	case s.Exists() && s.Currency() != cmd.Amount.Currency:
		return nil, currencyDiffers(s, cmd.Amount)
	case !cmd.ExpiresAt.IsZero() && !cmd.Now.Before(cmd.ExpiresAt):
		return nil, ErrInvalid.With("/expires_at: the time has passed.", map[string]any{"field": "/expires_at"})
	case s.Exists() && !s.Issued.Plus(cmd.Amount).WithinLimit():
		return nil, ErrInvalid.With("/amount: what was issued in all must have at most 18 digits before the point.", map[string]any{"field": "/amount"})
	}
	return []Event{event}, nil
}

func (s State) sameAs(e Issued) bool {
	sold := (s.Sold == nil) == (e.Sold == nil) && (s.Sold == nil || *s.Sold == *e.Sold)
	return sold && s.ID == e.ID && s.Kind == e.Kind && s.Issued.Equal(e.Amount) && s.ExpiresAt.Equal(e.ExpiresAt)
}

func currencyDiffers(s State, amount unit.Money) error {
	return ErrCurrency.With(fmt.Sprintf("The gift card has %s, and not %s.", s.Currency(), amount.Currency), map[string]any{"currency": s.Currency()})
}

func showCode(s State) ([]Event, error) {
	switch {
	case !s.Exists() || s.Kind != Card:
		return nil, ErrNotFound
	case s.Shown:
		return nil, ErrCodeShown
	case s.Disabled:
		return nil, ErrDisabled
	}
	return []Event{CodeShown{}}, nil
}

func hold(cmd Hold, s State) ([]Event, error) {
	if !s.Exists() {
		return nil, ErrNotFound
	}
	if _, holds := s.Held[cmd.OrderID]; holds {
		return nil, nil
	}
	if err := amountFault(cmd.Amount).Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch {
	case s.Currency() != cmd.Amount.Currency:
		return nil, currencyDiffers(s, cmd.Amount)
	case s.Disabled:
		return nil, ErrDisabled
	case s.due(cmd.Now):
		return nil, ErrExpired
	}
	if free := s.free(); cmd.Amount.Compare(free) > 0 {
		return nil, ErrInsufficient.With(fmt.Sprintf("%s are asked for, and %s are left.", cmd.Amount, free), map[string]any{"available": free, "requested": cmd.Amount})
	}
	return []Event{Held{OrderID: cmd.OrderID, CartID: cmd.CartID, Amount: cmd.Amount, ExpiresAt: cmd.ExpiresAt.UTC()}}, nil
}

func redeem(cmd Redeem, s State) ([]Event, error) {
	held, holds := s.Held[cmd.OrderID]
	if !holds {
		return nil, nil
	}
	if cmd.Amount.Currency != held.Amount.Currency || cmd.Amount.Sign() <= 0 {
		return release(Release{OrderID: cmd.OrderID, Reason: NothingDue}, s)
	}
	amount := cmd.Amount
	if amount.Compare(held.Amount) > 0 {
		amount = held.Amount
	}
	return s.swept(Redeemed{OrderID: cmd.OrderID, Amount: amount}), nil
}

func release(cmd Release, s State) ([]Event, error) {
	held, holds := s.Held[cmd.OrderID]
	if !holds {
		return nil, nil
	}
	return s.swept(Released{OrderID: cmd.OrderID, Amount: held.Amount, Reason: cmd.Reason}), nil
}

// swept is an event that frees money. If the card has ended, that money is taken away at once.
func (s State) swept(event Event) []Event {
	after := Evolve(s.Clone(), event)
	free := after.free()
	switch {
	case free.Sign() <= 0:
	case after.Disabled:
		return []Event{event, Disabled{Amount: free}}
	case after.Expired:
		return []Event{event, Expired{Amount: free}}
	}
	return []Event{event}
}

// creditBack refuses a card that has ended, so that the refund is paid in another way.
func creditBack(cmd CreditBack, s State) ([]Event, error) {
	if !s.Exists() {
		return nil, ErrNotFound
	}
	if err := amountFault(cmd.Amount).Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch left := s.Redeemed.Amount.Sub(s.Back.Amount); {
	case s.Currency() != cmd.Amount.Currency:
		return nil, currencyDiffers(s, cmd.Amount)
	case s.Disabled:
		return nil, ErrDisabled
	case s.Expired:
		return nil, ErrExpired
	case cmd.Amount.Amount.GreaterThan(left):
		return nil, ErrBackTooMuch.With(ErrBackTooMuch.Detail, map[string]any{"limit": unit.Money{Amount: left, Currency: s.Currency()}, "requested": cmd.Amount})
	}
	return []Event{CreditedBack(cmd)}, nil
}

func expire(cmd Expire, s State) ([]Event, error) {
	if !s.Exists() || s.Disabled || s.Expired || !s.due(cmd.Now) {
		return nil, nil
	}
	return []Event{Expired{Amount: s.free()}}, nil
}

func revoke(cmd Revoke, s State) ([]Event, error) {
	switch {
	case s.Disabled:
		return nil, nil
	case !s.Exists():
		return []Event{Disabled{Amount: unit.Zero(cmd.Currency)}}, nil
	case s.Expired:
		return []Event{Disabled{Amount: unit.Zero(s.Currency())}}, nil
	}
	return []Event{Disabled{Amount: s.free()}}, nil
}

func disable(cmd Disable, s State) ([]Event, error) {
	switch {
	case !s.Exists():
		return nil, ErrNotFound
	case s.Disabled:
		return nil, nil
	}
	if fault := unit.TextFault(cmd.Reason, unit.MaxNote); fault != "" {
		return nil, ErrInvalid.With("/reason: "+fault+".", map[string]any{"field": "/reason"})
	}
	return []Event{Disabled{Amount: s.free(), Reason: cmd.Reason}}, nil
}
