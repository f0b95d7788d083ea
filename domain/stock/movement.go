package stock

import (
	"slices"

	"daybook/domain/unit"
)

func (d *decision) receive(cmd Receive) ([]Event, error) {
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if err := documentTexts(cmd.Document, cmd.Note); err != nil {
		return nil, err
	}
	if err := d.mayAdd(cmd.Quantity); err != nil {
		return nil, err
	}
	return []Event{Received{Key: cmd.Key, Quantity: cmd.Quantity, Document: cmd.Document, Note: cmd.Note}}, nil
}

var reasons = []Reason{Correction, CycleCount, ReasonReceived, Restock, DamagedGoods, Shrinkage, Promotion, OtherReason}

func (d *decision) adjust(cmd Adjust) ([]Event, error) {
	if err := documentTexts(cmd.Document, cmd.Note); err != nil {
		return nil, err
	}
	if cmd.Condition == "" {
		cmd.Condition = Available
	}
	fit := d.Goods - d.UnavailableTotal()
	switch {
	case cmd.Change == 0 || cmd.Change > unit.MaxQuantity || cmd.Change < -unit.MaxQuantity:
		return nil, ErrQuantityInvalid
	case !slices.Contains(reasons, cmd.Reason):
		return nil, ErrReasonUnknown.With(ErrReasonUnknown.Detail, map[string]any{"reason": cmd.Reason, "known": reasons})
	case cmd.Reason == OtherReason && unit.Blank(cmd.Note):
		return nil, ErrNoteMissing
	case !cmd.Condition.valid():
		return nil, conditionUnknown(cmd.Condition)
	case cmd.Change < 0 && cmd.Condition != Available && d.Unavailable(cmd.Condition)+cmd.Change < 0:
		return nil, conditionShort(cmd.Condition, d.Unavailable(cmd.Condition), -cmd.Change)
	case cmd.Change < 0 && cmd.Condition == Available && fit+cmd.Change < 0:
		return nil, ErrBelowZero.With(ErrBelowZero.Detail,
			map[string]any{"on_hand": d.Goods, "unavailable": d.UnavailableTotal(), "change": cmd.Change})
	}
	if cmd.Change > 0 {
		if err := d.mayAdd(cmd.Change); err != nil {
			return nil, err
		}
	}
	adjusted := Adjusted{
		Key: cmd.Key, Change: cmd.Change, Reason: cmd.Reason, Condition: cmd.Condition, Document: cmd.Document, Note: cmd.Note,
	}
	if adjusted.Condition == Available {
		adjusted.Condition = ""
	}
	return []Event{adjusted}, nil
}

// count covers all goods on hand, including those that are unavailable. A count that finds
// the expected number is recorded, too, because it is a fact that somebody counted. The limit
// is that of on hand, and not that of a single quantity.
func (d *decision) count(cmd Count) ([]Event, error) {
	if err := documentTexts(cmd.Document, cmd.Note); err != nil {
		return nil, err
	}
	switch {
	case cmd.Counted < 0:
		return nil, ErrQuantityInvalid
	case cmd.Counted > unit.MaxOnHand:
		return nil, ErrLimit.With(ErrLimit.Detail, map[string]any{"limit": unit.MaxOnHand, "on_hand": d.Goods, "quantity": cmd.Counted})
	case cmd.Expected != d.Goods:
		return nil, ErrCountStale.With(ErrCountStale.Detail, map[string]any{"on_hand": d.Goods, "expected": cmd.Expected})
	case cmd.Counted < d.UnavailableTotal():
		return nil, ErrBelowZero.With("Fewer are counted than are set apart as damaged or otherwise unavailable: adjust those first.",
			map[string]any{"counted": cmd.Counted, "unavailable": d.UnavailableTotal()})
	}
	return []Event{Counted{
		Key: cmd.Key, Expected: cmd.Expected, Counted: cmd.Counted, Document: cmd.Document, Note: cmd.Note,
	}}, nil
}

func (d *decision) takeBack(cmd TakeBack) ([]Event, error) {
	if !cmd.Condition.valid() {
		return nil, conditionUnknown(cmd.Condition)
	}
	if done, err := d.once(arrival(cmd.Origin, cmd.ReturnID, cmd.Receipt, cmd.Condition), Made{cmd.Quantity, string(cmd.OrderID)}); done || err != nil {
		return nil, err
	}
	if cmd.Direct { // an event that an older program recorded may have no Origin
		if done, err := d.once(arrival(Origin{}, cmd.ReturnID, cmd.Receipt, cmd.Condition), Made{cmd.Quantity, string(cmd.OrderID)}); done || err != nil {
			return nil, err
		}
	}
	if err := note("override", cmd.Override); err != nil {
		return nil, err
	}
	if err := d.mayAdd(cmd.Quantity); err != nil {
		return nil, err
	}
	return []Event{Returned{
		Key: cmd.Key, Origin: cmd.Origin, ReturnID: cmd.ReturnID, Receipt: cmd.Receipt, OrderID: cmd.OrderID, Quantity: cmd.Quantity, Condition: cmd.Condition,
	}}, nil
}

