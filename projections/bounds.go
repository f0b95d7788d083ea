package projections

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/eventstore"
)

// The bounds of values in a read model. They are wider than everything that commands accept,
// and narrower than what PostgreSQL can store. A value outside is read as the nearest value
// inside. So no event can stop a view.
const (
	// maxNumber bounds a whole number in an event, above and below zero. The sum of thousands
	// of such numbers still fits a bigint.
	maxNumber = 1_000_000_000_000_000
	// maxNameBytes bounds a text that has a type of its own: an id, a SKU, a currency.
	maxNameBytes = 256
	// maxTextBytes bounds free text.
	maxTextBytes = 4096
	// maxKeyBytes bounds a free text that an index holds; see Key.
	maxKeyBytes = 400
	// Amounts have at most this many digits before and after the point.
	maxDigitsBefore, maxDigitsAfter = 36, 18
)

// Times in the data of an event, such as deadlines, are kept between these bounds. Within
// them, the year has four digits in every time zone. The effective time of an event has other
// bounds: see eventstore.Metadata.EffectiveAt.
var (
	firstTime = eventstore.EarliestCredible
	lastTime  = time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC)
)

// Bounded reads a decoded event, or its metadata, as read models and their verification do:
// it puts each value within the bounds above. changed names the first field that was outside.
// It is empty if there was none, and then value is returned as it is. Bounded changes the
// lists of value in place, so the caller must not use value again.
func Bounded(value any) (bounded any, changed string) {
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return value, ""
	}
	plan := planOf(v.Type())
	if plan == nil {
		return value, ""
	}
	into := reflect.New(v.Type()).Elem()
	into.Set(v)
	if changed = plan(into); changed == "" {
		return value, ""
	}
	return into.Interface(), changed
}

// Key cuts a free text to what an index of the database can hold. It does not change texts
// that commands accept.
func Key(text string) string { return cut(text, maxKeyBytes) }

// Text is free text as a read model holds it.
func Text(text string) string { return cut(withoutNUL(text), maxTextBytes) }

// bound puts an addressable value within its bounds, and names what it changed.
type bound func(v reflect.Value) (changed string)

var (
	plans      sync.Map // reflect.Type to bound; nil: nothing to do
	timeType   = reflect.TypeFor[time.Time]()
	amountType = reflect.TypeFor[decimal.Decimal]()
	idType     = reflect.TypeFor[uuid.UUID]()
)

func planOf(t reflect.Type) bound { return planWithin(t, nil) }

// planWithin makes the plan of the type t. within are the types that t is a part of, and whose
// plans are not finished yet. If t is itself one of them, as in a tree whose nodes have nodes, its
// plan is looked up later, when such a value comes.
func planWithin(t reflect.Type, within []reflect.Type) bound {
	if plan, ok := plans.Load(t); ok {
		return plan.(bound) //nolint:forcetypeassert // the map holds nothing else
	}
	if slices.Contains(within, t) {
		return func(v reflect.Value) string {
			if plan := planOf(t); plan != nil {
				return plan(v)
			}
			return ""
		}
	}
	plan := makePlan(t, append(slices.Clip(within), t))
	plans.Store(t, plan)
	return plan
}

// makePlan panics if it does not know the kind of type. A test makes the plans of all events,
// so no field of an event can be without bounds.
func makePlan(t reflect.Type, within []reflect.Type) bound {
	switch t {
	case timeType:
		return boundTime
	case amountType:
		return boundAmount
	case idType:
		return nil // each of its values is an id, which needs no bounds
	}
	switch t.Kind() { //nolint:exhaustive // the others are refused
	case reflect.Struct:
		return structPlan(t, within)
	case reflect.Slice:
		if each := planWithin(t.Elem(), within); each != nil {
			return func(v reflect.Value) string { return boundList(v, each) }
		}
		return nil
	case reflect.Pointer:
		if inner := planWithin(t.Elem(), within); inner != nil {
			return func(v reflect.Value) string { return boundPointer(v, inner) }
		}
		return nil
	case reflect.String:
		limit := maxTextBytes
		if t.PkgPath() != "" {
			limit = maxNameBytes
		}
		return func(v reflect.Value) string { return boundText(v, limit) }
	case reflect.Int, reflect.Int64:
		return boundNumber
	case reflect.Bool:
		return nil
	}
	panic(fmt.Sprintf("projections: a value of type %s has no bounds; give it some in makePlan", t))
}

func structPlan(t reflect.Type, within []reflect.Type) bound {
	type field struct {
		index int
		name  string
		plan  bound
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		if plan := planWithin(f.Type, within); plan != nil {
			fields = append(fields, field{i, f.Name, plan})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) (changed string) {
		for _, f := range fields {
			if what := f.plan(v.Field(f.index)); what != "" && changed == "" {
				changed = strings.TrimSuffix(f.name+"."+what, ".*")
			}
		}
		return changed
	}
}

// outside says that the value itself was changed. structPlan puts the name of the field
// before it.
const outside = "*"

func boundList(v reflect.Value, each bound) (changed string) {
	for i := range v.Len() {
		if what := each(v.Index(i)); changed == "" {
			changed = what
		}
	}
	return changed
}

func boundPointer(v reflect.Value, inner bound) string {
	if v.IsNil() {
		return ""
	}
	return inner(v.Elem())
}

func boundNumber(v reflect.Value) string {
	n := v.Int()
	if n >= -maxNumber && n <= maxNumber {
		return ""
	}
	v.SetInt(min(max(n, -maxNumber), maxNumber))
	return outside
}

func boundText(v reflect.Value, limit int) string {
	text := v.String()
	fitting := cut(withoutNUL(text), limit)
	if len(fitting) == len(text) && fitting == text {
		return ""
	}
	v.SetString(fitting)
	return outside
}

func withoutNUL(text string) string {
	if strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(text, "\x00", string(utf8.RuneError))
}

// cut shortens a text to at most limit bytes, at the end of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

func boundTime(v reflect.Value) string {
	at := v.Addr().Interface().(*time.Time) //nolint:forcetypeassert // planOf chose it by its type
	switch {
	case at.IsZero(): // not given
		return ""
	case at.Before(firstTime):
		*at = firstTime
	case at.After(lastTime):
		*at = lastTime
	default:
		return ""
	}
	return outside
}

var mostAmount = decimal.New(1, maxDigitsBefore)

// boundAmount checks the number of digits before it calculates, because an exponent such as
// 1e999999999 would take all memory. (The decimal library refuses to decode an exponent
// beyond 10,000, so such an event cannot be read at all.)
func boundAmount(v reflect.Value) string {
	amount := v.Addr().Interface().(*decimal.Decimal) //nolint:forcetypeassert // planOf chose it by its type
	exponent := int64(amount.Exponent())
	before := int64(amount.NumDigits()) + exponent
	if exponent >= -maxDigitsAfter && before <= maxDigitsBefore {
		return ""
	}
	switch {
	case amount.IsZero(), before <= -maxDigitsAfter:
		*amount = decimal.Zero
	case before > maxDigitsBefore && amount.Sign() < 0:
		*amount = mostAmount.Neg()
	case before > maxDigitsBefore:
		*amount = mostAmount
	default:
		*amount = amount.Truncate(maxDigitsAfter)
	}
	return outside
}
