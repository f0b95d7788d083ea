package unit

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1 (RFC 9562); nothing here is secret.
	"encoding/hex"
	"slices"
	"strings"
)

// namespace belongs to this project only, so that no other system derives the same ids. Its
// value was drawn once at random and never changes, because ids in old logs depend on it.
var namespace = [16]byte{0x5d, 0x2f, 0x8a, 0x41, 0x0c, 0x6e, 0x5b, 0x7d, 0x9a, 0x13, 0xe2, 0x64, 0x71, 0xbf, 0x08, 0x35}

// Derived is an id that is computed from what it names: the same parts always give the same id. So
// a step that is repeated has the same id and is recorded once. Example: CheckoutPlace.Of("ann",
// "order-ann") is the id of the command that places the order order-ann for the cart ann, whichever
// driver sends it. Values can be compared with ==. Only a Derivation makes one.
type Derived struct{ text string }

// String tells what the id is derived from.
func (d Derived) String() string { return strings.ReplaceAll(d.text, separator, " | ") }

// UUID is the id as a version 5 UUID.
func (d Derived) UUID() [16]byte {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(d.text))
	var id [16]byte
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ID is the UUID in its text form.
func (d Derived) ID() string {
	id := d.UUID()
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], id[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], id[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], id[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], id[10:16])
	return string(text[:])
}

// Derivation is one kind of derived id: its name, and the parts from which the id is
// computed. docs/derived-ids.md says for each kind why two things cannot have the same id.
type Derivation struct {
	name  string
	parts []string
	open  bool // the last part may occur any number of times
}

// Of is the id of one thing. The values are in the order of Parts. No value may contain the
// separator U+001F.
func (d *Derivation) Of(values ...string) Derived {
	if len(values) != len(d.parts) && (!d.open || len(values) < len(d.parts)-1) {
		// This is a programmer's error, never one of the input.
		panic("unit: a derived id of the kind " + d.name + " has other parts")
	}
	return Derived{strings.Join(append([]string{d.name}, values...), separator)}
}

// Name identifies the kind: two kinds with the same number of parts need different
// names. It is part of every id.
func (d *Derivation) Name() string { return d.name }

// Parts say what the id is derived from.
func (d *Derivation) Parts() []string { return slices.Clone(d.parts) }

// separator stands between the parts. No name or id of this program can contain it.
const separator = "\x1f"

var derivations []*Derivation

// Derivations are all kinds of derived ids.
func Derivations() []*Derivation { return slices.Clone(derivations) }

func derivation(name string, parts ...string) *Derivation {
	d := &Derivation{name: name, parts: parts, open: strings.HasSuffix(parts[len(parts)-1], "...")}
	derivations = append(derivations, d)
	return d
}
