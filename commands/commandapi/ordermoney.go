package commandapi

import (
	"context"
	"time"

	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// moneyRoutes are the routes about the money of an order that was placed: refunds, write-offs,
// price reductions, credits and the deadline for paying.
func (a *api) moneyRoutes() {
	const (
		anOrder = "/v1/orders/{order_id}"
		aPart   = anOrder + "/refunds/{refund_id}/parts/{part_id}"
	)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/refunds", id: "request-refund", needs: access.RefundOrders, summary: "Ask for money to go back", created: true, key: true, about: aboutRefund, refusals: refusals{order.ErrNotFound, order.ErrAmountExceeded, order.ErrAmountInvalid, order.ErrAmountTooFine, order.ErrCurrencyDiffers, order.ErrParentMismatch, order.ErrRefundDiffers, order.ErrRefundLimit, order.ErrRefundParts, order.ErrRefundUnplaced, order.ErrTransactionUnknown, order.ErrTextInvalid}}, a.requestRefund)
	add(a, apidoc.TagOrders, op{method: post, path: aPart + "/retry", id: "retry-refund", needs: access.RefundOrders, summary: "Send a failed part of a refund again", key: true, about: "Only a part that is known to have failed gets a new attempt. Whoever moves the money of its payment then sends it under a new key. An attempt that is under way is sent again under its own key, so money never goes back twice. The limit for refunds is that of request-refund.", refusals: refusals{order.ErrNotFound, order.ErrAmountExceeded, order.ErrRefundLimit, order.ErrRefundUnknown, order.ErrTransactionSettled}}, a.retryRefund)
	add(a, apidoc.TagOrders, op{method: post, path: aPart + "/settle", id: "settle-refund", needs: access.RefundOrders, summary: "Say how a part of a refund ended", key: true, about: "For payments whose money people move, such as cash and transfers, and for parts about which the provider says nothing. Above the shop's `--refund-limit`, success needs the permission `refunds.unlimited`.", refusals: refusals{order.ErrNotFound, order.ErrRefundLimit, order.ErrRefundUnknown, order.ErrTransactionSettled, order.ErrTextInvalid}}, a.settleRefund)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/transactions/{transaction_id}/explain", id: "explain-refund", needs: access.RefundOrders, summary: "Say what a refund was that somebody made elsewhere", about: "For a refund beyond what was to be given back (`refund_unexplained`). compensation: the customer keeps the money, and the order counts as paid. settlement: the customer owes it. The limit for refunds also limits a compensation.", refusals: refusals{order.ErrNotFound, order.ErrNothingToExplain, order.ErrRefundLimit, order.ErrTransactionUnknown, order.ErrTextInvalid}}, a.explainRefund)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/write-off", id: "write-off", needs: access.RefundOrders, summary: "Write off the difference between what was paid and what is owed", key: true, about: "It ends the whole balance: what is missing is not asked for any more, and what is too much is kept. Refunds that are under way must end first. Above the shop's `--write-off-limit`, it needs the permission `writeoffs.unlimited`.", refusals: refusals{order.ErrNotFound, order.ErrNothingPaid, order.ErrRefundUnderWay, order.ErrWriteOffLimit, order.ErrTextInvalid}}, a.writeOff)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/reductions", id: "reduce-price", needs: access.ReducePrices, summary: "Take something off the price of an order", created: true, key: true, about: "The order owes less, and so does what is left of each line and charge, with its tax. Money that was paid is then to be given back (`to_return`); request-refund does that. Money for trouble, which changes no price, is a refund with the purpose compensation.", refusals: refusals{order.ErrNotFound, order.ErrAmountExceeded, order.ErrAmountInvalid, order.ErrAmountTooFine, order.ErrCreditDiffers, order.ErrCurrencyDiffers, order.ErrTextInvalid}}, a.reducePrice)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/charges/{charge}/credits", id: "credit-charge", needs: access.ReducePrices, summary: "Credit a charge of an order, such as shipping", created: true, key: true, about: "The charge, or a part of it, is not owed any more, with its tax. The lines keep their worth. Money that was paid is then to be given back (`to_return`); request-refund does that. Orders of older programs and of imports have no charges.", refusals: refusals{order.ErrNotFound, order.ErrAmountExceeded, order.ErrAmountInvalid, order.ErrAmountTooFine, order.ErrChargeUnknown, order.ErrCreditDiffers, order.ErrCurrencyDiffers, order.ErrTextInvalid}}, a.creditCharge)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/surcharges", id: "add-surcharge", needs: access.AddSurcharges, summary: "Add a surcharge to an order", created: true, key: true, about: "For something that was not ordered, such as another delivery. The order owes more, with the tax that was frozen for its goods. The surcharge is a charge of the order, and is credited as one. Above the shop's `--surcharge-limit`, all surcharges of an order together need the permission `surcharges.unlimited`.", refusals: refusals{order.ErrNotFound, order.ErrAmountInvalid, order.ErrAmountLimit, order.ErrAmountTooFine, order.ErrCanceled, order.ErrChargeDiffers, order.ErrCompleted, order.ErrCurrencyDiffers, order.ErrExpired, order.ErrSurchargeLimit, order.ErrTextInvalid}}, a.addSurcharge)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/clawbacks", id: "claw-back", needs: access.ClawBack, summary: "Take a discount back after a return", created: true, key: true, about: "For a discount whose condition a return has broken. All clawbacks of a credit together are at most what the credit gives. It needs a legal entity with `clawback`; the law often forbids it if the buyer is a consumer. If the return brings nothing back after all, the clawback goes with its credit.", refusals: refusals{order.ErrNotFound, order.ErrAmountExceeded, order.ErrAmountInvalid, order.ErrAmountLimit, order.ErrAmountTooFine, order.ErrChargeDiffers, order.ErrClawbackOff, order.ErrCreditUnknown, order.ErrCurrencyDiffers, order.ErrTextInvalid}}, a.clawBack)
	add(a, apidoc.TagOrders, op{method: post, path: anOrder + "/extend", id: "extend-order", needs: access.HandleOrders, summary: "Give an order more time to be paid", about: "Moves the deadline of a pending order, and with it those of its reservations. The uses of promotions and the money of gift cards stay reserved as long. The shop's `--extend-at-most` bounds it.", refusals: refusals{order.ErrNotFound, order.ErrCanceled, order.ErrCompleted, order.ErrConfirmed, order.ErrExpired, order.ErrDeadlineEarlier, order.ErrDeadlineTooLate, order.ErrTextInvalid}}, a.extendOrder)
}

