package coupon

import (
	"fmt"

	"daybook/domain/money/faults"
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Give:
		return give(cmd, s)
	case Withdraw:
		return withdraw(cmd, s)
	}
	panic("coupon: unknown command")
}

func give(cmd Give, s State) ([]Event, error) {
	var found faults.List
	if folded, err := Fold(cmd.Code); err != nil {
		found.Add("/code", "%s", err)
	} else if folded != cmd.Code {
		found.Add("/code", "want %q", folded)
	}
	found.If(cmd.Promotion == "", "/promotion", "it is missing")
	found.Code("/promotion", cmd.Promotion)
	if err := found.Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch {
	case s.Promotion == cmd.Promotion:
		return nil, nil
	case s.Promotion != "" && s.Promotion != cmd.Ended:
		return nil, ErrTaken.With(fmt.Sprintf("The code %s belongs to the promotion %s.", cmd.Code, s.Promotion), map[string]any{"code": cmd.Code, "promotion_id": s.Promotion})
	}
	return []Event{Given{Code: cmd.Code, Promotion: cmd.Promotion}}, nil
}

func withdraw(cmd Withdraw, s State) ([]Event, error) {
	if s.Promotion == "" || s.Promotion != cmd.Promotion {
		return nil, nil
	}
	return []Event{Withdrawn{Code: s.Code, Promotion: s.Promotion}}, nil
}
