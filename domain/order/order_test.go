package order

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/decidertest"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var (
	orders = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later  = noon.Add(15 * time.Minute)
)

type row = decidertest.Case[Command, Event]

func pounds(text string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(text), Currency: "GBP"}
}

// Most cases use this order: two lines of A (3 at 2.50, 1 at 2.00), one line of B (4 at 1.005) from
// two places, and postage. 3×2.50 + 2.00 + 4×1.005 + 3.95 = 17.47.
var (
	lines = []cart.Line{
		{Number: 1, SKU: "A", SKUText: "a", Title: "Lantern", Kind: unit.Stocked, Quantity: 3, Price: pounds("2.50")},
		{Number: 2, SKU: "B", Kind: unit.Stocked, Quantity: 4, Price: pounds("1.005")},
		{Number: 4, SKU: "A", Kind: unit.Stocked, Quantity: 1, Price: pounds("2.00"), Overridden: true},
		{Number: 5, SKU: "POST", Kind: unit.Service, Quantity: 1, Price: pounds("3.95")},
	}
	reservations = []cart.Reservation{
		{ReservationID: "rA", SKU: "A", Location: "main", Quantity: 4},
		{ReservationID: "rBm", SKU: "B", Location: "main", Quantity: 3},
		{ReservationID: "rBe", SKU: "B", Location: "east", Quantity: 1},
	}
	asked = Place{
		OrderID: "o1", CartID: "c1", CustomerID: "u1", Reference: "536365", Currency: "GBP", Country: "United Kingdom",
		Lines: lines, Reservations: reservations, ConfirmBy: later,
	}
	isPlaced = Placed{
		OrderID: "o1", CartID: "c1", CustomerID: "u1", Reference: "536365", Currency: "GBP", Country: "United Kingdom",
		Lines: lines, Reservations: reservations, Total: pounds("17.47"), Charge: pounds("17.47"), ConfirmBy: later,
	}
	isClaimed      = Claimed{CartID: "c1"}
	settledConfirm = StockSettled{Step: StepConfirm}
	wholeParcel    = Shipped{ShipmentID: "p1", Location: "main", Lines: []ShippedLine{
		{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: 3},
		{Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 3},
		{Line: 4, SKU: "A", Kind: unit.Stocked, Quantity: 1},
		{Line: 5, SKU: "POST", Kind: unit.Service, Quantity: 1},
	}}
	eastParcel = Shipped{ShipmentID: "p2", Location: "east", Lines: []ShippedLine{{Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 1}}}
	shortOfB   = AllocationFailed{
		Shortages: []cart.Shortage{{SKU: "B", Location: "east", Requested: 1, Reason: "stock-insufficient"}}, Remedy: RemedyBackorder,
	}
)

func given(events ...Event) []Event { return append([]Event{isPlaced}, events...) }

// binding is an order that is confirmed, with its stock allocated.
func binding(events ...Event) []Event { return append(given(Confirmed{}, settledConfirm), events...) }

// shippedAll is an order with both parcels shipped, and stock has recorded that.
func shippedAll(events ...Event) []Event {
	return append(binding(wholeParcel, StockSettled{Step: StepShipment, Ref: "p1"}, eastParcel, StockSettled{Step: StepShipment, Ref: "p2"}), events...)
}

func captured(amount string) Event {
	return TransactionRecorded{TransactionID: "cap", Type: Capture, State: Succeeded, Amount: pounds(amount)}
}

func facts(r *rule.Rejection, facts map[string]any) *rule.Rejection { return r.With("", facts) }

func with(change func(*Place)) Place {
	cmd := asked
	change(&cmd)
	return cmd
}

