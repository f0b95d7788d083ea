package order

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// machine gives random commands to one order. After each command it compares the order with the
// model, which adds up all events from the beginning in a slow and simple way.
type machine struct {
	t     interface{ Fatalf(string, ...any) }
	pick  func(int) int // 0 to n-1
	now   time.Time
	state State
	model model
	count map[string]int // of events, by type
}

// model keeps the order a second time, by code that shares nothing with Evolve.
type model struct {
	lines    map[int]*modelLine
	parcels  map[unit.ShipmentID]Shipped
	arrived  map[unit.ShipmentID]bool
	cameBack map[unit.ShipmentID]bool
	payments map[unit.TransactionID]*TransactionRecorded
	ended    map[unit.TransactionID]bool // has had its one end
	claimed  map[unit.TransactionID]unit.ReturnID
	backs    map[unit.ReturnID]*ReturnAdmitted
	released map[unit.ReturnID]bool
	customer unit.CustomerID
	// parts tells under which id the transaction of a part is recorded now.
	parts      map[unit.TransactionID]unit.TransactionID
	credits    []Credited
	charges    []ChargeAdded
	writtenOff unit.Money
	lost, gain unit.Money
}

func (b *model) nowOf(part unit.TransactionID) unit.TransactionID { return cmp.Or(b.parts[part], part) }

func (b *model) settlePart(e RefundSettled) {
	now := b.nowOf(e.PartID)
	switch e.State {
	case RefundSucceeded:
		b.payments[now].State = Succeeded
	case RefundHasFailed:
		b.payments[now].State = Failed
	case RefundIsUnknown, RefundIsRequested, RefundIsSubmitted:
	}
	if e.SameAs != "" {
		b.payments[e.SameAs].Purpose = b.payments[now].Purpose
		delete(b.payments, now)
		b.parts[e.PartID] = e.SameAs
	}
}

type modelLine struct {
	cart.Line
	canceled, shipped, delivered unit.Quantity
}

func (m *machine) fatalf(format string, args ...any) { m.t.Fatalf(format, args...) }

