package personal

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/staff"
	"daybook/eventstore"
)

// Withheld stands in place of a text that a reader may not see. A text that is empty stays empty.
const Withheld = "withheld"

// Withholder takes personal data out of what a reader gets, if the reader lacks the permission
// personal.read. A text stays a text, so what the reader gets has the same form for everyone.
//
//   - In place of a customer's id there is a pseudonym, such as
//     "withheld-q1w2E3r4T5y6U7i8O9p0aA". It is the same wherever the shop shows this customer, so
//     that orders of one customer can be counted together. It is a keyed hash, so without the key
//     nobody can find out the id by guessing.
//   - In place of an actor there is a pseudonym after the kind of the actor, such as
//     "staff:withheld-q1w2E3r4T5y6U7i8O9p0aA". Parts of the program keep their names.
//   - In place of the id of a person who signs in there is the pseudonym of their actor, without
//     the kind. Otherwise an event of theirs would tell which id the pseudonym stands for.
//   - In place of a name that a sender has chosen freely, such as a correlation id or the name of a
//     carrier, there is a pseudonym of its own.
//   - In place of the id of a command or an event there is another UUID. It is the same wherever
//     the id is shown. Without the key nobody can compute it, so nobody can find out by guessing
//     from which idempotency key and for which customer the id was derived.
//   - In place of every other personal text there is Withheld.
//   - Events of other programs, and of a newer program, have no content, because nobody knows what
//     it says.
type Withholder struct {
	key    []byte // of pseudonyms
	order  string // see OrderSecret
	cursor cipher.AEAD
	// sender is mixed into the pseudonyms of chosen texts; see ofSender.
	sender string
}

// NewWithholder makes a Withholder. Its pseudonyms depend on the secret, so all nodes of a shop
// must have the same one. Without a secret it makes one of its own.
func NewWithholder(secret []byte) *Withholder {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // it never fails
	}
	block, err := aes.NewCipher(derived(secret, "cursors"))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &Withholder{key: derived(secret, "pseudonyms"), order: hex.EncodeToString(derived(secret, "orders")), cursor: aead}
}

func derived(secret []byte, use string) []byte {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, use)
	return mac.Sum(nil)
}

// Text returns what a reader sees in place of a text of a class.
func (w *Withholder) Text(class Class, text string) string {
	switch {
	case class == Open || text == "":
		return text
	case class == Customer:
		return w.pseudonym("customer", text)
	case class == Actor:
		return w.actor(text)
	case class == Person:
		return w.pseudonym("actor", staff.PersonID(text).Actor()) // the same as after the kind of their actor
	case class == Chosen:
		return w.pseudonym("chosen\x00"+w.sender, text)
	case class == Derived:
		return w.idText(text)
	}
	return Withheld
}

// actor keeps the kind of an actor that was authenticated.
func (w *Withholder) actor(name string) string {
	prefix := access.AuthenticatedPrefix(name)
	if prefix == access.SystemPrefix {
		return name
	}
	return prefix + w.pseudonym("actor", name)
}

// ofSender returns a Withholder for the metadata of events that a sender has caused. Somebody with
// an analyst's key may also be a guest or a customer of the shop. They could send a guess as the
// correlation id of a request of their own, and look for its pseudonym in the events of others. So
// the pseudonyms of chosen texts are the sender's own, unless the sender is a part of the program
// or has a key or an account that the shop has given out.
func (w *Withholder) ofSender(name string) *Withholder {
	switch access.AuthenticatedPrefix(name) {
	case access.SystemPrefix, access.KeyPrefix, access.StaffPrefix:
		return w
	}
	own := *w
	own.sender = name
	return &own
}

// idText is ID for an id that is a text.
func (w *Withholder) idText(text string) string {
	id, err := uuid.Parse(text)
	if err != nil {
		return w.pseudonym("id", text)
	}
	return w.ID(id).String()
}

