package onlineretail

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daybook/domain/unit"
)

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

func row1(invoice, code, note, quantity, price, customer string) string {
	return strings.Join([]string{invoice, code, note, quantity, "2010-12-01 08:26:00", price, customer, "United Kingdom"}, ",") + "\n"
}

func sale(invoice string) string { return row1(invoice, "85123A", "A HOLDER", "6", "2.55", "17850") }

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mustRead(t testing.TB, text string) *File {
	t.Helper()
	file, err := Read(strings.NewReader(text), Strict)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBadInputIsRefusedWithRowAndColumn(t *testing.T) {
	long := strings.Repeat("x", 201)
	zip := zipped(t, head+strings.Repeat(sale("536365"), 5000))
	damaged := slices.Clone(zip)
	damaged[len(damaged)-6] ^= 0xff // in the checksum
	for name, c := range map[string]struct{ input, want string }{
		"an empty file":             {"", "row 1, column 1 (InvoiceNo): the file is empty; want the header InvoiceNo,"},
		"an empty gzip":             {string(zipped(t, "")), "row 1, column 1 (InvoiceNo): the file is empty"},
		"only blank lines":          {"\n\n", "row 1, column 1 (InvoiceNo): the file is empty"},
		"a header and no rows":      {head, "row 2, column 1 (InvoiceNo): the file ends after its header"},
		"another header":            {"Bill" + head[9:], `row 1, column 1 (InvoiceNo): the header says "Bill"; want InvoiceNo,`},
		"a column in another place": {"Price" + head[9:], `row 1, column 1 (InvoiceNo): the header says "Price"; want InvoiceNo,`},
		"a header in another case":  {strings.ToLower(head), `row 1, column 1 (InvoiceNo): the header says "invoiceno"`},
		"a shorter header":          {"InvoiceNo,StockCode\n", "row 1, column 3 (Description): the header ends here"},
		"a longer header":           {strings.TrimSpace(head) + ",Tax\n", "row 1, column 9: the header has a column too many"},
		"rows without a header":     {sale("536365"), `row 1, column 1 (InvoiceNo): the header says "536365"`},
		"a binary file":             {strings.Repeat("\x00", 1<<17), "after row 0: the next line is longer than 65536 bytes"},
		"too few columns":           {head + sale("536365") + "536366,85123A,A\n", "row 3, column 3 (Description): the row has 3 columns, not 8"},
		"too many columns":          {head + strings.TrimSpace(sale("536365")) + ",,\n", "row 2, column 9: the row has 10 columns, not 8"},
		"a quote never closed":      {head + sale("536365") + row1("536366", "85123A", `"A HOLDER`, "6", "2.55", "") + sale("536367"), "row 3, column 3 (Description): a quote is opened and never closed"},
		"text after a quote":        {head + row1("536366", "85123A", `"A" HOLDER`, "6", "2.55", ""), "row 2, column 3 (Description): something follows the closing quote"},
		"a bare quote":              {head + row1("536366", "85123A", `6" A "HOLDER`, "6", "2.55", ""), "row 2, column 3 (Description): a quote stands inside a field that is not quoted"},
		"one bare quote":            {head + row1("536366", "85123A", `6" HOLDER`, "6", "2.55", "") + sale("536367"), "row 2, column 3 (Description): a quote stands inside a field that is not quoted"},
		"Latin-1":                   {head + row1("536366", "85123A", "\xa35 OFF", "6", "2.55", ""), `row 2, column 3 (Description): "\xa35 OFF" is not valid UTF-8; is the file in Latin-1?`},
		"no invoice number":         {head + sale(""), `row 2, column 1 (InvoiceNo): "" is not an invoice number`},
		"an odd invoice number":     {head + sale("X536365"), `row 2, column 1 (InvoiceNo): "X536365" is not an invoice number`},
		"a lower case c":            {head + sale("c536365"), `row 2, column 1 (InvoiceNo): "c536365" is not an invoice number`},
		"no stock code":             {head + row1("536366", "  ", "A", "6", "2.55", ""), "row 2, column 2 (StockCode): "},
		"a long description":        {head + row1("536366", "85123A", long, "6", "2.55", ""), "row 2, column 3 (Description): it has more than 200 characters"},
		"a NUL":                     {head + row1("536366", "85123A", "A\x00", "6", "2.55", ""), "row 2, column 3 (Description): character 2 is U+0000, which is not allowed here"},
		"a text turned around":      {head + row1("536366", "85123A", "A\u202eB", "6", "2.55", ""), "row 2, column 3 (Description): character 2 is U+202E, which is not allowed here"},
		"a blank country":           {head + strings.Replace(sale("536365"), "United Kingdom", "\u200b", 1), "row 2, column 8 (Country): it has only characters that cannot be seen"},
		"a quantity of text":        {head + row1("536366", "85123A", "A", "six", "2.55", ""), `row 2, column 4 (Quantity): "six" is not a whole number`},
		"a fraction":                {head + row1("536366", "85123A", "A", "6.0", "2.55", ""), `row 2, column 4 (Quantity): "6.0" is not a whole number`},
		"a quantity of zero":        {head + row1("536366", "85123A", "A", "0", "2.55", ""), "row 2, column 4 (Quantity): 0 is out of range"},
		"an absurd quantity":        {head + row1("536366", "85123A", "A", "9223372036854775807", "2.55", ""), "row 2, column 4 (Quantity): 9223372036854775807 is out of range"},
		"an overflowing quantity":   {head + row1("536366", "85123A", "A", "9223372036854775808", "2.55", ""), `row 2, column 4 (Quantity): "9223372036854775808" is not a whole number`},
		"no price":                  {head + row1("536366", "85123A", "A", "6", "", ""), "row 2, column 6 (UnitPrice): "},
		"a price with a comma":      {head + row1("536366", "85123A", "A", "6", `"2,55"`, ""), `row 2, column 6 (UnitPrice): amount "2,55"`},
		"a price with an exponent":  {head + row1("536366", "85123A", "A", "6", "1e99", ""), `row 2, column 6 (UnitPrice): amount "1e99"`},
		"a price that is no number": {
			head + row1("536366", "85123A", "A", "6", "NaN", ""),
			`row 2, column 6 (UnitPrice): amount "NaN"`,
		},
		"another date form":           {head + strings.Replace(sale("536365"), "2010-12-01 08:26:00", "31/12/2010 8:26", 1), `row 2, column 5 (InvoiceDate): "31/12/2010 8:26" is not a date: want one like 2010-12-01 08:26:00, or 12/1/2010 8:26 with the month first`},
		"a date that is none":         {head + strings.Replace(sale("536365"), "2010-12-01", "2011-02-29", 1), `row 2, column 5 (InvoiceDate): "2011-02-29 08:26:00" is not a date`},
		"an hour that is skipped":     {head + strings.Replace(sale("536365"), "2010-12-01 08:26", "2011-03-27 01:30", 1), "row 2, column 5 (InvoiceDate): 2011-03-27 01:30:00 did not exist in Europe/London"},
		"a skipped hour, month first": {head + strings.Replace(sale("536365"), "2010-12-01 08:26:00", "3/27/2011 1:30", 1), "row 2, column 5 (InvoiceDate): 3/27/2011 1:30 did not exist in Europe/London"},
		"a broken customer":           {head + row1("536366", "85123A", "A", "6", "2.55", "17850.5"), `row 2, column 7 (CustomerID): "17850.5" is not a customer`},

		"two customers":                   {head + sale("536365") + row1("536365", "85123A", "A", "6", "2.55", "17851"), `row 3, column 7 (CustomerID): invoice 536365 has two customers, "17850" and "17851"`},
		"two countries":                   {head + sale("536365") + strings.Replace(sale("536365"), "United Kingdom", "EIRE", 1), `row 3, column 8 (Country): invoice 536365 has two countries`},
		"a sale that gives back":          {head + sale("536365") + row1("536365", "85123A", "A", "-6", "2.55", "17850"), "row 3, column 4 (Quantity): invoice 536365, SALE: every quantity must be above zero"},
		"a cancellation that sells":       {head + sale("C536365"), "row 2, column 4 (Quantity): invoice C536365, CANCELLATION: every quantity must be below zero"},
		"a negative price on a sale":      {head + sale("536365") + row1("536365", "85123A", "A", "6", "-2.55", "17850"), "row 3, column 6 (UnitPrice): invoice 536365, SALE: a price below zero"},
		"an adjustment with a price":      {head + row1("536366", "85123A", "A", "-6", "2.55", ""), "row 2, column 6 (UnitPrice): invoice 536366, ADJUST_OUT: "},
		"an adjustment with mixed signs":  {head + row1("536366", "85123A", "A", "-6", "0.0", "") + row1("536366", "85123A", "A", "6", "0.0", ""), "row 3, column 4 (Quantity): invoice 536366, ADJUST_OUT: "},
		"a truncated gzip":                {string(zip[:len(zip)-len(zip)/3]), "the gzip data is cut short; copy the file again"},
		"a gzip without its last byte":    {string(zip[:len(zip)-1]), "the gzip data is cut short; copy the file again"},
		"a gzip of two bytes":             {string(zip[:2]), "the gzip data is cut short; copy the file again"},
		"a gzip with a wrong checksum":    {string(damaged), "the gzip data is damaged; copy the file again"},
		"a gzip with something behind it": {string(zip) + "more of something else", "the gzip data is damaged; copy the file again"},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := Read(strings.NewReader(c.input), Strict)
			if err == nil {
				t.Fatalf("read %d invoices", len(file.Invoices))
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAFileMayLook(t *testing.T) {
	want := mustRead(t, head+sale("536365")+sale("536366"))
	for name, input := range map[string]string{
		"with Windows line ends":           strings.ReplaceAll(head+sale("536365")+sale("536366"), "\n", "\r\n"),
		"without the last line end":        strings.TrimSuffix(head+sale("536365")+sale("536366"), "\n"),
		"with a byte order mark":           "\ufeff" + head + sale("536365") + sale("536366"),
		"with a blank line":                head + sale("536365") + "\n" + sale("536366"),
		"with every field in quotes":       `"` + strings.ReplaceAll(strings.ReplaceAll(strings.TrimSuffix(head+sale("536365")+sale("536366"), "\n"), ",", `","`), "\n", "\"\n\"") + "\"\n",
		"with the second edition's header": "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n" + sale("536365") + sale("536366"),
		"with dates of ISO 8601":           strings.ReplaceAll(head+sale("536365")+sale("536366"), "2010-12-01 08:26:00", "2010-12-01T08:26"),
		"with American dates":              strings.ReplaceAll(head+sale("536365")+sale("536366"), "2010-12-01 08:26:00", "12/1/2010 8:26"),
		"with customers as fractions":      strings.ReplaceAll(head+sale("536365")+sale("536366"), ",17850,", ",17850.0,"),
		"as gzip":                          string(zipped(t, head+sale("536365")+sale("536366"))),
	} {
		got, err := Read(strings.NewReader(input), Strict)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		second, wanted := got.Invoices[len(got.Invoices)-1], want.Invoices[1]
		if len(got.Invoices) != len(want.Invoices) || second.Lines[0].SKU != wanted.Lines[0].SKU || !second.Time.Equal(wanted.Time) || second.CustomerID != wanted.CustomerID {
			t.Errorf("%s: got %+v", name, got.Invoices)
		}
	}
	packed, err := Read(bytes.NewReader(zipped(t, head+sale("536365")+sale("536366"))), Strict)
	if err != nil || packed.SHA256 != want.SHA256 {
		t.Errorf("a file and its gzip are two: %v", err)
	}
}

func TestTrapsOfTheLayout(t *testing.T) {
	file := mustRead(t, head+
		row1("536365", "85123a", ` "6"" HOLDER, RED "`[1:], "6", "2.55", "17850")+ // folded, text kept, quotes and comma
		row1("536365", "85123A", "  £5 OFF ", "2", "0.001", "17850")+ // the same SKU at another price; blanks kept
		row1("C536366", "85123A", "", "-1", "2.55", "17850")+ // stands inside 536365
		strings.Replace(row1("536365", "m", "Manual", "1", "25.0", "17850"), "08:26", "08:27", 1)+ // not contiguous; a minute later; a service
		row1("536367", "85123A", "A HOLDER", "6", "2.55", "")+
		row1("536367", "85123A", "A HOLDER", "6", "2.55", "")+ // the same row again is another scan
		row1("536368", "22139", "gone", "-10", "0.0", "")+
		row1("536369", "22139", "", "56", "0.0", "")+
		row1("536370", "22139", "", "5", "0.0", "17850")+
		row1("A536371", "B", "Adjust bad debt", "1", "-11062.06", "")+
		row1("536372", "gift_0001_20", "", "1", "16.67", "")+
		row1("536373", "DCGSSBOY", "", "1", "3.29", ""))
	var got []string
	for _, invoice := range file.Invoices {
		got = append(got, invoice.Number+" "+string(invoice.Kind))
	}
	want := []string{
		"536365 SALE", "C536366 CANCELLATION", "536367 SALE", "536368 ADJUST_OUT", "536369 ADJUST_IN", "536370 FREE_ORDER",
		"A536371 BAD_DEBT", "536372 SALE", "536373 SALE",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	first := file.Invoices[0]
	if len(first.Lines) != 3 || first.Lines[0].Row != 2 || first.Lines[2].Row != 5 || first.Lines[2].Number != 3 {
		t.Fatalf("lines of 536365: %+v", first.Lines)
	}
	if l := first.Lines[0]; l.SKU != "85123A" || l.SKUText != "85123a" || l.Note != `6" HOLDER, RED ` {
		t.Errorf("first line: %+v", l)
	}
	if l := first.Lines[1]; l.SKU != "85123A" || l.Note != "  £5 OFF " || l.Amount().String() != "0.002" {
		t.Errorf("second line: %+v", l)
	}
	if l := first.Lines[2]; l.SKU != "M" || l.Kind != unit.Service {
		t.Errorf("third line: %+v", l)
	}
	if at := first.Time.UTC().Format(time.RFC3339); at != "2010-12-01T08:26:00Z" {
		t.Errorf("536365 is of %s", at)
	}
	if len(file.Invoices[2].Lines) != 2 {
		t.Errorf("equal rows were merged: %+v", file.Invoices[2].Lines)
	}
	if l := file.Invoices[6].Lines[0]; l.Amount().String() != "-11062.06" || l.Kind != unit.Service {
		t.Errorf("bad debt: %+v", l)
	}
	if file.Invoices[7].Lines[0].Kind != unit.Service || file.Invoices[8].Lines[0].Kind != unit.Stocked {
		t.Error("gift vouchers are services, DCGS codes are goods")
	}
	needed := Movements(file.Invoices)["85123A"]
	if needed.Needed != 8-1+12 || needed.Change != -19 || needed.Out != 20 {
		t.Errorf("85123A: %+v", needed)
	}
}

func TestSummerTimeIsAnHourAhead(t *testing.T) {
	file := mustRead(t, head+strings.Replace(sale("536365"), "2010-12-01 08:26", "2011-07-01 08:26", 1))
	if at := file.Invoices[0].Time.UTC().Format(time.RFC3339); at != "2011-07-01T07:26:00Z" {
		t.Errorf("got %s", at)
	}
}

func TestARowOutOfTheBoundsOfTimeIsNamedByItsNumber(t *testing.T) {
	for _, at := range []string{"1066-10-14 09:00:00", "1989-12-31 23:59:59", "9999-12-31 00:00:00"} {
		text := head + sale("536365") + strings.Replace(sale("536366"), "2010-12-01 08:26:00", at, 1) + sale("536367")
		var problem *Problem
		if _, err := Read(strings.NewReader(text), Strict); !errors.As(err, &problem) || problem.Row != 3 || problem.Column != colDate ||
			!strings.Contains(problem.Reason, "from 1990-01-01T00:00:00Z to ") {
			t.Errorf("%s: %v", at, err)
		}
		file, err := Read(strings.NewReader(text), Quarantine)
		if err != nil || len(file.Invoices) != 2 || len(file.Excluded) != 1 || file.Excluded[0].Row != 3 {
			t.Errorf("%s: %+v, %v", at, file, err)
		}
	}
	old := head + strings.Replace(sale("536365"), "2010-12-01", "1950-12-01", 1)
	anything := func(time.Time) error { return nil }
	if file, err := ReadWithin(strings.NewReader(old), Strict, anything); err != nil || len(file.Invoices) != 1 {
		t.Errorf("within other bounds: %+v, %v", file, err)
	}
}

func TestQuarantineSetsWholeInvoicesAside(t *testing.T) {
	unclosed := row1("536367", "85123A", `"A HOLDER`, "6", "2.55", "17850")
	file, err := Read(strings.NewReader(head+
		sale("536365")+ // 2
		row1("536365", "85123A", "A", "six", "2.55", "17850")+ // 3 bad
		sale("536366")+ // 4 good
		sale("536367")+ // 5 of a bad invoice
		unclosed+ // 6 bad, and no other row is excluded with it
		sale("536368")+ // 7 good
		"?,what is this\n"+ // 8 has no readable invoice number, so the invoices before and after it are excluded
		sale("536369")+ // 9 the neighbour after
		sale("536370")+ // 10 good
		sale("536371")+ // 11
		row1("536371", "85123A", "A", "-1", "2.55", "17850")+ // 12 a sale that gives back
		sale("536366")+ // 13 good, and not contiguous
		row1("536365", "85123A", "A", "1", "2.55", "17850")), // 14 of a bad invoice, later
		Quarantine)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, invoice := range file.Invoices {
		kept = append(kept, invoice.Number)
	}
	if want := []string{"536366", "536370"}; !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	var aside []int
	for _, a := range file.Excluded {
		aside = append(aside, a.Row)
		if a.Reason == "" || a.Text == "" {
			t.Errorf("row %d is aside without a reason or its text", a.Row)
		}
	}
	if want := []int{2, 3, 5, 6, 7, 8, 9, 11, 12, 14}; !slices.Equal(aside, want) {
		t.Errorf("aside %v, want %v", aside, want)
	}
	if got := file.Excluded[3].Text + "\n"; got != unclosed {
		t.Errorf("got %q, want %q", got, unclosed)
	}
	if file.Rows != 13 || len(file.Invoices[0].Lines) != 2 {
		t.Errorf("%d rows, %d lines of 536366", file.Rows, len(file.Invoices[0].Lines))
	}
}

func TestQuarantineStillRefusesABrokenFile(t *testing.T) {
	zip := zipped(t, head+strings.Repeat(sale("536365"), 5000))
	for name, input := range map[string]string{"header": "a,b\n", "empty": "", "truncated": string(zip[:len(zip)-9])} {
		if _, err := Read(strings.NewReader(input), Quarantine); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAReaderThatFailsIsReported(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, err := Read(io.MultiReader(strings.NewReader(head+sale("536365")), failing{broken}), Strict)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "after row 2") {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestMatchingTakesTheNewestSaleAndEachUnitOnce(t *testing.T) {
	line := func(invoice, quantity, price string) string {
		return row1(invoice, "22139", "", quantity, price, "17850")
	}
	file := mustRead(t, head+
		line("1", "10", "1.00")+
		line("2", "4", "1.00")+
		line("3", "4", "1.0")+
		line("C4", "-4", "1.000")+ // exactly 3, the newest of two
		line("C5", "-4", "1.00")+ // exactly 2
		line("C6", "-3", "1.00")+ // part of 1
		line("C7", "-9", "1.00")+ // the customer holds 7
		line("C8", "-1", "1.00")+ // nothing left
		row1("C9", "22139", "", "-1", "1.00", "")+
		row1("C10", "POST", "", "-1", "1.00", "17850"))
	matching := MatchCancellations(file.Invoices)
	want := map[int][]Link{
		3: {{Invoice: 2, Line: 1, Quantity: 4}},
		4: {{Invoice: 1, Line: 1, Quantity: 4}},
		5: {{Invoice: 0, Line: 1, Quantity: 3}},
		6: {{Invoice: 0, Line: 1, Quantity: 7}},
		7: nil, 8: nil, 9: nil,
	}
	for i, links := range want {
		if got := matching.Links[i]; len(got) != 1 || !slices.Equal(got[0], links) {
			t.Errorf("%s: got %v, want %v", file.Invoices[i].Number, got, links)
		}
	}
	for match, lines := range map[Match]int{MatchExact: 2, MatchCovered: 1, MatchPartly: 1, MatchNoSale: 1, MatchNoCustomer: 1, MatchService: 1} {
		if got := matching.Tally[match].Lines; got != lines {
			t.Errorf("%s: %d lines, want %d", match, got, lines)
		}
	}
}

// FuzzRecords compares our reader with encoding/csv. If encoding/csv reads a file of eight columns
// to its end, our reader must return the same records.
func FuzzRecords(f *testing.F) {
	f.Add("a,b,c,d,e,f,g,h\n")
	f.Add("a,\"b\nb\",c,d,e,f,g,\"h\"\"h\"\r\n\n1,2,3,4,5,6,7,8")
	f.Add("a,\"b,c,d,e,f,g,h\n1,2,3,4,5,6,7,8\n")
	f.Fuzz(func(t *testing.T, text string) {
		scan := newRecords(strings.NewReader(text))
		var got [][]string
		clean := true
		for {
			rec, err := scan.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				clean = false
				if _, bad := errors.AsType[*Problem](err); !bad {
					break
				}
				continue
			}
			got = append(got, slices.Clone(rec.fields))
		}
		reader := csv.NewReader(strings.NewReader(text))
		reader.FieldsPerRecord = len(Columns)
		want, err := reader.ReadAll()
		if err != nil || !utf8.ValidString(text) || strings.Count(text, "\n") >= maxRecordLines {
			return
		}
		if !clean {
			t.Errorf("refused %q, which encoding/csv reads as %q", text, want)
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
