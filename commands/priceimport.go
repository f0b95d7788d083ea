package commands

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Limits of an import of prices.
const (
	MaxPriceRows   = 20_000
	maxPriceFaults = 100
	// One append has at most so many SKUs and tiers, because the log limits its bytes.
	importSKUs  = 2_000
	importTiers = 5_000
)

// PriceImport is an import of prices into a list.
type PriceImport struct {
	// File is CSV in UTF-8. Its header names the columns sku and price, and may name from, the
	// quantity from which a price counts (1 if it is left out). Several rows of a SKU are its
	// tiers. A row without a price removes its SKU.
	File io.Reader
	// Replace removes the SKUs that the file does not name.
	Replace bool
	// DryRun changes nothing.
	DryRun bool
}

// PriceImportResult is what an import does, or would do.
type PriceImportResult struct {
	Rows      int
	Unchanged int           // SKUs of the file
	Changes   []PriceChange // sorted by SKU
	Revision  int64         // of the list, afterwards
}

// PriceChange is what happens to one SKU.
type PriceChange struct {
	SKU     unit.SKU
	Was, Is []pricing.Tier // none: the SKU is not in the list
}

// RowsError means that a file of prices has faults. Nothing of it was imported.
type RowsError struct {
	Faults []RowFault // at most 100
	More   bool       // there are further faults
}

// RowFault is a fault of one line of a file.
type RowFault struct {
	Line int // in the file; the header is line 1
	What string
}

func (f RowFault) String() string { return fmt.Sprintf("line %d: %s", f.Line, f.What) }

func (e *RowsError) Error() string {
	return fmt.Sprintf("the file has %d faults; the first is in %s", len(e.Faults), e.Faults[0])
}

func (e *RowsError) add(line int, what string, args ...any) {
	if len(e.Faults) == maxPriceFaults {
		e.More = true
		return
	}
	e.Faults = append(e.Faults, RowFault{line, fmt.Sprintf(what, args...)})
}

// ImportPrices sets the prices of a list from a file. If a row is wrong, nothing is changed. A
// large file is recorded in several appends. If the import is cut off between two of them, it can
// be repeated: what is recorded already stays as it is. If the call has a condition, the first
// append checks it.
//
// Errors: *RowsError, and those of PriceList.
func (s *Service) ImportPrices(ctx context.Context, call Call, id string, in PriceImport) (PriceImportResult, aggregate.Result[pricelist.Event], error) {
	var none aggregate.Result[pricelist.Event]
	if err := s.admit(call, access.WritePrices); err != nil {
		return PriceImportResult{}, none, err
	}
	var list pricelist.State
	done := PriceImportResult{}
	err := s.ViewPriceList(ctx, id, func(state pricelist.State, revision int64) { list, done.Revision = state.Clone(), revision })
	switch {
	case err != nil:
		return PriceImportResult{}, none, err
	case list.ID == "":
		return PriceImportResult{}, none, pricelist.ErrNotFound
	case list.Ended:
		return PriceImportResult{}, none, pricelist.ErrEnded
	case in.DryRun && call.If != nil && !call.If.Allows(done.Revision):
		return PriceImportResult{}, none, &aggregate.StaleError{Stream: pricelist.Stream(id), If: *call.If, Actual: done.Revision}
	}
	entries, rows, err := readPrices(in.File, list.Currency)
	if err != nil {
		return PriceImportResult{}, none, err
	}
	done.Rows = rows
	if in.Replace {
		entries = append(entries, removals(list, entries)...)
	}
	done.Changes, done.Unchanged = changesOf(list, entries)
	if _, err := pricelist.Decide(pricelist.SetPrices{Prices: entries}, list); err != nil || in.DryRun {
		return done, none, err
	}
	result, err := s.setAll(ctx, call, id, entries)
	if err == nil {
		done.Revision = result.Revision
	}
	return done, result, err
}

// setAll records entries, as many appends as it takes. The command id of each append derives from
// its content, so a repetition of the import records nothing twice, wherever it was cut off.
func (s *Service) setAll(ctx context.Context, call Call, id string, entries []pricelist.Entry) (all aggregate.Result[pricelist.Event], err error) {
	// Those that are removed come first, so that a list that is nearly full has room.
	slices.SortStableFunc(entries, func(a, b pricelist.Entry) int { return min(len(a.Tiers), 1) - min(len(b.Tiers), 1) })
	for first := true; len(entries) > 0 || first; first = false {
		n, tiers := 0, 0
		for n < len(entries) && n < importSKUs && tiers < importTiers {
			tiers += len(entries[n].Tiers)
			n++
		}
		step := call
		if !first {
			step.If = nil
			step.Meta = derivedMeta(call.Meta, unit.StepCommand.Of("import "+contentOf(entries[:n]), call.Meta.CommandID.String()))
		}
		result, err := s.PriceList(ctx, step, id, pricelist.SetPrices{Prices: entries[:n]})
		if err != nil {
			return all, err
		}
		all.Revision, all.Position, all.Replayed = result.Revision, result.Position, all.Replayed || result.Replayed
		all.Events = append(all.Events, result.Events...)
		entries = entries[n:]
	}
	return all, nil
}

