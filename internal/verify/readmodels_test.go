package verify_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/verify"
	"daybook/projections/productview"
)

func TestATruthfulDatabaseHasNoDifferences(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	report := s.verify()
	s.wantClean(report)
	for _, check := range report.Checks {
		if check.Examined == 0 {
			t.Errorf("%q examined nothing", check.Name)
		}
	}
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Position != head || report.Events == 0 || report.Streams == 0 {
		t.Errorf("verified up to %s, %d events of %d streams; the log ends at %s", report.Position, report.Events, report.Streams, head)
	}
}

// column is one column of a published table.
type column struct{ schema, table, name, kind string }

func (c column) tableName() string { return pgx.Identifier{c.schema, c.table}.Sanitize() }

// publishedColumns returns all columns that readers can query.
func (s *shop) publishedColumns() []column {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), `SELECT b.schema_name, c.table_name, c.column_name, c.data_type
		FROM information_schema.columns c
		JOIN projections.builds b ON b.schema_name = c.table_schema AND b.state = 'active'
		JOIN information_schema.tables r ON r.table_schema = 'read' AND r.table_name = c.table_name
		ORDER BY c.table_name, c.ordinal_position`)
	if err != nil {
		s.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		return c, row.Scan(&c.schema, &c.table, &c.name, &c.kind)
	})
	if err != nil {
		s.Fatal(err)
	}
	return columns
}

// falseValue is an SQL expression with another value for the column.
func (c column) falseValue() string {
	name := pgx.Identifier{c.name}.Sanitize()
	switch c.kind {
	case "text":
		if c.name == "position" {
			return `(` + name + `::bigint + 1)::text`
		}
		return name + ` || 'x'`
	case "bigint", "integer", "numeric", "date":
		return name + ` + 1000`
	case "boolean":
		return `NOT ` + name
	case "timestamp with time zone":
		return name + ` + interval '1 microsecond'`
	case "ARRAY":
		return name + ` || 'x'::text`
	case "json":
		return `replace(` + name + `::text, '1', '2')::json`
	}
	return "unknown kind " + c.kind
}

// falseValues are all values that a test gives a column. Only the JSON column state has several.
func (c column) falseValues() []string {
	if c.name != "state" {
		return []string{c.falseValue()}
	}
	replace := func(pattern, by string) string {
		return `regexp_replace(state::text, '` + pattern + `', '` + by + `')::json`
	}
	fold := replace(`"(pending|confirmed|open|completed|noted|completing|closed|declined)"`, `"another"`)
	if c.table == "customer_accounts" {
		return []string{replace(`"chargebacks"`, `"another"`), replace(`"Leeds"`, `"York"`)}
	}
	if c.table == "gift_cards" {
		return []string{replace(`"credit"`, `"another"`), replace(`"amount":"5`, `"amount":"6`)}
	}
	if c.table == "carts" {
		return []string{fold, replace("bored", "content"), replace(`"available":`, `"available":1`)}
	}
	return []string{fold, replace(`"2011-0`, `"2012-0`)} // the second one changes the times
}

func (s *shop) mustExec(sql string, args ...any) int64 {
	s.Helper()
	done, err := s.Pool.Exec(s.Context(), sql, args...)
	if err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return done.RowsAffected()
}

// wantOnly checks that only one check has differences, and that one of them has these words.
func wantOnly(t *testing.T, report *verify.Report, check, words string) {
	t.Helper()
	found := differences(report)
	if first := found[check]; !strings.Contains(strings.Join(first, "\n"), words) {
		t.Errorf("%q has the differences %q, want one with %q", check, first, words)
	}
	for name, first := range found {
		if name != check {
			t.Errorf("%q has differences too: %q", name, first)
		}
	}
}

// amounts is how a difference shows two amounts.
var amounts = regexp.MustCompile(` is -?[0-9]+[.][0-9]{2,} [A-Z]{3}, want -?[0-9]+[.][0-9]{2,} [A-Z]{3}`)

// A row with a wrong value is found, whichever column of whichever table has it. The difference
// names the column, and shows amounts with their currency and its digits.
func TestAChangedRowIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	columns := s.publishedColumns()
	if len(columns) < 100 {
		t.Fatalf("only %d columns are published", len(columns))
	}
	for _, c := range columns {
		for _, another := range c.falseValues() {
			t.Run(c.table+"."+c.name, func(t *testing.T) {
				s.mustExec(`CREATE TABLE saved AS TABLE ` + c.tableName())
				defer func() {
					s.mustExec(`DELETE FROM ` + c.tableName())
					s.mustExec(`INSERT INTO ` + c.tableName() + ` TABLE saved`)
					s.mustExec(`DROP TABLE saved`)
				}()
				name := pgx.Identifier{c.name}.Sanitize()
				changed := s.mustExec(`UPDATE ` + c.tableName() + ` SET ` + name + ` = ` + another + ` WHERE ctid = (
					SELECT ctid FROM ` + c.tableName() + ` WHERE ` + name + ` IS NOT NULL AND ` + name + `::text IS DISTINCT FROM (` + another + `)::text LIMIT 1)`)
				if changed != 1 {
					t.Fatalf("%d rows were changed", changed)
				}
				words := c.name
				if c.isKey(s) {
					words = "nothing in the log makes it"
				}
				report := s.verify()
				wantOnly(t, report, "read."+c.table, words)
				if shown := strings.Join(differences(report)["read."+c.table], "\n"); c.kind == "numeric" && words == c.name && !amounts.MatchString(shown) {
					t.Errorf("the amounts of %q have no currency, or not its digits", shown)
				}
			})
		}
	}
	s.wantClean(s.verify())
}