var placing = map[string]row{
	"a checkout whose stock is reserved becomes an order":          {When: asked, Then: []Event{isPlaced}},
	"placing an order again with the same content changes nothing": {Given: given(), When: asked, Nothing: true},
	"placing an order again with its reservations in another sequence changes nothing": {
		Given: given(), When: with(func(c *Place) { c.Reservations = []cart.Reservation{reservations[2], reservations[0], reservations[1]} }), Nothing: true,
	},
	"placing an order again with another reference is refused":                {Given: given(), When: with(func(c *Place) { c.Reference = "7" }), Refused: ErrExists},
	"placing an order again with another price is refused":                    {Given: given(), When: with(func(c *Place) { c.Lines = repriced() }), Refused: ErrExists},
	"placing an order again with another reservation is refused":              {Given: given(), When: with(func(c *Place) { c.Reservations = otherReservation() }), Refused: ErrExists},
	"placing an order again changes nothing after its allocation was retried": {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: asked, Nothing: true},
	"a quote of other lines is refused":                                       {When: with(func(c *Place) { c.Quote = &pricing.Quote{} }), Refused: ErrQuoteInvalid},
	"an order without lines is refused":                                       {When: with(func(c *Place) { c.Lines, c.Reservations = nil, nil }), Refused: ErrEmpty},
	"lines that do not ascend by number are refused":                          {When: with(func(c *Place) { c.Lines = []cart.Line{lines[1], lines[0]} }), Refused: ErrLinesDisordered},
	"a line without units is refused":                                         {When: with(func(c *Place) { c.Lines = []cart.Line{{Number: 1, Price: pounds("1")}} }), Refused: ErrLineQuantityInvalid},
	"a line in another currency than the order's is refused":                  {When: with(func(c *Place) { c.Currency = "EUR" }), Refused: ErrCurrencyMixed},
	"an order without a reservation for one of its lines is refused":          {When: with(func(c *Place) { c.Reservations = reservations[:2] }), Refused: ErrNotReserved},
	"an order with a reservation for none of its lines is refused":            {When: with(func(c *Place) { c.Lines = lines[:1] }), Refused: ErrNotReserved},
	"an order with two reservations of a SKU at one location is refused": {When: with(func(c *Place) {
		c.Reservations = append(reservations[:2:2], cart.Reservation{SKU: "B", Location: "main", Quantity: 1})
	}), Refused: ErrNotReserved},
	"a service needs no stock":                             {When: with(func(c *Place) { c.Lines, c.Reservations = lines[3:], nil }), Then: []Event{onlyPostage()}},
	"the total is exact and the charge is rounded":         {When: with(func(c *Place) { c.Lines, c.Reservations = halfPenny(), nil }), Then: []Event{halfPennyPlaced()}},
	"a command to an order that was not placed is refused": {When: Confirm{Now: noon}, Refused: ErrNotFound},

	"a cart can claim an order id that no cart has":                   {When: Claim{OrderID: "o1", CartID: "c1"}, Then: []Event{isClaimed}},
	"claiming an order id again changes nothing":                      {Given: []Event{isClaimed}, When: Claim{OrderID: "o1", CartID: "c1"}, Nothing: true},
	"a claim by the cart of the order changes nothing":                {Given: given(), When: Claim{OrderID: "o1", CartID: "c1"}, Nothing: true},
	"a claim of an order id that another cart has claimed is refused": {Given: []Event{isClaimed}, When: Claim{OrderID: "o1", CartID: "c2"}, Refused: facts(ErrIDTaken, map[string]any{"order_id": "o1"})},
	"a claim of the id of another cart's order is refused":            {Given: given(), When: Claim{OrderID: "o1", CartID: "c2"}, Refused: ErrIDTaken},
	"an order is refused if another cart's order has its id":          {Given: given(), When: with(func(c *Place) { c.CartID = "c2" }), Refused: facts(ErrIDTaken, map[string]any{"order_id": "o1"})},
	"an order is refused if another cart has claimed its id":          {Given: []Event{isClaimed}, When: with(func(c *Place) { c.CartID = "c2" }), Refused: ErrIDTaken},
	"an order is refused if another cart's expired order has its id":  {Given: given(Expired{}), When: with(func(c *Place) { c.CartID = "c2" }), Refused: ErrIDTaken},
	"the cart that claimed an order id can place an order under it":   {Given: []Event{isClaimed}, When: asked, Then: []Event{isPlaced}},
	"a command to an order id that is only claimed is refused":        {Given: []Event{isClaimed}, When: Confirm{Now: noon}, Refused: ErrNotFound},
	"a return of an order id that is only claimed is refused":         {Given: []Event{isClaimed}, When: AdmitReturn{ReturnID: "r1"}, Refused: ErrNotFound},
}