func (m *machine) enter(e Event) {
	b := &m.model
	switch e := e.(type) {
	case Placed:
		for _, l := range e.Lines {
			b.lines[l.Number] = &modelLine{Line: l}
		}
	case LinesCanceled:
		for _, l := range e.Lines {
			b.lines[l.Line].canceled += l.Quantity
		}
	case Canceled, Expired:
		for _, l := range b.lines {
			l.canceled = l.Quantity - l.shipped
		}
	case Shipped:
		if _, twice := b.parcels[e.ShipmentID]; twice {
			m.fatalf("parcel %s left twice", e.ShipmentID)
		}
		b.parcels[e.ShipmentID] = e
		for _, l := range e.Lines {
			b.lines[l.Line].shipped += l.Quantity
		}
	case Delivered:
		if b.arrived[e.ShipmentID] {
			m.fatalf("parcel %s arrived twice", e.ShipmentID)
		}
		b.arrived[e.ShipmentID] = true
		for _, l := range b.parcels[e.ShipmentID].Lines {
			b.lines[l.Line].delivered += l.Quantity
		}
	case TransactionRecorded:
		if b.payments[e.TransactionID] != nil {
			m.fatalf("transaction %s was recorded twice", e.TransactionID)
		}
		if e.Part != "" {
			old := b.payments[b.nowOf(e.Part)]
			delete(b.payments, b.nowOf(e.Part))
			b.parts[e.Part] = e.TransactionID
			e.Purpose = old.Purpose
		}
		b.payments[e.TransactionID] = &e
	case TransactionSettled:
		t := b.payments[e.TransactionID]
		if t.State != Pending || b.ended[e.TransactionID] {
			m.fatalf("transaction %s ended twice", e.TransactionID)
		}
		b.ended[e.TransactionID] = true
		t.State = e.State
	case PaymentOrphaned:
		if t := b.payments[e.TransactionID]; t.State != Succeeded || e.Amount.Compare(t.Amount) > 0 || e.Amount.Sign() <= 0 {
			m.fatalf("%s orphaned of %+v", e.Amount, t)
		}
	case ReturnAdmitted:
		if b.backs[e.ReturnID] != nil || b.released[e.ReturnID] {
			m.fatalf("return %s was admitted twice, or after its release", e.ReturnID)
		}
		b.backs[e.ReturnID] = &e
	case ReturnReleased:
		b.credits = slices.DeleteFunc(b.credits, func(c Credited) bool {
			if c.ReturnID != e.ReturnID {
				return false
			}
			b.charges = slices.DeleteFunc(b.charges, func(charge ChargeAdded) bool { return charge.CreditID == c.CreditID })
			return true
		})
		if b.released[e.ReturnID] {
			m.fatalf("return %s was released twice", e.ReturnID)
		}
		b.released[e.ReturnID] = true
	case RefundClaimed:
		if t := b.payments[e.TransactionID]; b.claimed[e.TransactionID] != "" || t.ReturnID != "" || t.Type != Refund || t.State != Succeeded {
			m.fatalf("%+v is claimed for return %s", t, e.ReturnID)
		}
		b.claimed[e.TransactionID] = e.ReturnID
	case TakenOver:
		if b.customer != "" {
			m.fatalf("the order of %s was taken over by %s", b.customer, e.CustomerID)
		}
		b.customer = e.CustomerID
	case RefundRequested:
		for _, p := range e.Parts {
			b.payments[p.PartID] = &TransactionRecorded{TransactionID: p.PartID, Type: Refund, State: Pending, Amount: p.Amount, Parent: p.Payment, Purpose: e.Purpose}
		}
	case RefundSubmitted:
		b.payments[b.nowOf(e.PartID)].State = Pending
		b.ended[e.PartID] = false
	case RefundSettled:
		b.settlePart(e)
	case RefundExplained:
		b.payments[e.TransactionID].Purpose = e.Purpose
	case Credited:
		b.credits = append(b.credits, e)
	case ChargeAdded:
		b.charges = append(b.charges, e)
	case DifferenceWrittenOff:
		if e.Amount.Sign() > 0 {
			b.gain = b.gain.Plus(e.Amount)
			break
		}
		given := e.Amount.Negated()
		part := lesser(given, b.owed(m.state.Total).Minus(b.gain))
		b.writtenOff, b.lost = b.writtenOff.Plus(part), b.lost.Plus(given.Minus(part))
	case ReturnRefundRefused, TransactionUnreadable, DeadlineExtended:
	case ParcelReported:
	case ParcelBack:
		m.enterBack(e)
	case ParcelResent:
		m.fatalf("units of an order without amounts are sent again")
	case Claimed, Confirmed, PutOnHold, HoldReleased, Completed, StockSettled, AllocationFailed, AllocationRetried, AllocationRecovered, Archived, Unarchived:
	}
}

// allowed tells whether an event may change the order's status from one value to another.
func allowed(from, to Status, e Event) bool {
	if from == to {
		return true
	}
	switch any(e).(type) {
	case Placed:
		return from == "" && to == StatusPending
	case Confirmed:
		return from == StatusPending && to == StatusConfirmed
	case Expired:
		return from == StatusPending && to == StatusExpired
	case Canceled:
		return (from == StatusPending || from == StatusConfirmed) && to == StatusCanceled
	case Completed:
		return from == StatusConfirmed && to == StatusCompleted
	}
	return false
}

func written(v any) string {
	data, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return string(data)
}

