package verify

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Against compares what the log holds with an Online Retail file (CSV, plain or
// gzip), by kind, month, day, SKU, country and invoice. The file is read here by
// code that shares nothing with the importer. Adjustments have no country in
// the log, so they are left out of that comparison; their amount is zero.
func (b *Book) Against(path string) ([]*Check, error) {
	file, err := readLedger(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	log := b.Sales
	noAdjustments := func(sums map[[2]string]*Sum) map[[2]string]*Sum {
		kept := map[[2]string]*Sum{}
		for k, s := range sums {
			if k[0] != adjustIn && k[0] != adjustOut {
				kept[k] = s
			}
		}
		return kept
	}
	return []*Check{
		compareSums("file: by kind", foldSums(log.byDay, byKind), foldSums(file.byDay, byKind)),
		compareSums("file: by month", foldSums(log.byDay, byMonth), foldSums(file.byDay, byMonth)),
		compareSums("file: by day", log.byDay, file.byDay),
		compareSums("file: by SKU", log.bySKU, file.bySKU),
		compareSums("file: by country", noAdjustments(log.byCountry), noAdjustments(file.byCountry)),
		compareDocuments(log, file),
		b.compareStock(file),
	}, nil
}

func compareDocuments(log, file *Ledger) *Check {
	check := &Check{Name: "file: by invoice"}
	for number, want := range file.documents {
		check.Examined++
		got := log.documents[number]
		switch {
		case got == nil:
			check.differ("invoice %s (%s) is not in the log", number, want.kind)
		case got.kind != want.kind || got.day != want.day || !got.equal(want.Sum):
			check.differ("invoice %s: %s on %s, %s; want %s on %s, %s", number, got.kind, got.day, got.Sum, want.kind, want.day, want.Sum)
		case want.kind != adjustIn && want.kind != adjustOut && (got.customer != want.customer || got.country != want.country):
			check.differ("invoice %s: customer %q in %q, want %q in %q", number, got.customer, got.country, want.customer, want.country)
		}
	}
	for number, got := range log.documents {
		if file.documents[number] == nil {
			check.differ("%s %s is not in the file", got.kind, number)
		}
	}
	return check
}

// compareStock wants each SKU's stock to have moved by what the file's lines say.
func (b *Book) compareStock(file *Ledger) *Check {
	check := &Check{Name: "file: stock moved by SKU"}
	moved := map[string]int64{}
	for key, shelf := range b.Stock {
		moved[string(key.SKU)] += int64(shelf.onHand - shelf.opened)
	}
	want := map[string]int64{}
	for key, sum := range file.bySKU {
		if !isGoods(key[1]) || key[0] == badDebt {
			continue
		}
		if key[0] == adjustIn || key[0] == adjustOut {
			want[key[1]] += sum.Units
		} else {
			want[key[1]] -= sum.Units
		}
	}
	for sku, change := range want {
		check.Examined++
		if moved[sku] != change {
			check.differ("%s: on hand changed by %d since it was opened, want %d", sku, moved[sku], change)
		}
	}
	return check
}

// isGoods is the data set's own rule for what is held in stock.
func isGoods(sku string) bool {
	services := []string{"POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B"}
	return !slices.Contains(services, sku) && !strings.HasPrefix(sku, "GIFT_")
}

// row is a line of the file, by its columns.
const (
	colInvoice = iota
	colSKU
	_
	colQuantity
	colTime
	colPrice
	colCustomer
	colCountry
	columns
)

func readLedger(path string) (*Ledger, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var input io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if input, err = gzip.NewReader(file); err != nil {
			return nil, err
		}
	}
	reader := csv.NewReader(input)
	reader.FieldsPerRecord = columns
	if _, err := reader.Read(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	invoices := map[string][][]string{}
	var order []string
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if invoices[row[colInvoice]] == nil {
			order = append(order, row[colInvoice])
		}
		invoices[row[colInvoice]] = append(invoices[row[colInvoice]], row)
	}
	ledger := newLedger()
	for _, number := range order {
		if err := ledger.invoice(number, invoices[number]); err != nil {
			return nil, fmt.Errorf("invoice %s: %w", number, err)
		}
	}
	return ledger, nil
}

func (l *Ledger) invoice(number string, rows [][]string) error {
	kind, err := kindOf(number, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		units, err := strconv.ParseInt(row[colQuantity], 10, 64)
		if err != nil {
			return err
		}
		price, err := decimal.NewFromString(row[colPrice])
		if err != nil {
			return err
		}
		l.line(number, kind, row[colCustomer], row[colCountry], rows[0][colTime][:len("2006-01-02")],
			strings.ToUpper(strings.TrimSpace(row[colSKU])), units, price.Mul(decimal.NewFromInt(units)))
	}
	return nil
}

// kindOf applies the rules of the data set, in their order.
func kindOf(number string, rows [][]string) (string, error) {
	switch {
	case strings.HasPrefix(number, "C"):
		return cancellation, nil
	case strings.HasPrefix(number, "A"):
		return badDebt, nil
	case strings.HasPrefix(rows[0][colQuantity], "-"):
		return adjustOut, nil
	}
	for _, row := range rows {
		price, err := decimal.NewFromString(row[colPrice])
		if err != nil {
			return "", err
		}
		if price.Sign() > 0 {
			return sale, nil
		}
	}
	if rows[0][colCustomer] != "" {
		return freeOrder, nil
	}
	return adjustIn, nil
}
