package order

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/decidertest"
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
	"a checkout whose stock is held becomes an order": {When: asked, Then: []Event{isPlaced}},
	"placing it again as it is changes nothing":       {Given: given(), When: asked, Nothing: true},
	"nor does the same held stock in another order": {
		Given: given(), When: with(func(c *Place) { c.Reservations = []cart.Reservation{reservations[2], reservations[0], reservations[1]} }), Nothing: true,
	},
	"another order under the id is refused":            {Given: given(), When: with(func(c *Place) { c.Reference = "7" }), Refused: ErrExists},
	"so is one with another price":                     {Given: given(), When: with(func(c *Place) { c.Lines = repriced() }), Refused: ErrExists},
	"so is one held under another reservation":         {Given: given(), When: with(func(c *Place) { c.Reservations = otherReservation() }), Refused: ErrExists},
	"a retried order is still the one that was placed": {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: asked, Nothing: true},
	"an order has lines":                               {When: with(func(c *Place) { c.Lines, c.Reservations = nil, nil }), Refused: ErrEmpty},
	"line numbers ascend":                              {When: with(func(c *Place) { c.Lines = []cart.Line{lines[1], lines[0]} }), Refused: ErrLinesDisordered},
	"a line has units":                                 {When: with(func(c *Place) { c.Lines = []cart.Line{{Number: 1, Price: pounds("1")}} }), Refused: ErrLineQuantityInvalid},
	"one currency an order":                            {When: with(func(c *Place) { c.Currency = "EUR" }), Refused: ErrCurrencyMixed},
	"stock must be held for each line":                 {When: with(func(c *Place) { c.Reservations = reservations[:2] }), Refused: ErrNotReserved},
	"and for nothing else":                             {When: with(func(c *Place) { c.Lines = lines[:1] }), Refused: ErrNotReserved},
	"and only once at a place": {When: with(func(c *Place) {
		c.Reservations = append(reservations[:2:2], cart.Reservation{SKU: "B", Location: "main", Quantity: 1})
	}), Refused: ErrNotReserved},
	"a service needs no stock":                     {When: with(func(c *Place) { c.Lines, c.Reservations = lines[3:], nil }), Then: []Event{onlyPostage()}},
	"the total is exact and the charge is rounded": {When: with(func(c *Place) { c.Lines, c.Reservations = halfPenny(), nil }), Then: []Event{halfPennyPlaced()}},
	"nothing can be asked of an order not placed":  {When: Confirm{Now: noon}, Refused: ErrNotFound},

	"a free id is kept for its cart":                {When: Claim{OrderID: "o1", CartID: "c1"}, Then: []Event{isClaimed}},
	"and is claimed once":                           {Given: []Event{isClaimed}, When: Claim{OrderID: "o1", CartID: "c1"}, Nothing: true},
	"an order has claimed its id":                   {Given: given(), When: Claim{OrderID: "o1", CartID: "c1"}, Nothing: true},
	"another cart's claim is refused":               {Given: []Event{isClaimed}, When: Claim{OrderID: "o1", CartID: "c2"}, Refused: facts(ErrIDTaken, map[string]any{"order_id": "o1"})},
	"and where there is an order":                   {Given: given(), When: Claim{OrderID: "o1", CartID: "c2"}, Refused: ErrIDTaken},
	"another cart's order is refused":               {Given: given(), When: with(func(c *Place) { c.CartID = "c2" }), Refused: facts(ErrIDTaken, map[string]any{"order_id": "o1"})},
	"also where the id is only claimed":             {Given: []Event{isClaimed}, When: with(func(c *Place) { c.CartID = "c2" }), Refused: ErrIDTaken},
	"and where the order has expired":               {Given: given(Expired{}), When: with(func(c *Place) { c.CartID = "c2" }), Refused: ErrIDTaken},
	"the cart that claimed the id may place on it":  {Given: []Event{isClaimed}, When: asked, Then: []Event{isPlaced}},
	"nothing can be asked of an id that is claimed": {Given: []Event{isClaimed}, When: Confirm{Now: noon}, Refused: ErrNotFound},
	"no return comes of it":                         {Given: []Event{isClaimed}, When: AdmitReturn{ReturnID: "r1"}, Refused: ErrNotFound},
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
	"a pending order can be confirmed":       {Given: given(), When: Confirm{Now: later.Add(-1)}, Then: []Event{Confirmed{}}},
	"not at its deadline":                    {Given: given(), When: Confirm{Now: later}, Refused: ErrExpired},
	"nor once it has expired":                {Given: given(Expired{}), When: Confirm{Now: noon}, Refused: ErrExpired},
	"nor canceled":                           {Given: given(Canceled{}), When: Confirm{Now: noon}, Refused: ErrCanceled},
	"nor on hold":                            {Given: given(PutOnHold{Reason: "fraud?"}), When: Confirm{Now: noon}, Refused: ErrOnHold},
	"confirming again changes nothing":       {Given: binding(), When: Confirm{Now: later}, Nothing: true},
	"even when it is completed":              {Given: binding(Completed{}), When: Confirm{Now: later}, Nothing: true},
	"an order can be put on hold":            {Given: given(), When: Hold{Reason: "fraud?"}, Then: []Event{PutOnHold{Reason: "fraud?"}}},
	"for the same reason once":               {Given: given(PutOnHold{Reason: "fraud?"}), When: Hold{Reason: "fraud?"}, Nothing: true},
	"and for another one again":              {Given: given(PutOnHold{Reason: "fraud?"}), When: Hold{Reason: "address"}, Then: []Event{PutOnHold{Reason: "address"}}},
	"but not when it has ended":              {Given: given(Expired{}), When: Hold{Reason: "x"}, Refused: ErrExpired},
	"a hold can be released":                 {Given: given(PutOnHold{Reason: "x"}), When: ReleaseHold{}, Then: []Event{HoldReleased{}}},
	"where there is one":                     {Given: given(), When: ReleaseHold{}, Nothing: true},
	"an order expires at its deadline":       {Given: given(), When: Expire{Now: later}, Then: []Event{Expired{}}},
	"not before":                             {Given: given(), When: Expire{Now: later.Add(-1)}, Nothing: true},
	"nor when it was confirmed":              {Given: binding(), When: Expire{Now: later}, Nothing: true},
	"a hold does not stop it":                {Given: given(PutOnHold{Reason: "x"}), When: Expire{Now: later}, Then: []Event{Expired{}}},
	"paid and delivered it can be completed": {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.47")), When: Complete{}, Then: []Event{Completed{}}},
	"not with a parcel on the road": {
		Given: shippedAll(Delivered{ShipmentID: "p1"}, captured("17.47")), When: Complete{},
		Refused: facts(ErrNotFinished, map[string]any{"payment_state": Paid, "fulfillment_state": PartiallyDelivered}),
	},
	"nor with money due": {
		Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.46")), When: Complete{},
		Refused: facts(ErrNotFinished, map[string]any{"payment_state": PartiallyPaid, "fulfillment_state": Arrived}),
	},
	"nor with money owed back":                               {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.48")), When: Complete{}, Refused: ErrNotFinished},
	"also when goods were paid back":                         {Given: shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}, captured("17.48"), paidBack), When: Complete{}, Refused: ErrNotFinished},
	"nor on hold to be completed":                            {Given: binding(PutOnHold{Reason: "x"}), When: Complete{}, Refused: ErrOnHold},
	"nor pending":                                            {Given: given(), When: Complete{}, Refused: ErrNotConfirmed},
	"nor canceled ":                                          {Given: given(Canceled{}), When: Complete{}, Refused: ErrCanceled},
	"nor expired":                                            {Given: given(Expired{}), When: Complete{}, Refused: ErrExpired},
	"nor while stock has yet to follow":                      {Given: given(Confirmed{}), When: Complete{}, Refused: ErrStockUnsettled},
	"completing again changes nothing":                       {Given: binding(Completed{}), When: Complete{}, Nothing: true},
	"services alone need no parcel":                          {Given: []Event{onlyPostage(), Confirmed{}, captured("3.95")}, When: Complete{}, Then: []Event{Completed{}}},
	"an ended order can be archived":                         {Given: given(Expired{}), When: Archive{}, Then: []Event{Archived{}}},
	"a living one cannot":                                    {Given: given(), When: Archive{}, Refused: ErrNotFinished},
	"archived is archived":                                   {Given: given(Expired{}, Archived{}), When: Archive{}, Nothing: true},
	"an archived order can be shown again":                   {Given: given(Expired{}, Archived{}), When: Unarchive{}, Then: []Event{Unarchived{}}},
	"unarchiving an order that is not archived does nothing": {Given: given(), When: Unarchive{}, Nothing: true},
	"a completed order is left as it is":                     {Given: binding(Completed{}), When: Cancel{}, Refused: ErrCompleted},
	"a fresh order's hold reason may empty":                  {Given: given(PutOnHold{}), When: Hold{}, Nothing: true},
}

