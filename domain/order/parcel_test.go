package order

import (
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/domain/unit"
	"daybook/internal/racetest"
)

var (
	lostParcel = ParcelReported{ShipmentID: "p2", State: ParcelLost}
	eastBack   = ParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackLine{{2, "B", 1, Restocked}}}
	backEast   = TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackUnits{{2, 1, Restocked}}}
)

// rounded is shippedAll with lines that have amounts.
func rounded(events ...Event) []Event {
	all := shippedAll(events...)
	placed := isPlaced
	placed.RoundedLines = true
	placed.Total, placed.Charge = pounds("17.47"), pounds("17.47")
	all[0] = placed
	return all
}

func report(state ParcelState) ReportParcel { return ReportParcel{ShipmentID: "p2", State: state} }

// straying are the rules about parcels that do not arrive. p2 has one unit of line 2, from east.
var straying = map[string]row{
	"a carrier can give up":                            {Given: shippedAll(), When: ReportParcel{ShipmentID: "p2", State: ParcelUndeliverable, Reason: "nobody there", Claim: "none"}, Then: []Event{ParcelReported{"p2", ParcelUndeliverable, "nobody there", "none"}}},
	"the reason of a report must be a text":            {Given: shippedAll(), When: ReportParcel{ShipmentID: "p2", State: ParcelLost, Reason: strings.Repeat("x", 501)}, Refused: ErrTextInvalid},
	"the claim of a report must be a text":             {Given: shippedAll(), When: ReportParcel{ShipmentID: "p2", State: ParcelLost, Claim: strings.Repeat("x", 501)}, Refused: ErrTextInvalid},
	"a report that repeats the last changes nothing":   {Given: shippedAll(lostParcel), When: ReportParcel{ShipmentID: "p2", State: ParcelLost, Reason: "again"}, Nothing: true},
	"a parcel can be on its way back":                  {Given: shippedAll(ParcelReported{ShipmentID: "p2", State: ParcelUndeliverable}), When: report(ParcelReturning), Then: []Event{ParcelReported{ShipmentID: "p2", State: ParcelReturning}}},
	"a parcel on its way back can be lost":             {Given: shippedAll(ParcelReported{ShipmentID: "p2", State: ParcelReturning}), When: report(ParcelLost), Then: []Event{lostParcel}},
	"a lost parcel can be found":                       {Given: shippedAll(lostParcel), When: report(ParcelShipped), Then: []Event{ParcelReported{ShipmentID: "p2", State: ParcelShipped}}},
	"only a lost parcel can be found":                  {Given: shippedAll(ParcelReported{ShipmentID: "p2", State: ParcelReturning}), When: report(ParcelShipped), Refused: facts(ErrParcelState, map[string]any{"shipment_id": unit.ShipmentID("p2"), "state": ParcelReturning})},
	"a lost parcel is not undeliverable":               {Given: shippedAll(lostParcel), When: report(ParcelUndeliverable), Refused: ErrParcelState},
	"a delivered parcel is not lost":                   {Given: shippedAll(Delivered{"p2"}), When: report(ParcelLost), Refused: ErrParcelState},
	"nobody reports a delivery in this way":            {Given: shippedAll(), When: report(ParcelDelivered), Refused: ErrParcelState},
	"an unknown parcel is not lost":                    {Given: binding(), When: report(ParcelLost), Refused: ErrShipmentUnknown},
	"a lost parcel can arrive after all":               {Given: shippedAll(lostParcel), When: Deliver{"p2"}, Then: []Event{Delivered{"p2"}}},
	"a parcel that came back cannot arrive":            {Given: shippedAll(eastBack), When: Deliver{"p2"}, Refused: ErrParcelState},
	"a parcel can come back":                           {Given: shippedAll(), When: backEast, Then: []Event{eastBack}},
	"the reason of a parcel's way back must be a text": {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: backEast.Lines, Reason: strings.Repeat("x", 501)}, Refused: ErrTextInvalid},
	"a lost parcel can come back":                      {Given: shippedAll(lostParcel), When: backEast, Then: []Event{eastBack}},
	"a parcel comes back once":                         {Given: shippedAll(eastBack), When: backEast, Nothing: true},
	"a parcel does not come back to two locations":     {Given: shippedAll(eastBack), When: TakeParcelBack{ShipmentID: "p2", Location: "main", Lines: backEast.Lines}, Refused: ErrParcelDiffers},
	"a delivered parcel does not come back":            {Given: shippedAll(Delivered{"p2"}), When: backEast, Refused: ErrParcelState},
	"an unknown parcel does not come back":             {Given: binding(), When: backEast, Refused: ErrShipmentUnknown},
	"all goods of a parcel must be named":              {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p2", Location: "east"}, Refused: ErrParcelUnits},
	"no more comes back than was in the parcel":        {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackUnits{{2, 1, Restocked}, {2, 1, Damaged}}}, Refused: ErrParcelUnits},
	"no unknown line comes back":                       {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackUnits{{9, 1, Restocked}}}, Refused: ErrLineUnknown},
	"no less than one unit comes back":                 {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackUnits{{2, 0, Restocked}}}, Refused: ErrLineQuantityInvalid},
	"services do not come back":                        {Given: shippedAll(), When: TakeParcelBack{ShipmentID: "p1", Location: "main", Lines: []BackUnits{{1, 2, Restocked}, {1, 1, Missing}, {2, 3, Quarantined}, {4, 1, Damaged}}}, Then: []Event{ParcelBack{ShipmentID: "p1", Location: "main", Lines: []BackLine{{1, "A", 1, Missing}, {1, "A", 2, Restocked}, {2, "B", 3, Quarantined}, {4, "A", 1, Damaged}}}}},
	"goods that come back can be kept for the order":   {Given: rounded(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: backEast.Lines, Resend: true}, Then: []Event{eastBack, ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 1}}}}},
	"damaged goods are not kept":                       {Given: rounded(), When: TakeParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackUnits{{2, 1, Damaged}}, Resend: true}, Then: []Event{ParcelBack{ShipmentID: "p2", Location: "east", Lines: []BackLine{{2, "B", 1, Damaged}}}, ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 0}}}, AllocationRetried{Attempt: 1}}},
	"goods that come back elsewhere are not kept":      {Given: rounded(), When: TakeParcelBack{ShipmentID: "p2", Location: "main", Lines: backEast.Lines, Resend: true}, Then: []Event{ParcelBack{ShipmentID: "p2", Location: "main", Lines: eastBack.Lines}, ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 0}}}, AllocationRetried{Attempt: 1}}},
	"a lost parcel can be sent again":                  {Given: rounded(lostParcel), When: ResendParcel{ShipmentID: "p2", Reason: "asked"}, Then: []Event{ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 0}}, Reason: "asked"}, AllocationRetried{Attempt: 1}}},
	"the reason of a resent parcel must be a text":     {Given: rounded(lostParcel), When: ResendParcel{ShipmentID: "p2", Reason: strings.Repeat("x", 501)}, Refused: ErrTextInvalid},
	"a parcel under way is not sent again":             {Given: rounded(), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrParcelState},
	"an unknown parcel is not sent again":              {Given: binding(), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrShipmentUnknown},
	"an order without amounts sends nothing again":     {Given: shippedAll(lostParcel), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrParcelOld},
	"nothing is sent again while stock is asked":       {Given: rounded(lostParcel, AllocationRetried{Attempt: 1, Lost: []Lost{{"A", "main", 1}}}, ParcelResent{ShipmentID: "p1", Location: "main", Lines: []ResentLine{{1, "A", 1, 0}}}, AllocationRetried{Attempt: 2}), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrStockUnsettled},
	"a canceled order sends nothing again":             {Given: rounded(lostParcel, Canceled{}), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrCanceled},
	"more than the parcel had is not sent again":       {Given: rounded(lostParcel), When: ResendParcel{ShipmentID: "p2", Lines: []LineQuantity{{2, 1}, {2, 1}}}, Refused: facts(ErrParcelUnits, map[string]any{"line": 2, "left": unit.Quantity(1), "requested": unit.Quantity(2)})},
	"less than one unit is not sent again":             {Given: rounded(lostParcel), When: ResendParcel{ShipmentID: "p2", Lines: []LineQuantity{{2, 0}}}, Refused: ErrLineQuantityInvalid},
	"what was credited is not sent again":              {Given: rounded(lostParcel, creditOfEast), When: ResendParcel{ShipmentID: "p2"}, Refused: ErrParcelUnits},
	"what was sent again is not credited":              {Given: rounded(lostParcel, ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 0}}}), When: CreditParcel{ShipmentID: "p2"}, Refused: ErrParcelUnits},
	"what a return brings back is not credited":        {Given: rounded(lostParcel, ReturnAdmitted{ReturnID: "r", Lines: []LineQuantity{{2, 4}}}), When: CreditParcel{ShipmentID: "p2", Lines: []LineQuantity{{2, 1}}}, Refused: ErrParcelUnits},
	"what was credited does not come back by a return": {Given: rounded(lostParcel, creditOfEast), When: AdmitReturn{ReturnID: "r", Currency: "GBP", Lines: []LineQuantity{{2, 4}}}, Refused: ErrReturnExceeded},
	"a lost parcel can be credited":                    {Given: rounded(lostParcel), When: CreditParcel{ShipmentID: "p2", Reason: "lost"}, Then: []Event{withReason(creditOfEast, "lost")}},
	"the reason of a credit must be a text":            {Given: rounded(lostParcel), When: CreditParcel{ShipmentID: "p2", Reason: strings.Repeat("x", 501)}, Refused: ErrTextInvalid},
	"a credit of a parcel happens once":                {Given: rounded(lostParcel, creditOfEast), When: CreditParcel{ShipmentID: "p2"}, Nothing: true},
	"what was paid for lost goods goes back":           {Given: rounded(captured("17.47"), lostParcel), When: CreditParcel{ShipmentID: "p2"}, Then: []Event{creditOfEast, refundOfEast}},
	"a parcel under way is not credited":               {Given: rounded(), When: CreditParcel{ShipmentID: "p2"}, Refused: ErrParcelState},
	"an unknown parcel is not credited":                {Given: binding(), When: CreditParcel{ShipmentID: "p2"}, Refused: ErrShipmentUnknown},
	"an order without amounts credits no parcel":       {Given: shippedAll(lostParcel), When: CreditParcel{ShipmentID: "p2"}, Refused: facts(ErrParcelOld, nil)},
	"an order is not complete while a parcel is lost":  {Given: rounded(captured("17.47"), Delivered{"p1"}, lostParcel), When: Complete{}, Refused: ErrNotFinished},
	"an order without its lost goods can be complete":  {Given: rounded(captured("16.46"), Delivered{"p1"}, lostParcel, creditOfEast), When: Complete{}, Then: []Event{Completed{}}},
}

