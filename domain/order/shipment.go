package order

import (
	"slices"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Shipment is one parcel.
type Shipment struct {
	ID        unit.ShipmentID `json:"id"`
	Location  unit.LocationID `json:"location"`
	Lines     []LineQuantity  `json:"lines"` // by line
	Carrier   string          `json:"carrier,omitempty"`
	Tracking  string          `json:"tracking,omitempty"`
	Forced    bool            `json:"forced,omitzero"`
	Delivered bool            `json:"delivered,omitzero"`
	// State is what was reported last of a parcel that did not arrive. See Parcel.
	State ParcelState `json:"state,omitempty"`
	// Back is what came back, and BackTo the location to which it came.
	Back   []BackLine      `json:"back,omitempty"`
	BackTo unit.LocationID `json:"back_to,omitempty"`
	// Resent and Credited say what followed for units that did not reach the buyer.
	Resent   []LineQuantity `json:"resent,omitempty"`
	Credited []LineQuantity `json:"credited,omitempty"`
	Credits  int            `json:"credits,omitzero"`
}

func (s State) shipmentIndex(id unit.ShipmentID) int {
	return slices.IndexFunc(s.Shipments, func(p Shipment) bool { return p.ID == id })
}

func ship(cmd Ship, s State) ([]Event, error) {
	if i := s.shipmentIndex(cmd.ShipmentID); i >= 0 {
		return nil, s.Shipments[i].differsFrom(cmd)
	}
	if no := s.mayShip(); no != nil {
		return nil, no
	}
	var lines []LineQuantity
	var err error
	if len(cmd.Lines) == 0 {
		lines, err = s.restAt(cmd.Location)
	} else {
		lines, err = s.addUp(cmd.Lines)
	}
	if err != nil {
		return nil, err
	}
	shipped := make([]ShippedLine, len(lines))
	for i, l := range lines {
		at, _ := s.lineIndex(l.Line)
		shipped[i] = ShippedLine{Line: l.Line, SKU: s.Lines[at].SKU, Kind: s.Lines[at].Kind, Quantity: l.Quantity}
	}
	if err := s.fitsLocation(shipped, cmd.Location); err != nil {
		return nil, err
	}
	return []Event{Shipped{
		ShipmentID: cmd.ShipmentID, Location: cmd.Location, Lines: shipped,
		Carrier: cmd.Carrier, Tracking: cmd.Tracking, Forced: cmd.Force,
	}}, nil
}

// differsFrom compares a repeated Ship with the parcel that was recorded. It returns nil or
// the refusal. A request for "everything left" matches any parcel.
func (p Shipment) differsFrom(cmd Ship) error {
	same := p.Location == cmd.Location && p.Carrier == cmd.Carrier && p.Tracking == cmd.Tracking && p.Forced == cmd.Force
	if same && len(cmd.Lines) > 0 {
		sum := map[int]unit.Quantity{}
		for _, l := range cmd.Lines {
			sum[l.Line] += l.Quantity
		}
		same = len(sum) == len(p.Lines)
		for _, l := range p.Lines {
			same = same && sum[l.Line] == l.Quantity
		}
	}
	if !same {
		return ErrShipmentDiffers
	}
	return nil
}

func (s State) mayShip() *rule.Rejection {
	if s.Status == StatusPending {
		return ErrNotConfirmed
	}
	if no := s.ended(); no != nil {
		return no
	}
	if s.OnHold {
		return ErrOnHold
	}
	if _, open := s.allocating(); open {
		return ErrStockUnsettled
	}
	if len(s.Transactions) > 0 && s.PaymentState() == Due {
		return ErrPaymentDue
	}
	return nil
}

// restAt is everything that the order can still ship from a location, and all services that
// are left. Services go with any parcel. They are not shipped alone while goods wait at
// another location.
func (s State) restAt(location unit.LocationID) ([]LineQuantity, error) {
	left := map[unit.SKU]unit.Quantity{}
	missing := false
	for _, h := range s.Holdings {
		if h.Location == location {
			missing = missing || h.Missing > 0
			left[h.SKU] = h.Backed()
		}
	}
	var lines []LineQuantity
	goods, waiting := false, false
	for _, l := range s.Lines {
		part := l.Open()
		if l.Kind == unit.Stocked {
			waiting = waiting || part > 0
			part = min(part, left[l.SKU])
			left[l.SKU] -= part
			goods = goods || part > 0
		}
		if part > 0 {
			lines = append(lines, LineQuantity{Line: l.Number, Quantity: part})
		}
	}
	switch {
	case waiting && !goods && missing:
		return nil, ErrAllocationFailed
	case len(lines) == 0, waiting && !goods:
		return nil, ErrNothingToShip
	}
	return lines, nil
}

// fitsLocation checks that the order has that much of each SKU at the location, promised by
// stock. Not even a forced shipment takes units that are not allocated: they must be
// allocated again first (RetryAllocation).
func (s State) fitsLocation(lines []ShippedLine, location unit.LocationID) error {
	asked := map[unit.SKU]unit.Quantity{}
	for _, l := range lines {
		if l.Kind != unit.Stocked {
			continue
		}
		asked[l.SKU] += l.Quantity
		var remaining unit.Quantity
		i := s.holdingIndex(l.SKU, location)
		if i >= 0 {
			remaining = s.Holdings[i].Remaining()
		}
		if asked[l.SKU] > remaining {
			return ErrLocationQuantityExceeded.With(ErrLocationQuantityExceeded.Detail,
				map[string]any{"sku": l.SKU, "location": location, "remaining": remaining})
		}
		if asked[l.SKU] > s.Holdings[i].Backed() {
			return ErrAllocationFailed
		}
	}
	return nil
}

func (s *State) applyShipped(e Shipped) {
	parcel := Shipment{
		ID: e.ShipmentID, Location: e.Location, Carrier: e.Carrier, Tracking: e.Tracking, Forced: e.Forced,
		Lines: make([]LineQuantity, len(e.Lines)),
	}
	var moves []Move
	for i, l := range e.Lines {
		parcel.Lines[i] = LineQuantity{Line: l.Line, Quantity: l.Quantity}
		if at, found := s.lineIndex(l.Line); found {
			s.Lines[at].Shipped += l.Quantity
			s.deliverUnits(at, l.Quantity)
		}
		if l.Kind != unit.Stocked {
			continue
		}
		if h := s.holdingIndex(l.SKU, e.Location); h >= 0 {
			s.Holdings[h].Shipped += l.Quantity
		}
		moves = append(moves, Move{Action: ActShip, SKU: l.SKU, Location: e.Location, Quantity: l.Quantity})
	}
	s.Shipments = append(s.Shipments, parcel)
	s.openStep(StepRef{Step: StepShipment, Ref: string(e.ShipmentID)}, moves)
	if e.Forced && len(moves) > 0 {
		s.Unsettled[len(s.Unsettled)-1].Forced = true
	}
}

// deliver records a fact, so it does not check the order's status.
func deliver(cmd Deliver, s State) ([]Event, error) {
	i := s.shipmentIndex(cmd.ShipmentID)
	if i < 0 {
		return nil, ErrShipmentUnknown
	}
	switch s.Shipments[i].Parcel() {
	case ParcelDelivered:
		return nil, nil
	case ParcelCameBack:
		return nil, parcelState(s.Shipments[i])
	case ParcelShipped, ParcelUndeliverable, ParcelReturning, ParcelLost: // it has arrived after all
	}
	return []Event{Delivered{ShipmentID: cmd.ShipmentID}}, nil
}

func (s *State) applyDelivered(id unit.ShipmentID) {
	i := s.shipmentIndex(id)
	if i < 0 || s.Shipments[i].Delivered {
		return
	}
	s.Shipments[i].Delivered = true
	for _, l := range s.Shipments[i].Lines {
		if at, found := s.lineIndex(l.Line); found {
			s.Lines[at].Delivered += l.Quantity - s.Shipments[i].settled(l.Line)
		}
	}
}

// FulfillmentState is how far an order's goods are. It is computed, and never set.
type FulfillmentState string

const (
	Unfulfilled        FulfillmentState = "unfulfilled"
	PartiallyFulfilled FulfillmentState = "partially_fulfilled"
	Fulfilled          FulfillmentState = "fulfilled" // all shipped
	PartiallyDelivered FulfillmentState = "partially_delivered"
	Arrived            FulfillmentState = "delivered" // all delivered
	Backordered        FulfillmentState = "backordered"
	NotRequired        FulfillmentState = "not_required" // no goods to ship: services only, or all taken off
)

// FulfillmentState looks at stocked units that were not taken off.
func (s State) FulfillmentState() FulfillmentState {
	var wanted, shipped, delivered unit.Quantity
	for _, l := range s.Lines {
		if l.Kind == unit.Stocked {
			wanted += l.Quantity - l.Canceled - l.Undelivered
			shipped += l.Shipped - l.Undelivered
			delivered += l.Delivered
		}
	}
	switch {
	case wanted == 0:
		return NotRequired
	case s.Backordered():
		return Backordered
	case delivered == wanted:
		return Arrived
	case delivered > 0:
		return PartiallyDelivered
	case shipped == wanted:
		return Fulfilled
	case shipped > 0:
		return PartiallyFulfilled
	}
	return Unfulfilled
}