var canceling = map[string]row{
	"an order can be canceled":              {Given: given(), When: Cancel{Reason: "changed mind"}, Then: []Event{Canceled{Reason: "changed mind"}}},
	"also confirmed, also on hold":          {Given: binding(PutOnHold{Reason: "x"}), When: Cancel{Reason: "fraud"}, Then: []Event{Canceled{Reason: "fraud"}}},
	"also partly shipped":                   {Given: binding(eastParcel), When: Cancel{}, Then: []Event{Canceled{}}},
	"not when everything has shipped":       {Given: shippedAll(), When: Cancel{}, Refused: ErrShipped},
	"nor when it has expired":               {Given: given(Expired{}), When: Cancel{}, Refused: ErrExpired},
	"canceling again changes nothing":       {Given: given(Canceled{Reason: "a"}), When: Cancel{Reason: "b"}, Nothing: true},
	"some units can be canceled":            {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 1}}, Reason: "r"}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 1}}, Reason: "r"}}, Repeats: true},
	"lines are added up and put in order":   {Given: given(), When: CancelLines{Lines: []LineQuantity{{4, 1}, {1, 1}, {1, 1}}}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 2}, {4, 1}}}}},
	"all that is left is the order":         {Given: given(LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 4}}}), When: CancelLines{Lines: []LineQuantity{{4, 1}, {5, 1}}, Reason: "r"}, Then: []Event{Canceled{Reason: "r"}}},
	"but not once something has shipped":    {Given: binding(eastParcel), When: CancelLines{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}, {5, 1}}}, Then: []Event{LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}, {5, 1}}}}},
	"canceling no lines changes nothing":    {Given: given(), When: CancelLines{}, Nothing: true},
	"a missing line is refused":             {Given: given(), When: CancelLines{Lines: []LineQuantity{{3, 1}}}, Refused: facts(ErrLineUnknown, map[string]any{"line": 3})},
	"so are no units":                       {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 0}}}, Refused: ErrLineQuantityInvalid},
	"so are more than are open":             {Given: binding(eastParcel), When: CancelLines{Lines: []LineQuantity{{2, 2}, {2, 2}}}, Refused: facts(ErrLineQuantityExceeded, map[string]any{"line": 2, "open": 3, "requested": 4})},
	"an ended order's lines stay":           {Given: given(Expired{}), When: CancelLines{Lines: []LineQuantity{{1, 1}}}, Refused: ErrExpired},
	"units so many that sums would wrap":    {Given: given(), When: CancelLines{Lines: []LineQuantity{{1, 1 << 62}, {1, 1 << 62}, {1, 1 << 62}, {1, 1 << 62}}}, Refused: ErrLineQuantityInvalid},
	"a canceled order's lines are canceled": {Given: given(Canceled{}), When: CancelLines{Lines: []LineQuantity{{1, 1}}}, Refused: ErrCanceled},
}

