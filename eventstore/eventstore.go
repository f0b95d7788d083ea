// Package eventstore is the contract of the log: an append-only, totally
// ordered sequence of events, cut into streams.
//
// It says what every engine promises, and not how an engine does it. Engines are in the
// folders below (memory, postgres, ...). All of them pass the suite in storetest. The log
// does not know what an event means: an event is a type name and bytes.
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

// Every engine refuses what exceeds these limits, with TooLargeError. So a stream that was
// written on one engine can be copied to any other. EventStoreDB's default for one append is
// 1 MiB, counted as data, metadata and twice the type name.
const (
	MaxAppendBytes  = 1 << 20
	MaxAppendEvents = 10_000
	MaxStreamName   = 512 // bytes, as StreamNameBytes counts them
	MaxTypeName     = 512 // bytes; long, because .NET puts the assembly into the name of a type
)

// MetadataPrefix begins the name of the stream that holds a stream's metadata; the
// rest is the name of that stream.
const MetadataPrefix = "$$"

// StreamNameBytes is how many bytes a name counts towards MaxStreamName. The prefix of a
// metadata stream counts as nothing, so each stream can have its metadata.
func StreamNameBytes(stream string) int {
	return len(strings.TrimPrefix(stream, MetadataPrefix))
}

// LastRevision lets ReadStreamBackwards begin at a stream's last event.
const LastRevision int64 = math.MaxInt64

// TombstoneType is the type of the event that ends its stream for good, as in EventStoreDB.
// It must be the last event of its append; in KurrentDB it must be the only one. After it,
// the stream takes no more events, and every append to the stream and every read of it fails
// with *DeletedError. The stream's events stay in the log and can be read there.
const TombstoneType = "$streamDeleted"

// Event is a fact that a writer appends. The writer chooses the id. The id makes an append
// repeatable: the same ids at the same place are recorded once.
type Event struct {
	ID   uuid.UUID
	Type string // wire name with version, such as "stock.reserved.v1"
	Data []byte // JSON object, kept byte for byte
	Meta []byte // JSON object or empty, kept byte for byte; see Metadata
	// Subject is whom the event's personal fields are about, such as "customer:17850". It is empty
	// if that is not known. The log does not keep it: it only tells package sealing which key to
	// take.
	Subject string
}

// LogWideVersion is the version of the UUIDs that are unique in the whole log. It is the
// version for custom formats (RFC 9562, section 5.8).
const LogWideVersion = 8

// LogWide tells whether an event id must be unique in the whole log, and not only in its
// stream. The domain's events have such ids, so a command that was recorded in one stream
// cannot be recorded in another.
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

// Expected is the state in which a writer expects a stream: its last revision, or one of the
// three states below.
type Expected int64

// The values are those of the EventStoreDB protocol's second version.
const (
	NoStream     Expected = -1 // the stream holds no event
	Any          Expected = -2 // nothing is expected; never used for aggregates
	StreamExists Expected = -4 // the stream holds at least one event
)

// AtRevision expects the stream's last event to have this revision. AtRevision(-1) is NoStream, so
// a caller can use it for an empty stream, too.
func AtRevision(revision int64) Expected { return Expected(revision) }

// String is the expectation in words, for errors: "revision 7", "no stream", "any state" or
// "an existing stream".
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

// Result says where an append's last event is in the log.
type Result struct {
	Revision int64
	Position Position
	// Replayed means that the log already held events with these ids at this place, and nothing
	// was added. Their content is not compared.
	Replayed bool
}

// Filter selects events of the whole log. The zero Filter selects all events. Other filters select
// the events whose type or whose stream has one of the prefixes. Only one of the two lists may be
// set. Example: the type prefix "order." selects all events whose types begin with "order.".
type Filter struct {
	TypePrefixes   []string
	StreamPrefixes []string
}

// Item is what a subscription yields: an event or a mark.
type Item struct {
	// Event is set unless the item is a mark.
	Event *Recorded
	// Checkpoint is the position up to which the subscription has read. For an event it is
	// the event's position. For a mark it is the position of the last event that was
	// examined, even if the filter did not select it. A reader that stores it and resumes
	// there misses nothing.
	Checkpoint Position
	// CaughtUp marks the moment at which the subscription has yielded everything that is
	// recorded. The next item is new.
	CaughtUp bool
	// Anchor is set on marks only. It is the latest known event of the shop at or before
	// Checkpoint, even if the filter did not select it. If no event of the shop is known, it is
	// an event of another program. If no event is known at all, it is zero. Engines leave it
	// zero, and the guard sets it.
	Anchor Anchor
}

