package unit

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1 (RFC 9562); nothing here is secret.
	"encoding/hex"
	"strings"
)

// namespace is the project's own, so that no other system derives our ids.
// Its value was drawn once and is fixed for ever: ids in old logs depend on it.
var namespace = [16]byte{0x5d, 0x2f, 0x8a, 0x41, 0x0c, 0x6e, 0x5b, 0x7d, 0x9a, 0x13, 0xe2, 0x64, 0x71, 0xbf, 0x08, 0x35}

// DeriveUUID is the UUIDv5 of parts: the same parts always give the same id,
// which is what makes a repeated step the same step. Parts are joined by a
// separator that none of our names can hold.
func DeriveUUID(parts ...string) [16]byte {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(strings.Join(parts, "\x1f")))
	var id [16]byte
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// DeriveID is DeriveUUID in its text form.
func DeriveID(parts ...string) string {
	id := DeriveUUID(parts...)
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