func (c column) isKey(s *shop) (key bool) {
	s.Helper()
	err := s.Pool.QueryRow(s.Context(), `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid = $1::regclass AND a.attname = $2)`, c.tableName(), c.name).Scan(&key)
	if err != nil {
		s.Fatal(err)
	}
	return key
}

func TestAMissingRowIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	seen := map[string]bool{}
	for _, c := range s.publishedColumns() {
		if seen[c.table] {
			continue
		}
		seen[c.table] = true
		t.Run(c.table, func(t *testing.T) {
			s.mustExec(`CREATE TABLE saved AS SELECT * FROM ` + c.tableName() + ` LIMIT 1`)
			before := s.mustExec(`SELECT FROM ` + c.tableName())
			s.mustExec(`DELETE FROM ` + c.tableName() + ` t USING saved WHERE t::text = saved::text`)
			if now := s.mustExec(`SELECT FROM ` + c.tableName()); now != before-1 {
				t.Fatalf("%d rows of %d are left", now, before)
			}
			defer func() {
				s.mustExec(`INSERT INTO ` + c.tableName() + ` TABLE saved`)
				s.mustExec(`DROP TABLE saved`)
			}()
			wantOnly(t, s.verify(), "read."+c.table, "is missing")
		})
	}
}

func TestARowTooManyIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	var columns []column
	for _, c := range s.publishedColumns() {
		if len(columns) == 0 || columns[len(columns)-1].table != c.table {
			columns = append(columns, c) // the first column is part of the key
		}
	}
	for _, c := range columns {
		t.Run(c.table, func(t *testing.T) {
			s.mustExec(`CREATE TABLE saved AS SELECT * FROM ` + c.tableName() + ` LIMIT 1`)
			defer s.mustExec(`DROP TABLE saved`)
			s.mustExec(`UPDATE saved SET ` + c.name + ` = ` + c.falseValue())
			s.mustExec(`INSERT INTO ` + c.tableName() + ` TABLE saved`)
			defer s.mustExec(`DELETE FROM ` + c.tableName() + ` t USING saved WHERE t::text = saved::text`)
			wantOnly(t, s.verify(), "read."+c.table, "nothing in the log makes it")
		})
	}
	s.wantClean(s.verify())
}

const posted = "views: each is in use and has read the log"

func TestACheckpointAheadOfTheLogIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	s.mustExec(`UPDATE projections.builds SET position = '999999' WHERE view = 'stock'`)
	wantOnly(t, s.verify(), posted, "view stock is at position 999999")
}

func TestAViewThatIsBehindIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The rows stay. Only the checkpoint is set back.
	s.mustExec(`UPDATE projections.builds SET position = '3' WHERE view = 'products'`)
	found := differences(s.verify())
	if first := strings.Join(found[posted], "\n"); !strings.Contains(first, "view products is at position 3, 8 events behind") {
		t.Errorf("found %q", first)
	}
	if len(found["read.products"]) == 0 {
		t.Error("rows of events after the checkpoint were not found")
	}
	s.mustExec(`UPDATE projections.builds SET position = $1 WHERE view = 'products'`, head.String())
	s.mustExec(`UPDATE projections.builds SET error = 'cannot read it' WHERE view = 'carts'`)
	wantOnly(t, s.verify(), posted, "view carts stopped at position "+head.String()+": cannot read it")
}

func TestAViewOfAnotherShapeIsNotCompared(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	s.mustExec(`UPDATE projections.builds SET setting = 'UTC||' WHERE view = 'sales'`)
	report := s.verify()
	wantOnly(t, report, posted, `view sales was built by version 6 with setting "UTC||"`)
	for _, check := range report.Checks {
		if strings.HasPrefix(check.Name, "read.sales") {
			t.Errorf("%q was compared", check.Name)
		}
	}
	s.mustExec(`UPDATE projections.builds SET state = 'old' WHERE view = 'sales'`)
	wantOnly(t, s.verify(), posted, "view sales has no active build")
}

// Each view is compared at its own checkpoint, because a node may write while the log is verified.
func TestViewsAreComparedWhereTheyStand(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := s.config()
	config.Store = &growingLog{Store: s.Log, grow: func() { s.list("LATE", "stocked", "1.00", 5) }}
	config.UpTo = head
	report, err := verify.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.wantClean(report)
	if !head.Before(report.Position) {
		t.Errorf("verified up to %s, want also the events after %s", report.Position, head)
	}
}

// growingLog is a log that grows after the read models were opened.
type growingLog struct {
	eventstore.Store
	grow func()
}

func (g *growingLog) Head(ctx context.Context) (eventstore.Position, error) {
	if g.grow != nil {
		g.grow()
		g.grow = nil
	}
	return g.Store.Head(ctx)
}

func TestAnUnknownViewIsAnError(t *testing.T) {
	s := newShop(t)
	config := s.config()
	view := productview.View()
	view.Name = "surprise"
	config.Views = append(config.Views, view)
	if _, err := verify.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "view surprise is unknown") {
		t.Errorf("got %v", err)
	}
}

// Every version refuses a payment in another currency than the order's. If the log has one all the
// same, it is a difference, and the verification goes on.
func TestAnEventThatNoCommandRecordsIsADifference(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.waitForViews()
	facts(t, s.Log, order.Stream("36367"), order.Encode, order.Event(order.TransactionRecorded{
		TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: unit.Money{Amount: gbp("1").Amount, Currency: "EUR"},
	}))
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.mustExec(`UPDATE projections.builds SET position = $1`, head.String())
	report, err := verify.Run(t.Context(), s.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range report.Checks {
		if strings.Contains(strings.Join(check.First, " "), "36367") {
			return
		}
	}
	t.Errorf("no difference names the payment: %d differences", report.Differences)
}