// twoPlaces is an order of two lines of A: main holds 3 units for it, and east holds 1.
func twoPlaces() Placed {
	e := isPlaced
	e.Lines = []cart.Line{
		{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 2, Price: pounds("1")},
		{Number: 2, SKU: "A", Kind: unit.Stocked, Quantity: 2, Price: pounds("1")},
	}
	e.Reservations = []cart.Reservation{{ReservationID: "rA", SKU: "A", Location: "main", Quantity: 3}, {ReservationID: "rE", SKU: "A", Location: "east", Quantity: 1}}
	e.Total, e.Charge = pounds("4"), pounds("4")
	return e
}

func repriced() []cart.Line {
	changed := append([]cart.Line{}, lines...)
	changed[1].Price = pounds("1.01")
	return changed
}

func otherReservation() []cart.Reservation {
	changed := append([]cart.Reservation{}, reservations...)
	changed[1].ReservationID = "other"
	return changed
}

func onlyPostage() Placed {
	e := isPlaced
	e.Lines, e.Reservations, e.Total, e.Charge = lines[3:], nil, pounds("3.95"), pounds("3.95")
	return e
}

func halfPenny() []cart.Line {
	return []cart.Line{{Number: 1, SKU: "PADS", Kind: unit.Service, Quantity: 5, Price: pounds("0.001")}}
}

func halfPennyPlaced() Placed {
	e := isPlaced
	e.Lines, e.Reservations, e.Total, e.Charge = halfPenny(), nil, pounds("0.005"), pounds("0.01")
	return e
}