// ask decides, folds and checks.
func (m *machine) ask(cmd Command) {
	before, clone := written(m.state), m.state.Clone()
	events, err := Decide(cmd, m.state)
	if _, refused := errors.AsType[*rule.Rejection](err); err != nil && (!refused || len(events) > 0) {
		m.fatalf("%T: %v with %d events", cmd, err, len(events))
	}
	if written(m.state) != before {
		m.fatalf("deciding %T changed the state", cmd)
	}
	for _, e := range events {
		typ, data, err := Encode(e)
		if err != nil {
			m.fatalf("%v", err)
		}
		back, err := Decode(typ, data)
		if err != nil || written(back) != written(e) {
			m.fatalf("%s reads back as %s (%v)", written(e), written(back), err)
		}
		from := m.state.Status
		m.state = Evolve(m.state, back)
		if !allowed(from, m.state.Status, e) {
			m.fatalf("%T took the order from %s to %s", e, from, m.state.Status)
		}
		m.enter(e)
		m.count[typ]++
		m.check()
	}
	if written(clone) != before {
		m.fatalf("folding what %T led to changed a clone", cmd)
	}
	if _, repeats := cmd.(CancelLines); len(events) > 0 && !repeats {
		if again, err := Decide(cmd, m.state); err == nil && len(again) > 0 {
			m.fatalf("%T happens twice: %s", cmd, written(again))
		}
	}
}

func (m *machine) check() {
	if !m.state.Exists() { // only its id is claimed; it is not placed
		return
	}
	s := m.state
	var back State
	if err := json.Unmarshal([]byte(written(s)), &back); err != nil || written(back) != written(s) {
		m.fatalf("the state reads back as %s from %s (%v)", written(back), written(s), err)
	}
	if written(s.Clone()) != written(s) {
		m.fatalf("a clone differs")
	}
	open, total := map[unit.SKU]unit.Quantity{}, unit.Zero("GBP")
	for _, l := range s.Lines {
		b := m.model.lines[l.Number]
		if l.Quantity != b.Quantity || l.Canceled != b.canceled || l.Shipped != b.shipped || l.Delivered != b.delivered {
			m.fatalf("line %+v, in the model %+v", l, *b)
		}
		if back := m.model.returning(l.Number); l.Returning != back || back < 0 || back > l.Shipped {
			m.fatalf("line %+v, %d come back in the model", l, back)
		}
		if l.Canceled < 0 || l.Shipped < 0 || l.Open() < 0 || l.Delivered > l.Shipped {
			m.fatalf("line %+v does not add up", l)
		}
		if l.Kind == unit.Stocked {
			open[l.SKU] += l.Open()
		}
		total = total.Plus(l.Price.Times(l.Quantity - l.Canceled))
	}
	for _, c := range m.model.charges {
		total = total.Plus(c.Gross)
	}
	if !total.Equal(s.Total) {
		m.fatalf("total %s, the lines and charges make %s", s.Total, total)
	}
	for _, h := range s.Holdings {
		if h.Remaining() < 0 || h.Canceled < 0 || h.Shipped < 0 {
			m.fatalf("holding %+v does not add up", h)
		}
		open[h.SKU] -= h.Remaining()
	}
	for sku, rest := range open {
		if rest != 0 {
			m.fatalf("lines have %d of %s open that no holding has", rest, sku)
		}
	}
	if ended := s.Status == StatusCanceled || s.Status == StatusExpired; ended && m.openUnits() > 0 {
		m.fatalf("a %s order has open units", s.Status)
	}
	if s.CustomerID != m.model.customer || s.TakenOver != (s.CustomerID != "") {
		m.fatalf("it is the order of %q, in the model of %q", s.CustomerID, m.model.customer)
	}
	m.checkMoney()
	m.checkSteps()
}

func (b *model) returning(line int) (units unit.Quantity) {
	for id, back := range b.backs {
		for _, l := range back.Lines {
			if l.Line == line && !b.released[id] {
				units += l.Quantity
			}
		}
	}
	return units
}

func (m *machine) openUnits() unit.Quantity {
	_, open := m.state.units()
	return open
}

