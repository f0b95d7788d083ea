package sealing

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
)

// An event with sealed texts begins with an envelope, which has all of them. In place of each text
// stands its number. Example:
//
//	{"sealed":{"key":"k3f...","nonce":"mJ0...","box":"Zc1..."},"order_id":"o-1","reason":{"sealed":0}}
//
// The box has the JSON array of the values, encrypted. The first version gave each text an envelope
// of its own, which stands in place of the text. Such events are still read. Neither form ever
// changes.
//
// No text of a client can look like an envelope or a number, because the quotation marks of a text
// are escaped in JSON. And no event of the shop has a member of its own with the name sealed.

// envelope is the first version, in place of one value.
type envelope struct {
	Sealed sealed `json:"sealed"`
}

// sealed is the content of an envelope. Its texts are in base64url without padding.
type sealed struct {
	Key   string `json:"key"`   // the id of the data key
	Nonce string `json:"nonce"` // 12 random bytes, others for each envelope
	Box   string `json:"box"`   // JSON, encrypted, with a tag of 16 bytes
}

const (
	// opening begins each envelope, and so each event that begins with one.
	opening = `{"sealed":{"key":"`
	// numbering begins what stands in place of a value.
	numbering = `{"sealed":`
	// dataKeySize is that of AES-256.
	dataKeySize = 32
	nonceSize   = 12
	tagSize     = 16
)

var openingBytes, numberingBytes = []byte(opening), []byte(numbering)

var encoding = base64.RawURLEncoding.Strict()

// Overhead and OverheadEach bound the bytes that sealing adds to an event: Overhead, and for each
// value OverheadEach and a third of its own bytes.
const (
	Overhead     = 120
	OverheadEach = 20
)

// place is what a box is bound to. It can be opened only at the place for which it was sealed.
type place struct {
	stream string
	event  [16]byte
}

// bind returns the place of a box with the values of fields, as the associated data of the
// encryption. Lengths stand before texts, so no two places have the same bytes. fields has JSON
// pointers, such as /lines/3/note.
func (p place) bind(fields []string) []byte {
	const lengths = 24 // bytes, roughly
	room := len(p.stream) + len(p.event) + lengths
	for _, field := range fields {
		room += len(field) + 4 //nolint:mnd // its length
	}
	data := p.begin(make([]byte, 0, room), "daybook fields 1 ")
	for _, field := range fields {
		data = strconv.AppendInt(data, int64(len(field)), 10)
		data = append(data, ' ')
		data = append(data, field...)
	}
	return data
}

// bindFirstVersion is bind for an envelope of the first version, which has one value.
func (p place) bindFirstVersion(field string) []byte {
	return append(p.begin(nil, "daybook field 1 "), field...)
}

func (p place) begin(data []byte, form string) []byte {
	data = append(data, form...)
	data = strconv.AppendInt(data, int64(len(p.stream)), 10)
	data = append(data, ' ')
	data = append(data, p.stream...)
	return append(data, p.event[:]...)
}

// newAEAD makes the cipher of a data key or a master key.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal puts an envelope with values before an event. They are the values of fields, as a JSON array
// that may be overwritten. data is a JSON object that has their numbers in place of them.
func seal(key *dataKey, at place, fields []string, values, data []byte) []byte {
	boxed := make([]byte, nonceSize, nonceSize+len(values)+tagSize) // the nonce and the box
	_, _ = rand.Read(boxed)                                         // it never fails
	boxed = key.aead.Seal(boxed, boxed, values, at.bind(fields))
	to := make([]byte, 0, len(data)+encoding.EncodedLen(len(boxed))+Overhead)
	to = append(to, opening...)
	to = append(to, key.id...)
	to = append(to, `","nonce":"`...)
	to = encoding.AppendEncode(to, boxed[:nonceSize])
	to = append(to, `","box":"`...)
	to = encoding.AppendEncode(to, boxed[nonceSize:])
	to = append(to, `"},`...)
	return append(to, data[1:]...)
}

// split cuts an event that begins with an envelope into the envelope and the event without it.
func split(data []byte) (in sealed, rest []byte, err error) {
	const name = len(numbering)
	end := bytes.IndexByte(data, '}') + 1 // the texts in an envelope have no braces
	if end < name || end >= len(data) || data[end] != ',' {
		return sealed{}, nil, errors.New("no event follows the envelope")
	}
	if err := json.Unmarshal(data[name:end], &in, json.RejectUnknownMembers(true)); err != nil {
		return sealed{}, nil, fmt.Errorf("an envelope: %w", err)
	}
	rest = bytes.Clone(data[end:])
	rest[0] = '{'
	return in, rest, nil
}

// parseFirstVersion reads an envelope of the first version.
func parseFirstVersion(value []byte) (sealed, error) {
	var e envelope
	if err := json.Unmarshal(value, &e, json.RejectUnknownMembers(true)); err != nil {
		return sealed{}, fmt.Errorf("an envelope: %w", err)
	}
	return e.Sealed, nil
}

// open decrypts the box of an envelope. place is the associated data with which it was encrypted.
func (s sealed) open(key *dataKey, place []byte) ([]byte, error) {
	nonce, err := encoding.DecodeString(s.Nonce)
	if err != nil || len(nonce) != nonceSize {
		return nil, errors.New("its nonce is not 12 bytes in base64url")
	}
	box, err := encoding.DecodeString(s.Box)
	if err != nil {
		return nil, errors.New("its box is not base64url")
	}
	clear, err := key.aead.Open(box[:0], nonce, box, place)
	if err != nil {
		return nil, errors.New("its box does not belong to this stream, event, field and key")
	}
	return clear, nil
}

// isEnvelope tells whether an event begins with an envelope.
func isEnvelope(value []byte) bool { return bytes.HasPrefix(value, openingBytes) }