func withReason(e Credited, reason string) Credited {
	e.Reason = reason
	return e
}

var (
	creditIDOfEast = unit.CreditID(unit.ParcelCredit.Of("o1", "p2", "1").ID())
	creditOfEast   = Credited{
		CreditID: creditIDOfEast, Cause: CreditForParcel, ShipmentID: "p2", Lines: []CreditedLine{{2, 1, pounds("1.005")}},
		Worth: pounds("1.01"), Amount: pounds("1.01"), Parts: []CreditPart{{Line: 2, Quantity: 1, Amount: pounds("1.01")}},
	}
	refundIDOfEast = unit.RefundID(unit.ParcelRefund.Of("o1", string(creditIDOfEast)).ID())
	refundOfEast   = RefundRequested{
		RefundID: refundIDOfEast, Purpose: Settlement, Cause: RefundOfParcel, Amount: pounds("1.01"),
		Parts: []RefundPart{{PartID: unit.TransactionID(unit.RefundPart.Of("o1", string(refundIDOfEast), "cap").ID()), Payment: "cap", Amount: pounds("1.01")}},
	}
)

func TestParcelsThatDoNotArrive(t *testing.T) { orders.Run(t, straying) }

// A parcel that is lost, or whose goods came back, needs somebody who says what follows.
func TestAParcelAstrayNeedsAttention(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		events []Event
		want   bool
	}{
		"under way":        {rounded(), false},
		"undeliverable":    {rounded(ParcelReported{ShipmentID: "p2", State: ParcelUndeliverable}), true},
		"on its way back":  {rounded(ParcelReported{ShipmentID: "p2", State: ParcelReturning}), false},
		"came back":        {rounded(eastBack), true},
		"lost":             {rounded(lostParcel), true},
		"lost, credited":   {rounded(lostParcel, creditOfEast), false},
		"lost, sent again": {rounded(lostParcel, ParcelResent{ShipmentID: "p2", Location: "east", Lines: []ResentLine{{2, "B", 1, 1}}}), false},
		"lost, found":      {rounded(lostParcel, ParcelReported{ShipmentID: "p2", State: ParcelShipped}), false},
	} {
		if got := slices.Contains(orders.Fold(test.events...).Attention(), ParcelAstray); got != test.want {
			t.Errorf("%s: attention %t, want %t", name, got, test.want)
		}
	}
}

