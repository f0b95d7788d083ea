package orderview

import (
	"fmt"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// OrderWords says in words what an order's event means, for a person who reads the order's
// history.
func OrderWords(e order.Event) string {
	switch e := e.(type) {
	case order.Claimed:
		return "id kept for cart " + string(e.CartID)
	case order.Placed:
		return fmt.Sprintf("placed: %s for %s", count(len(e.Lines), "line"), e.Total)
	case order.Confirmed:
		switch e.Because {
		case order.CoveredByCapture:
			return "confirmed at its deadline: it was paid"
		case order.CoveredByAuthorization:
			return "confirmed at its deadline: its payment was authorized"
		}
		return "confirmed"
	case order.PutOnHold:
		return because("put on hold", e.Reason)
	case order.HoldReleased:
		return "hold released"
	case order.LinesCanceled:
		return because(fmt.Sprintf("%s of %s canceled", count(int(inAll(e.Lines)), "unit"), count(len(e.Lines), "line")), e.Reason)
	case order.Canceled:
		return because("canceled", e.Reason)
	case order.Expired:
		return "expired: not confirmed in time"
	case order.TransactionRecorded:
		return fmt.Sprintf("%s of %s %s", e.Type, e.Amount, e.State)
	case order.TransactionSettled:
		return fmt.Sprintf("transaction %s %s", e.TransactionID, e.State)
	case order.Shipped:
		words := fmt.Sprintf("parcel %s shipped from %s", e.ShipmentID, e.Location)
		if e.Forced {
			words += ", forced"
		}
		return words
	case order.Delivered:
		return fmt.Sprintf("parcel %s delivered", e.ShipmentID)
	case order.ParcelReported, order.ParcelBack, order.ParcelResent:
		return parcelWords(e)
	case order.Completed:
		return "completed"
	case order.StockSettled:
		return fmt.Sprintf("stock movements of step %s done", e.Step)
	case order.AllocationFailed:
		return fmt.Sprintf("stock lost: %s; remedy: %s", short(e.Shortages), e.Remedy)
	case order.AllocationRetried:
		return "allocation tried again"
	case order.AllocationRecovered:
		return "stock found again"
	case order.PaymentOrphaned:
		return fmt.Sprintf("%s came too late and is owed back", e.Amount)
	case order.ReturnAdmitted:
		return fmt.Sprintf("return %s admitted: %s", e.ReturnID, count(int(inAll(e.Lines)), "unit"))
	case order.ReturnReleased:
		return fmt.Sprintf("units of return %s released", e.ReturnID)
	case order.RefundClaimed:
		return fmt.Sprintf("refund %s belongs to return %s", e.TransactionID, e.ReturnID)
	case order.TransactionUnreadable, order.Credited, order.RefundRequested, order.RefundSubmitted, order.RefundSettled,
		order.ReturnRefundRefused, order.RefundExplained, order.DifferenceWrittenOff, order.DeadlineExtended, order.ChargeAdded:
		return moneyWords(e)
	case order.TakenOver:
		return "taken over by the buyer, who has signed in"
	case order.Archived:
		return "archived"
	case order.Unarchived:
		return "taken out of the archive"
	}
	panic("orderview: unknown event of an order")
}

// moneyWords are those of events about refunds, credits and the like.
func moneyWords(e order.Event) string {
	switch e := any(e).(type) {
	case order.TransactionUnreadable:
		return fmt.Sprintf("%s of %s reported, but it cannot be recorded: %s", e.Type, e.Amount, e.Code)
	case order.Credited:
		return because(fmt.Sprintf("%s less is owed because of a %s", e.Amount, e.Cause), e.Reason)
	case order.RefundRequested:
		return because(fmt.Sprintf("refund of %s requested as %s", e.Amount, e.Purpose), e.Reason)
	case order.RefundSubmitted:
		return fmt.Sprintf("refund %s sent to its provider, attempt %d", e.PartID, e.Attempt)
	case order.RefundSettled:
		return because(fmt.Sprintf("refund %s %s", e.PartID, e.State), e.Code)
	case order.ReturnRefundRefused:
		return fmt.Sprintf("refund of %s for return %s refused: %s was left", e.Amount, e.ReturnID, e.Limit)
	case order.RefundExplained:
		return because(fmt.Sprintf("refund %s was a %s", e.TransactionID, e.Purpose), e.Reason)
	case order.DifferenceWrittenOff:
		return because(fmt.Sprintf("difference of %s written off", e.Amount), e.Reason)
	case order.ChargeAdded:
		return because(fmt.Sprintf("%s of %s added", e.Kind, e.Gross), e.Reason)
	case order.DeadlineExtended:
		return because("deadline moved to "+e.ConfirmBy.Format(time.RFC3339), e.Reason)
	}
	panic("orderview: unknown event of an order")
}

// parcelWords are those of events about parcels that did not arrive.
func parcelWords(e order.Event) string {
	switch e := any(e).(type) {
	case order.ParcelReported:
		words := fmt.Sprintf("parcel %s %s", e.ShipmentID, e.State)
		switch e.State {
		case order.ParcelShipped:
			words = fmt.Sprintf("parcel %s found again", e.ShipmentID)
		case order.ParcelReturning:
			words = fmt.Sprintf("parcel %s on its way back", e.ShipmentID)
		case order.ParcelDelivered, order.ParcelUndeliverable, order.ParcelCameBack, order.ParcelLost:
		}
		return because(because(words, e.Reason), e.Claim)
	case order.ParcelBack:
		return because(fmt.Sprintf("parcel %s came back to %s", e.ShipmentID, e.Location), e.Reason)
	case order.ParcelResent:
		units := unitsOf(e.Lines, func(l order.ResentLine) unit.Quantity { return l.Quantity })
		return because(fmt.Sprintf("%s of parcel %s to be sent again", count(int(units), "unit"), e.ShipmentID), e.Reason)
	}
	panic("orderview: unknown event of an order")
}

// ReturnWords says in words what a return's event means.
func ReturnWords(e returns.Event) string {
	switch e := e.(type) {
	case returns.Requested:
		return because("return of "+count(len(e.Lines), "line")+" requested", e.Reason)
	case returns.Admitted:
		return "admitted by its orders"
	case returns.AdmissionRefused:
		return because(fmt.Sprintf("refused by order %s", e.OrderID), e.Reason)
	case returns.Approved:
		return "approved"
	case returns.Declined:
		return because("declined", e.Reason)
	case returns.Canceled:
		return because("canceled", e.Reason)
	case returns.Received:
		var units unit.Quantity
		for _, l := range e.Lines {
			units += l.Quantity
		}
		return fmt.Sprintf("receipt %d: %s", e.Receipt, count(int(units), "unit"))
	case returns.Refunded:
		return fmt.Sprintf("refund of %s", e.Amount)
	case returns.RefundWithdrawn:
		return because(fmt.Sprintf("%s of refund %s taken back, refused by order %s", e.Amount, e.TransactionID, e.OrderID), e.Reason)
	case returns.OrdersSettled:
		switch e.Step {
		case returns.StepRefund:
			return fmt.Sprintf("refund %s recorded at its orders", e.Ref)
		case returns.StepCredit:
			return fmt.Sprintf("credit for %s recorded at its orders", e.Ref)
		case returns.StepRelease:
		}
		return "units released at its orders"
	case returns.Closed:
		return "closed"
	case returns.TakenOver:
		return "taken over with its order"
	case returns.StockSettled:
		return fmt.Sprintf("stock movements of receipt %d done", e.Receipt)
	case returns.CreditNoted:
		return because(fmt.Sprintf("credit note of %s", e.Amount), e.Reason)
	}
	panic("orderview: unknown event of a return")
}

func inAll(lines []order.LineQuantity) unit.Quantity {
	var units unit.Quantity
	for _, l := range lines {
		units += l.Quantity
	}
	return units
}

func because(words, reason string) string {
	if reason == "" {
		return words
	}
	return words + ": " + reason
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func short(shortages []cart.Shortage) string {
	if len(shortages) == 1 {
		return string(shortages[0].SKU)
	}
	return count(len(shortages), "SKU")
}
