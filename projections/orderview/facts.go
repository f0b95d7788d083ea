package orderview

import (
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// Facts are the content of a timeline entry as JSON members. The entry says the same in words. The
// event's type decides which members are set. Each has the same name as the member of the event.
type Facts struct {
	Amount          *unit.Money        `json:"amount,omitzero"`   // of the order, the payment or the refund
	Quantity        unit.Quantity      `json:"quantity,omitzero"` // units in all
	Lines           []LineFacts        `json:"lines,omitempty"`   // which units; empty if the event is about a whole order or return
	TransactionType string             `json:"transaction_type,omitempty"`
	State           string             `json:"state,omitempty"` // of the transaction
	RefundID        unit.RefundID      `json:"refund_id,omitempty"`
	TransactionID   unit.TransactionID `json:"transaction_id,omitempty"`
	ShipmentID      unit.ShipmentID    `json:"shipment_id,omitempty"`
	Location        unit.LocationID    `json:"location,omitempty"`
	Forced          bool               `json:"forced,omitzero"`
	ReturnID        unit.ReturnID      `json:"return_id,omitempty"`
	OrderID         unit.OrderID       `json:"order_id,omitempty"`
	CartID          unit.CartID        `json:"cart_id,omitempty"`
	Receipt         int                `json:"receipt,omitzero"`
	Attempt         int                `json:"attempt,omitzero"`
	Step            string             `json:"step,omitempty"` // the kind of the step that asked stock or the orders
	Remedy          string             `json:"remedy,omitempty"`
	Shortages       []cart.Shortage    `json:"shortages,omitempty"`
	Reason          string             `json:"reason,omitempty"`
}

// LineFacts is some units of a line.
type LineFacts struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"`
}

// OrderFacts are the facts of an order's event.
func OrderFacts(e order.Event) Facts {
	switch e := e.(type) {
	case order.Claimed:
		return Facts{CartID: e.CartID}
	case order.Placed:
		return Facts{Amount: &e.Total, Quantity: unitsOf(e.Lines, func(l cart.Line) unit.Quantity { return l.Quantity }), OrderID: e.OrderID, CartID: e.CartID}
	case order.PutOnHold:
		return Facts{Reason: e.Reason}
	case order.LinesCanceled:
		return Facts{Quantity: inAll(e.Lines), Lines: each(e.Lines, lineFacts), Reason: e.Reason}
	case order.Canceled:
		return Facts{Reason: e.Reason}
	case order.TransactionRecorded:
		return Facts{Amount: &e.Amount, TransactionType: string(e.Type), State: string(e.State), TransactionID: e.TransactionID, ReturnID: e.ReturnID, Reason: e.Reason}
	case order.TransactionSettled:
		return Facts{State: string(e.State), TransactionID: e.TransactionID}
	case order.Shipped:
		return Facts{
			Quantity:   unitsOf(e.Lines, func(l order.ShippedLine) unit.Quantity { return l.Quantity }),
			Lines:      each(e.Lines, func(l order.ShippedLine) LineFacts { return LineFacts{l.Line, l.Quantity} }),
			ShipmentID: e.ShipmentID, Location: e.Location, Forced: e.Forced,
		}
	case order.Delivered:
		return Facts{ShipmentID: e.ShipmentID}
	case order.ParcelReported, order.ParcelBack, order.ParcelResent:
		return parcelFacts(e)
	case order.StockSettled:
		return Facts{Step: string(e.Step)}
	case order.AllocationFailed:
		return Facts{Shortages: e.Shortages, Remedy: string(e.Remedy)}
	case order.AllocationRetried:
		return Facts{Attempt: e.Attempt}
	case order.PaymentOrphaned:
		return Facts{Amount: &e.Amount, TransactionID: e.TransactionID, Remedy: string(e.Remedy)}
	case order.ReturnAdmitted:
		return Facts{Quantity: inAll(e.Lines), Lines: each(e.Lines, lineFacts), ReturnID: e.ReturnID}
	case order.ReturnReleased:
		return Facts{ReturnID: e.ReturnID}
	case order.RefundClaimed:
		return Facts{TransactionID: e.TransactionID, ReturnID: e.ReturnID}
	case order.TransactionUnreadable:
		return Facts{Amount: &e.Amount, TransactionType: string(e.Type), State: string(e.State), TransactionID: e.TransactionID}
	case order.Credited:
		return Facts{
			Amount: &e.Amount, ReturnID: e.ReturnID, ShipmentID: e.ShipmentID, Reason: e.Reason,
			Lines: each(e.Lines, func(l order.CreditedLine) LineFacts { return LineFacts{l.Line, l.Quantity} }),
		}
	case order.RefundRequested:
		return Facts{Amount: &e.Amount, RefundID: e.RefundID, Reason: e.Reason}
	case order.RefundSubmitted:
		return Facts{RefundID: e.RefundID, TransactionID: e.PartID, Attempt: e.Attempt}
	case order.RefundSettled:
		return Facts{RefundID: e.RefundID, TransactionID: e.PartID, Attempt: e.Attempt, State: string(e.State)}
	case order.ReturnRefundRefused:
		return Facts{Amount: &e.Amount, ReturnID: e.ReturnID, TransactionID: e.TransactionID}
	case order.RefundExplained:
		return Facts{TransactionID: e.TransactionID, Reason: e.Reason}
	case order.DifferenceWrittenOff:
		return Facts{Amount: &e.Amount, Reason: e.Reason}
	case order.ChargeAdded:
		return Facts{Amount: &e.Gross, Reason: e.Reason}
	case order.DeadlineExtended:
		return Facts{Reason: e.Reason}
	case order.Confirmed, order.TakenOver, order.HoldReleased, order.Expired, order.Completed, order.AllocationRecovered, order.Archived, order.Unarchived:
	}
	return Facts{}
}