var shipping = map[string]row{
	"everything at a place leaves, with the services": {
		Given: binding(), When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{wholeParcel},
	},
	"the remaining units ship later": {Given: binding(wholeParcel), When: Ship{ShipmentID: "p2", Location: "east"}, Then: []Event{eastParcel}},
	"a part can leave, its lines added up": {
		Given: binding(), When: Ship{ShipmentID: "p3", Location: "main", Carrier: "RM", Tracking: "T1", Force: true, Lines: []LineQuantity{{2, 1}, {1, 1}, {2, 1}}},
		Then: []Event{Shipped{ShipmentID: "p3", Location: "main", Carrier: "RM", Tracking: "T1", Forced: true, Lines: []ShippedLine{
			{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: 1}, {Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 2},
		}}},
	},
	"the same parcel again changes nothing":          {Given: binding(wholeParcel), When: Ship{ShipmentID: "p1", Location: "main"}, Nothing: true},
	"nor does it told line by line":                  {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 1}}}, Nothing: true},
	"another parcel under the id is refused":         {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 2}}}, Refused: ErrShipmentDiffers},
	"so is it from elsewhere":                        {Given: binding(eastParcel), When: Ship{ShipmentID: "p2", Location: "main"}, Refused: ErrShipmentDiffers},
	"a pending order does not ship":                  {Given: given(), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrNotConfirmed},
	"nor one on hold":                                {Given: binding(PutOnHold{Reason: "x"}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrOnHold},
	"nor a canceled one":                             {Given: binding(Canceled{}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrCanceled},
	"nor before its stock is allocated":              {Given: given(Confirmed{}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrStockUnsettled},
	"nor from a place that has nothing":              {Given: binding(), When: Ship{ShipmentID: "p1", Location: "west"}, Refused: ErrNothingToShip},
	"nor what has left already":                      {Given: shippedAll(), When: Ship{ShipmentID: "p3", Location: "main"}, Refused: ErrNothingToShip},
	"nor a line it does not have":                    {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{9, 1}}}, Refused: ErrLineUnknown},
	"nor more than the line has":                     {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 4}}}, Refused: ErrLineQuantityExceeded},
	"nor more than the place has":                    {Given: binding(), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{2, 4}}}, Refused: facts(ErrLocationQuantityExceeded, map[string]any{"sku": "B", "location": "main", "remaining": 3})},
	"nor by two lines more than the place has":       {Given: []Event{twoPlaces(), Confirmed{}, settledConfirm}, When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 2}, {2, 2}}}, Refused: facts(ErrLocationQuantityExceeded, map[string]any{"sku": "A", "location": "main", "remaining": 3})},
	"nor from a place the goods are not at":          {Given: binding(), When: Ship{ShipmentID: "p1", Location: "east", Lines: []LineQuantity{{1, 1}}}, Refused: ErrLocationQuantityExceeded},
	"nor canceled units":                             {Given: binding(LinesCanceled{Lines: []LineQuantity{{1, 2}}}), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 2}}}, Refused: ErrLineQuantityExceeded},
	"goods whose allocation failed stay":             {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p2", Location: "east"}, Refused: ErrAllocationFailed},
	"also line by line and forced":                   {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p2", Location: "east", Lines: []LineQuantity{{2, 1}}, Force: true}, Refused: ErrAllocationFailed},
	"the rest of such an order can leave":            {Given: given(Confirmed{}, shortOfB), When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{wholeParcel}},
	"services do not leave alone while goods wait":   {Given: binding(LinesCanceled{Lines: []LineQuantity{{2, 4}}}), When: Ship{ShipmentID: "p1", Location: "east"}, Refused: ErrNothingToShip},
	"services can leave alone when no goods wait":    {Given: []Event{onlyPostage(), Confirmed{}}, When: Ship{ShipmentID: "p1", Location: "main"}, Then: []Event{Shipped{ShipmentID: "p1", Location: "main", Lines: []ShippedLine{{Line: 5, SKU: "POST", Kind: unit.Service, Quantity: 1}}}}},
	"a parcel arrives":                               {Given: binding(wholeParcel), When: Deliver{ShipmentID: "p1"}, Then: []Event{Delivered{ShipmentID: "p1"}}},
	"once":                                           {Given: binding(wholeParcel, Delivered{ShipmentID: "p1"}), When: Deliver{ShipmentID: "p1"}, Nothing: true},
	"also of an order canceled meanwhile":            {Given: binding(eastParcel, Canceled{}), When: Deliver{ShipmentID: "p2"}, Then: []Event{Delivered{ShipmentID: "p2"}}},
	"an unknown parcel does not":                     {Given: binding(), When: Deliver{ShipmentID: "p1"}, Refused: ErrShipmentUnknown},
	"an expired order does not ship":                 {Given: given(Expired{}), When: Ship{ShipmentID: "p1"}, Refused: ErrExpired},
	"a completed order does not ship":                {Given: binding(Completed{}), When: Ship{ShipmentID: "p1"}, Refused: ErrCompleted},
	"a retry under way stops parcels until its end":  {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrStockUnsettled},
	"after a retry that found the stock goods leave": {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}, StockSettled{Step: StepConfirm, Ref: "commit-1"}), When: Ship{ShipmentID: "p2", Location: "east"}, Then: []Event{Shipped{ShipmentID: "p2", Location: "east", Lines: []ShippedLine{{Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: 1}, {Line: 5, SKU: "POST", Kind: unit.Service, Quantity: 1}}}}},
}