const aboutRefund = "The parts of the refund are under way from now on, so nobody gives back the same money again. The provider of a payment carries its part out by itself; a part of other payments waits until a person has paid it (settle-refund). " +
	"A settlement is at most `to_return`, and a compensation at most what the payments have left. " +
	"Above the shop's `--refund-limit`, all refunds of an order together need the permission `refunds.unlimited`."

// RefundState is an order with a refund that was asked for.
type RefundState struct {
	RefundID unit.RefundID  `json:"refund_id"`
	Order    resource.Order `json:"order"`
}

// RefundPartInput is a part of a refund.
type RefundPartInput struct {
	Payment string     `json:"payment" minLength:"1" maxLength:"64" example:"pay-1" doc:"The transaction id of the capture that it goes back to."`
	Amount  MoneyInput `json:"amount"`
}

type requestRefundInput struct {
	OrderPath
	Body struct {
		RefundID string            `json:"refund_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Purpose  string            `json:"purpose" enum:"settlement,compensation" doc:"What the refund is for. A settlement gives back what was paid more than is owed. A compensation gives money on top, for trouble: the order owes as much as before, and counts as paid."`
		Amount   MoneyInput        `json:"amount"`
		Parts    []RefundPartInput `json:"parts,omitempty" maxItems:"100" doc:"To which payments it goes; they add up to the amount. If you give none, the server plans them: external payments before gift cards, the newest first."`
		Reason   string            `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) requestRefund(ctx context.Context, c call, in *requestRefundInput) (*response[RefundState], error) {
	var bad check
	request := order.RequestRefund{
		RefundID: orElse(&bad, "/refund_id", in.Body.RefundID, unit.ParseRefundID, c.derive(unit.NewOrderRefund)),
		Purpose:  order.RefundPurpose(in.Body.Purpose), Amount: money(&bad, "/amount", in.Body.Amount), Reason: in.Body.Reason,
	}
	for i, part := range in.Body.Parts {
		request.Parts = append(request.Parts, order.RefundShare{
			Payment: inBody(&bad, at("/parts", i)+"/payment", part.Payment, unit.ParseTransactionID),
			Amount:  money(&bad, at("/parts", i)+"/amount", part.Amount),
		})
	}
	done, err := a.changeOrder(ctx, c, &bad, in.id(&bad), request)
	if err != nil {
		return nil, err
	}
	return like(done, RefundState{RefundID: request.RefundID, Order: *done.Body}), nil
}

// RefundPartPath names a part of a refund.
type RefundPartPath struct {
	OrderPath
	RefundID string `path:"refund_id" maxLength:"64"`
	PartID   string `path:"part_id" maxLength:"64"`
}

func (p *RefundPartPath) part(bad *check) (unit.RefundID, unit.TransactionID) {
	return inPath(bad, "refund_id", p.RefundID, unit.ParseRefundID), inPath(bad, "part_id", p.PartID, unit.ParseTransactionID)
}

func (a *api) retryRefund(ctx context.Context, c call, in *RefundPartPath) (*response[resource.Order], error) {
	var bad check
	refund, part := in.part(&bad)
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.SubmitRefund{RefundID: refund, PartID: part})
}

