package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/problem"
)

// Errors that end a scan early.
var (
	errNotJSON = errors.New("not JSON")      // the decoder then says what is wrong with the body
	errEnough  = errors.New("enough faults") // there are enough faults, or a fault after which the scan looks for no others
)

// tokensPerLook is how many tokens the scan reads before it checks again whether its context has
// ended.
const tokensPerLook = 512

// check compares a body with its schema, and stops after problem.MaxFaults faults. huma's own
// validation would collect all faults first. It also stops if the body has more values than the
// route accepts. check returns errNotJSON if the body is not JSON, and another error if ctx has
// ended.
//
// It returns the body with its whole numbers in plain digits, because the decoder cannot read 5.0
// or 1e3 as a whole number.
func (s *shape) check(ctx context.Context, body []byte) (plain []byte, faults []problem.Invalid, err error) {
	if s.root == nil || len(body) == 0 {
		return body, nil, nil
	}
	scan := newScanner(s, body)
	defer scan.free()
	switch err := scan.all(ctx); {
	case errors.Is(err, errNotJSON):
		return body, nil, errNotJSON
	case err == nil, errors.Is(err, errEnough):
		return scan.rewritten(body), scan.faults, nil
	default:
		return nil, nil, err
	}
}

// container is a list or an object of which the scan has read the beginning and not yet the end.
type container struct {
	schema *huma.Schema // nil if the route does not know it
	list   bool
	items  int
	seen   uint64 // which members of schema.Required an object has
}

// scanner goes through a body.
type scanner struct {
	shape   *shape
	decoder *jsontext.Decoder
	within  []container
	values  int
	name    string // of the member whose value comes next
	naming  bool   // the next token is a member's name or the end of the object
	faults  []problem.Invalid
	digits  []rewrite
	path    *huma.PathBuffer // always empty, because the decoder knows the place
	found   huma.ValidateResult
}

// scanners are scanners that can be used again.
var scanners = sync.Pool{New: func() any {
	return &scanner{decoder: new(jsontext.Decoder), within: make([]container, 0, maxDepth), path: huma.NewPathBuffer(nil, 0)}
}}

func newScanner(shape *shape, body []byte) *scanner {
	s, _ := scanners.Get().(*scanner)
	s.shape = shape
	s.decoder.Reset(bytes.NewBuffer(body))
	return s
}

// free lets another scan use the scanner. First it clears what the scanner knows of the body and
// the faults.
func (s *scanner) free() {
	s.decoder.Reset(nothing)
	*s = scanner{decoder: s.decoder, within: s.within[:0], path: s.path}
	scanners.Put(s)
}

// nothing is an empty body.
var nothing = strings.NewReader("")

func (s *scanner) all(ctx context.Context) error {
	for tokens := 0; ; tokens++ {
		if tokens%tokensPerLook == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		done, err := s.next()
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if _, err := s.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return errNotJSON // something follows the value
	}
	return nil
}

// next reads a token. It is done at the end of the value.
func (s *scanner) next() (done bool, err error) {
	switch kind := s.decoder.PeekKind(); kind {
	case '}', ']':
		err = s.end()
	case '{', '[':
		return false, s.open(kind == '[')
	case '"':
		if s.naming {
			return false, s.member()
		}
		err = s.text()
	default:
		err = s.literal()
	}
	s.naming = len(s.within) > 0 && !s.within[len(s.within)-1].list
	return len(s.within) == 0, err
}

func (s *scanner) open(list bool) error {
	schema, err := s.value()
	if err != nil {
		return err
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return errNotJSON
	}
	if len(s.within) == maxDepth {
		return s.last(s.pointer(), fmt.Sprintf("nested deeper than %d", maxDepth))
	}
	expected, empty := huma.TypeObject, any(map[string]any{})
	if list {
		expected, empty = huma.TypeArray, []any{}
	}
	if schema != nil && schema.Type != expected {
		if err := s.validate(schema, empty); err != nil {
			return err
		}
		schema = nil // its content is not checked
	}
	s.within = append(s.within, container{schema: schema, list: list})
	s.naming = !list
	return nil
}