var life = map[string]row{
	"a pending order can be confirmed":                                   {Given: given(), When: Confirm{Now: later.Add(-1)}, Then: []Event{Confirmed{}}},
	"a pending order cannot be confirmed at its deadline":                {Given: given(), When: Confirm{Now: later}, Refused: ErrExpired},
	"an expired order cannot be confirmed":                               {Given: given(Expired{}), When: Confirm{Now: noon}, Refused: ErrExpired},
	"a canceled order cannot be confirmed":                               {Given: given(Canceled{}), When: Confirm{Now: noon}, Refused: ErrCanceled},
	"an order on hold cannot be confirmed":                               {Given: given(PutOnHold{Reason: "fraud?"}), When: Confirm{Now: noon}, Refused: ErrOnHold},
	"confirming again changes nothing":                                   {Given: binding(), When: Confirm{Now: later}, Nothing: true},
	"confirming a completed order changes nothing":                       {Given: binding(Completed{}), When: Confirm{Now: later}, Nothing: true},
	"an order can be put on hold":                                        {Given: given(), When: Hold{Reason: "fraud?"}, Then: []Event{PutOnHold{Reason: "fraud?"}}},
	"putting an order on hold again for the same reason changes nothing": {Given: given(PutOnHold{Reason: "fraud?"}), When: Hold{Reason: "fraud?"}, Nothing: true},
	"an order on hold can be put on hold for another reason":             {Given: given(PutOnHold{Reason: "fraud?"}), When: Hold{Reason: "address"}, Then: []Event{PutOnHold{Reason: "address"}}},
	"an expired order cannot be put on hold":                             {Given: given(Expired{}), When: Hold{Reason: "x"}, Refused: ErrExpired},
	"a hold can be released":                                             {Given: given(PutOnHold{Reason: "x"}), When: ReleaseHold{}, Then: []Event{HoldReleased{}}},
	"releasing a hold changes nothing if there is none":                  {Given: given(), When: ReleaseHold{}, Nothing: true},
	"an order expires at its deadline":                                   {Given: given(), When: Expire{Now: later}, Then: []Event{Expired{}}},
	"an order does not expire before its deadline":                       {Given: given(), When: Expire{Now: later.Add(-1)}, Nothing: true},
	"a confirmed order does not expire":                                  {Given: binding(), When: Expire{Now: later}, Nothing: true},
	"an order on hold does not expire":                                   {Given: given(PutOnHold{Reason: "x"}), When: Expire{Now: later}, Nothing: true},
	"its deadline counts when the hold is released":                      {Given: given(PutOnHold{Reason: "x"}), When: ReleaseHold{Now: later}, Then: []Event{HoldReleased{}, Expired{}}},
	"an order that is paid and delivered can be completed":               {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.47")), When: Complete{}, Then: []Event{Completed{}}},
	"an order with an undelivered parcel cannot be completed": {
		Given: shippedAll(Delivered{ShipmentID: "p1"}, captured("17.47")), When: Complete{},
		Refused: facts(ErrNotFinished, map[string]any{"payment_state": Paid, "fulfillment_state": PartiallyDelivered}),
	},
	"an order with money due cannot be completed": {
		Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.46")), When: Complete{},
		Refused: facts(ErrNotFinished, map[string]any{"payment_state": PartiallyPaid, "fulfillment_state": Arrived}),
	},
	"an order that owes money back cannot be completed":                          {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.48")), When: Complete{}, Refused: ErrNotFinished},
	"an order that owes money back cannot be completed after a refund for goods": {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.48"), paidBack), When: Complete{}, Refused: ErrNotFinished},
	"an order on hold cannot be completed":                                       {Given: binding(PutOnHold{Reason: "x"}), When: Complete{}, Refused: ErrOnHold},
	"a pending order cannot be completed":                                        {Given: given(), When: Complete{}, Refused: ErrNotConfirmed},
	"a canceled order cannot be completed":                                       {Given: given(Canceled{}), When: Complete{}, Refused: ErrCanceled},
	"an expired order cannot be completed":                                       {Given: given(Expired{}), When: Complete{}, Refused: ErrExpired},
	"an order with an open step cannot be completed":                             {Given: given(Confirmed{}), When: Complete{}, Refused: ErrStockUnsettled},
	"completing again changes nothing":                                           {Given: binding(Completed{}), When: Complete{}, Nothing: true},
	"an order of services alone can be completed without a parcel":               {Given: []Event{onlyPostage(), Confirmed{}, captured("3.95")}, When: Complete{}, Then: []Event{Completed{}}},
	"an expired order can be archived":                                           {Given: given(Expired{}), When: Archive{}, Then: []Event{Archived{}}},
	"a pending order cannot be archived":                                         {Given: given(), When: Archive{}, Refused: ErrNotFinished},
	"archiving an order again changes nothing":                                   {Given: given(Expired{}, Archived{}), When: Archive{}, Nothing: true},
	"an archived order can be shown again":                                       {Given: given(Expired{}, Archived{}), When: Unarchive{}, Then: []Event{Unarchived{}}},
	"unarchiving an order that is not archived does nothing":                     {Given: given(), When: Unarchive{}, Nothing: true},
	"a completed order cannot be canceled":                                       {Given: binding(Completed{}), When: Cancel{}, Refused: ErrCompleted},
	"putting an order on hold again without a reason changes nothing":            {Given: given(PutOnHold{}), When: Hold{}, Nothing: true},
}

var canceling = map[string]row{
	"an order can be canceled":                                                           {Given: given(), When: Cancel{Reason: "changed mind"}, Then: []Event{Canceled{Reason: "changed mind"}}},
	"a confirmed order on hold can be canceled":                                          {Given: binding(PutOnHold{Reason: "x"}), When: Cancel{Reason: "fraud"}, Then: []Event{Canceled{Reason: "fraud"}}},
	"a partly shipped order can be canceled":                                             {Given: binding(eastParcel), When: Cancel{}, Then: []Event{Canceled{}}},
	"an order that has shipped whole cannot be canceled":                                 {Given: shippedAll(), When: Cancel{}, Refused: ErrShipped},
	"an expired order cannot be canceled":                                                {Given: given(Expired{}), When: Cancel{}, Refused: ErrExpired},
	"canceling again changes nothing":                                                    {Given: given(Canceled{Reason: "a"}), When: Cancel{Reason: "b"}, Nothing: true},
	"some units can be canceled":                                                         {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 1}}, Reason: "r"}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 1}}, Reason: "r"}}, Repeats: true},
	"the lines of a cancellation are added up and sorted":                                {Given: given(), When: CancelLines{Lines: []LineQuantity{{4, 1}, {1, 1}, {1, 1}}}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 2}, {4, 1}}}}},
	"canceling all units that are left cancels the order":                                {Given: given(LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 4}}}), When: CancelLines{Lines: []LineQuantity{{4, 1}, {5, 1}}, Reason: "r"}, Then: []Event{Canceled{Reason: "r"}}},
	"canceling all units that are left does not cancel an order that has partly shipped": {Given: binding(eastParcel), When: CancelLines{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}, {5, 1}}}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}, {5, 1}}}}},
	"canceling no lines changes nothing":                                                 {Given: given(), When: CancelLines{}, Nothing: true},
	"units of an unknown line cannot be canceled":                                        {Given: given(), When: CancelLines{Lines: []LineQuantity{{3, 1}}}, Refused: facts(ErrLineUnknown, map[string]any{"line": 3})},
	"zero units cannot be canceled":                                                      {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 0}}}, Refused: ErrLineQuantityInvalid},
	"more units than are open cannot be canceled":                                        {Given: binding(eastParcel), When: CancelLines{Lines: []LineQuantity{{2, 2}, {2, 2}}}, Refused: facts(ErrLineQuantityExceeded, map[string]any{"line": 2, "open": 3, "requested": 4})},
	"lines of an expired order cannot be canceled":                                       {Given: given(Expired{}), When: CancelLines{Lines: []LineQuantity{{1, 1}}}, Refused: ErrExpired},
	"quantities whose sum overflows cannot be canceled":                                  {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 1 << 62}, {1, 1 << 62}, {1, 1 << 62}, {1, 1 << 62}}}, Refused: ErrLineQuantityInvalid},
	"lines of a canceled order cannot be canceled":                                       {Given: given(Canceled{}), When: CancelLines{Lines: []LineQuantity{{1, 1}}}, Refused: ErrCanceled},
}