// Goods that are sent again are open, and they ship as before. The first parcel does not count any
// more, also if it turns up.
func TestUnitsThatAreSentAgainShipAgain(t *testing.T) {
	t.Parallel()
	s := orders.Fold(rounded(captured("17.47"), Delivered{"p1"}, lostParcel)...)
	s = do(t, s, ResendParcel{ShipmentID: "p2"})
	if state := s.FulfillmentState(); state != Backordered || s.Lines[1].Open() != 1 {
		t.Errorf("%s, %d open, before stock has allocated anything", state, s.Lines[1].Open())
	}
	s = do(t, s, SettleStock{Step: StepConfirm, Ref: "retry-1"}, SettleStock{Step: StepConfirm, Ref: "commit-1"}, Ship{ShipmentID: "p3", Location: "east"}, SettleStock{Step: StepShipment, Ref: "p3"})
	s = do(t, s, Deliver{ShipmentID: "p2"})
	if state := s.FulfillmentState(); state != PartiallyDelivered {
		t.Errorf("%s after the lost parcel has turned up; its goods are not the order's any more", state)
	}
	s = do(t, s, Deliver{ShipmentID: "p3"}, Complete{})
	if s.Status != StatusCompleted || !s.Owed().Equal(pounds("17.47")) {
		t.Errorf("%s, owed %s", s.Status, s.Owed())
	}
}