var settling = map[string]row{
	"a confirm's stock is settled":                      {Given: given(Confirmed{}), When: SettleStock{Step: StepConfirm}, Then: []Event{settledConfirm}},
	"once":                                              {Given: binding(), When: SettleStock{Step: StepConfirm}, Nothing: true},
	"a step that never opened is settled":               {Given: given(), When: SettleStock{Step: StepCancel, Ref: "1"}, Nothing: true},
	"each cancel is a step":                             {Given: binding(LinesCanceled{Lines: []LineQuantity{{1, 1}}}, LinesCanceled{Lines: []LineQuantity{{1, 1}}}), When: SettleStock{Step: StepCancel, Ref: "2"}, Then: []Event{StockSettled{Step: StepCancel, Ref: "2"}}},
	"each parcel is one":                                {Given: binding(eastParcel), When: SettleStock{Step: StepShipment, Ref: "p2"}, Then: []Event{StockSettled{Step: StepShipment, Ref: "p2"}}},
	"an expiry is one":                                  {Given: given(Expired{}), When: SettleStock{Step: StepExpire}, Then: []Event{StockSettled{Step: StepExpire}}},
	"services ask nothing of stock":                     {Given: []Event{onlyPostage(), Confirmed{}}, When: SettleStock{Step: StepConfirm}, Nothing: true},
	"stock can be lost":                                 {Given: given(Confirmed{}), When: FailAllocation{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"but not of a pending order":                        {Given: given(), When: FailAllocation{}, Refused: ErrNotConfirmed},
	"nor when it is settled":                            {Given: binding(), When: FailAllocation{}, Nothing: true},
	"nor twice":                                         {Given: given(Confirmed{}, shortOfB), When: FailAllocation{}, Nothing: true},
	"the first's late failure ends no retry":            {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: FailAllocation{}, Nothing: true},
	"a lost order canceled meanwhile ends its step too": {Given: given(Confirmed{}, Canceled{}), When: FailAllocation{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"a failed allocation can be retried":                {Given: given(Confirmed{}, shortOfB), When: RetryAllocation{}, Then: []Event{AllocationRetried{Attempt: 1}}},
	"one retry at a time":                               {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: RetryAllocation{}, Nothing: true},
	"it may fail again":                                 {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: FailAllocation{Ref: "retry-1", Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"and be retried again":                              {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, shortOfB), When: RetryAllocation{}, Then: []Event{AllocationRetried{Attempt: 2}}},
	"nothing missing, nothing to retry":                 {Given: binding(), When: RetryAllocation{}, Nothing: true},
	"missing units may be canceled":                     {Given: given(Confirmed{}, shortOfB, LinesCanceled{Lines: []LineQuantity{{2, 1}}}), When: RetryAllocation{}, Nothing: true},
	"a pending order has nothing to retry":              {Given: given(), When: RetryAllocation{}, Refused: ErrNotConfirmed},
	"nor has a canceled one":                            {Given: given(Confirmed{}, shortOfB, Canceled{}), When: RetryAllocation{}, Refused: ErrCanceled},
	"a retry that succeeds is a recovery":               {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: SettleStock{Step: StepConfirm, Ref: "retry-1"}, Then: []Event{AllocationRecovered{}}},
	"found units are then committed":                    {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: SettleStock{Step: StepConfirm, Ref: "commit-1"}, Then: []Event{StockSettled{Step: StepConfirm, Ref: "commit-1"}}},
	"and may be lost again":                             {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: FailAllocation{Ref: "commit-1", Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}, Then: []Event{shortOfB}},
	"there is no retry while it is":                     {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: RetryAllocation{}, Nothing: true},
	"nor while it is, anything to recover":              {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), When: RecoverAllocation{}, Nothing: true},
	"it can be told in those words":                     {Given: given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}), When: RecoverAllocation{}, Then: []Event{AllocationRecovered{}}},
	"not without asking stock":                          {Given: given(Confirmed{}, shortOfB), When: RecoverAllocation{}, Refused: ErrAllocationFailed},
	"an order that lost nothing is well":                {Given: binding(), When: RecoverAllocation{}, Nothing: true},
}

func TestPlacing(t *testing.T)   { orders.Run(t, placing) }
func TestLife(t *testing.T)      { orders.Run(t, life) }
func TestCanceling(t *testing.T) { orders.Run(t, canceling) }
func TestShipping(t *testing.T)  { orders.Run(t, shipping) }
func TestSettling(t *testing.T)  { orders.Run(t, settling) }
func TestPaying(t *testing.T)    { orders.Run(t, paying) }

func TestEveryRefusalHasARow(t *testing.T) {
	orders.EveryRefusalHasARow(t, Rejections, placing, life, canceling, shipping, settling, paying, comingBack, limiting, writing)
}
