package coupon

// Command is what can be asked of a code.
//
//sumtype:decl
type Command interface{ couponCommand() }

// Give gives a code to a promotion. If another promotion has it, the command is refused, unless
// that one has ended for good.
type Give struct {
	Code      string // as Fold makes it
	Promotion string
	// Ended is a promotion that has ended for good, as the caller has looked up.
	Ended string
}

// Withdraw takes a code back from a promotion. If another promotion has it, or none, it changes
// nothing.
type Withdraw struct {
	Code      string
	Promotion string
}

func (Give) couponCommand()     {}
func (Withdraw) couponCommand() {}
