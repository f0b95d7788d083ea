package orderview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/projections"
	"daybook/projections/moneyview"
)

// stored is the document in orders.state: the aggregate's fold, and times that the fold does
// not have.
type stored struct {
	Fold  order.State `json:"fold"`
	Times Times       `json:"times"`
}

// Times are the effective times of events. The key of an order's own event is the event's last
// word, such as "confirmed". For payments and parcels, their id is added: "shipped parcel-1".
// A time is zero if the event has not happened.
type Times map[string]time.Time

// Confirmed and Ended are times of the order itself. It ends when it is completed, canceled or
// expired.
func (t Times) Confirmed() time.Time { return t["confirmed"] }

func (t Times) Ended() time.Time {
	for _, end := range []string{"expired", "canceled", "completed"} {
		if at, ended := t[end]; ended {
			return at
		}
	}
	return time.Time{}
}

// Recorded and Settled are times of a payment transaction. Shipped and Delivered are times of
// a parcel.
func (t Times) Recorded(transaction string) time.Time { return t["recorded "+transaction] }
func (t Times) Settled(transaction string) time.Time  { return t["settled "+transaction] }
func (t Times) Shipped(parcel string) time.Time       { return t["shipped "+parcel] }
func (t Times) Delivered(parcel string) time.Time     { return t["delivered "+parcel] }

// Parcel is when the latest thing happened to a parcel that did not arrive.
func (t Times) Parcel(parcel string) time.Time { return t["parcel "+parcel] }

// record is one order while a batch is folded into it.
type record struct {
	stored
	id        string
	fresh     *order.Placed // set when this batch places the order
	channel   string
	placedAt  time.Time
	changedAt time.Time
	revision  int64
	begins    bool // the first event of its stream is in this batch
	present   bool // there is, or will be, a row
	changed   bool // an event of this batch changed it

	document, lines []byte // made when the batch is stored; lines only if fresh
}

// orders folds the orders of one batch.
type orders struct {
	records map[string]*record
	inOrder []*record         // in the order of their first events, so that a batch always writes in the same order
	money   *moneyview.Ledger // nil: what is folded again was counted before
}

func newOrders(days *time.Location) *orders {
	return &orders{records: make(map[string]*record), money: moneyview.NewLedger(days)}
}

func orderID(stream string) string { return strings.TrimPrefix(stream, order.Category+"-") }

func (o *orders) note(e *projections.Event) {
	if _, claimed := e.Value.(order.Claimed); claimed {
		return // there is no order yet
	}
	id := orderID(e.Stream)
	if o.records[id] != nil {
		return
	}
	r := &record{id: id, begins: e.Revision == 0}
	o.records[id] = r
	o.inOrder = append(o.inOrder, r)
}