// ID returns what a reader sees in place of the id of a command or an event. A LogWide id stays
// LogWide, so that an event of the shop is not taken for one of another program.
func (w *Withholder) ID(id uuid.UUID) (shown uuid.UUID) {
	const random = 4 // the version of random UUIDs
	version := byte(random)
	if eventstore.LogWide(id) {
		version = eventstore.LogWideVersion
	}
	copy(shown[:], w.mac("id", string(id[:])))
	shown[6] = shown[6]&0x0f | version<<4
	shown[8] = shown[8]&0x3f | 0x80
	return shown
}

// mac is a keyed hash. kind tells texts apart that stand for different things.
func (w *Withholder) mac(kind, text string) []byte {
	mac := hmac.New(sha256.New, w.key)
	_, _ = io.WriteString(mac, kind+"\x00"+text)
	return mac.Sum(nil)
}

// pseudonym has the form of an id, so that it is allowed wherever an id is.
func (w *Withholder) pseudonym(kind, text string) string {
	return Withheld + "-" + base64.RawURLEncoding.EncodeToString(w.mac(kind, text)[:16])
}

// OrderSecret is a secret that puts rows into an order which says nothing about what is withheld
// (query.Page.Secret).
func (w *Withholder) OrderSecret() string { return w.order }

// cursorUnit is what the length of a cursor is filled up to a multiple of, in bytes, before it is
// encrypted. Otherwise the length would tell that of a withheld text. Nearly all cursors have one
// unit.
const cursorUnit = 512

// cursorEnd marks the end of a cursor. Only zeros follow it.
const cursorEnd = 0x80

// EncryptCursor encrypts a cursor, because a cursor may have the id of a customer.
func (w *Withholder) EncryptCursor(cursor string) string {
	clear := append([]byte(cursor), cursorEnd)
	clear = append(clear, make([]byte, -len(clear)&(cursorUnit-1))...)
	return base64.RawURLEncoding.EncodeToString(w.cursor.Seal(nil, nil, clear, nil))
}

// errNotEncrypted means that a cursor is not one that EncryptCursor made.
var errNotEncrypted = errors.New("the cursor was not encrypted here")

// DecryptCursor is the reverse of EncryptCursor.
func (w *Withholder) DecryptCursor(encrypted string) (cursor string, err error) {
	data, err := base64.RawURLEncoding.DecodeString(encrypted)
	if err != nil {
		return "", errNotEncrypted
	}
	clear, err := w.cursor.Open(nil, nil, data, nil)
	if err != nil {
		return "", errNotEncrypted
	}
	clear, ended := bytes.CutSuffix(bytes.TrimRight(clear, "\x00"), []byte{cursorEnd})
	if !ended { // an earlier version encrypted it
		return "", errNotEncrypted
	}
	return string(clear), nil
}

// nothingKnown is the content of an event whose form this program does not know.
const nothingKnown = `{"withheld":true}`

// customerStreams begin the names of the streams of customers' accounts. The rest of such a name is
// the id of a customer.
const customerStreams = customer.Category + "-"

// Event returns a recorded event without personal data. It has the same type and place, and another
// id (ID). If the program cannot read the event, the whole content is withheld.
func (w *Withholder) Event(recorded eventstore.Recorded) eventstore.Recorded {
	if id, ofCustomer := strings.CutPrefix(recorded.Stream, customerStreams); ofCustomer {
		recorded.Stream = customerStreams + w.Text(Customer, id)
	}
	if id, ofLogin := strings.CutPrefix(recorded.Stream, staff.LoginCategory+"-"); ofLogin {
		recorded.Stream = staff.LoginCategory + "-" + w.Text(Person, id)
	}
	fields, known := treesOfEvents[recorded.Type]
	if eventstore.Foreign(&recorded) != nil {
		recorded.ID, recorded.Data, recorded.Meta = w.ID(recorded.ID), []byte(nothingKnown), []byte(`{}`)
		return recorded
	}
	recorded.ID = w.eventID(recorded.ID)
	meta, err := eventstore.DecodeMetadata(recorded.Meta)
	if err == nil {
		recorded.Meta, err = w.ofSender(cmp.Or(meta.OnBehalfOf, meta.Actor)).json(treeOfMetadata, recorded.Meta)
	}
	if err != nil {
		recorded.Meta = []byte(`{}`)
	}
	if !known {
		recorded.Data = []byte(nothingKnown)
		return recorded
	}
	if recorded.Data, err = w.json(fields, recorded.Data); err != nil {
		recorded.Data = []byte(nothingKnown)
	}
	return recorded
}

