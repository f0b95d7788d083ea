package payment

import "daybook/domain/unit"

// Command is what can be asked of a payment.
//
//sumtype:decl
type Command interface{ paymentCommand() }

// Claim gives a payment to an order. For the order that has it, the command changes nothing. For
// another order it is refused (payment-claimed).
type Claim struct {
	OrderID unit.OrderID
}

func (Claim) paymentCommand() {}
