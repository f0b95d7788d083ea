package stock

import (
	"cmp"
	"time"

	"daybook/domain/unit"
)

func (d *decision) reserve(cmd Reserve) ([]Event, error) {
	if !cmd.Quantity.Valid() {
		return nil, ErrQuantityInvalid
	}
	if cmd.Direct && cmd.ReservationID == ReservationIDFor(cmd.OrderID, cmd.SKU, cmd.Location) {
		// A checkout that an older program began would take a direct reservation with this id for
		// its own.
		return nil, belongs(cmd.OrderID, false)
	}
	if h, found := d.Reservations[cmd.ReservationID]; found {
		switch {
		case h.isExpired(cmd.Now):
			return nil, ended(cmd.ReservationID, EndExpired)
		case cmd.Direct && !h.Direct:
			return nil, belongs(h.OrderID, false)
		case h.Direct && !cmd.Direct: // a checkout must not use what was reserved directly
			return nil, ErrReservationDiffers.With(ErrReservationDiffers.Detail, map[string]any{"reservation_id": cmd.ReservationID, "direct": h.Direct})
		case !h.sameDeadline(cmd):
			facts := map[string]any{"reservation_id": cmd.ReservationID, "expires_at": h.firstDeadline()}
			if h.ReserveSeconds != 0 {
				facts["hold_seconds"] = h.ReserveSeconds
			}
			return nil, ErrReservationDiffers.With("The reservation with this id was made with another deadline.", facts)
		case h.Quantity != cmd.Quantity || h.OrderID != cmd.OrderID:
			return nil, ErrReservationDiffers.With(ErrReservationDiffers.Detail,
				map[string]any{"reservation_id": cmd.ReservationID, "order_id": h.OrderID, "quantity": h.Quantity})
		case cmd.Commit && !cmd.Direct:
			return d.commit(Commit{At: cmd.At, Origin: cmd.Origin, ReservationID: cmd.ReservationID})
		}
		return nil, nil
	}
	switch end, err := d.ended(cmd.ReservationID); {
	case err != nil:
		return nil, err
	case end == EndCommitted && cmd.Commit && !cmd.Direct:
		return nil, nil
	case end != "":
		return nil, ended(cmd.ReservationID, end)
	}
	if !cmd.ExpiresAt.After(cmd.Now) {
		return nil, ErrDeadlinePassed
	}
	if free := d.makeAvailable(cmd.Quantity, d.Policy.forSale()); free < cmd.Quantity {
		return nil, insufficient(cmd.Key, free, cmd.Quantity)
	}
	if cmd.Commit && !cmd.Direct {
		return []Event{Allocated{Key: cmd.Key, OrderID: cmd.OrderID, Quantity: cmd.Quantity, ReservationID: cmd.ReservationID}}, nil
	}
	return []Event{Reserved{
		Key: cmd.Key, Origin: cmd.overriding(false), ReservationID: cmd.ReservationID, OrderID: cmd.OrderID,
		Quantity: cmd.Quantity, ExpiresAt: cmd.ExpiresAt.UTC(), ReserveSeconds: cmd.ReserveSeconds,
	}}, nil
}

// firstDeadline is the deadline with which the reservation was made.
func (h Reservation) firstDeadline() time.Time {
	if h.FirstExpiresAt.IsZero() {
		return h.ExpiresAt
	}
	return h.FirstExpiresAt
}

// sameDeadline compares a repeated Reserve with the reservation: a named deadline with the
// first deadline, and a length with the recorded length.
func (h Reservation) sameDeadline(cmd Reserve) bool {
	return (!cmd.Fixed || h.firstDeadline().Equal(cmd.ExpiresAt)) && (cmd.ReserveSeconds == 0 || cmd.ReserveSeconds == h.ReserveSeconds)
}

func (d *decision) extend(cmd Extend) ([]Event, error) {
	if err := note("override", cmd.Override); err != nil {
		return nil, err
	}
	h, err := d.active(cmd.ReservationID)
	switch {
	case err != nil:
		return nil, err
	case h.ExpiresAt.Equal(cmd.ExpiresAt), cmd.Prolong && cmd.ExpiresAt.Before(h.ExpiresAt):
		return nil, nil
	case !cmd.ExpiresAt.After(cmd.Now):
		return nil, ErrDeadlinePassed
	}
	if err := h.mayChange(cmd.Origin); err != nil {
		return nil, err
	}
	return []Event{ReservationExtended{Key: cmd.Key, Origin: cmd.overriding(!h.Direct), ReservationID: cmd.ReservationID, ExpiresAt: cmd.ExpiresAt.UTC()}}, nil
}

