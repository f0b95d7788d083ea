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
	day, err := dayOf(first[colTime])
	if err != nil {
		return err
	}
	kind, err := kindOf(number, rows)
	if err != nil {
		return err
	}
	d := &document{
		kind: kind, day: day,
		party: party{customer: customerOf(first[colCustomer]), country: first[colCountry]},
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

// dayOf is the day of a time in any form that the file may have, as 2006-01-02. Copies of the data
// set write a time as 2010-12-01 08:26:00, as 2010-12-01T08:26, or with the month first as
// 12/1/2010 8:26. All are UK time already, so the day is only read. This function is not shared
// with the import, so that a form that the import reads wrongly is found.
func dayOf(text string) (string, error) {
	date, _, timed := strings.Cut(strings.Replace(text, "T", " ", 1), " ")
	if !timed {
		return "", fmt.Errorf("time %q", text)
	}
	year, month, day := 0, 0, 0
	for _, form := range []struct {
		format string
		parts  []any
	}{
		{"%4d-%2d-%2d", []any{&year, &month, &day}},
		{"%2d/%2d/%4d", []any{&month, &day, &year}},
	} {
		if n, err := fmt.Sscanf(date, form.format, form.parts...); err == nil && n == len(form.parts) && year >= 1000 {
			return fmt.Sprintf("%04d-%02d-%02d", year, month, day), nil
		}
	}
	return "", fmt.Errorf("time %q", text)
}

// customerOf is a customer's number. Spreadsheets write it as 17850.0.
func customerOf(text string) string {
	number, _, _ := strings.Cut(text, ".")
	return number
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
	if customerOf(rows[0][colCustomer]) != "" {
		return freeOrder, nil
	}
	return adjustIn, nil
}