func (m *machine) checkMoney() {
	sum := make(map[TransactionType]unit.Money)
	refunds, compensated, inFlight, onTop := unit.Zero("GBP"), unit.Zero("GBP"), unit.Zero("GBP"), unit.Zero("GBP")
	for _, typ := range []TransactionType{Authorize, Capture, Void, Refund, Chargeback, Dispute, Reversal} {
		sum[typ] = unit.Zero("GBP")
	}
	for id, t := range m.model.payments {
		if have, _ := m.state.Transaction(id); have.State != t.State || !have.Amount.Equal(t.Amount) || have.ReturnID != cmp.Or(m.model.claimed[id], t.ReturnID) {
			m.fatalf("transaction %+v, in the model %+v", have, *t)
		}
		if t.State == Succeeded {
			sum[t.Type] = sum[t.Type].Plus(t.Amount)
		}
		if t.Type == Refund && t.State != Failed {
			refunds = refunds.Plus(t.Amount)
			if t.Purpose == Compensation {
				onTop = onTop.Plus(t.Amount)
			}
			if t.State == Succeeded && t.Purpose == Compensation {
				compensated = compensated.Plus(t.Amount)
			}
			if t.State == Pending && t.Purpose != Compensation {
				inFlight = inFlight.Plus(t.Amount)
			}
		}
	}
	if !m.state.Captured().Equal(sum[Capture]) || !m.state.Returned().Equal(sum[Refund].Plus(sum[Chargeback]).Minus(sum[Reversal])) {
		m.fatalf("captured %s, returned %s, in the model %v", m.state.Captured(), m.state.Returned(), sum)
	}
	// What the payments cannot take of a settlement, beside a compensation, is paid out in another
	// way.
	if refunds.Compare(sum[Capture].Plus(onTop)) > 0 || sum[Chargeback].Minus(sum[Reversal]).Compare(sum[Capture]) > 0 || sum[Void].Compare(sum[Authorize]) > 0 {
		m.fatalf("more went back than came: %v, refunds under way %s", sum, refunds)
	}
	kept := sum[Capture].Minus(sum[Refund]).Minus(sum[Chargeback]).Plus(sum[Reversal])
	owed := m.model.owed(m.state.Total)
	balance := kept.Plus(compensated).Plus(m.model.lost).Minus(owed)
	s := m.state
	if !s.Owed().Equal(owed) || !s.Kept().Equal(kept) || !s.Balance().Equal(balance) || !s.InFlight().Equal(inFlight) {
		m.fatalf("owed %s, kept %s, balance %s, in flight %s; in the model %s, %s, %s, %s", s.Owed(), s.Kept(), s.Balance(), s.InFlight(), owed, kept, balance, inFlight)
	}
	if nobodyLooks := !s.NeedsAttention(); nobodyLooks && (balance.Compare(inFlight) > 0 && balance.Sign() > 0 || balance.Sign() < 0 && sum[Capture].Compare(owed) >= 0 && sum[Capture].Sign() > 0) {
		m.fatalf("balance %s with %s in flight, and nobody looks at it", balance, inFlight)
	}
	if open := s.ToReturn(); open.Sign() > 0 && open.Plus(inFlight).Compare(balance) != 0 {
		m.fatalf("%s to return of %s, %s in flight", open, balance, inFlight)
	}
	m.state.PaymentState()
}

// owed adds up what is owed from the events. total is the exact worth of what was not canceled.
func (b *model) owed(total unit.Money) unit.Money {
	owed := total.Charge()
	for _, c := range b.credits {
		owed = owed.Minus(c.Amount)
	}
	if owed = owed.Minus(b.writtenOff); owed.Sign() < 0 {
		owed = unit.Zero("GBP")
	}
	return owed.Plus(b.gain)
}

// checkSteps checks that each open step moves only units that the order holds, and moves them once.
func (m *machine) checkSteps() {
	seen := map[StepRef]bool{}
	confirms := 0
	for _, step := range m.state.Unsettled {
		if seen[step.StepRef] || len(step.Moves) == 0 {
			m.fatalf("step %+v", step)
		}
		seen[step.StepRef] = true
		if step.Step == StepConfirm {
			confirms++
		}
		once := map[string]bool{}
		for _, move := range step.Moves {
			key := fmt.Sprint(move.Action, move.SKU, move.Location, move.Disposition)
			i := m.state.holdingIndex(move.SKU, move.Location)
			elsewhere := move.Action == ActTakeBack // goods may come back to any location
			if once[key] || i < 0 && !elsewhere || move.Quantity <= 0 || !elsewhere && move.Quantity > m.state.Holdings[i].Quantity {
				m.fatalf("move %+v of step %+v", move, step.StepRef)
			}
			once[key] = true
		}
	}
	if confirms > 1 {
		m.fatalf("%d allocations under way", confirms)
	}
}

