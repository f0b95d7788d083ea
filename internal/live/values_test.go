package live_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// fill makes a value whose fields all have ordinary values.
func fill[T any]() any { return filledValue(*new(T)) }

func filledValue(empty any) any {
	v := reflect.New(reflect.TypeOf(empty)).Elem()
	fillIn(v)
	return v.Interface()
}

// ordinaryValues are values of the types for which a value by kind is not valid, such as SKUs.
var ordinaryValues = map[reflect.Type]any{
	reflect.TypeFor[time.Time]():       time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC),
	reflect.TypeFor[decimal.Decimal](): decimal.RequireFromString("2.55"),
	reflect.TypeFor[uuid.UUID]():       uuid.MustParse("5d2f8a41-0c6e-5b7d-9a13-e26471bf0835"),
	reflect.TypeFor[unit.Currency]():   unit.Currency("GBP"),
	reflect.TypeFor[unit.SKU]():        unit.SKU("MUG"),
	reflect.TypeFor[unit.Kind]():       unit.Stocked,
	reflect.TypeFor[cart.Policy]():     cart.AllOrNothing,
}

func fillIn(v reflect.Value) {
	if value, known := ordinaryValues[v.Type()]; known {
		v.Set(reflect.ValueOf(value))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillIn(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillIn(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillIn(key)
		fillIn(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem())
	case reflect.String:
		v.SetString("word")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(fmt.Sprintf("no everyday value of %s: add one", v.Type()))
	}
}

// Extreme values, as JSON.
var (
	extremeTimes = []string{
		`"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:01Z"`, `"1066-10-14T09:00:00Z"`, `"1899-12-31T23:59:59.999999999Z"`,
		`"1970-01-01T00:00:00Z"`, `"2026-01-31T12:00:00.123456789+14:00"`, `"2026-01-31T12:00:00-23:59"`, `"9999-12-31T23:59:59.999999999Z"`,
		`"9999-12-31T23:59:59-23:59"`, `"0000-01-01T00:00:00+23:59"`, `"10000-01-01T00:00:00Z"`, `"-001-01-01T00:00:00Z"`, `""`, `"soon"`,
	}
	extremeNumbers = []string{
		`0`, `-1`, `2`, `2147483647`, `2147483648`, `-2147483649`, `1000000000`, `1000000001`, `-1000000001`, `1000000000000000`, `1000000000000001`,
		`9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `1e3`, `1e30`, `1.5`, `"7"`,
	}
	extremeAmounts = []string{
		`"0"`, `"-0"`, `"-2.55"`, `"0.000001"`, `"999999999999999999.999999"`, `"-999999999999999999.999999"`, `"1e30"`, `"1e36"`, `"1e37"`, `"-1e999"`,
		`"1e-30"`, `"1e999999"`, `"1e-999999"`, `"1e999999999"`, `"-1e-2000000000"`, `"0e999999999"`, `"1e99999999999"`, `12.5`, `1e3`, `"NaN"`, `""`,
		`"` + strings.Repeat("9", 5000) + `"`, `"0.` + strings.Repeat("3", 5000) + `"`,
	}
	extremeTexts = []string{
		`""`, `" "`, `"."`, `".."`, `"a\u0000b"`, `"\u0000"`, `"line\nbreak\r\n\u2028"`, `"\u001b[31m"`, `"Cafe\u0301"`, `"\u202egnirts\u202c"`, `"𝔘𝔫𝔦🇬🇧👨‍👩‍👧‍👦"`,
		`"漢字かなМосква العربية עברית हिन्दी"`, `"\ud800"`, `"\udc00\ud800"`, `"'; DROP TABLE orders; --"`, `"{\"a\":1}"`, `"a@b/c%2F-d"`, `"\ufffe\uffff"`,
		`"` + strings.Repeat("x", 257) + `"`, `"` + strings.Repeat("é", 2000) + `"`, `"` + strings.Repeat("x", 100_000) + `"`, `"` + strings.Repeat("👾", 3000) + `"`,
		`"` + random(9000) + `"`, `1`, `null`,
	}
	extremeWords = []string{`"EUR"`, `"JPY"`, `"KWD"`, `"XXX"`, `"eur"`} // mostly currencies
	extremeBools = []string{`false`, `null`, `"true"`}
)

// random is text that does not compress, because an index compresses its values.
func random(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	text, state := make([]byte, n), uint32(1)
	for i := range text {
		state = state*1664525 + 1013904223
		text[i] = letters[int(state>>16)%len(letters)]
	}
	return string(text)
}

var amountText = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// extremesAt returns the extreme values that can replace an ordinary one.
func extremesAt(value any) []string {
	switch value := value.(type) {
	case json.Number:
		return extremeNumbers
	case bool:
		return extremeBools
	case string:
		if _, err := time.Parse(time.RFC3339Nano, value); err == nil {
			return extremeTimes
		}
		if amountText.MatchString(value) {
			return append(append([]string{}, extremeAmounts...), extremeTexts[:6]...)
		}
		return append(append([]string{}, extremeTexts...), extremeWords...)
	}
	return nil
}

// longList is how many elements the longest lists have. It is more than any command accepts. A list
// with large elements, such as lines, may make the event too large for the log. The log then
// refuses it, and no reader meets it.
const longList = 3000

// maxReplaced bounds how many variants of an event have one value replaced. An event with a quote
// has hundreds of values, and with all extremes of each the test would take many minutes. Of such
// an event each value gets some of its extremes, others in each run.
const maxReplaced = 1000

// some are as many of the choices as a document with so many places gets for each of them.
func (w *writer) some(choices []any, places int) []any {
	w.random.Shuffle(len(choices), func(i, j int) { choices[i], choices[j] = choices[j], choices[i] })
	return choices[:min(len(choices), max(2, maxReplaced/places))]
}

// variants returns variants of an event's JSON. Each value is replaced by each of its extremes, as
// far as maxReplaced allows, and each member is left out once. A few variants have two extreme
// values.
func (w *writer) variants(ordinary []byte) (variants [][]byte) {
	w.Helper()
	tree := w.parse(ordinary)
	write := func() { variants = append(variants, w.encode(tree)) }
	write()
	var places []place
	visit(tree, func(p place) { places = append(places, p) })
	for _, p := range places {
		before := p.get()
		for _, extreme := range w.some(w.replacements(p.name, before), len(places)) {
			p.set(extreme)
			write()
		}
		p.set(before)
		if p.remove != nil {
			p.remove()
			write()
			p.set(before)
		}
	}
	for range len(places) {
		first, second := places[w.random.IntN(len(places))], places[w.random.IntN(len(places))]
		was, and := first.get(), second.get()
		for _, p := range []place{first, second} {
			if choices := w.replacements(p.name, p.get()); len(choices) > 0 {
				p.set(choices[w.random.IntN(len(choices))])
			}
		}
		write()
		second.set(and)
		first.set(was)
	}
	return variants
}

// oneVariant is the JSON with at most one value replaced.
func (w *writer) oneVariant(ordinary []byte) []byte {
	w.Helper()
	tree := w.parse(ordinary)
	var places []place
	visit(tree, func(p place) { places = append(places, p) })
	if len(places) == 0 || w.random.IntN(3) == 0 {
		return ordinary
	}
	p := places[w.random.IntN(len(places))]
	if choices := w.replacements(p.name, p.get()); len(choices) > 0 {
		p.set(choices[w.random.IntN(len(choices))])
	}
	return w.encode(tree)
}

// parse reads JSON into values that visit can walk. It keeps numbers as they are written.
func (w *writer) parse(data []byte) (tree any) {
	w.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		w.Fatal(err)
	}
	return tree
}

// replacements returns the extremes of a value. For a string, it also returns the strings that
// golden files have in a member of the same name. So a state or kind gets each of its values.
func (w *writer) replacements(name string, value any) (all []any) {
	if list, is := value.([]any); is && len(list) > 0 {
		long := make([]any, 0, longList)
		for range longList {
			long = append(long, list[0])
		}
		return []any{[]any{}, nil, long, map[string]any{}}
	}
	if _, is := value.(map[string]any); is {
		return []any{map[string]any{}, nil}
	}
	for _, extreme := range extremesAt(value) {
		all = append(all, json.RawMessage(extreme))
	}
	if _, is := value.(string); is {
		for _, word := range w.words[name] {
			all = append(all, word)
		}
	}
	return all
}

// place is the place of a value in a JSON document.
type place struct {
	name   string // of the member; empty in a list
	get    func() any
	set    func(any)
	remove func() // nil in a list
}

func visit(tree any, found func(place)) {
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(tree)) { // sorted, so that a seed repeats a run
			value := tree[name]
			found(place{
				name:   name,
				get:    func() any { return tree[name] },
				set:    func(v any) { tree[name] = v },
				remove: func() { delete(tree, name) },
			})
			visit(value, found)
		}
	case []any:
		for i, value := range tree {
			found(place{get: func() any { return tree[i] }, set: func(v any) { tree[i] = v }})
			visit(value, found)
		}
	}
}
