package fulfilment

import (
	"maps"
	"slices"
	"strconv"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Ask is what a return asks of an order. A second ask changes nothing.
type Ask struct {
	// ID is the same for every driver, also if it asks again. The command's id derives from it.
	ID      unit.Derived
	OrderID unit.OrderID
	Command order.Command
}

// Reply is what an order replied: Refusal is nil if it is done, and otherwise says why not.
type Reply struct {
	Ask     Ask
	Refusal *rule.Rejection
	// TakenOverBy is the customer who has taken over the order, if there is one. The driver reads
	// it after the order has replied.
	TakenOverBy unit.CustomerID
}

// ReturnProcess is one thing that a return has open with its orders:
//
//	requested              each order admits the units linked to it, or refuses
//	refused, declined,
//	canceled               the units are released at every order that may have
//	                       admitted them
//	refunded               the shares of the refund are recorded; a share that an
//	                       order refuses is taken back. All drivers ask with the limit
//	                       that the refund was recorded with, and an order that has once
//	                       refused or recorded a share stays with it. So they agree
//
// The return's stream is the referee: the first outcome of an admission stands. A driver that
// reaches another outcome follows the recorded one. A release is final at the order. So a late
// driver cannot make an order admit units that no driver will release.
type ReturnProcess struct {
	// Asks do not depend on each other, and name each order once.
	Asks []Ask

	step returns.OpenOrderStep // empty for an admission
	// withdrawn is how often a refund with the step's id was taken back before.
	withdrawn int
}

// NextReturnProcess returns the first process that is open. It returns false if none is open.
func NextReturnProcess(s returns.State) (ReturnProcess, bool) {
	switch {
	case s.Status == returns.StatusRequested && s.Admission == returns.AdmissionAsked:
		return ReturnProcess{Asks: admits(s.Requested)}, true
	case len(s.OrdersUnsettled) > 0:
		step := s.OrdersUnsettled[0]
		next := ReturnProcess{Asks: stepAsks(s, step), step: step}
		if step.Step == returns.StepRefund {
			next.withdrawn = s.WithdrawnBefore(step.Ref)
		}
		return next, true
	}
	return ReturnProcess{}, false
}

func admits(back returns.Requested) []Ask {
	asks := make([]Ask, 0, len(back.Admit))
	for _, of := range back.Admit {
		admit := order.AdmitReturn{ReturnID: back.ReturnID, Currency: back.Currency}
		for _, l := range of.Lines {
			admit.Lines = append(admit.Lines, order.LineQuantity{Line: l.Line, Quantity: l.Quantity})
		}
		asks = append(asks, Ask{ID: unit.ReturnAdmit.Of(string(back.ReturnID), string(of.OrderID)), OrderID: of.OrderID, Command: admit})
	}
	return asks
}

// stepAsks returns what a step asks of the orders.
func stepAsks(s returns.State, step returns.OpenOrderStep) []Ask {
	var asks []Ask
	id := s.Requested.ReturnID
	switch step.Step {
	case returns.StepRelease:
		for _, of := range s.Requested.Admit {
			asks = append(asks, Ask{
				ID: unit.ReturnRelease.Of(string(id), string(of.OrderID)), OrderID: of.OrderID,
				Command: order.ReleaseReturn{ReturnID: id},
			})
		}
	case returns.StepCredit:
		for _, credit := range step.Credits {
			asks = append(asks, creditAsk(s, step.Ref, credit))
		}
	case returns.StepRefund:
		refund := refundOf(s, step.Ref)
		for _, share := range step.Shares {
			asks = append(asks, Ask{
				ID: unit.ReturnRefund.Of(string(id), string(share.OrderID), string(step.Ref)), OrderID: share.OrderID,
				Command: order.RecordReturnRefund{
					ReturnID: id, TransactionID: step.Ref, Amount: share.Amount, Provider: refund.Provider, Reference: refund.Reference,
					Limit: refund.Limit,
				},
			})
		}
	}
	return asks
}

func creditAsk(s returns.State, ref unit.TransactionID, credit returns.OrderCredit) Ask {
	id := s.Requested.ReturnID
	cmd := order.Credit{
		CreditID: unit.CreditID(unit.ReturnCredit.Of(string(id), string(ref)).ID()), Cause: order.CreditForReturn, ReturnID: id,
		Currency: s.Requested.Currency,
	}
	if credit.Worth != nil {
		cmd.Worth = *credit.Worth
	}
	for _, l := range credit.Lines {
		cmd.Lines = append(cmd.Lines, order.CreditedLine{Line: l.Line, Quantity: l.Quantity, Worth: l.Worth})
	}
	return Ask{ID: unit.CreditReturn.Of(string(id), string(credit.OrderID), string(ref)), OrderID: credit.OrderID, Command: cmd}
}

func creditAsks(s returns.State, receipt int, credits []returns.OrderCredit) (asks []Ask) {
	for _, credit := range credits {
		asks = append(asks, creditAsk(s, returns.CreditRef(receipt), credit))
	}
	return asks
}

// Finally returns the command with which a refusal becomes final: the order might reply otherwise
// to another driver, that asks later. nil: it is final already.
func (a Ask) Finally(no *rule.Rejection) order.Command {
	ask, refund := a.Command.(order.RecordReturnRefund)
	if !refund || no.Code != order.ErrAmountExceeded.Code {
		return nil
	}
	return order.RefuseReturnRefund{ReturnID: ask.ReturnID, TransactionID: ask.TransactionID, Amount: ask.Amount}
}

// RefusalID is the id of the command of Finally.
func (a Ask) RefusalID() unit.Derived {
	ask, _ := a.Command.(order.RecordReturnRefund)
	return unit.RefuseRefund.Of(string(ask.ReturnID), string(a.OrderID), string(ask.TransactionID), ask.Amount.Amount.String())
}

// RecordedBy tells whether an order has recorded the share after all.
func (a Ask) RecordedBy(s order.State) bool {
	ask, refund := a.Command.(order.RecordReturnRefund)
	have, found := s.Transaction(ask.TransactionID)
	return refund && found && have.ReturnID == ask.ReturnID && have.Amount.Equal(ask.Amount)
}

func refundOf(s returns.State, id unit.TransactionID) returns.Refunded {
	for _, refund := range s.Refunds {
		if refund.TransactionID == id {
			return refund
		}
	}
	return returns.Refunded{}
}

// Commands are the commands to the return: the Outcome, and for an order that was taken over a
// command that lets the return follow it. Another driver may have sent the Outcome before the order
// was taken over. Then the order had replied before, and Followers has the return.
func (c ReturnProcess) Commands(replies []Reply) []returns.Command {
	commands := []returns.Command{c.Outcome(replies)}
	for _, reply := range replies {
		if reply.TakenOverBy != "" {
			commands = append(commands, returns.TakeOver{OrderID: reply.Ask.OrderID, CustomerID: reply.TakenOverBy})
		}
	}
	return commands
}

// Outcome is the command to the return about the replies. replies are in the order of the asks, one
// for each. A release is settled whatever an order replies, because an order that does not exist
// has nothing to release.
func (c ReturnProcess) Outcome(replies []Reply) returns.Command {
	switch c.step.Step {
	case returns.StepRelease:
		return returns.SettleOrders{Step: c.step.Step}
	case returns.StepCredit:
		return returns.SettleOrders{Step: c.step.Step, Ref: c.step.Ref}
	case returns.StepRefund:
		return c.refundOutcome(replies)
	}
	for _, reply := range replies {
		if no := reply.Refusal; no != nil {
			line, _ := no.Facts["line"].(int)
			returnable, _ := no.Facts["returnable"].(unit.Quantity)
			requested, _ := no.Facts["requested"].(unit.Quantity)
			return returns.RefuseAdmission{
				OrderID: reply.Ask.OrderID, Code: no.Code, Reason: no.Detail, Line: line, Returnable: returnable, Requested: requested,
			}
		}
	}
	return returns.Admit{}
}

// refundOutcome settles a refund unless an order has refused its share for good (see
// Ask.FinalRefusal). Refused shares are taken back. Shares that other orders have recorded stay,
// because the money counts there. If no order has recorded a share, the whole refund is taken
// back.
func (c ReturnProcess) refundOutcome(replies []Reply) returns.Command {
	withdraw := returns.WithdrawRefund{TransactionID: c.step.Ref, Before: c.withdrawn, Whole: true}
	for _, reply := range replies {
		switch no := reply.Refusal; {
		case no == nil:
			withdraw.Whole = false
		case reply.Ask.FinalRefusal(no) != nil:
			if len(withdraw.Refused) == 0 {
				withdraw.Code, withdraw.Reason = no.Code, no.Detail
			}
			withdraw.Refused = append(withdraw.Refused, reply.Ask.OrderID)
		}
	}
	if len(withdraw.Refused) > 0 {
		return withdraw
	}
	return returns.SettleOrders{Step: c.step.Step, Ref: c.step.Ref}
}

// Key differs from the Key of every other step of the return. A refund may be recorded again
// under the id of a refund that was taken back; that is another step.
func (c ReturnProcess) Key() string {
	switch {
	case c.step.Step == "":
		return "admission"
	case c.withdrawn > 0:
		return string(c.step.Step) + "-" + strconv.Itoa(c.withdrawn+1) + " " + string(c.step.Ref)
	}
	return string(c.step.Step) + " " + string(c.step.Ref)
}

// RefusedAdmission returns the order's refusal to admit a return. It is nil if no order
// refused.
func RefusedAdmission(s returns.State) *rule.Rejection {
	if s.Admission != returns.AdmissionDenied {
		return nil
	}
	no := &rule.Rejection{Code: s.Refusal.Code, Detail: s.Refusal.Reason}
	facts := map[string]any{"order_id": s.Refusal.OrderID}
	if s.Refusal.Line != 0 {
		facts["line"], facts["returnable"], facts["requested"] = s.Refusal.Line, s.Refusal.Returnable, s.Refusal.Requested
	}
	return no.With(no.Detail, facts)
}

// RefusedRefund returns the order's refusal that was the reason to take back the refund of cmd. It
// is nil if the refund was not taken back, for example because a refund of the same amount is
// recorded.
func RefusedRefund(s returns.State, cmd returns.RecordRefund) *rule.Rejection {
	if refund := refundOf(s, cmd.TransactionID); refund.TransactionID != "" && refund.Amount.Equal(cmd.Amount) {
		return nil
	}
	for _, taken := range slices.Backward(s.Withdrawn) {
		if taken.Taken.TransactionID == cmd.TransactionID && taken.Of.Equal(cmd.Amount) {
			no := &rule.Rejection{Code: taken.Taken.Code, Detail: taken.Taken.Reason}
			return no.With(no.Detail, map[string]any{"order_id": taken.Taken.OrderID})
		}
	}
	return nil
}

// FinalRefusal returns an order's refusal with the order's id in its facts, for the caller of the
// return. It returns nil if the return goes on in spite of the refusal: an order that does not
// exist, or that has another currency, takes no share of a refund.
func (a Ask) FinalRefusal(no *rule.Rejection) *rule.Rejection {
	switch any(a.Command).(type) {
	case order.Credit:
		return nil
	case order.RecordReturnRefund:
		if no.Code != order.ErrTransactionDiffers.Code && no.Code != order.ErrRefundLimit.Code && no.Code != order.ErrAmountExceeded.Code {
			return nil
		}
	}
	facts := map[string]any{"order_id": a.OrderID}
	maps.Copy(facts, no.Facts)
	return no.With(no.Detail, facts)
}

// ReturnAsks are what commands would ask of orders. Before it sends the commands, a driver
// tries the asks on the orders' present state. So what an order would refuse is refused
// before anything is recorded. ReturnProcess says what happens after that.
func ReturnAsks(s returns.State, commands []returns.Command) []Ask {
	after := s.Clone()
	var asks []Ask
	for _, cmd := range commands {
		events, err := returns.Decide(cmd, after)
		if err != nil {
			return asks // not an order's refusal: the return's handler reports it
		}
		for _, event := range events {
			after = returns.Evolve(after, event)
			switch event := event.(type) {
			case returns.Requested:
				asks = append(asks, admits(event)...)
			case returns.Approved:
				asks = append(asks, creditAsks(after, 0, event.Credits)...)
			case returns.Received:
				asks = append(asks, creditAsks(after, event.Receipt, event.Credits)...)
			case returns.Refunded:
				asks = append(asks, stepAsks(after, returns.OpenOrderStep{Step: returns.StepRefund, Ref: event.TransactionID, Shares: event.Shares})...)
			case returns.Admitted, returns.AdmissionRefused, returns.Declined, returns.Canceled,
				returns.RefundWithdrawn, returns.OrdersSettled, returns.Closed, returns.TakenOver, returns.StockSettled, returns.CreditNoted:
			}
		}
	}
	return asks
}