type settleRefundInput struct {
	RefundPartPath
	Body struct {
		State     string `json:"state" enum:"succeeded,failed" doc:"How it ended."`
		Reference string `json:"reference,omitempty" maxLength:"100" doc:"The provider's number for the refund, or that of the transfer."`
		Code      string `json:"code,omitempty" maxLength:"100" example:"account_closed" doc:"Why it failed, in a word."`
		Final     bool   `json:"final,omitzero" doc:"The payment takes no refunds any more. Later refunds leave it out."`
	}
}

func (a *api) settleRefund(ctx context.Context, c call, in *settleRefundInput) (*response[resource.Order], error) {
	var bad check
	refund, part := in.part(&bad)
	if in.Body.State != string(order.RefundHasFailed) && (in.Body.Final || in.Body.Code != "") {
		bad.fault(problem.InBody("/state", "only a part that failed has code and final"))
	}
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.SettleRefund{
		RefundID: refund, PartID: part, Latest: true, State: order.RefundState(in.Body.State),
		Reference: oneLine(&bad, "/reference", in.Body.Reference), Code: oneLine(&bad, "/code", in.Body.Code), Final: in.Body.Final,
	})
}

type explainRefundInput struct {
	OrderPath
	TransactionID string `path:"transaction_id" maxLength:"64"`
	Body          struct {
		Purpose string `json:"purpose" enum:"settlement,compensation" doc:"What the refund was for. settlement: the customer owes what was given back too much."`
		Reason  string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) explainRefund(ctx context.Context, c call, in *explainRefundInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.ExplainRefund{
		TransactionID: inPath(&bad, "transaction_id", in.TransactionID, unit.ParseTransactionID),
		Purpose:       order.RefundPurpose(in.Body.Purpose), Reason: in.Body.Reason,
	})
}

type writeOffInput struct {
	OrderPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) writeOff(ctx context.Context, c call, in *writeOffInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.WriteOff{Reason: in.Body.Reason})
}

// CreditState is an order with a credit: a price reduction, or that of a charge.
type CreditState struct {
	CreditID unit.CreditID  `json:"credit_id"`
	Order    resource.Order `json:"order"`
}

