package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// A log is shared, so an event of one of the shop's types in one of its streams need not
// be the shop's. Its id tells who wrote it, because each version of the program has derived
// the ids of its events from the command that they answer. See decision 42.

// EventID is the id of a command's nth event. It is the same each time the
// command is decided, so the log records it once. It can be foretold from public
// names, so it is of a kind of its own, which others may not use: see LogWide.
func EventID(command uuid.UUID, n int) uuid.UUID {
	id := firstEventID(command, n)
	id[6] = id[6]&0x0f | LogWideVersion<<4
	return id
}

// firstVersion is the version of the UUIDs that the first programs gave to events.
const firstVersion = 5

// firstEventID is the id that the first programs gave to a command's nth event.
func firstEventID(command uuid.UUID, n int) uuid.UUID {
	var index [4]byte
	binary.BigEndian.PutUint32(index[:], uint32(n)) //nolint:gosec // bounded by MaxAppendEvents
	return uuid.NewSHA1(command, index[:])
}

// ours tells whether a program of the shop's wrote an event, in whatever version and
// stream. Others are told apart as long as they do not imitate our ids.
func ours(e *Event) bool {
	switch e.ID.Version() {
	case LogWideVersion:
		return true
	case firstVersion:
		meta, err := DecodeMetadata(e.Meta)
		if err != nil || meta.CommandID == uuid.Nil {
			return false
		}
		for n := range MaxAppendEvents { // nearly always one of the first
			if firstEventID(meta.CommandID, n) == e.ID {
				return true
			}
		}
	}
	return false
}

// ForeignError means that another program wrote an event. It says nothing of the shop:
// no state, row or process follows from it, but its revision counts.
type ForeignError struct {
	Stream   string
	Revision int64
	Type     string
	ID       uuid.UUID
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("another program wrote %s at revision %d of stream %s: its id %s is not one that the shop gives", e.Type, e.Revision, e.Stream, e.ID)
}

// Foreign returns a *ForeignError if another program wrote an event, and nil if the shop did.
func Foreign(e *Recorded) error {
	if ours(&e.Event) {
		return nil
	}
	return &ForeignError{Stream: e.Stream, Revision: e.Revision, Type: e.Type, ID: e.ID}
}

// IsForeign tells whether an error says that another program wrote an event.
func IsForeign(err error) bool {
	_, foreign := errors.AsType[*ForeignError](err)
	return foreign
}

// Decode reads an event of the shop's with the codec of an aggregate. If another program
// wrote the event, Decode returns *ForeignError, whatever the event holds. Recorded events
// are decoded here only.
func Decode[E any](e *Recorded, decode func(eventType string, data []byte) (E, error)) (E, error) {
	if err := Foreign(e); err != nil {
		var none E
		return none, err
	}
	return decode(e.Type, e.Data)
}