var machineCart = []cart.Line{
	{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 3, Price: pounds("2.505")},
	{Number: 2, SKU: "B", Kind: unit.Stocked, Quantity: 4, Price: pounds("0.001")},
	{Number: 5, SKU: "A", Kind: unit.Stocked, Quantity: 2, Price: pounds("0")},
	{Number: 6, SKU: "POST", Kind: unit.Service, Quantity: 2, Price: pounds("1.95")},
}

var machineReservations = []cart.Reservation{
	{ReservationID: "r1", SKU: "B", Location: "main", Quantity: 4},
	{ReservationID: "r2", SKU: "A", Location: "main", Quantity: 3},
	{ReservationID: "r3", SKU: "A", Location: "east", Quantity: 2},
}

func newMachine(t interface{ Fatalf(string, ...any) }, count map[string]int, pick func(int) int) *machine {
	m := &machine{t: t, pick: pick, now: noon, count: count, model: model{
		lines: map[int]*modelLine{}, parcels: map[unit.ShipmentID]Shipped{}, arrived: map[unit.ShipmentID]bool{}, cameBack: map[unit.ShipmentID]bool{},
		payments: map[unit.TransactionID]*TransactionRecorded{}, ended: map[unit.TransactionID]bool{},
		claimed: map[unit.TransactionID]unit.ReturnID{}, parts: map[unit.TransactionID]unit.TransactionID{}, writtenOff: unit.Zero("GBP"), lost: unit.Zero("GBP"), gain: unit.Zero("GBP"), backs: map[unit.ReturnID]*ReturnAdmitted{}, released: map[unit.ReturnID]bool{},
	}}
	if pick(4) == 0 {
		m.now = later // too late to be confirmed
	}
	if pick(4) == 0 {
		m.ask(Claim{OrderID: "o1", CartID: "c1"})
	}
	m.ask(Place{OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: machineCart, Reservations: machineReservations, ConfirmBy: later})
	return m
}

func (m *machine) lines() []LineQuantity {
	lines := make([]LineQuantity, 1+m.pick(2))
	for i := range lines {
		lines[i] = LineQuantity{Line: []int{1, 2, 5, 6, 3}[m.pick(5)], Quantity: unit.Quantity(m.pick(4))}
	}
	return lines
}

func (m *machine) amount() unit.Money {
	return pounds([]string{"11.42", "5", "0.01", "3.90", "0"}[m.pick(5)])
}

func (m *machine) transaction() RecordTransaction {
	ids := []unit.TransactionID{"t1", "t2", "t3", "t4", "t5", "t6"}
	cmd := RecordTransaction{
		TransactionID: ids[m.pick(len(ids))], Amount: m.amount(),
		Type:  []TransactionType{Authorize, Capture, Void, Refund, Chargeback, Dispute, Reversal}[m.pick(7)],
		State: []TransactionState{Pending, Succeeded, Succeeded, Failed}[m.pick(4)],
	}
	if m.pick(3) == 0 || cmd.Type == Reversal {
		cmd.Parent = ids[m.pick(len(ids))]
	}
	return cmd
}

// returnRefund makes a refund of a return. In some cases it is a refund that the payment provider
// has reported before.
func (m *machine) returnRefund() RecordReturnRefund {
	cmd := RecordReturnRefund{
		ReturnID: m.pickReturnID(), Amount: pounds([]string{"5", "0.01"}[m.pick(2)]),
		TransactionID: []unit.TransactionID{"t1", "t2", "b1", "b2"}[m.pick(4)],
	}
	for _, t := range m.state.Transactions {
		if t.Type == Refund && t.ReturnID == "" && t.State != Failed && m.pick(3) > 0 {
			cmd.TransactionID, cmd.Amount = t.ID, t.Amount
		}
	}
	return cmd
}