// release ends a reservation. A reservation that is due is recorded as expired, and not as
// released.
func (d *decision) release(cmd Release) ([]Event, error) {
	if err := cmp.Or(note("reason", cmd.Reason), note("override", cmd.Override)); err != nil {
		return nil, err
	}
	h, found := d.Reservations[cmd.ReservationID]
	switch {
	case !found:
		return nil, nil
	case h.isExpired(cmd.Now):
		return []Event{d.expiration(cmd.ReservationID)}, nil
	}
	if err := h.mayChange(cmd.Origin); err != nil {
		return nil, err
	}
	return []Event{ReservationReleased{
		Key: cmd.Key, Origin: cmd.overriding(!h.Direct), ReservationID: cmd.ReservationID, OrderID: h.OrderID, Quantity: h.Quantity, Reason: cmd.Reason,
	}}, nil
}

// expireDue records more reservations than other decisions do, but not all at once. The other
// reservations are still due, and the caller asks again.
func (d *decision) expireDue() ([]Event, error) {
	d.expireUpTo(maxExpiredForUnits)
	events := make([]Event, 0, d.expired+1)
	for _, due := range d.due[:d.expired] {
		events = append(events, d.expiration(due.ID))
	}
	d.expired = 0 // they are the command's own events, so they are not recorded a second time
	return events, nil
}

func (d *decision) commit(cmd Commit) ([]Event, error) {
	h, found := d.Reservations[cmd.ReservationID]
	if !found {
		if _, known := d.Ended.Get(string(cmd.ReservationID)); !known && d.stillCommitted(cmd) {
			return nil, nil
		}
		end, err := d.ended(cmd.ReservationID)
		if err != nil || end == EndCommitted {
			return nil, err
		}
		return nil, noReservation(cmd.ReservationID, end)
	}
	if h.isExpired(d.Now) {
		return nil, ended(cmd.ReservationID, EndExpired)
	}
	if cmd.Direct && !h.Direct {
		return nil, belongs(h.OrderID, false)
	}
	return []Event{ReservationCommitted{
		Key: cmd.Key, ReservationID: cmd.ReservationID, OrderID: h.OrderID, Quantity: h.Quantity,
	}}, nil
}

// stillCommitted tells whether the order's process still owns at least as much as the
// forgotten reservation had, so that its commitment need not be looked up in the log. It
// counts only what the process owns. Units that were allocated or reserved directly are no
// proof, and neither are shipped units, because they may have been those units. In these
// cases the log is read.
func (d *decision) stillCommitted(cmd Commit) bool {
	p, promised := d.Orders[cmd.OrderID]
	return promised && !cmd.Direct && cmd.Quantity > 0 && p.Owned >= cmd.Quantity && d.Forgotten.Has(reservationName, string(cmd.ReservationID))
}

// mayChange refuses a direct command that changes or ends a reservation of an order's
// process, unless the command has an override.
func (h Reservation) mayChange(from Origin) error {
	if !from.Direct || h.Direct {
		return nil
	}
	if from.Override == "" {
		return belongs(h.OrderID, true)
	}
	return nil
}

// active returns a reservation that is active, or the refusal that it is not.
func (d *decision) active(id unit.ReservationID) (Reservation, error) {
	if h, found := d.Reservations[id]; found {
		if h.isExpired(d.Now) {
			return Reservation{}, ended(id, EndExpired)
		}
		return h, nil
	}
	end, err := d.ended(id)
	if err != nil {
		return Reservation{}, err
	}
	return Reservation{}, noReservation(id, end)
}

// noReservation is the refusal of a command that needs an active reservation. The reservation
// has ended, or there never was one (end is empty).
func noReservation(id unit.ReservationID, end End) error {
	if end != "" {
		return ended(id, end)
	}
	return ErrReservationUnknown.With(ErrReservationUnknown.Detail, map[string]any{"reservation_id": id})
}
