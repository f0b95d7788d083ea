package postgres

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
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
	groups                           array // one element per append, if the batch has groups
	sorted                           []*write
	check                            [1]byte
	latest, latestAt                 [8]byte
	latestID                         uuid.UUID
}

// encode numbers the appends of a batch and returns the arguments for it. They are valid until the
// next call. The server wants the appends sorted by stream. The events are in the order of the
// requests, because this is their order in the log.
func (a *arguments) encode(batch []*request, checkIDs bool, latest eventstore.Anchor) [][]byte {
	a.reset()
	for _, r := range batch {
		for i := range r.writes {
			a.sorted = append(a.sorted, &r.writes[i])
		}
	}
	var groups []byte
	if len(a.sorted) > len(batch) {
		slices.SortFunc(a.sorted, func(a, b *write) int { return strings.Compare(a.Stream, b.Stream) })
	}
	for i, w := range a.sorted {
		w.number = i
		a.streams.addText(w.Stream)
		// The server adds an event's number to this, and the sum must fit into 64 bits. No
		// stream has revisions that high.
		a.expected.addInt8(min(int64(w.Expected), math.MaxInt64-eventstore.MaxAppendEvents))
		a.counts.addInt4(len(w.Events))
	}
	events := 0
	for _, r := range batch {
		for i := range r.writes {
			w := &r.writes[i]
			w.begin = events + 1
			events += len(w.Events)
			for j := range w.Events {
				e := &w.Events[j]
				a.appends.addInt4(w.number + 1)
				a.ids.addID(e.ID)
				a.types.addText(e.Type)
				a.data.addJSON(e.Data)
				a.meta.addJSON(e.Meta)
			}
		}
	}
	for _, w := range a.sorted {
		a.first.addInt4(w.begin)
	}
	if len(a.sorted) > len(batch) {
		a.encodeGroups(batch)
		groups = a.groups.value()
	}
	a.check[0] = 0
	if checkIDs {
		a.check[0] = 1
	}
	binary.BigEndian.PutUint64(a.latest[:], number(latest.Position))
	binary.BigEndian.PutUint64(a.latestAt[:], uint64(latest.RecordedAt.UnixMicro()-epoch))
	a.latestID = latest.ID
	return [][]byte{
		a.streams.value(), a.expected.value(), a.counts.value(), a.first.value(),
		a.appends.value(), a.ids.value(), a.types.value(), a.data.value(), a.meta.value(), a.check[:], groups,
		a.latest[:], a.latestAt[:], a.latestID[:],
	}
}

// encodeGroups gives each request to several streams a number, from 1. Other appends have 0.
func (a *arguments) encodeGroups(batch []*request) {
	numbers := make(map[*request]int)
	for _, r := range batch {
		if len(r.writes) > 1 {
			numbers[r] = len(numbers) + 1
		}
	}
	for _, w := range a.sorted {
		a.groups.addInt4(numbers[w.request])
	}
}

func (a *arguments) reset() {
	clear(a.sorted) // otherwise the slice would keep requests in memory after they were answered
	a.sorted = a.sorted[:0]
	a.streams.reset(pgtype.TextOID)
	a.expected.reset(pgtype.Int8OID)
	a.counts.reset(pgtype.Int4OID)
	a.first.reset(pgtype.Int4OID)
	a.appends.reset(pgtype.Int4OID)
	a.ids.reset(pgtype.UUIDOID)
	a.types.reset(pgtype.TextOID)
	a.data.reset(pgtype.JSONOID)
	a.meta.reset(pgtype.JSONOID)
	a.groups.reset(pgtype.Int4OID)
}

// The outcome of an append, as eventstore.append reports it.
const (
	appended  = 0
	replayed  = 1
	conflict  = 2
	duplicate = 3
	ended     = 4
	leftOut   = 5 // it could be appended, but another append of its group could not
)

// batchResult is the result of eventstore.append.
type batchResult struct {
	base       uint64 // position before the first event appended
	recordedAt time.Time
	revision   []int64
	status     []int16 // nil: all appended
	position   []uint64
	duplicate  []uuid.UUID
}

// statusOf is what became of an append.
func (b *batchResult) statusOf(w *write) int16 {
	if b.status == nil {
		return appended
	}
	return b.status[w.number]
}

// errUnknownForm means that the function in the database is not the one that this program expects.
var errUnknownForm = errors.New("eventstore.append answered in an unknown form")

// decodeBatchResult reads a row in binary format.
func decodeBatchResult(row [][]byte, appends int) (b batchResult, err error) {
	if len(row) != 6 {
		return b, errUnknownForm
	}
	if len(row[0]) == 8 && len(row[1]) == 8 { // both are null if nothing was appended
		b.base = binary.BigEndian.Uint64(row[0])
		b.recordedAt = timestamp(row[1])
	}
	if b.revision, err = decodeArray(row[2], appends, 8, int8Of); err != nil {
		return b, err
	}
	if b.status, err = decodeArray(row[3], appends, 2, int2Of); err != nil {
		return b, err
	}
	if b.position, err = decodeArray(row[4], appends, 8, binary.BigEndian.Uint64); err != nil {
		return b, err
	}
	if b.duplicate, err = decodeArray(row[5], appends, 16, idOf); err != nil {
		return b, err
	}
	return b, nil
}

// decodeArray reads an array whose elements have one width. A null element stays zero.
func decodeArray[T any](column []byte, length, width int, read func([]byte) T) ([]T, error) {
	if column == nil {
		return nil, nil
	}
	if len(column) < arrayHeader || int(binary.BigEndian.Uint32(column[arrayLength:])) != length {
		return nil, errUnknownForm
	}
	values := make([]T, length)
	rest := column[arrayHeader:]
	for i := range values {
		if len(rest) < 4 {
			return nil, errUnknownForm
		}
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size < 0 {
			continue
		}
		if int(size) != width || len(rest) < width {
			return nil, errUnknownForm
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