// settleOldest makes a command that ends the oldest open step: mostly with success, sometimes with
// a failed allocation.
func (m *machine) settleOldest() Command {
	if len(m.state.Unsettled) == 0 {
		return SettleStock{Step: StepCancel, Ref: "9"}
	}
	step := m.state.Unsettled[0]
	if step.Step == StepConfirm && m.pick(3) == 0 {
		lost := step.Moves[m.pick(len(step.Moves))]
		return FailAllocation{Ref: step.Ref, Remedy: RemedyBackorder, Shortages: []cart.Shortage{{SKU: lost.SKU, Location: lost.Location, Requested: lost.Quantity}}}
	}
	return SettleStock{Step: step.Step, Ref: step.Ref}
}

func (m *machine) step() {
	parcels := []unit.ShipmentID{"p1", "p2", "p3", "p4"}
	places := []unit.LocationID{"main", "east", "west"}
	switch m.pick(48) {
	case 46, 47:
		m.ask(m.astray())
	case 27, 28:
		m.ask(m.refundRequest())
	case 29, 30, 31:
		m.ask(m.refundStep())
	case 32, 34, 35:
		m.ask(m.difference())
	case 33:
		m.ask(Credit{CreditID: []unit.CreditID{"cut1", "cut2"}[m.pick(2)], Cause: CreditForReduction, Currency: "GBP", Worth: m.amount()})
	case 44, 45:
		m.ask(AddCharge{
			ChargeID: []unit.ChargeID{"x1", "x2", "x3"}[m.pick(3)], Kind: []ChargeKind{Surcharge, Clawback}[m.pick(2)], Amount: m.amount(),
			CreditID: "credit of " + unit.CreditID(m.pickReturnID()), Limit: amountOf("9"), Allowed: m.pick(3) > 0,
		})
	case 0, 1:
		m.ask(Confirm{Now: m.now, Allocated: m.pick(3) == 0})
	case 2:
		m.ask(Hold{Reason: "x"})
	case 3, 4:
		m.ask(ReleaseHold{})
	case 5, 6:
		m.ask(CancelLines{Lines: m.lines()})
	case 7:
		if m.pick(4) == 0 {
			m.ask(Cancel{})
		}
	case 8:
		m.ask(Expire{Now: m.now})
	case 9, 10, 38, 39, 40, 41, 42, 43:
		m.ask(m.transaction())
	case 11:
		m.ask(SettleTransaction{TransactionID: []unit.TransactionID{"t1", "t2", "t3", "t4"}[m.pick(4)], State: []TransactionState{Succeeded, Failed}[m.pick(2)]})
	case 12:
		m.ask(Ship{ShipmentID: parcels[m.pick(4)], Location: places[m.pick(3)], Force: m.pick(4) == 0})
	case 13:
		m.ask(Ship{ShipmentID: parcels[m.pick(4)], Location: places[m.pick(3)], Lines: m.lines()})
	case 14:
		m.ask(Deliver{ShipmentID: parcels[m.pick(4)]})
	case 15, 16, 17:
		m.ask(m.settleOldest())
	case 18:
		m.ask([]Command{Complete{}, RetryAllocation{}, RecoverAllocation{}, Archive{}, Unarchive{}}[m.pick(5)])
	case 19:
		m.now = m.now.Add(time.Duration(m.pick(12)) * time.Minute)
	case 20:
		m.ask(Complete{})
	case 21:
		m.ask(RetryAllocation{})
	case 22:
		lines := m.lines()
		slices.SortFunc(lines, func(a, b LineQuantity) int { return a.Line - b.Line })
		m.ask(AdmitReturn{ReturnID: m.pickReturnID(), Currency: "GBP", Lines: lines})
	case 23:
		m.ask(ReleaseReturn{ReturnID: m.pickReturnID()})
	case 24, 36, 37:
		cmd := m.returnRefund()
		m.credit(cmd.ReturnID)
		if !m.state.credits(cmd.ReturnID) { // a return asks for its refund only after its credit
			return
		}
		m.ask(cmd)
		if _, err := Decide(cmd, m.state); errors.Is(err, ErrAmountExceeded) {
			m.ask(RefuseReturnRefund{ReturnID: cmd.ReturnID, TransactionID: cmd.TransactionID, Amount: cmd.Amount})
		}
	case 26:
		m.ask(TakeOver{CustomerID: []unit.CustomerID{"u1", "u2", ""}[m.pick(3)]})
	case 25:
		if m.pick(8) == 0 {
			m.finish()
		}
	}
}

