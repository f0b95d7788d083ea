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

// envelope is what stands in the log in place of a field's value. Example:
// {"sealed":{"key":"k3f...","nonce":"mJ0...","box":"Zc1..."}}. The form never changes.
type envelope struct {
	Sealed sealed `json:"sealed"`
}

// sealed is the content of an envelope. Its texts are in base64url without padding.
type sealed struct {
	Key   string `json:"key"`   // the id of the data key
	Nonce string `json:"nonce"` // 12 random bytes, others for each envelope
	Box   string `json:"box"`   // the value's JSON, encrypted, with a tag of 16 bytes
}

const (
	// opening begins each envelope. No text of a client can begin so, because the quotation marks
	// of a text are escaped in JSON.
	opening = `{"sealed":{"key":"`
	// dataKeySize is that of AES-256.
	dataKeySize = 32
	nonceSize   = 12
	tagSize     = 16
)

var openingBytes = []byte(opening)

var encoding = base64.RawURLEncoding.Strict()

// Overhead bounds the bytes that an envelope has in addition to a third more than its value: with
// n bytes of value, an envelope has at most n + n/3 + Overhead bytes.
const Overhead = 160

// place is where a field is. A box can be opened only at the place for which it was sealed.
type place struct {
	stream string
	event  [16]byte
	field  string // a JSON pointer, such as /lines/3/note
}

// bind returns the place as the associated data of the encryption. Lengths stand before texts, so
// no two places have the same bytes.
func (p place) bind() []byte {
	data := make([]byte, 0, len(p.stream)+len(p.field)+len(p.event)+16) //nolint:mnd // room for the lengths
	data = append(data, "daybook field 1 "...)
	data = strconv.AppendInt(data, int64(len(p.stream)), 10)
	data = append(data, ' ')
	data = append(data, p.stream...)
	data = append(data, p.event[:]...)
	return append(data, p.field...)
}

// newAEAD makes the cipher of a data key or a master key.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal appends the envelope of a value to dst.
func seal(dst []byte, key *dataKey, at place, value []byte) []byte {
	// One slice has the nonce and the box.
	boxed := make([]byte, nonceSize, nonceSize+len(value)+tagSize)
	_, _ = rand.Read(boxed) // it never fails
	boxed = key.aead.Seal(boxed, boxed, value, at.bind())
	dst = append(dst, opening...)
	dst = append(dst, key.id...)
	dst = append(dst, `","nonce":"`...)
	dst = encoding.AppendEncode(dst, boxed[:nonceSize])
	dst = append(dst, `","box":"`...)
	dst = encoding.AppendEncode(dst, boxed[nonceSize:])
	return append(dst, `"}}`...)
}

// parse reads an envelope.
func parse(value []byte) (sealed, error) {
	var e envelope
	if err := json.Unmarshal(value, &e, json.RejectUnknownMembers(true)); err != nil {
		return sealed{}, fmt.Errorf("an envelope: %w", err)
	}
	return e.Sealed, nil
}

// open returns the value of an envelope.
func (s sealed) open(key *dataKey, at place) ([]byte, error) {
	nonce, err := encoding.DecodeString(s.Nonce)
	if err != nil || len(nonce) != nonceSize {
		return nil, errors.New("its nonce is not 12 bytes in base64url")
	}
	box, err := encoding.DecodeString(s.Box)
	if err != nil {
		return nil, errors.New("its box is not base64url")
	}
	value, err := key.aead.Open(box[:0], nonce, box, at.bind())
	if err != nil {
		return nil, errors.New("its box does not belong to this stream, event, field and key")
	}
	return value, nil
}

// isEnvelope tells whether a value is an envelope.
func isEnvelope(value []byte) bool { return bytes.HasPrefix(value, openingBytes) }
