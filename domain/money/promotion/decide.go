package promotion

import (
	"fmt"

	"daybook/domain/money/coupon"
	"daybook/domain/money/faults"
	"daybook/domain/unit"
	"daybook/domain/wire"
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Define:
		return define(cmd, s)
	case End:
		return end(cmd, s)
	case RequestCodes:
		return requestCodes(cmd, s)
	case HoldUse:
		return holdUse(cmd, s)
	case CommitUse:
		return commitUse(cmd, s)
	case ReleaseUse:
		return releaseUse(cmd, s)
	}
	panic("promotion: unknown command")
}

func define(cmd Define, s State) (events []Event, err error) {
	if s.Ended {
		return nil, ErrEnded
	}
	cmd.Terms = cmd.normal()
	if err := cmd.Faults().Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch {
	case s.ID == "":
		events = append(events, Created{ID: cmd.ID, Kind: cmd.Kind, Class: cmd.Class, Terms: cmd.Terms})
	case cmd.Kind != s.Kind:
		return nil, ErrFixed.With("/kind: "+ErrFixed.Detail, map[string]any{"field": "/kind"})
	case cmd.Class != s.Class:
		return nil, ErrFixed.With("/class: "+ErrFixed.Detail, map[string]any{"field": "/class"})
	case !sameTerms(cmd.Terms, s.Terms):
		events = append(events, Changed{cmd.Terms})
	}
	switch {
	case cmd.Active && !s.Active:
		events = append(events, Activated{})
	case !cmd.Active && s.Active:
		events = append(events, Deactivated{})
	}
	return events, nil
}

// normal are the terms with times in UTC.
func (t Terms) normal() Terms {
	t.Window.From, t.Window.Until = t.Window.From.UTC(), t.Window.Until.UTC()
	return t
}

// sameTerms compares the stored forms of two terms.
func sameTerms(a, b Terms) bool {
	_, one, err := wire.Write("", a)
	_, other, errs := wire.Write("", b)
	return err == nil && errs == nil && string(one) == string(other)
}

func end(cmd End, s State) ([]Event, error) {
	switch {
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended:
		return nil, nil
	}
	if err := faults.OfReason(cmd.Reason, ErrInvalid); err != nil {
		return nil, err
	}
	return []Event{Ended{Reason: cmd.Reason}}, nil
}

// MaxCodes is how many codes one request may name.
const MaxCodes = 500

// requestCodes has events each time. The command id of the request keeps a repetition from having
// more.
func requestCodes(cmd RequestCodes, s State) ([]Event, error) {
	switch {
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended && !cmd.Withdraw:
		return nil, ErrEnded
	}
	var found faults.List
	found.If(len(cmd.Codes) == 0 || len(cmd.Codes) > MaxCodes, "/codes", "want 1 to %d codes", MaxCodes)
	for i, code := range cmd.Codes {
		if folded, err := coupon.Fold(code); err != nil {
			found.Add(faults.At("/codes", i), "%s", err)
		} else if folded != code {
			found.Add(faults.At("/codes", i), "want %q", folded)
		}
	}
	if err := found.Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	return []Event{CodesRequested(cmd)}, nil
}

// holdUse counts what is held and what is final against the limits. A promotion that was stopped or
// changed since the cart was priced is still held: the quote of the cart says what was promised.
func holdUse(cmd HoldUse, s State) ([]Event, error) {
	if _, holds := s.Held[cmd.OrderID]; holds {
		return nil, nil
	}
	if cmd.Amount.Sign() < 0 || cmd.Amount.TooFine() {
		return nil, ErrInvalid.With("/amount: "+cmd.Amount.String()+" is no amount that a promotion can take off.", map[string]any{"field": "/amount"})
	}
	limits := s.Terms.Limits
	switch {
	case cmd.Limit > 0:
		if s.Uses() >= cmd.Limit {
			return nil, ErrUsedByCustomer.With(ErrUsedByCustomer.Detail, map[string]any{"limit": cmd.Limit})
		}
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended:
		return nil, ErrEnded
	case limits.Uses > 0 && s.Uses() >= limits.Uses:
		return nil, ErrExhausted.With(fmt.Sprintf("%s is used up: all %d uses are taken.", s.ID, limits.Uses), map[string]any{"promotion_id": s.ID, "limit": limits.Uses})
	}
	for _, budget := range limits.Budget {
		if cmd.Limit > 0 || cmd.Amount.Currency != budget.Currency {
			continue
		}
		if left := budget.Minus(s.Spent(budget.Currency)); cmd.Amount.Compare(left) > 0 {
			return nil, ErrExhausted.With(fmt.Sprintf("%s is used up: of its budget, %s are left, and %s are needed.", s.ID, floor(left), cmd.Amount),
				map[string]any{"promotion_id": s.ID, "left": floor(left), "requested": cmd.Amount})
		}
	}
	return []Event{UseHeld{OrderID: cmd.OrderID, CartID: cmd.CartID, Amount: cmd.Amount, ExpiresAt: cmd.ExpiresAt.UTC()}}, nil
}

func floor(m unit.Money) unit.Money {
	if m.Sign() < 0 {
		return unit.Zero(m.Currency)
	}
	return m
}

func commitUse(cmd CommitUse, s State) ([]Event, error) {
	hold, holds := s.Held[cmd.OrderID]
	if !holds {
		return nil, nil
	}
	return []Event{UseCommitted{OrderID: cmd.OrderID, Amount: hold.Amount}}, nil
}

func releaseUse(cmd ReleaseUse, s State) ([]Event, error) {
	hold, holds := s.Held[cmd.OrderID]
	switch {
	case holds && cmd.Expired:
		return []Event{UseExpired{OrderID: cmd.OrderID, Amount: hold.Amount}}, nil
	case holds:
		return []Event{UseReleased{OrderID: cmd.OrderID, Amount: hold.Amount, Reason: cmd.Reason}}, nil
	case cmd.Committed && s.Committed > 0:
		return []Event{UseReleased{OrderID: cmd.OrderID, Amount: cmd.Amount, Committed: true, Reason: cmd.Reason}}, nil
	}
	return nil, nil
}
