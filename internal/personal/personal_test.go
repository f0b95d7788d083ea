package personal_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/filestest"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/eventtypes"
	"daybook/internal/personal"
)

var update = flag.Bool("update", false, "write the golden file")

func TestEveryTextOfEveryEventHasAClass(t *testing.T) {
	t.Parallel()
	types := eventtypes.All()
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if _, err := personal.Texts(types[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := personal.Texts(reflect.TypeFor[eventstore.Metadata]()); err != nil {
		t.Errorf("metadata: %v", err)
	}
}

// TestPersonalFields shows a change of a class in review, because it changes this list.
func TestPersonalFields(t *testing.T) {
	t.Parallel()
	const file = "testdata/personal.txt"
	var b strings.Builder
	line := func(of string, fields []personal.Field) {
		for _, f := range fields {
			note := ""
			if f.Compared {
				note = " compared"
			}
			fmt.Fprintf(&b, "%s %s %s%s\n", of, f, f.Class, note)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(eventtypes.All())) {
		line(name, personal.Of(name))
	}
	line("metadata", personal.OfMetadata())
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the personal fields have changed; if that is right, run go test ./internal/personal -update\n got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestTextsOfStoredEventsAreFound compares the classes with the stored form of each event type:
// every text in it must have a class, unless it is a time or a number.
func TestTextsOfStoredEventsAreFound(t *testing.T) {
	t.Parallel()
	types := eventtypes.All()
	files := filestest.OfAggregates(t, "../../domain", "testdata/*.json")
	if len(files) < len(types) {
		t.Fatalf("%d golden files of events", len(files))
	}
	for _, file := range files {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		fields, _ := personal.Texts(types[name])
		classed := map[string]bool{}
		for _, f := range fields {
			classed[f.String()] = true
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var stored map[string]any
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		eachText("", stored, func(path, text string) {
			_, notTime := time.Parse(time.RFC3339Nano, text)
			_, notNumber := strconv.ParseFloat(text, 64)
			if !classed[path] && notTime != nil && notNumber != nil {
				t.Errorf("%s has the text %q at %s, which has no class", filepath.Base(file), text, path)
			}
		})
	}
}

func eachText(path string, value any, see func(path, text string)) {
	switch value := value.(type) {
	case string:
		see(path, value)
	case []any:
		for _, one := range value {
			eachText(path+personal.Each, one, see)
		}
	case map[string]any:
		for name, one := range value {
			eachText(strings.TrimPrefix(path+"."+name, "."), one, see)
		}
	}
}

func TestATextWithoutAClassIsAFault(t *testing.T) {
	t.Parallel()
	type nickname string
	for what, of := range map[string]reflect.Type{
		"a text":              reflect.TypeFor[struct{ A string }](),
		"a type of its own":   reflect.TypeFor[struct{ A nickname }](),
		"texts":               reflect.TypeFor[struct{ A []string }](),
		"a map":               reflect.TypeFor[struct{ A map[string]int }](),
		"a value of any form": reflect.TypeFor[struct{ A any }](),
		"bytes":               reflect.TypeFor[struct{ A []byte }](),
		"a text further in":   reflect.TypeFor[struct{ L []*struct{ A string } }](),
		"an unknown class": reflect.TypeFor[struct {
			A string `class:"secret"`
		}](),
		"an unknown second word": reflect.TypeFor[struct {
			A string `class:"open,sealed"`
		}](),
	} {
		fields, err := personal.Texts(of)
		if err == nil || !strings.Contains(err.Error(), "}.A") || !strings.Contains(err.Error(), "class") {
			t.Errorf("%s: %v, want a fault that names the member", what, err)
		}
		if len(fields) != 1 || fields[0].Class != personal.Written {
			t.Errorf("%s: %v, want it taken for personal", what, fields)
		}
	}
}

// An event with such a member could not be told from one with encrypted texts.
func TestAMemberWithTheNameSealedIsAFault(t *testing.T) {
	t.Parallel()
	type inner struct {
		A int `json:"sealed"`
	}
	for what, of := range map[string]reflect.Type{"at the top": reflect.TypeFor[inner](), "further in": reflect.TypeFor[struct{ L []inner }]()} {
		if _, err := personal.Texts(of); err == nil || !strings.Contains(err.Error(), "inner.A needs another name") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTextsHaveThePathAndTheClassOfTheirMember(t *testing.T) {
	t.Parallel()
	type Inner struct {
		Note string `json:"note" class:"personal"`
	}
	type sample struct {
		Inner

		Number   int             `json:"number"`
		At       time.Time       `json:"at"`
		Price    unit.Money      `json:"price"`
		Customer unit.CustomerID `json:"customer_id,omitempty"`
		Lines    []Inner         `json:"lines"`
		Tags     []string        `json:"tags" class:"open"`
		Form     map[string]any  `json:"form" class:"personal,compared"`
		Left     string          `json:"-"`
	}
	fields, err := personal.Texts(reflect.TypeFor[sample]())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(fields)
	const want = "[note price.currency customer_id lines[].note tags[] form]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if f := fields[2]; f.Class != personal.Customer || !f.Compared {
		t.Errorf("the customer has the class %s, compared %t", f.Class, f.Compared)
	}
	if f := fields[5]; f.Class != personal.Written || !f.Compared {
		t.Errorf("the form has the class %s, compared %t", f.Class, f.Compared)
	}
}
