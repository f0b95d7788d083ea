package personal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

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
//   - In place of every other personal text there is Withheld.
//   - Events of other programs, and of a newer program, have no content, because nobody knows what
//     it says.
type Withholder struct {
	key    []byte // of pseudonyms
	cursor cipher.AEAD
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
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &Withholder{key: derived(secret, "pseudonyms"), cursor: sealed}
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
	}
	return Withheld
}

// actor keeps the kind of an actor that was authenticated.
func (w *Withholder) actor(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	switch {
	case kind == "system" && kind != name:
		return name
	case slices.Contains([]string{"key", "staff", "oidc", "guest"}, kind) && kind != name:
		return kind + ":" + w.pseudonym("actor", name)
	}
	return w.pseudonym("actor", name)
}

// pseudonym has the form of an id, so that it is allowed wherever an id is.
func (w *Withholder) pseudonym(kind, text string) string {
	mac := hmac.New(sha256.New, w.key)
	_, _ = io.WriteString(mac, kind+"\x00"+text)
	return Withheld + "-" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// Seal encrypts a cursor, because a cursor may have the id of a customer.
func (w *Withholder) Seal(cursor string) string {
	return base64.RawURLEncoding.EncodeToString(w.cursor.Seal(nil, nil, []byte(cursor), nil))
}

// errNotSealed means that a cursor is not one that Seal made.
var errNotSealed = errors.New("the cursor was not sealed here")

// Unseal is the reverse of Seal.
func (w *Withholder) Unseal(sealed string) (cursor string, err error) {
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return "", errNotSealed
	}
	clear, err := w.cursor.Open(nil, nil, data, nil)
	if err != nil {
		return "", errNotSealed
	}
	return string(clear), nil
}

// nothingKnown is the content of an event whose form this program does not know.
const nothingKnown = `{"withheld":true}`

// Event returns a recorded event without personal data. It has the same type, id and place. If the
// program cannot read the event, the whole content is withheld.
func (w *Withholder) Event(recorded eventstore.Recorded) eventstore.Recorded {
	fields, known := treesOfEvents[recorded.Type]
	if eventstore.Foreign(&recorded) != nil {
		recorded.Data, recorded.Meta = []byte(nothingKnown), []byte(`{}`)
		return recorded
	}
	var err error
	if recorded.Meta, err = w.json(treeOfMetadata, recorded.Meta); err != nil {
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
