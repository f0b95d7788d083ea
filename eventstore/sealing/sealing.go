// Package sealing stands before a log and encrypts the personal fields of the shop's events. The
// log never has the clear text of such a field. Each person, or each cart of a guest, has a data
// key. If the key is destroyed, nobody can read that person's fields any more, although no event
// has changed.
//
//   - fields.go finds the fields in the JSON of an event.
//   - envelope.go encrypts the fields of an event and decrypts them.
//   - keys.go has the data keys: it makes them, fetches them, and forgets destroyed ones.
//   - masterkeys.go has the master keys, which encrypt the data keys, in a file, and masterfile.go
//     changes the file.
//   - rotate.go gives all data keys another master key.
//   - box.go encrypts what is kept outside the log, with a data key of its own.
//   - store.go is the log in front of the log: it seals what is appended and opens what is read.
//
// A reader that should see only envelopes, such as the gateway, reads the log behind this one.
package sealing

import (
	"errors"
	"fmt"
)

// KeyAwayError means that a key cannot be fetched now, so a field can be neither sealed nor opened.
// The field is not erased: it can be read when the key can be fetched again. It always comes as the
// cause of an *eventstore.UnavailableError.
type KeyAwayError struct {
	Key   string // the id of the data key; empty if it is not known
	Cause error
}

func (e *KeyAwayError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("the keys of personal fields cannot be fetched: %v", e.Cause)
	}
	return fmt.Sprintf("the key %s of personal fields cannot be fetched: %v", e.Key, e.Cause)
}

// Unwrap returns why the key cannot be fetched.
func (e *KeyAwayError) Unwrap() error { return e.Cause }

// IsKeyAway tells whether an error says that a key of personal fields cannot be fetched now.
func IsKeyAway(err error) bool {
	_, away := errors.AsType[*KeyAwayError](err)
	return away
}

// TamperedError means that an envelope is not the one that was recorded here: it was changed, or it
// was moved from another stream, event or field. A repetition does not help.
type TamperedError struct {
	Stream   string
	Revision int64
	Field    string // a JSON pointer, such as /reason; /sealed is the envelope of all fields
	Cause    error
}

func (e *TamperedError) Error() string {
	return fmt.Sprintf("stream %s, revision %d: the sealed field %s was changed or moved: %v", e.Stream, e.Revision, e.Field, e.Cause)
}

// Unwrap returns what is wrong with the envelope.
func (e *TamperedError) Unwrap() error { return e.Cause }

// errNoMasterKey is why a program without a master key opens no field.
var errNoMasterKey = errors.New("this program was started without a master key")
