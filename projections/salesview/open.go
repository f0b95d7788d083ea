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

// rest is what is still to come of an order or a return.
type rest struct {
	Head  head       `json:"head"`
	Lines []restLine `json:"lines"`
	// Revocable means that something was counted which a cancellation undoes.
	Revocable bool `json:"revocable,omitzero"`
}

// restLine is a line of which Units are left: of an order, to be shipped or
// canceled; of a return, to be counted.
type restLine struct {
	Number  int             `json:"n"`
	SKU     string          `json:"sku"`
	Service bool            `json:"service,omitzero"`
	Price   decimal.Decimal `json:"price"`
	Units   unit.Quantity   `json:"units"`
	Counted unit.Quantity   `json:"counted,omitzero"`
}

func (r *rest) line(number int) *restLine {
	at := slices.IndexFunc(r.Lines, func(l restLine) bool { return l.Number == number })
	if at < 0 {
		return nil
	}
	return &r.Lines[at]
}

func (r *rest) done() bool {
	return !r.Revocable && !slices.ContainsFunc(r.Lines, func(l restLine) bool { return l.Units > 0 })
}

// open keeps the rests of a batch's streams. Most orders of a batch in a
// rebuild begin and end within it and are never written.
type open struct {
	rests  map[string]*rest // nil: nothing is left
	absent []string
	stored map[string]bool // has a row
}

func newOpen() *open {
	return &open{rests: make(map[string]*rest), stored: make(map[string]bool)}
}

// settle forgets a stream of which nothing is left, so that what comes after that
// is treated alike within a batch and in the next one.
func (o *open) settle(stream string) {
	if r := o.rests[stream]; r != nil && r.done() {
		o.rests[stream] = nil
	}
}

// note says that a stream will be asked for.
func (o *open) note(e *projections.Event) {
	if _, known := o.rests[e.Stream]; known {
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
	o.rests[e.Stream] = nil
}

func (o *open) load(ctx context.Context, tx pgx.Tx) error {
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
		r := new(rest)
		o.rests[stream], o.stored[stream] = r, true
		return json.Unmarshal(text, r)
	})
	if err != nil {
		return fmt.Errorf("load what is open: %w", err)
	}
	return nil
}

func (o *open) store(ctx context.Context, tx pgx.Tx) error {
	var left, gone []openRow
	for _, stream := range slices.Sorted(maps.Keys(o.rests)) {
		r := o.rests[stream]
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
	var b pgx.Batch
	upsertOpen.Queue(&b, left)
	deleteOpen.Queue(&b, gone)
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("store what is open: %w", err)
	}
	return nil
}