var walks = flag.Int("walks", 20_000, "how many random orders to walk through")

// Whatever happens to parcels, units and returns: when everything is taken off, nothing is left, of
// no component of tax. See randomParcels.
func TestParcelsOfRandomOrdersEndAtZero(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for seed := range racetest.Few(uint64(*walks), 500) {
		randomParcels(t, seed, count)
	}
	for _, rare := range []string{typeParcelReported, typeParcelBack, typeParcelResent, typeCredited, typeLinesCanceled, typeRefundRequested} {
		if count[rare] < 100 {
			t.Errorf("%s happened %d times", rare, count[rare])
		}
	}
}

// randomParcels ships, loses, takes back, resends, credits, cancels, returns and reduces an order
// at random. Then it takes off what is left, and looks for money that is left, owed or kept.
func randomParcels(t *testing.T, seed uint64, count map[string]int) {
	t.Helper()
	w := parcelWalk{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 7)), count: count}
	begun := paidOrders()
	w.state = begun[seed%uint64(len(begun))].Clone()
	paid := w.state.Kept()
	for range 14 {
		w.ask(w.command())
		w.settle()
	}
	w.takeTheRestOff()
	s := w.state
	for _, account := range s.accounts() {
		if left := account.Left(); left.Money != 0 || slices.ContainsFunc(left.Tax, func(t int64) bool { return t != 0 }) {
			t.Fatalf("seed %d: %+v is left", seed, left)
		}
	}
	if s.Owed().Sign() != 0 || s.Balance().Compare(s.InFlight()) < 0 || s.Kept().Compare(paid) > 0 {
		t.Fatalf("seed %d: owed %s, kept %s, in flight %s", seed, s.Owed(), s.Kept(), s.InFlight())
	}
}

type parcelWalk struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	state   State
	count   map[string]int
	parcels int
	credits int
}

func (w *parcelWalk) ask(cmd Command) {
	w.t.Helper()
	events, err := Decide(cmd, w.state)
	if err != nil {
		return
	}
	for _, e := range events {
		w.state = Evolve(w.state, e)
		w.count[typeOf(e)]++
	}
	if s := w.state; !s.Total.Minus(s.Credited).Equal(s.Left()) {
		w.t.Fatalf("seed %d, after %T: total less credits is %s, and the accounts have %s", w.seed, cmd, s.Total.Minus(s.Credited), s.Left())
	}
	for _, l := range w.state.Lines {
		if l.Canceled < 0 || l.Shipped < 0 || l.Open() < 0 || l.Returnable() < 0 || l.Delivered > l.Shipped-l.Undelivered {
			w.t.Fatalf("seed %d, after %T: line %+v", w.seed, cmd, l)
		}
		if units := int64(l.Open()); units != l.Account.Open.Left.Units {
			w.t.Fatalf("seed %d, after %T: %d units are open, and the account has %d", w.seed, cmd, units, l.Account.Open.Left.Units)
		}
	}
}

// settle ends all open steps, with success.
func (w *parcelWalk) settle() {
	for range 5 {
		for _, step := range slices.Clone(w.state.Unsettled) {
			w.ask(SettleStock{Step: step.Step, Ref: step.Ref})
		}
	}
}