func (d *decision) takeParcelBack(cmd TakeParcelBack) ([]Event, error) {
	if !cmd.Condition.valid() {
		return nil, conditionUnknown(cmd.Condition)
	}
	if done, err := d.once(parcelBack(cmd.OrderID, cmd.ShipmentID, cmd.Condition), Made{Quantity: cmd.Quantity}); done || err != nil {
		return nil, err
	}
	if err := d.mayAdd(cmd.Quantity); err != nil {
		return nil, err
	}
	events := []Event{CameBack{
		Key: cmd.Key, OrderID: cmd.OrderID, ShipmentID: cmd.ShipmentID, Quantity: cmd.Quantity, Condition: cmd.Condition,
	}}
	if cmd.Keep <= 0 || cmd.Condition != Available {
		return events, nil
	}
	if free := d.makeAvailable(cmd.Keep, d.Policy.forSale()+cmd.Quantity); free < cmd.Keep {
		return events, nil
	}
	return append(events, Allocated{
		Key: cmd.Key, OrderID: cmd.OrderID, Quantity: min(cmd.Keep, cmd.Quantity), ReservationID: cmd.ReservationID,
	}), nil
}

func (d *decision) move(cmd Move) ([]Event, error) {
	if err := note("note", cmd.Note); err != nil {
		return nil, err
	}
	switch {
	case !cmd.From.valid():
		return nil, conditionUnknown(cmd.From)
	case !cmd.To.valid():
		return nil, conditionUnknown(cmd.To)
	case !cmd.Quantity.Valid():
		return nil, ErrQuantityInvalid
	case cmd.From == cmd.To:
		return nil, nil
	}
	there := d.Unavailable(cmd.From)
	if cmd.From == Available {
		there = d.makeAvailable(cmd.Quantity, 0)
	}
	if there < cmd.Quantity {
		return nil, conditionShort(cmd.From, there, cmd.Quantity)
	}
	return []Event{Moved{Key: cmd.Key, From: cmd.From, To: cmd.To, Quantity: cmd.Quantity, Note: cmd.Note}}, nil
}

// transferOut sends goods that are on hand. The backorder limit does not count here, and the
// units of the safety stock cannot be sent.
func (d *decision) transferOut(cmd TransferOut) ([]Event, error) {
	if cmd.To == cmd.Location {
		return nil, ErrSameLocation
	}
	if done, err := d.once(transfer("out", cmd.TransferID), Made{cmd.Quantity, string(cmd.To)}); done || err != nil {
		return nil, err
	}
	if free := d.makeAvailable(cmd.Quantity, -d.Policy.SafetyStock); free < cmd.Quantity {
		return nil, insufficient(cmd.Key, free, cmd.Quantity)
	}
	return []Event{TransferredOut{Key: cmd.Key, TransferID: cmd.TransferID, To: cmd.To, Quantity: cmd.Quantity}}, nil
}

func (d *decision) transferIn(cmd TransferIn) ([]Event, error) {
	if cmd.From == cmd.Location {
		return nil, ErrSameLocation
	}
	if done, err := d.once(transfer("in", cmd.TransferID), Made{cmd.Quantity, string(cmd.From)}); done || err != nil {
		return nil, err
	}
	if err := d.mayAdd(cmd.Quantity); err != nil {
		return nil, err
	}
	return []Event{TransferredIn{Key: cmd.Key, TransferID: cmd.TransferID, From: cmd.From, Quantity: cmd.Quantity}}, nil
}

func (d *decision) setPolicy(cmd SetPolicy) ([]Event, error) {
	for _, q := range []unit.Quantity{cmd.Policy.SafetyStock, cmd.Policy.BackorderLimit, cmd.Policy.ReorderPoint} {
		if q < 0 || q > unit.MaxQuantity {
			return nil, ErrPolicyInvalid
		}
	}
	if cmd.Policy == d.Policy {
		return nil, nil
	}
	return []Event{PolicySet{Key: cmd.Key, Policy: cmd.Policy}}, nil
}

// once tells whether a movement that happens only once was made. It refuses a movement with
// the same name and other content.
func (d *decision) once(name string, asked Made) (done bool, err error) {
	if !asked.Quantity.Valid() {
		return false, ErrQuantityInvalid
	}
	recorded, err := d.made(name)
	if err != nil || recorded.Quantity == 0 {
		return false, err
	}
	if recorded != asked {
		return false, movementDiffers(recorded, asked)
	}
	return true, nil
}

func (c Condition) valid() bool {
	return c == Available || c == Damaged || c == QualityControl || c == OtherCondition
}

func conditionUnknown(c Condition) error {
	return ErrConditionUnknown.With(ErrConditionUnknown.Detail, map[string]any{"condition": c})
}

func documentTexts(document, remark string) error {
	if err := line("document", document); err != nil {
		return err
	}
	return note("note", remark)
}
