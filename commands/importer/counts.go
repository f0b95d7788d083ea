package importer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// Counts are the totals of the invoices that are imported so far. The journal stores them.
type Counts struct {
	// LogStart is the position of the end of the log when the import began.
	LogStart eventstore.Position `json:"log_start"`

	Invoices           map[onlineretail.Kind]int `json:"invoices"`
	OrdersTaken        int                       `json:"orders_taken"`
	OrdersRefused      int                       `json:"orders_refused"`
	LinesTaken         int                       `json:"lines_taken"` // of goods
	LinesRefused       int                       `json:"lines_refused"`
	UnitsTaken         int64                     `json:"units_taken"` // of goods
	ValueTaken         decimal.Decimal           `json:"value_taken"` // not rounded; with services
	AdjustmentsRefused int                       `json:"adjustments_refused"`
	LinksKept          int                       `json:"links_kept"` // return lines that are linked to order lines
	// LinksLost counts links that matching found, but whose order was refused.
	LinksLost int `json:"links_lost"`

	// Refused are the indexes of adjustments that were refused. They are stored because the
	// log does not have them, and because they might be accepted if they were tried again.
	Refused []int `json:"refused,omitempty"`

	// Complete means that all invoices are imported, and that the numbers below are set.
	Complete     bool  `json:"complete"`
	ClosingUnits int64 `json:"closing_units"`
	Events       int64 `json:"events"`
}

// outcome is what one invoice adds to the counts.
type outcome struct {
	kind                     onlineretail.Kind
	lines                    int // of the invoice, for progress
	taken, refused           int // orders
	linesTaken, linesRefused int
	unitsTaken               int64
	valueTaken               decimal.Decimal
	adjustmentsRefused       int
	linksKept, linksLost     int
}

func newCounts() Counts { return Counts{Invoices: make(map[onlineretail.Kind]int)} }

func (c *Counts) add(o outcome) {
	c.Invoices[o.kind]++
	c.OrdersTaken += o.taken
	c.OrdersRefused += o.refused
	c.LinesTaken += o.linesTaken
	c.LinesRefused += o.linesRefused
	c.UnitsTaken += o.unitsTaken
	c.ValueTaken = c.ValueTaken.Add(o.valueTaken)
	c.AdjustmentsRefused += o.adjustmentsRefused
	c.LinksKept += o.linksKept
	c.LinksLost += o.linksLost
}

func (c Counts) clone() Counts {
	c.Invoices = maps.Clone(c.Invoices)
	c.Refused = slices.Clone(c.Refused)
	return c
}

func (c Counts) encode() ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode the import's counts: %w", err)
	}
	return data, nil
}

func decodeCounts(data []byte) (Counts, error) {
	counts := newCounts()
	if err := json.Unmarshal(data, &counts); err != nil {
		return counts, fmt.Errorf("the import's record cannot be read: %w", err)
	}
	return counts, nil
}

// Restarted makes the record of an import after its log was restored. In this record no
// invoice counts as imported. So Run tries every invoice again: it finds the invoices that the
// log has, and imports the others. Adjustments that were refused stay refused, because in the
// order of the file they would be refused again. agreed is the position up to which the log
// has not changed.
func Restarted(record []byte, agreed eventstore.Position) ([]byte, error) {
	before, err := decodeCounts(record)
	if err != nil {
		return nil, err
	}
	counts := newCounts()
	counts.Refused = before.Refused
	if !agreed.Before(before.LogStart) {
		counts.LogStart = before.LogStart
	}
	return counts.encode()
}

// Summary is what an import did, over all its runs.
type Summary struct {
	Rows               int                                  `json:"rows"`
	Quarantined        int                                  `json:"quarantined"` // rows that were left out as bad
	Invoices           map[onlineretail.Kind]int            `json:"invoices"`
	OrdersTaken        int                                  `json:"orders_taken"`
	OrdersRefused      int                                  `json:"orders_refused"`
	LinesTaken         int                                  `json:"lines_taken"`
	LinesRefused       int                                  `json:"lines_refused"`
	UnitsTaken         int64                                `json:"units_taken"`
	ValueTaken         string                               `json:"value_taken"`
	AdjustmentsRefused int                                  `json:"adjustments_refused"`
	OpeningUnits       int64                                `json:"opening_units"` // received before the first invoice
	ClosingUnits       int64                                `json:"closing_units"` // of the import's SKUs, including units that the shop had before
	Matching           map[onlineretail.Match]canceledLines `json:"cancellation_matching"`
	LinksKept          int                                  `json:"links_kept"`
	LinksLost          int                                  `json:"links_lost"`
	Events             int64                                `json:"events"` // how many events were added to the log since the import began
	Complete           bool                                 `json:"complete"`
	AlreadyIn          int                                  `json:"already_in"` // invoices that were imported before this run
}

// canceledLines counts lines of cancellations that were matched to sales in the same way.
type canceledLines struct {
	Lines  int    `json:"lines"`
	Units  int64  `json:"units"`
	Amount string `json:"amount"`
}

func newSummary(file *onlineretail.File, plan *plan, c Counts, before int) Summary {
	s := Summary{
		Rows: file.Rows, Quarantined: len(file.Excluded),
		Invoices:    make(map[onlineretail.Kind]int),
		OrdersTaken: c.OrdersTaken, OrdersRefused: c.OrdersRefused, LinesTaken: c.LinesTaken, LinesRefused: c.LinesRefused,
		UnitsTaken: c.UnitsTaken, ValueTaken: onlineretail.Currency.Text(c.ValueTaken), AdjustmentsRefused: c.AdjustmentsRefused,
		OpeningUnits: plan.openingUnits(), ClosingUnits: c.ClosingUnits, Matching: make(map[onlineretail.Match]canceledLines),
		LinksKept: c.LinksKept, LinksLost: c.LinksLost, Events: c.Events, Complete: c.Complete, AlreadyIn: before,
	}
	for _, kind := range plan.options.Kinds {
		s.Invoices[kind] = c.Invoices[kind]
	}
	for match, tally := range plan.matching.Tally {
		s.Matching[match] = canceledLines{Lines: tally.Lines, Units: tally.Units, Amount: onlineretail.Currency.Text(tally.Amount)}
	}
	return s
}

func money(amount decimal.Decimal) unit.Money {
	return unit.Money{Amount: amount, Currency: onlineretail.Currency}
}