// parcelFacts are those of events about parcels that did not arrive.
func parcelFacts(e order.Event) Facts {
	switch e := any(e).(type) {
	case order.ParcelReported:
		return Facts{ShipmentID: e.ShipmentID, State: string(e.State), Reason: e.Reason}
	case order.ParcelBack:
		return Facts{
			Quantity:   unitsOf(e.Lines, func(l order.BackLine) unit.Quantity { return l.Quantity }),
			Lines:      each(e.Lines, func(l order.BackLine) LineFacts { return LineFacts{l.Line, l.Quantity} }),
			ShipmentID: e.ShipmentID, Location: e.Location, Reason: e.Reason,
		}
	case order.ParcelResent:
		return Facts{
			Quantity:   unitsOf(e.Lines, func(l order.ResentLine) unit.Quantity { return l.Quantity }),
			Lines:      each(e.Lines, func(l order.ResentLine) LineFacts { return LineFacts{l.Line, l.Quantity} }),
			ShipmentID: e.ShipmentID, Location: e.Location, Reason: e.Reason,
		}
	}
	return Facts{}
}

// ReturnFacts are the facts of a return's event.
func ReturnFacts(e returns.Event) Facts {
	switch e := e.(type) {
	case returns.Requested:
		return Facts{Quantity: unitsOf(e.Lines, func(l returns.Line) unit.Quantity { return l.Quantity }), ReturnID: e.ReturnID, OrderID: e.OrderID, CartID: e.CartID, Reason: e.Reason}
	case returns.AdmissionRefused:
		return Facts{OrderID: e.OrderID, Reason: e.Reason}
	case returns.Declined:
		return Facts{Reason: e.Reason}
	case returns.Canceled:
		return Facts{Reason: e.Reason}
	case returns.Received:
		return Facts{
			Quantity: unitsOf(e.Lines, func(l returns.ReceivedLine) unit.Quantity { return l.Quantity }),
			Lines:    each(e.Lines, func(l returns.ReceivedLine) LineFacts { return LineFacts{l.Line, l.Quantity} }),
			Receipt:  e.Receipt,
		}
	case returns.Refunded:
		return Facts{Amount: &e.Amount, TransactionID: e.TransactionID}
	case returns.RefundWithdrawn:
		return Facts{Amount: &e.Amount, TransactionID: e.TransactionID, OrderID: e.OrderID, Reason: e.Reason}
	case returns.OrdersSettled:
		return Facts{Step: string(e.Step)}
	case returns.StockSettled:
		return Facts{Receipt: e.Receipt}
	case returns.CreditNoted:
		return Facts{Amount: &e.Amount, ReturnID: e.ReturnID, Reason: string(e.Reason)}
	case returns.Admitted, returns.TakenOver, returns.Approved, returns.Closed:
	}
	return Facts{}
}

func lineFacts(l order.LineQuantity) LineFacts { return LineFacts{l.Line, l.Quantity} }

func unitsOf[L any](lines []L, units func(L) unit.Quantity) (sum unit.Quantity) {
	for _, l := range lines {
		sum += units(l)
	}
	return sum
}

func each[A, B any](all []A, to func(A) B) []B {
	mapped := make([]B, len(all))
	for i := range all {
		mapped[i] = to(all[i])
	}
	return mapped
}