var shipping = map[string]row{
	"a parcel without lines takes everything at its location, and the services": {
		Given: binding(), When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{wholeParcel},
	},
	"the remaining units can ship in a second parcel": {Given: binding(wholeParcel), When: Ship{ShipmentID: "p2", Location: "east"}, Then: []Event{eastParcel}},
	"a parcel can take a part, and its lines are added up": {
		Given: binding(), When: Ship{ShipmentID: "p3", Location: "main", Carrier: "RM", Tracking: "T1", Force: true, Lines: []LineQuantity{{2, 1}, {1, 1}, {2, 1}}},
		Then: []Event{Shipped{ShipmentID: "p3", Location: "main", Carrier: "RM", Tracking: "T1", Forced: true, Lines: []ShippedLine{
			{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: 1}, {Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 2},
		}}},
	},
	"shipping a parcel again changes nothing":                                {Given: binding(wholeParcel), When: Ship{ShipmentID: "p1", Location: "main"}, Nothing: true},
	"shipping a parcel again with its lines named changes nothing":           {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 1}}}, Nothing: true},
	"a parcel with a used id and other units is refused":                     {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 2}}}, Refused: ErrShipmentDiffers},
	"a parcel with a used id from another location is refused":               {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "main"}, Refused: ErrShipmentDiffers},
	"a pending order does not ship":                                          {Given: given(), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrNotConfirmed},
	"an order on hold does not ship":                                         {Given: binding(PutOnHold{Reason: "x"}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrOnHold},
	"a canceled order does not ship":                                         {Given: binding(Canceled{}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrCanceled},
	"an order does not ship before its stock is allocated":                   {Given: given(Confirmed{}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrStockUnsettled},
	"a parcel from a location without goods of the order is refused":         {Given: binding(), When: Ship{ShipmentID: "p1", Location: "west"}, Refused: ErrNothingToShip},
	"a parcel is refused if everything has shipped":                          {Given: shippedAll(), When: Ship{ShipmentID: "p3", Location: "main"}, Refused: ErrNothingToShip},
	"a parcel with an unknown line is refused":                               {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{9, 1}}}, Refused: ErrLineUnknown},
	"a parcel with more units than the line has is refused":                  {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 4}}}, Refused: ErrLineQuantityExceeded},
	"a parcel with more units than the location has is refused":              {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{2, 4}}}, Refused: facts(ErrLocationQuantityExceeded, map[string]any{"sku": "B", "location": "main", "remaining": 3})},
	"a parcel of two lines with more units than the location has is refused": {Given: []Event{twoPlaces(), Confirmed{}, settledConfirm}, When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 2}, {2, 2}}}, Refused: facts(ErrLocationQuantityExceeded, map[string]any{"sku": "A", "location": "main", "remaining": 3})},
	"a parcel from a location without goods of the line is refused":          {Given: binding(), When: Ship{ShipmentID: "p1", Location: "east", Lines: []LineQuantity{{1, 1}}}, Refused: ErrLocationQuantityExceeded},
	"a parcel with canceled units is refused":                                {Given: binding(LinesCanceled{Lines: []LineQuantity{{1, 2}}}), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 2}}}, Refused: ErrLineQuantityExceeded},
	"goods whose allocation failed do not ship":                              {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p2", Location: "east"}, Refused: ErrAllocationFailed},
	"goods whose allocation failed do not ship by force either":              {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 1}}, Force: true}, Refused: ErrAllocationFailed},
	"the other goods of an order whose allocation failed can ship":           {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{wholeParcel}},
	"services do not ship alone while goods wait":                            {Given: binding(LinesCanceled{Lines: []LineQuantity{{2, 4}}}), When: Ship{ShipmentID: "p1", Location: "east"}, Refused: ErrNothingToShip},
	"services can ship alone if no goods wait":                               {Given: []Event{onlyPostage(), Confirmed{}}, When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{Shipped{ShipmentID: "p1", Location: "main", Lines: []ShippedLine{{Line: 5, SKU: "POST", Kind: unit.Service, Quantity: 1}}}}},
	"a parcel can be delivered":                                              {Given: binding(wholeParcel), When: Deliver{ShipmentID: "p1"}, Then: []Event{Delivered{ShipmentID: "p1"}}},
	"delivering a parcel again changes nothing":                              {Given: binding(wholeParcel, Delivered{ShipmentID: "p1"}), When: Deliver{ShipmentID: "p1"}, Nothing: true},
	"a parcel of a canceled order can be delivered":                          {Given: binding(eastParcel, Canceled{}), When: Deliver{ShipmentID: "p2"}, Then: []Event{Delivered{ShipmentID: "p2"}}},
	"an unknown parcel cannot be delivered":                                  {Given: binding(), When: Deliver{ShipmentID: "p1"}, Refused: ErrShipmentUnknown},
	"an expired order does not ship":                                         {Given: given(Expired{}), When: Ship{ShipmentID: "p1"}, Refused: ErrExpired},
	"a completed order does not ship":                                        {Given: binding(Completed{}), When: Ship{ShipmentID: "p1"}, Refused: ErrCompleted},
	"an order does not ship while a retry is under way":                      {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrStockUnsettled},
	"goods that a retry has found can ship":                                  {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}, StockSettled{Step: StepConfirm, Ref: "commit-1"}), When: Ship{ShipmentID: "p2", Location: "east"}, Then: []Event{Shipped{ShipmentID: "p2", Location: "east", Lines: []ShippedLine{{Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 1}, {Line: 5, SKU: "POST", Kind: unit.Service, Quantity: 1}}}}},
}

