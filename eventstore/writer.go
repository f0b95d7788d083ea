package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Other programs can write to the log, too. So an event with one of the shop's types, in one of the
// shop's streams, may be a foreign event. Its id tells who wrote it, because every version of this
// program derives the id of an event from the command that caused it. See decision 42.

// EventID is the id of a command's nth event. It is the same each time the command is
// decided, so the log records the event once. Others could compute the id from public names.
// So it has a UUID version of its own, which others may not use: see LogWide.
func EventID(command uuid.UUID, n int) uuid.UUID {
	id := firstEventID(command, n)
	id[6] = id[6]&0x0f | LogWideVersion<<4
	return id
}

// firstVersion is the version of the UUIDs that the first versions of this program gave to
// events.
const firstVersion = 5

// firstEventID is the id that these first versions gave to a command's nth event.
func firstEventID(command uuid.UUID, n int) uuid.UUID {
	var index [4]byte
	binary.BigEndian.PutUint32(index[:], uint32(n)) //nolint:gosec // bounded by MaxAppendEvents
	return uuid.NewSHA1(command, index[:])
}

// ours tells whether this program, in any version, wrote an event. It recognises foreign
// events unless their writer imitates the shop's ids.
func ours(e *Event) bool {
	switch e.ID.Version() {
	case LogWideVersion:
		return true
	case firstVersion:
		meta, err := DecodeMetadata(e.Meta)
		if err != nil || meta.CommandID == uuid.Nil {
			return false
		}
		for n := range MaxAppendEvents { // nearly always one of the first numbers fits
			if firstEventID(meta.CommandID, n) == e.ID {
				return true
			}
		}
	}
	return false
}

// ForeignError means that another program wrote an event. The event has no effect on the
// shop: it changes no state, no row and no process. Only its revision counts.
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

// Decode reads an event of the shop with the codec of an aggregate. If another program wrote
// the event, Decode returns *ForeignError, even if the event could be decoded. This is the
// only place where recorded events are decoded.
func Decode[E any](e *Recorded, decode func(eventType string, data []byte) (E, error)) (E, error) {
	if err := Foreign(e); err != nil {
		var none E
		return none, err
	}
	return decode(e.Type, e.Data)
}
