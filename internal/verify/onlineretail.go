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

// The columns of an Online Retail file.
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

// isStocked is the rule of the data set that tells goods from services, such as postage.
func isStocked(sku string) bool {
	services := []string{"POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B"}
	return !slices.Contains(services, sku) && !strings.HasPrefix(sku, "GIFT_")
}

func readOnlineRetail(path string) (*totals, error) {
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
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		invoices[row[colInvoice]] = append(invoices[row[colInvoice]], row)
	}
	t := newTotals()
	for _, number := range sorted(invoices) {
		if err := t.invoice(number, invoices[number]); err != nil {
			return nil, fmt.Errorf("invoice %s: %w", number, err)
		}
	}
	return t, nil
}

func (t *totals) invoice(number string, rows [][]string) error {
	first := rows[0]
	if len(first[colTime]) < len("2006-01-02") {
		return fmt.Errorf("time %q", first[colTime])
	}
	kind, err := kindOf(number, rows)
	if err != nil {
		return err
	}
	d := &document{
		kind: kind, day: first[colTime][:len("2006-01-02")],
		party: party{customer: first[colCustomer], country: first[colCountry]},
	}
	t.documents[number] = d
	for _, row := range rows {
		units, err := strconv.ParseInt(row[colQuantity], 10, 64)
		if err != nil {
			return err
		}
		price, err := decimal.NewFromString(row[colPrice])
		if err != nil {
			return err
		}
		sum := Sum{Lines: 1, Units: units, Amount: price.Mul(decimal.NewFromInt(units))}
		d.add(sum)
		at(t.byDay, [2]string{kind, d.day}).add(sum)
		at(t.bySKU, [2]string{kind, strings.ToUpper(strings.TrimSpace(row[colSKU]))}).add(sum)
		if !isAdjustment(kind) {
			at(t.byCountry, [2]string{kind, d.country}).add(sum)
		}
	}
	return nil
}

// kindOf tells the kind of an invoice. It applies the rules of the data set in their order.
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