// contentOf is a text that only these entries have.
func contentOf(entries []pricelist.Entry) string {
	hash := sha256.New()
	for _, entry := range entries {
		_, _ = fmt.Fprintf(hash, "%q", entry.SKU) // it never fails
		for _, tier := range entry.Tiers {
			_, _ = fmt.Fprintf(hash, " %d %s", tier.From, tier.Price.Amount)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// removals remove the SKUs of a list that no entry names.
func removals(list pricelist.State, entries []pricelist.Entry) (all []pricelist.Entry) {
	named := make(map[unit.SKU]bool, len(entries))
	for _, entry := range entries {
		named[entry.SKU] = true
	}
	for _, sku := range slices.Sorted(maps.Keys(list.Prices)) {
		if !named[sku] {
			all = append(all, pricelist.Entry{SKU: sku})
		}
	}
	return all
}

// changesOf says what entries change in a list.
func changesOf(list pricelist.State, entries []pricelist.Entry) (changes []PriceChange, unchanged int) {
	for _, entry := range entries {
		was := list.Prices[entry.SKU]
		if slices.EqualFunc(was, entry.Tiers, func(a, b pricing.Tier) bool { return a.From == b.From && a.Price.Equal(b.Price) }) {
			unchanged++
			continue
		}
		changes = append(changes, PriceChange{SKU: entry.SKU, Was: was, Is: entry.Tiers})
	}
	slices.SortFunc(changes, func(a, b PriceChange) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	return changes, unchanged
}

// priceColumns says where the columns of a file are; -1: there is no such column.
type priceColumns struct{ sku, from, price int }

// readPrices reads a file. It returns one entry for each SKU, in the order of the file. It reads no
// more than MaxPriceRows rows, so the memory that it needs is bounded.
func readPrices(file io.Reader, currency unit.Currency) (entries []pricelist.Entry, rows int, err error) {
	reader := csv.NewReader(file)
	reader.ReuseRecord, reader.TrimLeadingSpace = true, true
	faults := &RowsError{}
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		faults.add(1, "the file is empty; its first line names the columns sku, from and price")
		return nil, 0, faults
	}
	if err != nil {
		return nil, 0, faultOfCSV(err, faults)
	}
	columns, what := columnsOf(header)
	if what != "" {
		faults.add(1, "%s", what)
		return nil, 0, faults
	}
	at, lines := make(map[unit.SKU]int), make(map[unit.SKU]int)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, faultOfCSV(err, faults)
		}
		line, _ := reader.FieldPos(0)
		if rows++; rows > MaxPriceRows {
			faults.add(line, "a file has at most %d rows", MaxPriceRows)
			return nil, 0, faults
		}
		sku, tier, removes, fault := columns.read(record, currency)
		if fault != "" {
			faults.add(line, "%s", fault)
			continue
		}
		i, seen := at[sku]
		switch {
		case !seen:
			at[sku], lines[sku] = len(entries), line
			entry := pricelist.Entry{SKU: sku}
			if !removes {
				entry.Tiers = []pricing.Tier{tier}
			}
			entries = append(entries, entry)
		case removes || len(entries[i].Tiers) == 0:
			faults.add(line, "%s has a price in one line and none in another one", sku)
		default:
			entries[i].Tiers = append(entries[i].Tiers, tier)
		}
	}
	for i, entry := range entries {
		slices.SortStableFunc(entries[i].Tiers, func(a, b pricing.Tier) int { return int(a.From - b.From) })
		for _, fault := range entry.Faults("", currency) {
			faults.add(lines[entry.SKU], "%s: %s", entry.SKU, strings.TrimPrefix(fault.Path, "/")+": "+fault.What)
		}
	}
	if len(faults.Faults) > 0 {
		return nil, 0, faults
	}
	return entries, rows, nil
}

// faultOfCSV is the error for a file that cannot be read as CSV, or that cannot be read.
func faultOfCSV(err error, faults *RowsError) error {
	if parse, is := errors.AsType[*csv.ParseError](err); is {
		faults.add(parse.Line, "%s", parse.Err)
		return faults
	}
	return fmt.Errorf("read the file of prices: %w", err)
}

func columnsOf(header []string) (columns priceColumns, fault string) {
	columns = priceColumns{-1, -1, -1}
	for i, name := range header {
		of := map[string]*int{"sku": &columns.sku, "from": &columns.from, "price": &columns.price}[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))]
		switch {
		case of == nil:
			return columns, fmt.Sprintf("there is no column %q; the columns are sku, from and price", name)
		case *of >= 0:
			return columns, fmt.Sprintf("the column %q is there twice", name)
		}
		*of = i
	}
	if columns.sku < 0 || columns.price < 0 {
		return columns, "the columns sku and price are needed"
	}
	return columns, ""
}

// read reads a row. removes: the row has no price.
func (c priceColumns) read(record []string, currency unit.Currency) (sku unit.SKU, tier pricing.Tier, removes bool, fault string) {
	sku, err := unit.ParseSKU(record[c.sku])
	if err != nil {
		return "", tier, false, err.Error()
	}
	tier.From = 1
	if c.from >= 0 && strings.TrimSpace(record[c.from]) != "" {
		n, err := strconv.ParseInt(strings.TrimSpace(record[c.from]), 10, 64)
		if err != nil {
			return "", tier, false, fmt.Sprintf("from %q: want a whole number", record[c.from])
		}
		tier.From = unit.Quantity(n)
	}
	text := strings.TrimSpace(record[c.price])
	if text == "" {
		return sku, tier, true, ""
	}
	amount, err := unit.ParseAmount(text)
	if err != nil {
		return "", tier, false, err.Error()
	}
	tier.Price = unit.Money{Amount: amount, Currency: currency}
	return sku, tier, false, ""
}
