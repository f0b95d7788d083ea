package verify_test

import (
	"context"
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
	s.caughtUp()
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

func (c column) from() string { return pgx.Identifier{c.schema, c.table}.Sanitize() }

// published are all columns of what readers can query.
func (s *shop) published() []column {
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

// falsified is another value of a column.
func (c column) falsified() string {
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

// falsifications are all ways in which a test makes a column another.
func (c column) falsifications() []string {
	if c.name != "state" {
		return []string{c.falsified()}
	}
	replace := func(pattern, by string) string {
		return `regexp_replace(state::text, '` + pattern + `', '` + by + `')::json`
	}
	fold := replace(`"(pending|confirmed|open|completed|noted|completing|closed|declined)"`, `"another"`)
	if c.table == "carts" {
		return []string{fold, replace("bored", "content"), replace(`"available":`, `"available":1`)}
	}
	return []string{fold, replace(`"2011-0`, `"2012-0`)} // and the times
}

func (s *shop) exec(sql string, args ...any) int64 {
	s.Helper()
	done, err := s.Pool.Exec(s.Context(), sql, args...)
	if err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return done.RowsAffected()
}

// wantOnly wants differences in one check, one of them with these words.
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

// Every column of every published table counts: one row with another value in
// it is found, and named.
func TestAChangedRowIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	columns := s.published()
	if len(columns) < 100 {
		t.Fatalf("only %d columns are published", len(columns))
	}
	for _, c := range columns {
		for _, another := range c.falsifications() {
			t.Run(c.table+"."+c.name, func(t *testing.T) {
				s.exec(`CREATE TABLE saved AS TABLE ` + c.from())
				defer func() {
					s.exec(`DELETE FROM ` + c.from())
					s.exec(`INSERT INTO ` + c.from() + ` TABLE saved`)
					s.exec(`DROP TABLE saved`)
				}()
				name := pgx.Identifier{c.name}.Sanitize()
				changed := s.exec(`UPDATE ` + c.from() + ` SET ` + name + ` = ` + another + ` WHERE ctid = (
					SELECT ctid FROM ` + c.from() + ` WHERE ` + name + ` IS NOT NULL AND ` + name + `::text IS DISTINCT FROM (` + another + `)::text LIMIT 1)`)
				if changed != 1 {
					t.Fatalf("%d rows were changed", changed)
				}
				words := c.name
				if c.isKey(s) {
					words = "nothing in the log makes it"
				}
				wantOnly(t, s.verify(), "read."+c.table, words)
			})
		}
	}
	s.wantClean(s.verify())
}

func (c column) isKey(s *shop) (key bool) {
	s.Helper()
	err := s.Pool.QueryRow(s.Context(), `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid = $1::regclass AND a.attname = $2)`, c.from(), c.name).Scan(&key)
	if err != nil {
		s.Fatal(err)
	}
	return key
}

func TestAMissingRowIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	seen := map[string]bool{}
	for _, c := range s.published() {
		if seen[c.table] {
			continue
		}
		seen[c.table] = true
		t.Run(c.table, func(t *testing.T) {
			s.exec(`CREATE TABLE saved AS SELECT * FROM ` + c.from() + ` LIMIT 1`)
			before := s.exec(`SELECT FROM ` + c.from())
			s.exec(`DELETE FROM ` + c.from() + ` t USING saved WHERE t::text = saved::text`)
			if now := s.exec(`SELECT FROM ` + c.from()); now != before-1 {
				t.Fatalf("%d rows of %d are left", now, before)
			}
			defer func() {
				s.exec(`INSERT INTO ` + c.from() + ` TABLE saved`)
				s.exec(`DROP TABLE saved`)
			}()
			wantOnly(t, s.verify(), "read."+c.table, "is missing")
		})
	}
}

func TestARowTooManyIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	var columns []column
	for _, c := range s.published() {
		if len(columns) == 0 || columns[len(columns)-1].table != c.table {
			columns = append(columns, c) // the first is of the key
		}
	}
	for _, c := range columns {
		t.Run(c.table, func(t *testing.T) {
			s.exec(`CREATE TABLE saved AS SELECT * FROM ` + c.from() + ` LIMIT 1`)
			defer s.exec(`DROP TABLE saved`)
			s.exec(`UPDATE saved SET ` + c.name + ` = ` + c.falsified())
			s.exec(`INSERT INTO ` + c.from() + ` TABLE saved`)
			defer s.exec(`DELETE FROM ` + c.from() + ` t USING saved WHERE t::text = saved::text`)
			wantOnly(t, s.verify(), "read."+c.table, "nothing in the log makes it")
		})
	}
	s.wantClean(s.verify())
}

const posted = "views: each is in use and has posted the log"

func TestACheckpointAheadOfTheLogIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	s.exec(`UPDATE projections.builds SET position = '999999' WHERE view = 'stock'`)
	wantOnly(t, s.verify(), posted, "view stock is at position 999999")
}

func TestAViewThatIsBehindIsFound(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The rows stay; the view only says that it is not as far.
	s.exec(`UPDATE projections.builds SET position = '3' WHERE view = 'products'`)
	found := differences(s.verify())
	if first := strings.Join(found[posted], "\n"); !strings.Contains(first, "view products is at position 3, 7 events behind") {
		t.Errorf("found %q", first)
	}
	if len(found["read.products"]) == 0 {
		t.Error("rows of events after the checkpoint were not found")
	}
	s.exec(`UPDATE projections.builds SET position = $1 WHERE view = 'products'`, head.String())
	s.exec(`UPDATE projections.builds SET error = 'cannot read it' WHERE view = 'carts'`)
	wantOnly(t, s.verify(), posted, "view carts stopped at position "+head.String()+": cannot read it")
}

func TestAViewOfAnotherShapeIsNotCompared(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	s.exec(`UPDATE projections.builds SET setting = 'UTC||' WHERE view = 'sales'`)
	report := s.verify()
	wantOnly(t, report, posted, `view sales was made by version 3 with "UTC||"`)
	for _, check := range report.Checks {
		if strings.HasPrefix(check.Name, "read.sales") {
			t.Errorf("%q was compared", check.Name)
		}
	}
	s.exec(`UPDATE projections.builds SET state = 'old' WHERE view = 'sales'`)
	wantOnly(t, s.verify(), posted, "view sales: no build of it is in use")
}

// A server goes on writing while the books are verified: each view is compared
// at its own checkpoint.
func TestViewsAreComparedWhereTheyStand(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := s.config()
	config.Store = &growing{Store: s.Log, grow: func() { s.list("LATE", "stocked", "1.00", 5) }}
	config.UpTo = head
	report, err := verify.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.wantClean(report)
	if !head.Before(report.Position) {
		t.Errorf("verified up to %s, want what was written after %s, too", report.Position, head)
	}
}

// growing is a log that grows after the read models were opened.
type growing struct {
	eventstore.Store
	grow func()
}

func (g *growing) Head(ctx context.Context) (eventstore.Position, error) {
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
	if _, err := verify.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "nothing is known of view surprise") {
		t.Errorf("got %v", err)
	}
}

// A payment in another currency than the order's is refused by every program of
// ours; where the log has one nevertheless, it is a difference and not the end.
func TestAFactThatNoProgramWritesIsADifference(t *testing.T) {
	s := newShop(t)
	s.trade()
	s.caughtUp()
	facts(t, s.Log, order.Stream("36367"), order.Encode, order.Event(order.TransactionRecorded{
		TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: unit.Money{Amount: gbp("1").Amount, Currency: "EUR"},
	}))
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE projections.builds SET position = $1`, head.String())
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
