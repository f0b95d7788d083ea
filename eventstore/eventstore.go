// Package eventstore is the contract of the log: an append-only, totally
// ordered sequence of events, cut into streams.
//
// It says what every engine promises and nothing about how. Engines live in
// the folders below (memory, postgres, ...), and all of them pass the suite in
// storetest. What an event means is not this package's business: to the log it
// is a type name and bytes.
package eventstore

import (
	"context"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Limits every engine enforces with TooLargeError, so that a stream written on
// one engine can be copied to any other (EventStoreDB's default for one append
// is 1 MiB, counted as data, metadata and twice the type name).
const (
	MaxAppendBytes  = 1 << 20
	MaxAppendEvents = 10_000
	MaxStreamName   = 512 // bytes, as StreamNameBytes counts them
	MaxTypeName     = 512 // bytes: .NET names its types with their assembly
)

// MetadataPrefix begins the name of the stream that holds a stream's metadata; the
// rest is the name of that stream.
const MetadataPrefix = "$$"

// StreamNameBytes is what a name counts towards MaxStreamName. The prefix of
// metadata counts nothing, so that each stream can have its metadata.
func StreamNameBytes(stream string) int {
	return len(strings.TrimPrefix(stream, MetadataPrefix))
}

// LastRevision is where ReadStreamBackwards begins at a stream's last event.
const LastRevision int64 = math.MaxInt64

// TombstoneType is the type of the event that ends its stream for good, as in
// EventStoreDB. It must be the last of its append, and in KurrentDB the only
// one. After it the stream takes no more events, and neither appends to it nor
// reads of it do anything but fail with *DeletedError; what it holds stays in the
// log and is read there.
const TombstoneType = "$streamDeleted"

// Event is a fact to be appended. The id is given by the writer and makes an
// append repeatable: the same ids at the same place are recorded once.
type Event struct {
	ID   uuid.UUID
	Type string // wire name with version, such as "stock.reserved.v1"
	Data []byte // JSON object, kept byte for byte
	Meta []byte // JSON object or empty, kept byte for byte; see Metadata
}

// LogWideVersion is the version of the UUIDs that are unique in the whole log:
// that for uses of one's own (RFC 9562, section 5.8).
const LogWideVersion = 8

// LogWide tells whether an event id is unique in the whole log, and not only in
// its stream. The ids of the domain's events are: a command that was recorded in
// one stream cannot be recorded in another.
func LogWide(id uuid.UUID) bool { return id.Version() == LogWideVersion }

// Size is what the event counts towards MaxAppendBytes.
func (e Event) Size() int { return len(e.Data) + len(e.Meta) + 2*len(e.Type) }

// Recorded is an event as the log holds it. Data and Meta are shared between
// readers and must not be changed.
type Recorded struct {
	Event
	Stream   string
	Revision int64    // place in the stream, dense from 0
	Position Position // place in the log
	// RecordedAt is when the log took the event, UTC, to the microsecond.
	RecordedAt time.Time
}

// Expected is what a writer believes of a stream: its last revision, or one of
// the three states below.
type Expected int64

// The values are those of the EventStoreDB protocol's second version.
const (
	NoStream     Expected = -1 // the stream holds no event
	Any          Expected = -2 // no belief; never used for aggregates
	StreamExists Expected = -4 // the stream holds at least one event
)

// AtRevision expects the stream's last event to have this revision.
// AtRevision(-1) is NoStream, so the revision of an empty stream needs no case.
func AtRevision(revision int64) Expected { return Expected(revision) }

// String says it in words, for errors: "revision 7", "no stream", "any state" or "an
// existing stream".
func (e Expected) String() string {
	switch e {
	case NoStream:
		return "no stream"
	case Any:
		return "any state"
	case StreamExists:
		return "an existing stream"
	default:
		return "revision " + strconv.FormatInt(int64(e), 10)
	}
}

// Result tells where an append's last event stands.
type Result struct {
	Revision int64
	Position Position
	// Replayed means the log already held exactly these events at this place,
	// and nothing was added.
	Replayed bool
}

// Filter selects events of the whole log. The zero Filter selects all. A
// non-empty filter selects events whose type or stream has one of the prefixes;
// only one of the two lists may be set.
type Filter struct {
	TypePrefixes   []string
	StreamPrefixes []string
}

// Item is what a subscription yields: an event, or one of two marks.
type Item struct {
	// Event is set unless the item is a mark.
	Event *Recorded
	// Checkpoint is the position up to which the subscription has looked: of
	// the event, or, on a mark, of the last event examined, chosen by the
	// filter or not. A reader that stores it and resumes there misses nothing.
	Checkpoint Position
	// CaughtUp marks the moment nothing more is known; the next item is new.
	CaughtUp bool
	// Known, on a mark, is the latest event of the shop's own that is known, if it is at
	// or before Checkpoint, selected or not; another program's if none of the shop's is
	// known; zero if there is none. Engines leave it zero, the guard sets it.
	Known Anchor
}

// Store is the log.
//
// All methods are safe for concurrent use. When ctx ends, they return its error
// (wrapped) in bounded time; an Append that had already been handed to the
// engine then returns OutcomeUnknownError.
type Store interface {
	// Append adds events to the end of one stream, all or none, if the stream
	// is as expected. Appending the same ids again, with the same expectation,
	// changes nothing and returns the first result with Replayed set.
	//
	// An id that is LogWide is recorded once: it is refused wherever else the log
	// holds it. Any other may be used again, in its stream and in one append too, as
	// in EventStoreDB. If the stream is at the revision that is expected, such ids are
	// not compared with those before. Where no revision is expected (Any,
	// StreamExists), the first id decides: if the stream holds it and all the others,
	// in whatever order, the append is a replay, with the place where its last id
	// stood first; if the stream holds it but not all, the append is refused; else the
	// events are added. KurrentDB knows no LogWide ids, and treats all alike.
	//
	// The engine may go on using events after Append returns, and may hand their
	// bytes to readers: they must not be changed any more.
	//
	// Errors: *ConflictError, *DuplicateEventError, *TooLargeError,
	// *DeletedError, *UnavailableError, *OutcomeUnknownError (repeat with the
	// same ids and the same expectation), *InvalidError, *DeniedError.
	Append(ctx context.Context, stream string, expected Expected, events []Event) (Result, error)

	// ReadStream yields a stream's events from a revision on, in order, at most
	// limit of them (0: all up to its end at some moment after the call). A stream that holds no event yields *NotFoundError;
	// reading past its end yields nothing.
	ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Recorded, error]

	// ReadAll yields the log's events after a position, in order, at most limit
	// of them (0: up to the head at the time of the call). It never yields an
	// event while one that sorts before it can still appear. From beyond the head it
	// yields nothing. A position at which no event is yields *UnknownPlaceError if
	// the engine's server refuses it, as one may whose positions have gaps.
	ReadAll(ctx context.Context, after Position, filter Filter, limit int) iter.Seq2[Recorded, error]

	// ReadStreamBackwards yields a stream's events from a revision down to its
	// first, at most limit of them (0: all). From beyond the stream's end, as from
	// LastRevision, it begins with the last event. A stream that holds no event
	// yields *NotFoundError.
	ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Recorded, error]

	// ReadAllBackwards yields the log's events before a position, the latest
	// first, at most limit of them (0: down to the first). From End it begins with
	// the last event of the log.
	ReadAllBackwards(ctx context.Context, before Position, filter Filter, limit int) iter.Seq2[Recorded, error]

	// Subscribe yields the log's events after a position, then waits for new
	// ones, until ctx ends or the consumer stops. Each event is yielded once
	// and in order. It yields a caught-up mark each time it reaches the head,
	// and a checkpoint mark at least every 1,000 events examined but not
	// selected. The sequence ends with an error only if the engine cannot go
	// on; ctx's end is reported as its error. A position that the log does not
	// know, such as one beyond its head, ends it with *UnknownPlaceError.
	Subscribe(ctx context.Context, after Position, filter Filter) iter.Seq2[Item, error]

	// Head is the position of the last event, or Start if the log is empty.
	Head(ctx context.Context) (Position, error)
}

// Ending is an engine whose server can write records of its own after the event that
// is the Head.
type Ending interface {
	// End is the position of the last record. It never falls as long as the log is
	// the same.
	End(ctx context.Context) (Position, error)
}

// Connecting is an engine that asks a server. With each new connection it may be
// another server, or the same one with another log.
type Connecting interface {
	// Connections counts the connections made so far. It answers from memory.
	Connections() uint64
	// AppendAfter has each append wait for admit before it is sent, also before it is
	// sent again: with upTo, admit says up to which connection, by its number, the
	// server's log was found to be the right one. It must be called before the first append.
	AppendAfter(admit func(ctx context.Context) (upTo uint64, err error))
}

// Selects tells whether the filter lets an event through.
func (f Filter) Selects(eventType, stream string) bool {
	if len(f.TypePrefixes) == 0 && len(f.StreamPrefixes) == 0 {
		return true
	}
	return hasPrefix(eventType, f.TypePrefixes) || hasPrefix(stream, f.StreamPrefixes)
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