func (m *machine) enterBack(e ParcelBack) {
	b := &m.model
	if b.arrived[e.ShipmentID] || b.cameBack[e.ShipmentID] {
		m.fatalf("parcel %s came back after it had arrived or come back", e.ShipmentID)
	}
	b.cameBack[e.ShipmentID] = true
	left := map[int]unit.Quantity{}
	for _, l := range b.parcels[e.ShipmentID].Lines {
		if l.Kind == unit.Stocked {
			left[l.Line] += l.Quantity
		}
	}
	for _, l := range e.Lines {
		left[l.Line] -= l.Quantity
	}
	for line, units := range left {
		if units != 0 {
			m.fatalf("%d units of line %d came back neither way", units, line)
		}
	}
}

// astray lets something happen to a parcel that does not arrive.
func (m *machine) astray() Command {
	id := []unit.ShipmentID{"p1", "p2", "p3", "p4"}[m.pick(4)]
	switch m.pick(4) {
	case 0:
		cmd := TakeParcelBack{ShipmentID: id, Location: []unit.LocationID{"main", "west"}[m.pick(2)], Resend: m.pick(3) == 0}
		for _, l := range m.model.parcels[id].Lines {
			if l.Kind == unit.Stocked {
				cmd.Lines = append(cmd.Lines, BackUnits{Line: l.Line, Quantity: l.Quantity, Disposition: []Disposition{Restocked, Damaged, Quarantined, Missing}[m.pick(4)]})
			}
		}
		return cmd
	case 1:
		return []Command{ResendParcel{ShipmentID: id}, CreditParcel{ShipmentID: id}}[m.pick(2)]
	}
	return ReportParcel{ShipmentID: id, State: []ParcelState{ParcelUndeliverable, ParcelReturning, ParcelLost, ParcelShipped}[m.pick(4)]}
}

// credit asks for the credit of a return that the order has admitted.
func (m *machine) credit(id unit.ReturnID) {
	cmd := Credit{CreditID: unit.CreditID("credit of " + id), Cause: CreditForReturn, ReturnID: id, Currency: "GBP"}
	back := m.model.backs[id]
	if back == nil {
		return
	}
	for _, l := range back.Lines {
		cmd.Lines = append(cmd.Lines, CreditedLine{Line: l.Line, Quantity: l.Quantity, Worth: pounds("99")})
	}
	m.ask(cmd)
}

func (m *machine) refundRequest() RequestRefund {
	cmd := RequestRefund{
		RefundID: []unit.RefundID{"f1", "f2", "f3", "f4"}[m.pick(4)], Amount: m.amount(),
		Purpose: []RefundPurpose{Settlement, Settlement, Compensation}[m.pick(3)],
	}
	if open := m.state.ToReturn(); open.Sign() > 0 && m.pick(2) == 0 {
		cmd.Amount = open
	}
	if len(m.state.Transactions) > 0 && m.pick(3) == 0 {
		cmd.Parts = []RefundShare{{Payment: m.state.Transactions[m.pick(len(m.state.Transactions))].ID, Amount: cmd.Amount}}
	}
	return cmd
}

