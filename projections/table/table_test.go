package table

import (
	"reflect"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

type row struct {
	id    string
	units int64
	worth decimal.Decimal
	at    *time.Time
}

var rows = New("things",
	Key("id", Text, func(r row) string { return r.id }),
	Sum("units", Number, func(r row) int64 { return r.units }),
	Sum("worth", Normalized, func(r row) decimal.Decimal { return r.worth }),
	Kept("at", MaybeTime, func(r row) *time.Time { return r.at }),
	Fixed("note", Text, func(r row) string { return "n " + r.id }),
	Merged("best", Text, "CASE WHEN {new.units} > {old.units} THEN {new} ELSE {old} END", func(r row) string { return r.id }),
)

func TestStatementsAreMadeOfTheList(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ got, want string }{
		"upsert": {rows.Upsert().SQL, "INSERT INTO things AS t (id, units, worth, at, note, best)" +
			" SELECT n.id, n.units, trim_scale(n.worth::numeric), n.at, n.note, n.best" +
			" FROM unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[]) AS n(id, units, worth, at, note, best)" +
			" ON CONFLICT (id) DO UPDATE SET units = t.units + excluded.units, worth = trim_scale(t.worth + excluded.worth)," +
			" at = coalesce(excluded.at, t.at), best = CASE WHEN excluded.units > t.units THEN excluded.best ELSE t.best END"},
		"update of some": {rows.Update("note", "worth").SQL, "UPDATE things AS t SET note = n.note, worth = trim_scale(n.worth::numeric)" +
			" FROM unnest($1::text[], $2::text[], $3::text[]) AS n(id, note, worth) WHERE t.id = n.id"},
		"delete": {rows.Delete("t.units = 0").SQL, "DELETE FROM things AS t WHERE t.id = ANY ($1::text[]) AND t.units = 0"},
		"insert": {rows.Insert().SQL, "INSERT INTO things (id, units, worth, at, note, best)" +
			" SELECT n.id, n.units, trim_scale(n.worth::numeric), n.at, n.note, n.best" +
			" FROM unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[]) AS n(id, units, worth, at, note, best)"},
		"delete by what": {rows.DeleteWhere("t.units = 0").SQL, "DELETE FROM things AS t WHERE t.units = 0"},
		"texts":          {arrayText([]string{`a"b`, `c\d,{}`, "", "NULL"}), `{"a\"b","c\\d,{}","","NULL"}`},
		"all but some":   {rows.AllExcept("worth", "id"), "units, at, note, best"},
		"all":            {rows.All(), "id, units, worth, at, note, best"},
		"some, in order": {rows.Only("note", "id"), "note, id"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, c.got, c.want)
		}
	}
	args := rows.Update("worth").Args([]row{{id: "a", worth: decimal.RequireFromString("1.50")}, {id: "b"}})
	if want := []any{[]string{"a", "b"}, []string{"1.5", "0"}}; !reflect.DeepEqual(args, want) {
		t.Errorf("got %#v, want %#v", args, want)
	}
}

// No list of texts is NULL, and an empty list is an empty array.
func TestAListOfTextsMayBeMissing(t *testing.T) {
	t.Parallel()
	of := func(texts *[]string) string {
		column := Kept("colors", MaybeTexts, func(row) *[]string { return texts })
		sent, _ := column.values([]row{{}}).([]string)
		return column.source() + " of " + sent[0]
	}
	for want, texts := range map[string]*[]string{
		"nullif(n.colors, '')::text[] of ":      nil,
		"nullif(n.colors, '')::text[] of {}":    {},
		`nullif(n.colors, '')::text[] of {"a"}`: {"a"},
	} {
		if got := of(texts); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A name that is not in the list is noticed when the program starts.
func TestAColumnThatIsNotInTheListIsNoticed(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(){
		"AllExcept": func() { rows.AllExcept("unit") },
		"Only":      func() { rows.Only("unit") },
		"Update":    func() { rows.Update("unit") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s accepts a column that does not exist", name)
				}
			}()
			use()
		}()
	}
}
