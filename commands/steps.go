package commands

import (
	"fmt"

	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/returns"
)

// refuseSteps returns an error if one of the commands is a step of a process. Only the process may
// send it, because the step alone would leave the process half done. For example, Checkout sends
// cart.StartCheckout. A caller who sends a step has a programmer's error.
func refuseSteps[C any](commands []C) error {
	for _, command := range commands {
		if isStep(command) {
			return fmt.Errorf("commands: %T is a step of a process and cannot be sent alone", command)
		}
	}
	return nil
}

func isStep(command any) bool {
	switch command.(type) {
	case cart.StartCheckout, cart.RefuseCheckout, cart.CompleteCheckout, cart.WithdrawCheckout,
		cart.MergeInto, cart.MergeFrom, cart.DeclineMerge, cart.RefuseMerge,
		customer.MergeInto, customer.Absorb, customer.DeclineMerge, customer.RefuseMerge,
		order.Claim, order.Place, order.SettleStock, order.FailAllocation, order.RecoverAllocation,
		order.AdmitReturn, order.ReleaseReturn, order.RecordReturnRefund, order.TakeOver,
		promotion.HoldUse, promotion.CommitUse, promotion.ReleaseUse,
		cart.FollowOrder, returns.TakeOver,
		returns.Admit, returns.RefuseAdmission, returns.SettleStock, returns.SettleOrders, returns.WithdrawRefund:
		return true
	}
	return false
}
