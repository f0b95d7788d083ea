package salesview

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections"
)

// remainder is the part of an order or a return that can still change the sales.
type remainder struct {
	Head  head            `json:"head"`
	Lines []remainderLine `json:"lines"`
	// Revocable means that a cancellation would undo something that was counted.
	Revocable bool `json:"revocable,omitzero"`
	// Order is what decides what its lines are worth, of an order whose lines have accounts. Such
	// an order has no Lines here.
	Order *order.State `json:"order,omitempty"`
}

// remainderLine is a line of an order or a return that can still change the sales. Units is how
// many units are left: in an order, to ship or to cancel; in a return, to come back.
type remainderLine struct {
	Number  int             `json:"n"`
	SKU     string          `json:"sku"`
	Service bool            `json:"service,omitzero"`
	Price   decimal.Decimal `json:"price"`
	Units   unit.Quantity   `json:"units"`
	Counted unit.Quantity   `json:"counted,omitzero"`
}

func (r *remainder) line(number int) *remainderLine {
	at := slices.IndexFunc(r.Lines, func(l remainderLine) bool { return l.Number == number })
	if at < 0 {
		return nil
	}
	return &r.Lines[at]
}

func (r *remainder) done() bool {
	if r.Order != nil {
		return len(r.Order.Credits) == 0 && !slices.ContainsFunc(r.Order.Lines, func(l order.Line) bool { return !l.Account.Left().IsZero() })
	}
	return !r.Revocable && !slices.ContainsFunc(r.Lines, func(l remainderLine) bool { return l.Units > 0 })
}

// remainders has the remainder of each stream of a batch. In a rebuild, most orders begin and end
// in the same batch, and their remainders are never written.
type remainders struct {
	byStream map[string]*remainder // nil: nothing is left
	absent   []string
	stored   map[string]bool // has a row
}

func newRemainders() *remainders {
	return &remainders{byStream: make(map[string]*remainder), stored: make(map[string]bool)}
}

// settle forgets the remainder of a stream if nothing is left. Otherwise a later event of the
// stream could have another effect in this batch than in the next one, which does not find the
// remainder.
func (o *remainders) settle(stream string) {
	if r := o.byStream[stream]; r != nil && r.done() {
		o.byStream[stream] = nil
	}
}

// note marks the remainder of an event's stream as needed, so that load reads it.
func (o *remainders) note(e *projections.Event) {
	if _, known := o.byStream[e.Stream]; known {
		return
	}
	switch e.Value.(type) {
	case order.Event, returns.Event:
		if e.Revision > 0 {
			o.absent = append(o.absent, e.Stream)
		}
	default:
		return
	}
	o.byStream[e.Stream] = nil
}

func (o *remainders) load(ctx context.Context, tx *projections.Tx) error {
	if len(o.absent) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+opened.Only("stream", "rest")+` FROM _open WHERE stream = ANY ($1)`, o.absent)
	if err != nil {
		return fmt.Errorf("load what is open: %w", err)
	}
	var stream string
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&stream, &text}, func() error {
		r := new(remainder)
		o.byStream[stream], o.stored[stream] = r, true
		return json.Unmarshal(text, r)
	})
	if err != nil {
		return fmt.Errorf("load what is open: %w", err)
	}
	return nil
}

func (o *remainders) store(tx *projections.Tx) error {
	var left, gone []openRow
	for _, stream := range slices.Sorted(maps.Keys(o.byStream)) {
		r := o.byStream[stream]
		if r == nil {
			if o.stored[stream] {
				gone = append(gone, openRow{stream: stream})
			}
			continue
		}
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode what is open of %s: %w", stream, err)
		}
		left = append(left, openRow{stream, text})
	}
	upsertOpen.Queue(tx.Writes(), left)
	deleteOpen.Queue(tx.Writes(), gone)
	return nil
}