// end reads the end of a list or an object, and reports the members that it lacks.
func (s *scanner) end() error {
	if _, err := s.decoder.ReadToken(); err != nil {
		return errNotJSON
	}
	in := s.within[len(s.within)-1]
	s.within = s.within[:len(s.within)-1]
	if in.schema == nil {
		return nil
	}
	if least := in.schema.MinItems; in.list && least != nil && in.items < *least {
		return s.fault(s.pointer(), fmt.Sprintf(validation.MsgExpectedMinItems, *least))
	}
	for i, name := range in.schema.Required {
		if in.seen&(1<<i) != 0 || in.schema.Properties[name].ReadOnly {
			continue
		}
		if err := s.fault(s.pointer().AppendToken(name), "required"); err != nil {
			return err
		}
	}
	return nil
}

// quoted reads a member's name or a text. The result is valid until the next read.
func (s *scanner) quoted() ([]byte, error) {
	raw, err := s.decoder.ReadValue()
	if err != nil {
		return nil, errNotJSON
	}
	plain := []byte(raw[1 : len(raw)-1]) // shares its memory
	if bytes.IndexByte(plain, '\\') >= 0 {
		plain, _ = jsontext.AppendUnquote(nil, raw) // it was just read as a text, so there is no error
	}
	return plain, nil
}

func (s *scanner) member() error {
	plain, err := s.quoted()
	if err != nil {
		return err
	}
	if len(plain) > maxNameBytes {
		return s.last(s.pointer().Parent(), fmt.Sprintf("a member whose name has more than %d bytes", maxNameBytes))
	}
	s.name, s.naming = s.shape.nameOf(plain), false
	in := &s.within[len(s.within)-1]
	if in.schema == nil {
		return nil
	}
	if i := slices.Index(in.schema.Required, s.name); i >= 0 {
		in.seen |= 1 << i
	}
	if in.schema.Properties[s.name] == nil {
		return s.fault(s.pointer(), validation.MsgUnexpectedProperty)
	}
	return nil
}

func (s *scanner) text() error {
	plain, err := s.quoted()
	if err != nil {
		return err
	}
	schema, err := s.value()
	if err != nil || schema == nil {
		return err
	}
	text := string(plain)
	if strings.ContainsRune(text, 0) {
		// PostgreSQL refuses this character in texts. If it were in the log, no view could store
		// it.
		return s.fault(s.pointer(), faultNull)
	}
	before := len(s.faults)
	if err := s.validate(schema, text); err != nil {
		return err
	}
	if text == "" && schema.MinLength == nil && s.shape.notEmpty[schema] {
		return s.fault(s.pointer(), "must not be empty")
	}
	if fault := s.freeTextFault(schema, text); fault != "" {
		return s.fault(s.pointer(), fault)
	}
	if len(s.faults) > before || schema.Type != huma.TypeString || len(schema.Enum) > 0 {
		return nil
	}
	if fault := problem.FormFault(s.name, text); fault != "" {
		return s.fault(s.pointer(), fault)
	}
	return nil
}

// freeTextFault says what is wrong with the characters of a free text. Its length is checked by
// its schema.
func (s *scanner) freeTextFault(schema *huma.Schema, text string) string {
	if schema.Type != huma.TypeString || len(schema.Enum) > 0 || len(s.within) == 0 || s.within[len(s.within)-1].list {
		return ""
	}
	return problem.TextFault(s.name, text)
}

// literal reads a number, true, false or null.
func (s *scanner) literal() error {
	raw, err := s.decoder.ReadValue()
	if err != nil {
		return errNotJSON
	}
	if len(raw) > maxNumberBytes {
		return s.last(s.pointer(), fmt.Sprintf("a number of more than %d characters", maxNumberBytes))
	}
	schema, err := s.value()
	if err != nil || schema == nil {
		return err
	}
	switch raw.Kind() { //nolint:exhaustive // the others are read elsewhere
	case 'n':
		switch {
		case schema.Nullable:
			return nil
		case s.mayBeMissing():
			return s.fault(s.pointer(), "must not be null; leave it out instead")
		}
		return s.validate(schema, nil)
	case 't', 'f':
		return s.validate(schema, raw.Kind() == 't')
	}
	return s.number(schema, string(raw))
}

// number checks a number that was just read.
func (s *scanner) number(schema *huma.Schema, raw string) error {
	if schema.Type != huma.TypeInteger {
		number, err := strconv.ParseFloat(raw, 64)
		if err != nil && schema.Type == huma.TypeNumber {
			return s.fault(s.pointer(), "does not fit into 64 bits")
		}
		return s.validate(schema, number) // no number is allowed here, so each is wrong
	}
	digits, whole := wholeNumber(raw)
	if !whole {
		return s.fault(s.pointer(), validation.MsgExpectedInteger)
	}
	value, fits := bounded(schema, digits)
	if !fits {
		return s.fault(s.pointer(), bounds(schema))
	}
	if digits != raw {
		end := int(s.decoder.InputOffset())
		s.digits = append(s.digits, rewrite{from: end - len(raw), to: end, text: digits})
	}
	return s.validate(schema, value)
}

