package order

import (
	"daybook/domain/unit"
)

func amountOf(text string) *unit.Money {
	amount := pounds(text)
	return &amount
}

// creditOf is the event that lowers what is owed by a return.
func creditOf(id unit.ReturnID, amount string, lines ...CreditedLine) Credited {
	return Credited{
		CreditID: unit.CreditID("credit of " + string(id)), Cause: CreditForReturn, ReturnID: id, Lines: lines,
		Worth: pounds(amount), Amount: pounds(amount),
	}
}

// disputed is a bank's question about a capture, and deskRefund a refund that somebody has made at
// the provider's own desk.
var (
	disputed = TransactionRecorded{
		TransactionID: "d", Type: Dispute, State: Pending, Amount: pounds("17.47"), Parent: "cap", Provider: "stripe", Reference: "dp_1",
		Payment: "pi_1", Reason: "fraudulent", RespondBy: later,
	}
	deskRefund = TransactionRecorded{
		TransactionID: "re", Type: Refund, State: Succeeded, Amount: pounds("5"), Parent: "cap", Provider: "stripe", Reference: "re_9",
		Unexplained: amountOf("5"),
	}
)
