package stock

func (d *decision) allocate(cmd Allocate) ([]Event, error) {
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if cmd.Direct && d.Orders[cmd.OrderID].Owned > 0 {
		return nil, belongs(cmd.OrderID, false)
	}
	shipped, err := d.shipped(cmd.OrderID)
	if err != nil {
		return nil, err
	}
	more := cmd.Quantity - d.Orders[cmd.OrderID].Open - shipped
	if more <= 0 {
		return nil, nil
	}
	if free := d.makeAvailable(more, d.Policy.forSale()); free < more {
		return nil, insufficient(cmd.Key, free, more)
	}
	return []Event{Allocated{Key: cmd.Key, OrderID: cmd.OrderID, Quantity: more}}, nil
}

func (d *decision) deallocate(cmd Deallocate) ([]Event, error) {
	if err := note("reason", cmd.Reason); err != nil {
		return nil, err
	}
	if err := note("override", cmd.Override); err != nil {
		return nil, err
	}
	if err := line("ref", cmd.Ref); err != nil {
		return nil, err
	}
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if cmd.Ref != "" {
		if done, err := d.made(deallocation(cmd.OrderID, cmd.Ref)); err != nil || done.Quantity > 0 {
			return nil, err
		}
	}
	promise := d.Orders[cmd.OrderID]
	back := min(cmd.Quantity, promise.Open)
	if cmd.Direct && back > promise.free() && cmd.Override == "" {
		if promise.free() == 0 {
			return nil, belongs(cmd.OrderID, true)
		}
		back = promise.free()
	}
	if back == 0 {
		return nil, nil
	}
	from := cmd.overriding(back > promise.free())
	return []Event{Deallocated{Key: cmd.Key, Origin: from, OrderID: cmd.OrderID, Ref: cmd.Ref, Quantity: back, Reason: cmd.Reason}}, nil
}

func (d *decision) ship(cmd Ship) ([]Event, error) {
	if done, err := d.once(shipment(cmd.Origin, cmd.OrderID, cmd.ShipmentID), Made{Quantity: cmd.Quantity}); done || err != nil {
		return nil, err
	}
	if cmd.Direct { // the order's process, or an older program without Origin, may have recorded a parcel with this id
		if done, err := d.once(shipment(Origin{}, cmd.OrderID, cmd.ShipmentID), Made{Quantity: cmd.Quantity}); done || err != nil {
			return nil, err
		}
	}
	if err := note("override", cmd.Override); err != nil {
		return nil, err
	}
	promise := d.Orders[cmd.OrderID]
	promised := promise.Open
	gone := max(0, cmd.Quantity-promised)
	if gone > 0 && (cmd.Direct || !cmd.Force) {
		return nil, ErrNotAllocated.With(ErrNotAllocated.Detail,
			map[string]any{"order_id": cmd.OrderID, "allocated": promised, "requested": cmd.Quantity})
	}
	taken := cmd.Direct && cmd.Quantity > promise.free()
	if taken && cmd.Override == "" {
		return nil, belongs(cmd.OrderID, true)
	}
	missing := cmd.Quantity > d.Goods-d.UnavailableTotal()
	if missing && !cmd.Force {
		return nil, ErrNotOnHand.With(ErrNotOnHand.Detail,
			map[string]any{"on_hand": d.Goods, "unavailable": d.UnavailableTotal(), "requested": cmd.Quantity})
	}
	return []Event{Shipped{
		Key: cmd.Key, Origin: cmd.overriding(taken), OrderID: cmd.OrderID, ShipmentID: cmd.ShipmentID, Quantity: cmd.Quantity, Forced: missing, Unpromised: gone,
	}}, nil
}

// overriding is the origin to record: it has the reason only if the reason was needed.
func (o Origin) overriding(needed bool) Origin {
	if !needed {
		o.Override = ""
	}
	return o
}