//nolint:gofumpt // it aligns these long rows in another way than gofmt
var settling = map[string]row{
	"the confirm step can be settled":                                              {Given: given(Confirmed{}), When: SettleStock{Step: StepConfirm}, Then: []Event{settledConfirm}},
	"settling a step again changes nothing":                                        {Given: binding(), When: SettleStock{Step: StepConfirm}, Nothing: true},
	"settling a step that never opened changes nothing":                            {Given: given(), When: SettleStock{Step: StepCancel, Ref: "1"}, Nothing: true},
	"each cancellation has a step of its own":                                      {Given: binding(LinesCanceled{Lines: []LineQuantity{{1, 1}}}, LinesCanceled{Lines: []LineQuantity{{1, 1}}}), When: SettleStock{Step: StepCancel, Ref: "2"}, Then: []Event{StockSettled{Step: StepCancel, Ref: "2"}}},
	"each parcel has a step of its own":                                            {Given: binding(eastParcel), When: SettleStock{Step: StepShipment, Ref: "p2"}, Then: []Event{StockSettled{Step: StepShipment, Ref: "p2"}}},
	"an expiry has a step of its own":                                              {Given: given(Expired{}), When: SettleStock{Step: StepExpire}, Then: []Event{StockSettled{Step: StepExpire}}},
	"an order of services alone has no step":                                       {Given: []Event{onlyPostage(), Confirmed{}}, When: SettleStock{Step: StepConfirm}, Nothing: true},
	"the allocation of a confirmed order can fail":                                 {Given: given(Confirmed{}), When: FailAllocation{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"the allocation of a pending order cannot fail":                                {Given: given(), When: FailAllocation{}, Refused: ErrNotConfirmed},
	"failing an allocation changes nothing after its step was settled":             {Given: binding(), When: FailAllocation{}, Nothing: true},
	"failing an allocation again changes nothing":                                  {Given: given(Confirmed{}, shortOfB), When: FailAllocation{}, Nothing: true},
	"a late failure of the first allocation does not end a retry":                  {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: FailAllocation{}, Nothing: true},
	"the confirm step of a canceled order can fail":                                {Given: given(Confirmed{}, Canceled{}), When: FailAllocation{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"a failed allocation can be retried":                                           {Given: given(Confirmed{}, shortOfB), When: RetryAllocation{}, Then: []Event{AllocationRetried{Attempt: 1}}},
	"retrying an allocation changes nothing while a retry is under way":            {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: RetryAllocation{}, Nothing: true},
	"a retry can fail":                                                             {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: FailAllocation{Ref: "retry-1", Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"a retry that failed can be followed by another one":                           {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, shortOfB), When: RetryAllocation{}, Then: []Event{AllocationRetried{Attempt: 2}}},
	"retrying an allocation changes nothing if no units are missing":               {Given: binding(), When: RetryAllocation{}, Nothing: true},
	"retrying an allocation changes nothing after the missing units were canceled": {Given: given(Confirmed{}, shortOfB, LinesCanceled{Lines: []LineQuantity{{2, 1}}}), When: RetryAllocation{}, Nothing: true},
	"the allocation of a pending order cannot be retried":                          {Given: given(), When: RetryAllocation{}, Refused: ErrNotConfirmed},
	"the allocation of a canceled order cannot be retried":                         {Given: given(Confirmed{}, shortOfB, Canceled{}), When: RetryAllocation{}, Refused: ErrCanceled},
	"settling the step of a retry recovers the allocation":                         {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: SettleStock{Step: StepConfirm, Ref: "retry-1"}, Then: []Event{AllocationRecovered{}}},
	"the commit after a retry can be settled":                                      {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: SettleStock{Step: StepConfirm, Ref: "commit-1"}, Then: []Event{StockSettled{Step: StepConfirm, Ref: "commit-1"}}},
	"the commit after a retry can fail":                                            {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: FailAllocation{Ref: "commit-1", Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"retrying an allocation changes nothing while the commit of a retry is open":   {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: RetryAllocation{}, Nothing: true},
	"recovering an allocation changes nothing while the commit of a retry is open": {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: RecoverAllocation{}, Nothing: true},
	"RecoverAllocation recovers the allocation while a retry is under way":         {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: RecoverAllocation{}, Then: []Event{AllocationRecovered{}}},
	"an allocation cannot be recovered before it was retried":                      {Given: given(Confirmed{}, shortOfB), When: RecoverAllocation{}, Refused: ErrAllocationFailed},
	"recovering an allocation changes nothing if no units are missing":             {Given: binding(), When: RecoverAllocation{}, Nothing: true},
}

func TestPlacing(t *testing.T)   { orders.Run(t, placing) }
func TestLife(t *testing.T)      { orders.Run(t, life) }
func TestCanceling(t *testing.T) { orders.Run(t, canceling) }
func TestShipping(t *testing.T)  { orders.Run(t, shipping) }
func TestSettling(t *testing.T)  { orders.Run(t, settling) }
func TestPaying(t *testing.T)    { orders.Run(t, paying) }

func TestEveryRefusalHasARow(t *testing.T) {
	orders.EveryRefusalHasARow(t, Rejections, placing, life, canceling, shipping, settling, paying, comingBack, takingOver, limiting, writing, goingBack, crediting, adding, straying)
}