// eventID is ID for an event of the shop. The first versions gave ids to events that are not
// LogWide. Readers know such an event by its command, whose id they see changed. So its id is shown
// as LogWide.
func (w *Withholder) eventID(id uuid.UUID) uuid.UUID {
	shown := w.ID(id)
	shown[6] = shown[6]&0x0f | eventstore.LogWideVersion<<4
	return shown
}

// tree has the personal texts below a JSON value, by the names of members. The elements of a list
// are below Each.
type tree struct {
	class Class // of the value itself; empty: it is no personal text
	below map[string]*tree
}

var (
	treesOfEvents  = allTrees()
	treeOfMetadata = treeOf(ofMetadata)
)

func allTrees() map[string]*tree {
	all := make(map[string]*tree, len(ofEvents))
	for name, fields := range ofEvents {
		all[name] = treeOf(fields)
		if all[name].below != nil {
			// The gateway has events with encrypted texts. The id of their key would tell which
			// events are about the same person.
			all[name].below[sealed] = &tree{class: Written}
		}
	}
	return all
}

func treeOf(fields []Field) *tree {
	root := &tree{}
	for _, f := range fields {
		at := root
		for _, step := range f.Path {
			if at.below == nil {
				at.below = make(map[string]*tree)
			}
			if at.below[step] == nil {
				at.below[step] = &tree{}
			}
			at = at.below[step]
		}
		at.class = f.Class
	}
	return root
}

// json copies a JSON value and withholds the personal texts. Everything else stays as it was
// written, such as the digits of numbers.
func (w *Withholder) json(of *tree, data []byte) ([]byte, error) {
	if of.below == nil || len(data) == 0 {
		return data, nil
	}
	var out bytes.Buffer
	from, to := jsontext.NewDecoder(bytes.NewReader(data)), jsontext.NewEncoder(&out)
	if err := w.value(of, from, to); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func (w *Withholder) value(of *tree, from *jsontext.Decoder, to *jsontext.Encoder) error {
	kind := from.PeekKind()
	switch {
	case of == nil || kind == 'n':
		value, err := from.ReadValue()
		if err != nil {
			return err
		}
		return to.WriteValue(value)
	case of.class != "" && kind == '"':
		text, err := from.ReadToken()
		if err != nil {
			return err
		}
		return to.WriteToken(jsontext.String(w.Text(of.class, text.String())))
	case of.class != "": // a structure that is personal as a whole
		if err := from.SkipValue(); err != nil {
			return err
		}
		return to.WriteToken(jsontext.Null)
	case kind == '{' || kind == '[':
		return w.structure(of, kind, from, to)
	}
	return w.value(nil, from, to)
}

func (w *Withholder) structure(of *tree, kind jsontext.Kind, from *jsontext.Decoder, to *jsontext.Encoder) error {
	begin, err := from.ReadToken()
	if err != nil {
		return err
	}
	if err := to.WriteToken(begin); err != nil {
		return err
	}
	for from.PeekKind() != '}' && from.PeekKind() != ']' {
		below := of.below[Each]
		if kind == '{' {
			name, err := from.ReadToken()
			if err != nil {
				return err
			}
			text := name.String()
			if err := to.WriteToken(jsontext.String(text)); err != nil {
				return err
			}
			below = of.below[text]
		}
		if err := w.value(below, from, to); err != nil {
			return err
		}
	}
	end, err := from.ReadToken()
	if err != nil {
		return err
	}
	return to.WriteToken(end)
}
