package stock

import "daybook/domain/unit"

func (d *decision) reserve(cmd Reserve) ([]Event, error) {
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if end, known := d.Ended.Get(string(cmd.ReservationID)); known {
		return nil, ended(cmd.ReservationID, end)
	}
	if h, held := d.Holds[cmd.ReservationID]; held {
		switch {
		case h.isExpired(cmd.Now):
			return nil, ended(cmd.ReservationID, EndExpired)
		case h.Quantity != cmd.Quantity || h.OrderID != cmd.OrderID:
			return nil, ErrReservationDiffers.With(ErrReservationDiffers.Detail,
				map[string]any{"reservation_id": cmd.ReservationID, "order_id": h.OrderID, "quantity": h.Quantity})
		}
		return nil, nil
	}
	if !cmd.ExpiresAt.After(cmd.Now) {
		return nil, ErrDeadlinePassed
	}
	if free := d.room(cmd.Quantity, d.Policy.forSale()); free < cmd.Quantity {
		return nil, insufficient(cmd.Key, free, cmd.Quantity)
	}
	return []Event{Reserved{
		Key: cmd.Key, ReservationID: cmd.ReservationID, OrderID: cmd.OrderID,
		Quantity: cmd.Quantity, ExpiresAt: cmd.ExpiresAt.UTC(),
	}}, nil
}

func (d *decision) extend(cmd Extend) ([]Event, error) {
	h, err := d.active(cmd.ReservationID)
	switch {
	case err != nil:
		return nil, err
	case h.ExpiresAt.Equal(cmd.ExpiresAt):
		return nil, nil
	case !cmd.ExpiresAt.After(cmd.Now):
		return nil, ErrDeadlinePassed
	}
	return []Event{ReservationExtended{Key: cmd.Key, ReservationID: cmd.ReservationID, ExpiresAt: cmd.ExpiresAt.UTC()}}, nil
}

// release of a reservation that is due records what it is: expired.
func (d *decision) release(cmd Release) ([]Event, error) {
	if err := fits("reason", cmd.Reason, unit.MaxNote); err != nil {
		return nil, err
	}
	h, held := d.Holds[cmd.ReservationID]
	switch {
	case !held:
		return nil, nil
	case h.isExpired(cmd.Now):
		return []Event{d.expiration(cmd.ReservationID)}, nil
	}
	return []Event{ReservationReleased{
		Key: cmd.Key, ReservationID: cmd.ReservationID, OrderID: h.OrderID, Quantity: h.Quantity, Reason: cmd.Reason,
	}}, nil
}

// expireDue takes more than other decisions do, but not all at once: what is
// left is still due, and is asked for again.
func (d *decision) expireDue() ([]Event, error) {
	d.expireUpTo(expiredForRoom)
	events := make([]Event, 0, d.expired+1)
	for _, due := range d.due[:d.expired] {
		events = append(events, d.expiration(due.ID))
	}
	d.expired = 0 // they are the answer, not beside it
	return events, nil
}

func (d *decision) commit(cmd Commit) ([]Event, error) {
	if end, known := d.Ended.Get(string(cmd.ReservationID)); known && end == EndCommitted {
		return nil, nil
	}
	h, err := d.active(cmd.ReservationID)
	if err != nil {
		return nil, err
	}
	return []Event{ReservationCommitted{
		Key: cmd.Key, ReservationID: cmd.ReservationID, OrderID: h.OrderID, Quantity: h.Quantity,
	}}, nil
}

// active is a reservation that holds, or the refusal that it does not.
func (d *decision) active(id unit.ReservationID) (Hold, error) {
	if h, held := d.Holds[id]; held {
		if h.isExpired(d.Now) {
			return Hold{}, ended(id, EndExpired)
		}
		return h, nil
	}
	if end, known := d.Ended.Get(string(id)); known {
		return Hold{}, ended(id, end)
	}
	return Hold{}, ErrReservationUnknown.With(ErrReservationUnknown.Detail, map[string]any{"reservation_id": id})
}