// rewrite replaces a part of a body, given in bytes, by another text.
type rewrite struct {
	from, to int
	text     string
}

// rewritten returns the body with its rewrites.
func (s *scanner) rewritten(body []byte) []byte {
	if len(s.digits) == 0 || len(s.faults) > 0 {
		return body
	}
	plain, done := make([]byte, 0, len(body)+8*len(s.digits)), 0
	for _, r := range s.digits {
		plain = append(append(plain, body[done:r.from]...), r.text...)
		done = r.to
	}
	return append(plain, body[done:]...)
}

const (
	maxDigits   = 19                 // that a number of 64 bits has
	farExponent = 2 * maxNumberBytes // any larger exponent has the same effect
)

// wholeNumber writes a JSON number in plain digits if it is whole: 5.0 becomes 5, and 1e3 becomes
// 1000. A number that is far too large for 64 bits becomes one with too many digits.
func wholeNumber(raw string) (digits string, whole bool) {
	if raw[0] > '0' && strings.Trim(raw, "0123456789") == "" {
		return raw, true
	}
	mantissa, exponentText, hasExponent := cutAny(raw, "eE")
	exponent := 0
	if hasExponent {
		exponent, _ = strconv.Atoi(exponentText) // out of range, so it is the nearest value within the range
		exponent = max(-farExponent, min(farExponent, exponent))
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	before, after, _ := strings.Cut(mantissa, ".")
	all := strings.TrimLeft(before+after, "0")
	if all == "" {
		return "0", true
	}
	point := len(after) - exponent // how many of the digits are after the point
	for point > 0 && strings.HasSuffix(all, "0") {
		all, point = all[:len(all)-1], point-1
	}
	if point > 0 {
		return "", false
	}
	all += strings.Repeat("0", min(-point, maxDigits+1))
	if negative {
		all = "-" + all
	}
	return all, true
}

// cutAny is strings.Cut at the first of several characters.
func cutAny(text, chars string) (before, after string, found bool) {
	at := strings.IndexAny(text, chars)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+1:], true
}

// mayBeMissing tells whether the value that was just read is of a member that is not required.
func (s *scanner) mayBeMissing() bool {
	if len(s.within) == 0 {
		return false
	}
	in := s.within[len(s.within)-1]
	return !in.list && !slices.Contains(in.schema.Required, s.name)
}

// value counts a value whose first token was read, and returns its schema.
func (s *scanner) value() (*huma.Schema, error) {
	if s.values++; s.values > s.shape.values {
		return nil, s.last(s.pointer(), fmt.Sprintf("more values than a body may hold here, which is %d", s.shape.values))
	}
	if len(s.within) == 0 {
		return s.shape.resolve(s.shape.root), nil
	}
	in := &s.within[len(s.within)-1]
	in.items++
	switch {
	case in.schema == nil:
		return nil, nil
	case !in.list:
		return s.shape.resolve(in.schema.Properties[s.name]), nil
	case in.schema.MaxItems != nil && in.items > *in.schema.MaxItems:
		return nil, s.last(s.pointer().Parent(), fmt.Sprintf("more than %d items", *in.schema.MaxItems))
	}
	return s.shape.resolve(in.schema.Items), nil
}

// validate lets huma check a value without parts that was just read.
func (s *scanner) validate(schema *huma.Schema, value any) error {
	s.found.Reset()
	huma.Validate(s.shape.schemas, schema, s.path, huma.ModeWriteToServer, value, &s.found)
	for _, err := range s.found.Errors {
		if detail, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			if err := s.fault(s.pointer(), detail.Message); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scanner) pointer() jsontext.Pointer { return s.decoder.StackPointer() }

// fault adds a fault. It returns errEnough if there are enough.
func (s *scanner) fault(pointer jsontext.Pointer, detail string) error {
	s.faults = append(s.faults, problem.InBody(string(pointer), detail))
	if len(s.faults) >= problem.MaxFaults {
		return errEnough
	}
	return nil
}

// last adds a fault that ends the scan.
func (s *scanner) last(pointer jsontext.Pointer, detail string) error {
	s.faults = append(s.faults, problem.InBody(string(pointer), detail))
	return errEnough
}
