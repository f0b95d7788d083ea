package stock

import "daybook/domain/unit"

func (d *decision) allocate(cmd Allocate) ([]Event, error) {
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	shipped, err := d.shipped(cmd.OrderID)
	if err != nil {
		return nil, err
	}
	more := cmd.Quantity - d.Orders[cmd.OrderID].Open - shipped
	if more <= 0 {
		return nil, nil
	}
	if free := d.room(more, d.Policy.forSale()); free < more {
		return nil, insufficient(cmd.Key, free, more)
	}
	return []Event{Allocated{Key: cmd.Key, OrderID: cmd.OrderID, Quantity: more}}, nil
}

func (d *decision) deallocate(cmd Deallocate) ([]Event, error) {
	if err := fits("reason", cmd.Reason, unit.MaxNote); err != nil {
		return nil, err
	}
	if err := fits("ref", cmd.Ref, unit.MaxReference); err != nil {
		return nil, err
	}
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if cmd.Ref != "" {
		if done, err := d.made(deallocation(cmd.OrderID, cmd.Ref)); err != nil || done > 0 {
			return nil, err
		}
	}
	back := min(cmd.Quantity, d.Orders[cmd.OrderID].Open)
	if back == 0 {
		return nil, nil
	}
	return []Event{Deallocated{Key: cmd.Key, OrderID: cmd.OrderID, Ref: cmd.Ref, Quantity: back, Reason: cmd.Reason}}, nil
}

func (d *decision) ship(cmd Ship) ([]Event, error) {
	if done, err := d.once(shipment(cmd.OrderID, cmd.ShipmentID), cmd.Quantity); done || err != nil {
		return nil, err
	}
	promised := d.Orders[cmd.OrderID].Open
	if cmd.Quantity > promised {
		return nil, ErrNotAllocated.With(ErrNotAllocated.Detail,
			map[string]any{"order_id": cmd.OrderID, "allocated": promised, "requested": cmd.Quantity})
	}
	missing := cmd.Quantity > d.Goods-d.UnavailableTotal()
	if missing && !cmd.Force {
		return nil, ErrNotOnHand.With(ErrNotOnHand.Detail,
			map[string]any{"on_hand": d.Goods, "unavailable": d.UnavailableTotal(), "requested": cmd.Quantity})
	}
	return []Event{Shipped{
		Key: cmd.Key, OrderID: cmd.OrderID, ShipmentID: cmd.ShipmentID, Quantity: cmd.Quantity, Forced: missing,
	}}, nil
}