func (w *parcelWalk) command() Command {
	line := LineQuantity{Line: 1 + w.random.IntN(3), Quantity: 1}
	some := [][]LineQuantity{nil, {line}}[w.random.IntN(2)]
	parcel := unit.ShipmentID(rune('a' + w.random.IntN(max(1, w.parcels))))
	switch w.random.IntN(11) {
	case 0:
		return CancelLines{Lines: []LineQuantity{line}, Reason: "no"}
	case 1, 2:
		w.parcels++
		return Ship{ShipmentID: unit.ShipmentID(rune('a' + w.parcels - 1)), Location: "main", Lines: some}
	case 3:
		return ReportParcel{ShipmentID: parcel, State: []ParcelState{ParcelLost, ParcelLost, ParcelReturning, ParcelShipped}[w.random.IntN(4)]}
	case 4, 5:
		return w.back(parcel)
	case 6:
		return ResendParcel{ShipmentID: parcel, Lines: some}
	case 7:
		return CreditParcel{ShipmentID: parcel, Lines: some}
	case 8:
		return Deliver{ShipmentID: parcel}
	case 9:
		return w.creditOfReturn(line)
	}
	w.credits++
	return Credit{CreditID: unit.CreditID("cut" + string(rune('a'+w.credits))), Cause: CreditForReduction, Currency: "EUR", Worth: unit.OfMinor(1+w.random.Int64N(300), "EUR"), Reason: "late"}
}

func (w *parcelWalk) back(id unit.ShipmentID) TakeParcelBack {
	cmd := TakeParcelBack{ShipmentID: id, Location: "main", Resend: w.random.IntN(2) == 0}
	if i := w.state.shipmentIndex(id); i >= 0 {
		for _, l := range w.state.Shipments[i].Lines {
			cmd.Lines = append(cmd.Lines, BackUnits{Line: l.Line, Quantity: l.Quantity, Disposition: []Disposition{Restocked, Damaged, Missing}[w.random.IntN(3)]})
		}
	}
	return cmd
}

// creditOfReturn admits a return and credits it.
func (w *parcelWalk) creditOfReturn(line LineQuantity) Command {
	w.credits++
	id := unit.CreditID(rune('a' + w.credits))
	cmd := back(id, line.Line)
	w.ask(AdmitReturn{ReturnID: cmd.ReturnID, Currency: "EUR", Lines: []LineQuantity{line}})
	if w.state.returnIndex(cmd.ReturnID) < 0 {
		return Deliver{ShipmentID: "none"}
	}
	return cmd
}

// takeTheRestOff cancels what is open, credits the parcels that are lost by then, returns what was
// delivered, and takes the rest, which is shipping, off as a reduction.
func (w *parcelWalk) takeTheRestOff() {
	w.settle()
	for _, parcel := range slices.Clone(w.state.Shipments) {
		w.ask(ReportParcel{ShipmentID: parcel.ID, State: ParcelLost})
		w.ask(CreditParcel{ShipmentID: parcel.ID})
	}
	for _, l := range slices.Clone(w.state.Lines) {
		for range l.Returnable() {
			w.ask(w.creditOfReturn(LineQuantity{Line: l.Number, Quantity: 1}))
		}
	}
	w.ask(Cancel{Reason: "no"})
	w.settle()
	if left := w.state.Left(); left.Sign() > 0 {
		w.ask(Credit{CreditID: "rest", Cause: CreditForReduction, Currency: "EUR", Worth: left, Reason: "the rest"})
	}
}

// paidOrders are orders of the worked example, with several quantities and taxes.
var paidOrders = sync.OnceValue(func() []State {
	var begun []State
	for n := range unit.Quantity(6) {
		place, _, err := pricedOrderOf(1+n%4, 1+n%3, []string{"", "low"}[n%2])
		if err != nil {
			panic(err)
		}
		s := State{}
		for _, cmd := range []Command{
			place,
			Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true},
			RecordTransaction{TransactionID: "cap", Type: Capture, State: Succeeded, Amount: place.Quote.Total, Provider: "card"},
		} {
			events, err := Decide(cmd, s)
			if err != nil {
				panic(err)
			}
			for _, e := range events {
				s = Evolve(s, e)
			}
		}
		begun = append(begun, s)
	}
	return begun
})

// Services go with the first parcel. An order whose goods have arrived is not canceled because its
// postage was never in a parcel, and it can be completed.
func TestServicesEndWithTheFirstParcel(t *testing.T) {
	t.Parallel()
	goods := wholeParcel
	goods.Lines = goods.Lines[:3] // without the postage
	delivered := binding(captured("17.47"), goods, StockSettled{Step: StepShipment, Ref: "p1"}, eastParcel, StockSettled{Step: StepShipment, Ref: "p2"}, Delivered{"p1"}, Delivered{"p2"})
	s := orders.Fold(delivered...)
	if _, err := Decide(Cancel{Reason: "no"}, s); !errors.Is(err, ErrShipped) {
		t.Errorf("canceled: %v", err)
	}
	if s = do(t, s, Complete{}); s.Status != StatusCompleted {
		t.Errorf("the order is %s", s.Status)
	}
}