// Store is the log.
//
// All methods are safe for concurrent use. When ctx ends, they return its error (wrapped) in
// bounded time. If an Append was already handed to the engine by then, it returns
// OutcomeUnknownError.
type Store interface {
	// Append adds events to the end of one stream, all or none, if the stream is as expected.
	// Appending the same ids again with the same expectation changes nothing, and returns the
	// first result with Replayed set.
	//
	// A LogWide id is recorded once: it is refused if it is anywhere else in the log. Other
	// ids may be used again, in their stream and also within one append, as in EventStoreDB.
	// If the stream is at the expected revision, such ids are not compared with earlier ones.
	// If no revision is expected (Any, StreamExists), the first id decides:
	//   - The stream holds it and all the others, in any order: the append is a replay. Its result
	//     is the place where its last id first occurs. Example: if the stream holds the ids X, Y
	//     and X, an append of X and Y is a replay with the result revision 1.
	//   - The stream holds it, but not all the others: the append is refused.
	//   - The stream does not hold it: the events are added.
	//
	// KurrentDB does not know LogWide ids and treats all ids alike.
	//
	// The engine may use events after Append returns, and may hand their bytes to readers. So
	// the caller must not change them any more.
	//
	// Errors: *ConflictError, *DuplicateEventError, *TooLargeError, *DeletedError,
	// *UnavailableError, *OutcomeUnknownError (repeat with the same ids and the same
	// expectation), *InvalidError, *DeniedError.
	Append(ctx context.Context, stream string, expected Expected, events []Event) (Result, error)

	// ReadStream yields a stream's events from a revision on, in order, and at most limit of
	// them. Limit 0 means all events that the stream has at some moment after the call. A stream
	// that holds no event yields *NotFoundError. A read from beyond the stream's end yields
	// nothing.
	ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Recorded, error]

	// ReadAll yields the log's events after a position, in order, and at most limit of them.
	// Limit 0 means all events up to the head at the time of the call. It never yields an
	// event while an earlier event can still appear. A read from beyond the head yields
	// nothing. If no event is at the position, an engine whose positions have gaps may yield
	// *UnknownPlaceError, because its server refuses the position.
	ReadAll(ctx context.Context, after Position, filter Filter, limit int) iter.Seq2[Recorded, error]

	// ReadStreamBackwards yields a stream's events from a revision down to the first, at most
	// limit of them (0: all). If the revision is beyond the stream's end, as LastRevision is,
	// it begins with the last event. A stream that holds no event yields *NotFoundError.
	ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Recorded, error]

	// ReadAllBackwards yields the log's events before a position, the latest first, at most
	// limit of them (0: down to the first). End as position begins with the last event of the
	// log.
	ReadAllBackwards(ctx context.Context, before Position, filter Filter, limit int) iter.Seq2[Recorded, error]

	// Subscribe yields the log's events after a position, and then new ones, until ctx ends
	// or the consumer stops. Each event is yielded once and in order. There is a caught-up
	// mark each time it reaches the head, and a checkpoint mark at least after every 1,000
	// events that the filter did not select. The sequence ends with an error only if the
	// engine cannot go on. If ctx ends, its error is yielded. If the log does not know the
	// position, for example because it is beyond the head, the error is *UnknownPlaceError.
	Subscribe(ctx context.Context, after Position, filter Filter) iter.Seq2[Item, error]

	// Head is the position of the last event, or Start if the log is empty.
	Head(ctx context.Context) (Position, error)
}

// EndReader is an engine whose log can have the server's own records behind the last event.
type EndReader interface {
	// End is the position of the last record. It never becomes smaller while the log is the
	// same.
	End(ctx context.Context) (Position, error)
}

// ConnectionReporter is an engine that asks a server. A new connection may lead to another server,
// or to the same server with another log.
type ConnectionReporter interface {
	// Connections counts the connections that were made so far. It does not ask the server.
	Connections() uint64
	// AskBeforeAppend gives the engine the function admit. The engine calls admit before it sends
	// an append, and before each repetition. admit returns upTo: the number of the latest
	// connection whose log was found to be the right one. The append is not sent over a later
	// connection, and is not sent at all if admit returns an error. AskBeforeAppend must be called
	// before the first append.
	AskBeforeAppend(admit func(ctx context.Context) (upTo uint64, err error))
}

// Selects tells whether the filter selects an event.
func (f Filter) Selects(eventType, stream string) bool {
	if len(f.TypePrefixes) == 0 && len(f.StreamPrefixes) == 0 {
		return true
	}
	return hasPrefix(eventType, f.TypePrefixes) || hasPrefix(stream, f.StreamPrefixes)
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
