package postgres

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"daybook/eventstore"
)

// array builds a one-dimensional array in Postgres's binary format, in a buffer
// that is used again for the next batch.
type array struct {
	bytes []byte
	size  uint32
}

const (
	arrayHeader = 20 // dimensions, null flag, element type, length, lower bound
	arrayLength = 12 // where the length is
)

func (a *array) reset(element uint32) {
	a.size = 0
	a.bytes = a.bytes[:0]
	for _, word := range []uint32{1, 1, element, 0, 1} {
		a.bytes = binary.BigEndian.AppendUint32(a.bytes, word)
	}
}

func (a *array) begin(size int) {
	a.size++
	a.bytes = binary.BigEndian.AppendUint32(a.bytes, uint32(size))
}

func (a *array) addInt4(n int) {
	a.begin(4)
	a.bytes = binary.BigEndian.AppendUint32(a.bytes, uint32(n))
}

func (a *array) addInt8(n int64) {
	a.begin(8)
	a.bytes = binary.BigEndian.AppendUint64(a.bytes, uint64(n))
}

func (a *array) addText(s string) {
	a.begin(len(s))
	a.bytes = append(a.bytes, s...)
}

func (a *array) addID(id uuid.UUID) {
	a.begin(len(id))
	a.bytes = append(a.bytes, id[:]...)
}

// addJSON adds a document; an empty one is null.
func (a *array) addJSON(document []byte) {
	if len(document) == 0 {
		a.size++
		a.bytes = append(a.bytes, 0xff, 0xff, 0xff, 0xff)
		return
	}
	a.begin(len(document))
	a.bytes = append(a.bytes, document...)
}

// value is the finished array.
func (a *array) value() []byte {
	binary.BigEndian.PutUint32(a.bytes[arrayLength:], a.size)
	return a.bytes
}

// arguments of a call of eventstore.append.
type arguments struct {
	streams, expected, counts, first array // one element per append
	appends, ids, types, data, meta  array // one element per event
	check                            [1]byte
	known, knownAt                   [8]byte
	knownID                          uuid.UUID
}

// encode returns the arguments for a batch, which must be sorted by stream.
// They are valid until the next call.
func (a *arguments) encode(batch []*request, checkIDs bool, known eventstore.Anchor) [][]byte {
	a.reset()
	events := 0
	for i, r := range batch {
		a.streams.addText(r.stream)
		// The server adds an event's number to this, and the sum must fit into 64 bits. No
		// stream has revisions that high.
		a.expected.addInt8(min(int64(r.expected), math.MaxInt64-eventstore.MaxAppendEvents))
		a.counts.addInt4(len(r.events))
		a.first.addInt4(events + 1)
		events += len(r.events)
		for j := range r.events {
			e := &r.events[j]
			a.appends.addInt4(i + 1)
			a.ids.addID(e.ID)
			a.types.addText(e.Type)
			a.data.addJSON(e.Data)
			a.meta.addJSON(e.Meta)
		}
	}
	a.check[0] = 0
	if checkIDs {
		a.check[0] = 1
	}
	binary.BigEndian.PutUint64(a.known[:], number(known.Position))
	binary.BigEndian.PutUint64(a.knownAt[:], uint64(known.RecordedAt.UnixMicro()-epoch))
	a.knownID = known.ID
	return [][]byte{
		a.streams.value(), a.expected.value(), a.counts.value(), a.first.value(),
		a.appends.value(), a.ids.value(), a.types.value(), a.data.value(), a.meta.value(), a.check[:],
		a.known[:], a.knownAt[:], a.knownID[:],
	}
}

func (a *arguments) reset() {
	a.streams.reset(pgtype.TextOID)
	a.expected.reset(pgtype.Int8OID)
	a.counts.reset(pgtype.Int4OID)
	a.first.reset(pgtype.Int4OID)
	a.appends.reset(pgtype.Int4OID)
	a.ids.reset(pgtype.UUIDOID)
	a.types.reset(pgtype.TextOID)
	a.data.reset(pgtype.JSONOID)
	a.meta.reset(pgtype.JSONOID)
}

// The outcome of an append, as eventstore.append reports it.
const (
	appended  = 0
	replayed  = 1
	conflict  = 2
	duplicate = 3
	ended     = 4
)

// answer is the result of eventstore.append.
type answer struct {
	base       uint64 // position before the first event appended
	recordedAt time.Time
	revision   []int64
	status     []int16 // nil: all appended
	position   []uint64
	duplicate  []uuid.UUID
}

// errAnswer means that the function in the database is not the one that this program expects.
var errAnswer = errors.New("eventstore.append answered in an unknown form")

// decodeAnswer reads a row in binary format.
func decodeAnswer(row [][]byte, appends int) (a answer, err error) {
	if len(row) != 6 {
		return a, errAnswer
	}
	if len(row[0]) == 8 && len(row[1]) == 8 { // both are null if nothing was appended
		a.base = binary.BigEndian.Uint64(row[0])
		a.recordedAt = timestamp(row[1])
	}
	if a.revision, err = decodeArray(row[2], appends, 8, int8Of); err != nil {
		return a, err
	}
	if a.status, err = decodeArray(row[3], appends, 2, int2Of); err != nil {
		return a, err
	}
	if a.position, err = decodeArray(row[4], appends, 8, binary.BigEndian.Uint64); err != nil {
		return a, err
	}
	if a.duplicate, err = decodeArray(row[5], appends, 16, idOf); err != nil {
		return a, err
	}
	return a, nil
}

// decodeArray reads an array whose elements have one width. A null element stays zero.
func decodeArray[T any](column []byte, length, width int, read func([]byte) T) ([]T, error) {
	if column == nil {
		return nil, nil
	}
	if len(column) < arrayHeader || int(binary.BigEndian.Uint32(column[arrayLength:])) != length {
		return nil, errAnswer
	}
	values := make([]T, length)
	rest := column[arrayHeader:]
	for i := range values {
		if len(rest) < 4 {
			return nil, errAnswer
		}
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size < 0 {
			continue
		}
		if int(size) != width || len(rest) < width {
			return nil, errAnswer
		}
		values[i] = read(rest[:width])
		rest = rest[width:]
	}
	return values, nil
}

func int8Of(b []byte) int64   { return int64(binary.BigEndian.Uint64(b)) }
func int2Of(b []byte) int16   { return int16(binary.BigEndian.Uint16(b)) }
func idOf(b []byte) uuid.UUID { return uuid.UUID(b) }

// epoch is Postgres's, in microseconds of Unix time: 2000-01-01.
const epoch = 946_684_800_000_000

// timestamp reads a timestamptz: microseconds since Postgres's epoch.
func timestamp(b []byte) time.Time { return time.UnixMicro(int8Of(b) + epoch).UTC() }