type reducePriceInput struct {
	OrderPath
	Body struct {
		CreditID string     `json:"credit_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Amount   MoneyInput `json:"amount" doc:"With tax; at most what the order owes."`
		Reason   string     `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) reducePrice(ctx context.Context, c call, in *reducePriceInput) (*response[CreditState], error) {
	var bad check
	amount := money(&bad, "/amount", in.Body.Amount)
	credit := order.Credit{
		CreditID: orElse(&bad, "/credit_id", in.Body.CreditID, unit.ParseCreditID, c.derive(unit.NewCredit)),
		Cause:    order.CreditForReduction, Currency: amount.Currency, Worth: amount, Reason: in.Body.Reason,
	}
	done, err := a.changeOrder(ctx, c, &bad, in.id(&bad), credit)
	if err != nil {
		return nil, err
	}
	return like(done, CreditState{CreditID: credit.CreditID, Order: *done.Body}), nil
}

type creditChargeInput struct {
	OrderPath
	Charge int `path:"charge" minimum:"1" maximum:"1000" example:"1" doc:"The number of the charge."`
	Body   struct {
		CreditID string      `json:"credit_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Amount   *MoneyInput `json:"amount,omitempty" doc:"With tax; at most what is left of the charge. If you give none, all that is left."`
		Reason   string      `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) creditCharge(ctx context.Context, c call, in *creditChargeInput) (*response[CreditState], error) {
	var bad check
	credit := order.Credit{
		CreditID: orElse(&bad, "/credit_id", in.Body.CreditID, unit.ParseCreditID, c.derive(unit.NewCredit)),
		Cause:    order.CreditForCharge, Charge: in.Charge, Reason: in.Body.Reason,
	}
	if in.Body.Amount != nil {
		credit.Worth = money(&bad, "/amount", *in.Body.Amount)
	}
	done, err := a.changeOrder(ctx, c, &bad, in.id(&bad), credit)
	if err != nil {
		return nil, err
	}
	return like(done, CreditState{CreditID: credit.CreditID, Order: *done.Body}), nil
}

// ChargeState is an order with a charge that was added to it.
type ChargeState struct {
	ChargeID unit.ChargeID  `json:"charge_id"`
	Order    resource.Order `json:"order"`
}

type addSurchargeInput struct {
	OrderPath
	Body struct {
		ChargeID string     `json:"charge_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Amount   MoneyInput `json:"amount" doc:"With tax."`
		Reason   string     `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) addSurcharge(ctx context.Context, c call, in *addSurchargeInput) (*response[ChargeState], error) {
	var bad check
	return a.addCharge(ctx, c, &bad, in.id(&bad), order.AddCharge{
		ChargeID: orElse(&bad, "/charge_id", in.Body.ChargeID, unit.ParseChargeID, c.derive(unit.NewCharge)),
		Kind:     order.Surcharge, Amount: money(&bad, "/amount", in.Body.Amount), Reason: in.Body.Reason,
	})
}

type clawBackInput struct {
	OrderPath
	Body struct {
		ChargeID string     `json:"charge_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		CreditID string     `json:"credit_id" minLength:"1" maxLength:"64" doc:"The credit of the return."`
		Amount   MoneyInput `json:"amount" doc:"With tax; at most what the credit gives."`
		Reason   string     `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) clawBack(ctx context.Context, c call, in *clawBackInput) (*response[ChargeState], error) {
	var bad check
	return a.addCharge(ctx, c, &bad, in.id(&bad), order.AddCharge{
		ChargeID: orElse(&bad, "/charge_id", in.Body.ChargeID, unit.ParseChargeID, c.derive(unit.NewCharge)),
		CreditID: inBody(&bad, "/credit_id", in.Body.CreditID, unit.ParseCreditID),
		Kind:     order.Clawback, Amount: money(&bad, "/amount", in.Body.Amount), Reason: in.Body.Reason,
	})
}

func (a *api) addCharge(ctx context.Context, c call, bad *check, id unit.OrderID, charge order.AddCharge) (*response[ChargeState], error) {
	done, err := a.changeOrder(ctx, c, bad, id, charge)
	if err != nil {
		return nil, err
	}
	return like(done, ChargeState{ChargeID: charge.ChargeID, Order: *done.Body}), nil
}

type extendOrderInput struct {
	OrderPath
	Body struct {
		ConfirmBy time.Time `json:"confirm_by" doc:"The new deadline, later than the present one."`
		Reason    string    `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) extendOrder(ctx context.Context, c call, in *extendOrderInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.Extend{Until: in.Body.ConfirmBy.UTC().Truncate(time.Microsecond), Reason: in.Body.Reason})
}
