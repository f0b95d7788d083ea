package payment

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Claim:
		switch s.OrderID {
		case cmd.OrderID:
			return nil, nil
		case "":
			return []Event{Claimed(cmd)}, nil
		}
		return nil, ErrClaimed
	}
	panic("payment: unknown command") // a programmer's error, never input
}