// load reads the orders that were placed before this batch.
func (o *orders) load(ctx context.Context, tx *projections.Tx) error {
	var ids []string
	for _, r := range o.inOrder {
		if !r.begins {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+orderTable.Only("order_id", "channel", "state")+` FROM orders WHERE order_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id, channel string
	var state []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &channel, &state}, func() error {
		r := o.records[id]
		r.present, r.channel = true, channel
		return json.Unmarshal(state, &r.stored)
	})
	return err
}

func (o *orders) apply(e *projections.Event, value order.Event) {
	if _, claimed := value.(order.Claimed); claimed {
		return
	}
	r := o.records[orderID(e.Stream)]
	placed, places := value.(order.Placed)
	if !e.Follows(places, r.present) {
		return
	}
	r.changed = true
	at := e.EffectiveAt().UTC()
	if places {
		r.present = true
		r.fresh, r.channel, r.placedAt, r.Times = &placed, e.Meta.Channel, at, make(Times)
	}
	before := o.money.Note(r.Fold, value)
	r.Fold = order.Evolve(r.Fold, value)
	o.money.Book(before, r.Fold, r.channel, at)
	if key := timeKey(e.Type, value); key != "" {
		r.Times[key] = at
	}
	r.changedAt, r.revision = e.RecordedAt, e.Revision
}

// timeKey is the key under which Times keeps the time of an event. It is empty if Times does not
// keep it.
func timeKey(eventType string, e order.Event) string {
	switch e := e.(type) {
	case order.Confirmed, order.Canceled, order.Expired, order.Completed:
		return wordOf(eventType)
	case order.TransactionRecorded:
		return recordedKey(e.TransactionID)
	case order.TransactionSettled:
		return settledKey(e.TransactionID)
	case order.Shipped:
		return shippedKey(e.ShipmentID)
	case order.Delivered:
		return deliveredKey(e.ShipmentID)
	case order.ParcelReported:
		return parcelKey(e.ShipmentID)
	case order.ParcelBack:
		return parcelKey(e.ShipmentID)
	case order.Placed, order.PutOnHold, order.HoldReleased, order.LinesCanceled, order.StockSettled, order.AllocationFailed,
		order.AllocationRetried, order.AllocationRecovered, order.PaymentOrphaned, order.ReturnAdmitted, order.ReturnReleased,
		order.TransactionUnreadable, order.Credited, order.RefundRequested, order.RefundSubmitted, order.RefundSettled,
		order.ReturnRefundRefused, order.RefundExplained, order.DifferenceWrittenOff, order.DeadlineExtended, order.ChargeAdded, order.ParcelResent, order.RefundClaimed, order.TakenOver, order.Archived, order.Unarchived, order.Claimed:
	}
	return ""
}

// wordOf is what an event type says: "confirmed" for each version of "order.confirmed.v1".
func wordOf(eventType string) string {
	_, word, _ := strings.Cut(eventType, ".")
	if i := strings.LastIndex(word, ".v"); i >= 0 {
		return word[:i]
	}
	return word
}

func recordedKey(id unit.TransactionID) string { return "recorded " + string(id) }
func settledKey(id unit.TransactionID) string  { return "settled " + string(id) }
func shippedKey(id unit.ShipmentID) string     { return "shipped " + string(id) }
func parcelKey(id unit.ShipmentID) string      { return "parcel " + string(id) }
func deliveredKey(id unit.ShipmentID) string   { return "delivered " + string(id) }

// skus are the SKUs of an order, sorted, each once.
func skus(lines []cart.Line) []string {
	codes := make([]string, len(lines))
	for i, l := range lines {
		codes[i] = string(l.SKU)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func reasons(all []order.Attention) []string {
	return each(all, func(reason order.Attention) string { return string(reason) })
}

// guestEmailKey is the e-mail address of an order that no customer has, in the form in which it is
// searched. It is empty for the order of a customer, so that the address is not kept longer than it
// is needed.
func guestEmailKey(s order.State) string {
	if s.CustomerID != "" || s.Details == nil || !strings.Contains(s.Details.Email, "@") { // such as an erased one
		return ""
	}
	return projections.Key(contact.FoldEmail(s.Details.Email))
}

func units(lines []cart.Line) int64 {
	var sum unit.Quantity
	for _, l := range lines {
		sum += l.Quantity
	}
	return int64(sum)
}

// maxInserted is the largest number of orders that are written by INSERT. COPY is faster for more.
const maxInserted = 200

// store writes each order of the batch once.
func (o *orders) store(ctx context.Context, tx *projections.Tx) (err error) {
	var placed, changed []*record
	for _, r := range o.inOrder {
		if !r.changed {
			continue
		}
		if r.document, err = json.Marshal(r.stored, json.Deterministic(true)); err != nil {
			return fmt.Errorf("encode order %s: %w", r.id, err)
		}
		if r.fresh == nil {
			changed = append(changed, r)
			continue
		}
		if r.lines, err = json.Marshal(r.fresh.Lines); err != nil {
			return fmt.Errorf("encode lines of order %s: %w", r.id, err)
		}
		placed = append(placed, r)
	}
	o.money.Store(tx.Writes())
	updateOrders.Queue(tx.Writes(), changed)
	if len(placed) > maxInserted {
		return orderTable.Copy(ctx, tx, placed)
	}
	insertOrders.Queue(tx.Writes(), placed)
	return nil
}