// refundStep submits a part of a refund, or ends it, or reports its transaction.
func (m *machine) refundStep() Command {
	if len(m.state.Refunds) == 0 {
		return SubmitRefund{RefundID: "f1", PartID: "x", Attempt: 1}
	}
	refund := m.state.Refunds[m.pick(len(m.state.Refunds))]
	part := refund.Parts[m.pick(len(refund.Parts))]
	switch m.pick(4) {
	case 0:
		return SubmitRefund{RefundID: refund.ID, PartID: part.ID, Attempt: part.Attempt + m.pick(2)}
	case 1:
		return RecordTransaction{
			TransactionID: []unit.TransactionID{"desk1", "desk2"}[m.pick(2)], Type: Refund, State: []TransactionState{Pending, Succeeded}[m.pick(2)],
			Amount: part.Amount, Provider: "", Reference: "re", Part: []unit.TransactionID{"", part.ID}[m.pick(2)],
		}
	}
	return SettleRefund{
		RefundID: refund.ID, PartID: part.ID, Attempt: part.Attempt, State: []RefundState{RefundSucceeded, RefundHasFailed, RefundIsUnknown}[m.pick(3)],
		Reference: []string{"", "re"}[m.pick(2)], Final: m.pick(4) == 0,
	}
}

// difference explains a refund, writes a difference off, reports what cannot be read, or gives more
// time.
func (m *machine) difference() Command {
	switch m.pick(6) {
	case 0:
		return WriteOff{Reason: "x", Tolerance: []*unit.Money{nil, amountOf("1")}[m.pick(2)]}
	case 1:
		return byProvider(RecordTransaction{TransactionID: "t9", Type: Capture, State: Succeeded, Amount: pounds("0.001")})
	case 2:
		return Extend{Until: m.state.ConfirmBy.Add(time.Minute), Now: m.now, Latest: later.Add(5 * time.Minute), Reason: "x"}
	}
	for _, t := range m.state.Transactions {
		if t.Unexplained != nil && t.State == Succeeded {
			return ExplainRefund{TransactionID: t.ID, Purpose: []RefundPurpose{Settlement, Compensation}[m.pick(2)], Reason: "x"}
		}
	}
	return ExplainRefund{TransactionID: "t1", Purpose: Compensation, Reason: "x"}
}

func (m *machine) pickReturnID() unit.ReturnID { return []unit.ReturnID{"r1", "r2", "r3"}[m.pick(3)] }

// finish asks for everything that completes and archives an order, if the order can still be
// completed.
func (m *machine) finish() {
	m.ask(ReleaseHold{})
	m.ask(Confirm{Now: m.now})
	for _, step := range slices.Clone(m.state.Unsettled) {
		m.ask(SettleStock{Step: step.Step, Ref: step.Ref})
	}
	if due := m.state.Owed().Minus(m.state.Captured()); due.Sign() > 0 {
		m.ask(RecordTransaction{TransactionID: "due", Type: Capture, State: Succeeded, Amount: due})
	}
	for _, place := range []unit.LocationID{"main", "east"} {
		id := unit.ShipmentID("to finish, from " + place)
		m.ask(Ship{ShipmentID: id, Location: place})
		m.ask(SettleStock{Step: StepShipment, Ref: string(id)})
	}
	for _, parcel := range slices.Clone(m.state.Shipments) {
		m.ask(Deliver{ShipmentID: parcel.ID})
	}
	m.ask(Complete{})
	m.ask(Archive{})
	m.ask(Unarchive{})
}

func TestAnOrderAddsUpWhateverIsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, map[string]int{}, func(n int) int { return rapid.SampledFrom(upTo(n)).Draw(t, "pick") })
		for range 25 {
			m.step()
		}
	})
}

// It runs the machine with fixed seeds, so it always reaches the same events.
func TestTheMachineMakesEveryEvent(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(400) {
		m := newMachine(t, count, rand.New(rand.NewPCG(seed, 0)).IntN)
		for range 120 {
			m.step()
		}
	}
	for seed := range uint64(20) {
		randomParcels(t, seed, count)
	}
	for typ := range decoders {
		if count[typ] == 0 {
			t.Errorf("no %s in all those orders", typ)
		}
	}
}

func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte{0, 15, 1, 12, 0, 0, 1, 9, 1, 0, 1, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = slices.Clone(script)
		m := newMachine(t, map[string]int{}, func(n int) int {
			if len(script) == 0 {
				return 0
			}
			next := int(script[0]) % n
			script = script[1:]
			return next
		})
		for len(script) > 0 {
			m.step()
		}
	})
}
