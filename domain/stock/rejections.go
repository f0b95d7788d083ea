package stock

import (
	"fmt"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The refusals of a stock.
var (
	ErrInsufficient    = &rule.Rejection{Code: "stock-insufficient", Detail: "Not enough is available."}
	ErrQuantityInvalid = &rule.Rejection{Code: "stock-quantity-invalid", Detail: "A quantity is 1 to 1,000,000,000 units."}
	ErrBelowZero       = &rule.Rejection{Code: "stock-below-zero", Detail: "The number on hand cannot go below zero."}
	ErrCountStale      = &rule.Rejection{Code: "stock-count-stale", Detail: "The number on hand has changed since the count began."}
	ErrNotAllocated    = &rule.Rejection{Code: "stock-not-allocated", Detail: "Fewer units are allocated to the order here than were asked for."}
	ErrNotOnHand       = &rule.Rejection{Code: "stock-not-on-hand", Detail: "Fewer units are on hand and for sale than were asked for."}

	ErrConditionShort   = &rule.Rejection{Code: "stock-condition-short", Detail: "Too few units are in this condition. Units that are reserved or allocated do not count."}
	ErrConditionUnknown = &rule.Rejection{Code: "stock-condition-unknown", Detail: "A condition is available, damaged, quality_control or other."}
	ErrReasonUnknown    = &rule.Rejection{Code: "stock-reason-unknown", Detail: "There is no such reason for an adjustment. The member known lists the reasons."}
	ErrNoteMissing      = &rule.Rejection{Code: "stock-note-missing", Detail: "The reason 'other' needs a note."}
	ErrTextTooLong      = &rule.Rejection{Code: "stock-text-too-long", Detail: "A text is too long, or cannot be recorded as it is."}
	ErrPolicyInvalid    = &rule.Rejection{Code: "stock-policy-invalid", Detail: "Safety stock, backorder limit and reorder point are 0 to 1,000,000,000 units."}
	ErrMovementDiffers  = &rule.Rejection{Code: "stock-movement-differs", Detail: "This movement was recorded before with another quantity, location or order."}
	ErrSameLocation     = &rule.Rejection{Code: "stock-transfer-same-location", Detail: "A transfer goes from one location to another."}

	ErrLimit          = &rule.Rejection{Code: "stock-limit", Detail: "At most 1,000,000,000,000 units can be on hand."}
	ErrBelongsToOrder = &rule.Rejection{Code: "stock-belongs-to-order", Detail: "This stock belongs to an order: use the order's own commands to change it."}

	ErrReservationEnded   = &rule.Rejection{Code: "reservation-ended", Detail: "The reservation has ended."}
	ErrReservationUnknown = &rule.Rejection{Code: "reservation-unknown", Detail: "There is no such reservation."}
	ErrReservationDiffers = &rule.Rejection{Code: "reservation-differs", Detail: "A reservation with this id has another order, quantity, deadline or origin."}
	ErrDeadlinePassed     = &rule.Rejection{Code: "reservation-deadline-passed", Detail: "The deadline is not in the future."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrInsufficient, ErrQuantityInvalid, ErrBelowZero, ErrCountStale, ErrNotAllocated, ErrNotOnHand,
	ErrConditionShort, ErrConditionUnknown, ErrReasonUnknown, ErrNoteMissing, ErrTextTooLong, ErrPolicyInvalid,
	ErrMovementDiffers, ErrSameLocation, ErrLimit, ErrBelongsToOrder,
	ErrReservationEnded, ErrReservationUnknown, ErrReservationDiffers, ErrDeadlinePassed,
}

// RefusalsOfReservations are the refusals with which a stock refuses what a checkout or an
// order reserves or commits.
var RefusalsOfReservations = []*rule.Rejection{
	ErrInsufficient, ErrQuantityInvalid, ErrReservationEnded, ErrReservationUnknown, ErrReservationDiffers, ErrDeadlinePassed,
}

func insufficient(k Key, available, requested unit.Quantity) error {
	available = max(0, available)
	return ErrInsufficient.With(
		fmt.Sprintf("%d of %s were asked for at %s, and %d are available.", requested, k.SKU, k.Location, available),
		map[string]any{"sku": k.SKU, "location": k.Location, "available": available, "requested": requested})
}

func conditionShort(c Condition, available, requested unit.Quantity) error {
	return ErrConditionShort.With(ErrConditionShort.Detail,
		map[string]any{"condition": c, "available": max(0, available), "requested": requested})
}

func movementDiffers(recorded, requested Made) error {
	facts := map[string]any{"recorded": recorded.Quantity, "requested": requested.Quantity}
	if recorded.With != requested.With {
		facts["recorded_with"], facts["requested_with"] = recorded.With, requested.With
	}
	return ErrMovementDiffers.With(ErrMovementDiffers.Detail, facts)
}

// belongs is the refusal of a direct command to change what belongs to an order. forcible
// tells whether the command would be accepted with an override.
func belongs(id unit.OrderID, forcible bool) error {
	detail := "This stock belongs to order " + string(id) + ": use the order's own commands to change it"
	if forcible {
		detail += ", or force the change with a reason"
	}
	return ErrBelongsToOrder.With(detail+".", map[string]any{"order_id": id, "forcible": forcible})
}

// mayAdd refuses goods with which more would be on hand than the limit allows.
func (d *decision) mayAdd(quantity unit.Quantity) error {
	if d.Goods+quantity <= unit.MaxOnHand {
		return nil
	}
	return ErrLimit.With(ErrLimit.Detail, map[string]any{"limit": unit.MaxOnHand, "on_hand": d.Goods, "quantity": quantity})
}

func ended(id unit.ReservationID, end End) error {
	return ErrReservationEnded.With("The reservation was "+string(end)+".", map[string]any{"reservation_id": id, "end": end})
}

// note refuses a note or a reason that cannot be recorded.
func note(field, text string) error {
	return textFault(field, unit.TextFault(text, unit.MaxNote), unit.MaxNote)
}

// line refuses the number of a document that cannot be recorded.
func line(field, text string) error {
	return textFault(field, unit.LineFault(text, unit.MaxReference), unit.MaxReference)
}

func textFault(field, fault string, limit int) error {
	if fault == "" {
		return nil
	}
	return ErrTextTooLong.With("The text in "+field+" is refused: "+fault+".", map[string]any{"field": field, "max_characters": limit})
}
