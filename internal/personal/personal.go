// Package personal says which texts of events are personal data: they name a person, or a person
// wrote them, or they are about a person. A Withholder takes these texts out of what a reader gets.
// The classes are beside the texts, so no other package needs a list of its own.
//
// A member of a type such as unit.SKU has the class that ofTypes gives to the type. Every other
// member has a tag:
//
//	Title  string `json:"title" class:"open"`
//	Reason string `json:"reason" class:"personal"`
//
// A text without a class fails a test of this package.
package personal

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/eventstore"
	"daybook/internal/eventtypes"
)

// Class says what a text of an event is about.
type Class string

// The classes. All but Open are personal data.
const (
	// Open texts say nothing about a person: SKUs, ids of carts and orders, currencies, countries,
	// codes, words from a fixed list, and hashes of secrets.
	Open Class = "open"
	// Written texts were written by a person or about one, such as reasons and notes, or were given
	// by somebody outside, such as a payment provider's number.
	Written Class = "personal"
	// Customer is the id of a customer. The storefront chooses it, so it may be a name.
	Customer Class = "customer"
	// Actor is who caused an event.
	Actor Class = "actor"
	// Person is the id of a person who signs in. Their actor has this id, too.
	Person Class = "person"
	// Chosen texts are names that a sender chooses freely, such as a correlation id or the name of
	// a carrier. Usually they say nothing about a person, but they can. Equal texts can be joined
	// and counted without the text itself.
	Chosen Class = "chosen"
	// Derived is the id of a command or of an event. It is a hash of public names. One of them is
	// an idempotency key, and another one can be a customer's id.
	Derived Class = "derived"
)

// compared is the second word in the tag of a text that a rule compares.
const compared = "compared"

// Field is a text of an event.
type Field struct {
	// Path leads to the text: the names of members, from the outside in. Each stands for every
	// element of a list. If the text is a map or a value of any form, the path ends there.
	Path  []string
	Class Class
	// Compared means that a rule compares the text: with the same text of a request that was sent
	// twice, or to find out who owns a thing. So a rule has to know the clear text.
	Compared bool
}

// Each stands for every element of a list in the path of a Field.
const Each = "[]"

// sealed is the name of the member with which encrypted texts stand in the log. See package
// eventstore/sealing.
const sealed = "sealed"

// String writes the path in one word, such as "asked.reference" or "lines[].title".
func (f Field) String() string {
	return strings.ReplaceAll(strings.Join(f.Path, "."), "."+Each, Each)
}

// Of returns the personal fields of an event type of the shop, such as "order.placed.v1". It
// returns nil for a type that this program does not know.
func Of(eventType string) []Field { return ofEvents[eventType] }

// OfMetadata returns the personal fields of the metadata of every event of the shop.
func OfMetadata() []Field { return ofMetadata }

var (
	ofEvents   = allEvents()
	ofMetadata = personalOnly(reflect.TypeFor[eventstore.Metadata]())
)

func allEvents() map[string][]Field {
	all := make(map[string][]Field)
	for name, t := range eventtypes.All() {
		all[name] = personalOnly(t)
	}
	return all
}

// personalOnly leaves out open texts. A text without a class counts as personal, until the tests
// find it.
func personalOnly(t reflect.Type) []Field {
	fields, _ := Texts(t)
	return slices.DeleteFunc(fields, func(f Field) bool { return f.Class == Open })
}

// Texts returns all texts below a type as JSON has them, each with its class. The error names the
// texts that have none. Such a text is in the result as Written.
func Texts(t reflect.Type) ([]Field, error) {
	w := walker{}
	w.walk(t, nil, "", t.Name())
	return w.found, errors.Join(w.faults...)
}

// textless are types whose JSON is a text, but one that says nothing: a time, a number, a random
// id. A member of such a type can have a tag all the same, if its values say something.
var textless = []reflect.Type{reflect.TypeFor[time.Time](), reflect.TypeFor[decimal.Decimal](), reflect.TypeFor[uuid.UUID]()}

type walker struct {
	found  []Field
	faults []error
}

// walk adds the texts of a value at a path. tag is the class that the member has. member names the
// value for a fault.
func (w *walker) walk(t reflect.Type, path []string, tag, member string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if slices.Contains(textless, t) && tag == "" {
		return
	}
	switch kind := t.Kind(); {
	case (kind == reflect.Slice || kind == reflect.Array) && t.Elem().Kind() != reflect.Uint8:
		w.walk(t.Elem(), append(slices.Clone(path), Each), tag, member)
	case kind == reflect.Struct && tag == "" && !writesItself(t):
		w.members(t, path)
	case kind >= reflect.Bool && kind <= reflect.Complex128: // no text
	case tag != "":
		w.add(path, tag, member)
	case ofTypes[t] != "":
		w.add(path, ofTypes[t], member)
	default:
		w.add(path, "", member)
	}
}

// writesItself tells whether the JSON of a type does not follow from its members.
func writesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || t.Implements(reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]())
}

func (w *walker) members(t reflect.Type, path []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		member := t.String() + "." + f.Name
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "":
			w.walk(f.Type, path, f.Tag.Get("class"), member)
		default:
			if name == "" {
				name = f.Name
			}
			if name == sealed {
				w.faults = append(w.faults, fmt.Errorf("%s needs another name: in the log, %q stands for texts that are encrypted (package eventstore/sealing)", member, sealed))
			}
			w.walk(f.Type, append(slices.Clone(path), name), f.Tag.Get("class"), member)
		}
	}
}

// add adds a text whose class is the first word of a tag. A second word says that it is compared.
func (w *walker) add(path []string, tag, member string) {
	word, rest, more := strings.Cut(tag, ",")
	class := Class(word)
	switch {
	case tag == "":
		w.faults = append(w.faults, fmt.Errorf("%s has no class. If the text can name a person, or a person writes it, add the tag `class:\"personal\"`; else `class:\"open\"`. "+
			"If a rule compares it, write `class:\"personal,compared\"`. A type whose values are all alike can have a row in ofTypes instead (internal/personal/types.go)", member))
		class = Written
	case !slices.Contains([]Class{Open, Written, Customer, Actor, Person, Chosen, Derived}, class) || more && rest != compared:
		w.faults = append(w.faults, fmt.Errorf("%s: there is no class %q; see internal/personal/personal.go", member, tag))
		class = Written
	}
	w.found = append(w.found, Field{Path: path, Class: class, Compared: rest == compared})
}
