// Package groups has groups of competing consumers over a log, which the EventStoreDB
// protocol calls persistent subscriptions. A group remembers how far its consumers have come.
// It hands each event to one of them, and hands it out again until a consumer has handled it.
// It parks events that cannot be handled.
//
// group.go has the rules, as a state machine without clock, lock or I/O: answers.go for the
// consumers' answers, progress.go for what is saved, dispatch.go for who gets which event.
// run.go runs one group over a log and a store. service.go runs all groups on the node that
// leads. The package contains no wire format and no SQL.
package groups

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"regexp"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// All is the source of a group that reads the whole log.
const All = "$all"

// Place is where an event is in the group's source. On $all it is the event's position. On a stream
// it is the position At(revision + 1). Example: revision 4 of a stream is at the place At(5). So
// the places of one source are ordered. The zero Place, None, is before the first event.
type Place = eventstore.Position

// None is before every event.
var None Place

// InStream is the place of a revision in a stream. For -1 it is None.
func InStream(revision int64) Place { return eventstore.At(uint64(revision + 1)) }

// RevisionOf is the revision that stands at a place in a stream.
func RevisionOf(p Place) int64 {
	n, _ := p.Pair()
	return int64(n) - 1
}

// before is a place before p. Every event before p is at that place or before it.
func before(p Place) Place {
	commit, prepare := p.Pair()
	switch {
	case p == None:
		return None
	case commit == prepare:
		return eventstore.At(commit - 1)
	default:
		return eventstore.AtPair(commit, max(prepare, 1)-1)
	}
}

// Key names a group.
type Key struct {
	Source string // a stream, or All
	Name   string
}

// String is the key as errors and the log name it: the source, two colons and the name.
func (k Key) String() string { return k.Source + "::" + k.Name }

// OnAll tells whether the group reads the whole log.
func (k Key) OnAll() bool { return k.Source == All }

// Filter selects events of $all by the name of their stream or by their type:
// by prefixes or by a regular expression. The zero Filter selects all.
type Filter struct {
	ByStream bool     `json:"by_stream,omitzero"` // by the stream's name; otherwise by type
	Prefixes []string `json:"prefixes,omitempty"`
	Regex    string   `json:"regex,omitempty"` // RE2
}

// Strategy says which consumer gets an event.
type Strategy string

// The strategies, by their names in the protocol.
const (
	RoundRobin          Strategy = "RoundRobin"          // the next that has a free slot
	DispatchToSingle    Strategy = "DispatchToSingle"    // the first that has a free slot
	Pinned              Strategy = "Pinned"              // all events of a stream go to the same consumer
	PinnedByCorrelation Strategy = "PinnedByCorrelation" // all events with one $correlationId go to the same consumer; without one, as Pinned
)

// minTimeout keeps a group from handing the same events out again all the time.
const minTimeout = time.Millisecond

// Settings of a group. An update can change all of them, but not the filter.
type Settings struct {
	// StartFrom is the first place to hand out. eventstore.End means what comes after the
	// group was made. It has no effect once there is a checkpoint.
	StartFrom       Place `json:"start_from"`
	ResolveLinks    bool  `json:"resolve_links"`
	ExtraStatistics bool  `json:"extra_statistics"` // measure how long consumers take
	// MessageTimeout is how long a consumer may take before an event is handed out again. 0 means
	// for ever. A time that is shorter than minTimeout counts as minTimeout.
	MessageTimeout time.Duration `json:"message_timeout"`
	MaxRetryCount  int           `json:"max_retry_count"` // an event with more retries is parked
	// A checkpoint is written when MaxCheckpointCount events were handled since the last one.
	// It is also written CheckpointAfter the last one (0: never because of the time), if
	// MinCheckpointCount events were handled since.
	CheckpointAfter    time.Duration `json:"checkpoint_after"`
	MinCheckpointCount int           `json:"min_checkpoint_count"`
	MaxCheckpointCount int           `json:"max_checkpoint_count"`
	MaxSubscriberCount int           `json:"max_subscriber_count"` // 0: any number
	// Events that wait for a consumer: at most LiveBufferSize at the head of the log, and
	// HistoryBufferSize behind it. Reading stops at the limit, and goes on when there is
	// space for ReadBatchSize events.
	LiveBufferSize    int      `json:"live_buffer_size"`
	HistoryBufferSize int      `json:"history_buffer_size"`
	ReadBatchSize     int      `json:"read_batch_size"`
	Strategy          Strategy `json:"strategy"`

	// Began is the checkpoint that a group got when it was made or moved. Only the service
	// sets it. As long as it is equal to the checkpoint, nothing was handled.
	Began *Place `json:"began,omitempty"`
}

// hasBegun tells whether something was handled before a checkpoint.
func (s Settings) hasBegun(checkpoint *Place) bool {
	return checkpoint != nil && (s.Began == nil || *s.Began != *checkpoint)
}

// check returns what is wrong with the settings, or nil.
func (s Settings) check() *InvalidError {
	var wrong string
	switch {
	case s.ReadBatchSize <= 0 || s.HistoryBufferSize <= 0 || s.LiveBufferSize <= 0:
		wrong = "Buffer sizes and the read batch size must be positive."
	case s.ReadBatchSize >= s.HistoryBufferSize:
		wrong = "The read batch size must be less than the history buffer size."
	case s.MaxRetryCount < 0 || s.MaxSubscriberCount < 0 || s.MinCheckpointCount < 0 || s.MaxCheckpointCount < 0:
		wrong = "Counts must not be negative."
	case s.MessageTimeout < 0 || s.CheckpointAfter < 0:
		wrong = "Times must not be negative."
	}
	if wrong != "" {
		return &InvalidError{Reason: wrong, Argument: true}
	}
	switch s.Strategy {
	case RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation:
		return nil
	default:
		return &InvalidError{Reason: fmt.Sprintf("Consumer strategy %s does not exist.", s.Strategy)}
	}
}

// Definition is the description of a group.
type Definition struct {
	Key
	Filter   Filter // only on All
	Settings Settings
}

// check returns what is wrong with the definition, or nil.
func (d Definition) check() error {
	invalid := d.Settings.check()
	switch _, err := regexp.Compile(d.Filter.Regex); {
	case d.Source == "":
		invalid = &InvalidError{Reason: "Bad stream name."}
	case d.Name == "":
		invalid = &InvalidError{Reason: "Bad group name."}
	case !d.OnAll() && (len(d.Filter.Prefixes) > 0 || d.Filter.Regex != ""):
		invalid = &InvalidError{Reason: "Only a group on $all can have a filter."}
	case err != nil:
		invalid = &InvalidError{Reason: err.Error()}
	}
	if invalid == nil {
		return nil
	}
	invalid.Key = d.Key
	return invalid
}

// Event is an event as a group hands it out.
type Event struct {
	Place Place
	// Original is the event of the source. Consumers acknowledge this event.
	Original *eventstore.Recorded
	// IsLink means that Original is a link that was to be resolved. Resolved is then the
	// event that it points to, or nil if that is gone.
	IsLink   bool
	Resolved *eventstore.Recorded
}

// Item is what reading a source yields: an event, or a mark.
type Item struct {
	Event *Event // nil: a mark
	// Place is up to where the source was read: the place of the event, or of the last event
	// that was examined and not selected.
	Place    Place
	CaughtUp bool // a mark: there is nothing more at the moment
	// Anchor, on a mark, is a known event at or before Place. It is zero if there is none.
	Anchor eventstore.Anchor
	Ended  bool // a mark: no more events will ever come, and events that were not read cannot be read any more
}

// Log is what groups read. Its implementation resolves links and applies filters.
type Log interface {
	// Follow yields a group's events after a place, then waits for new ones, until ctx ends or the
	// consumer stops. If a source is ended for good, a mark says so. The mark comes after the last
	// event, if the group has waited for that.
	Follow(ctx context.Context, group Definition, after Place) iter.Seq2[Item, error]
	// Read reads the event at a place, nil if it is gone.
	Read(ctx context.Context, group Definition, at Place) (*Event, error)
	// Last is the place of a source's last event, None if it has none.
	Last(ctx context.Context, source string) (Place, error)
}

// Parked is an event that could not be handled. It is stored until it is replayed.
type Parked struct {
	Number int64 // the event's number among the group's parked events, from 0
	Place  Place
	ID     uuid.UUID // of the original event
	Reason string
}

// Changes of a group's durable state, made together or not at all.
type Changes struct {
	// Park adds events, in order, after the parked ones. An event that is parked already
	// moves to the end. The store gives the numbers.
	Park []Parked
	// Unpark forgets parked events, by number.
	Unpark []int64
	// Checkpoint is the place up to which everything is handled, or nil.
	Checkpoint *Place
	// Seen is the latest event of the source that was read, at the checkpoint or after it. It
	// is zero if there is none.
	Seen eventstore.Anchor
}

// Group is a group's durable state.
type Group struct {
	Definition
	Checkpoint *Place // nil: none yet
}

// Store holds the durable state of groups. Every change has an epoch. It fails with
// ErrFenced, and changes nothing, if that epoch is not the current one.
type Store interface {
	// Groups are all groups, sorted by source and name.
	Groups(ctx context.Context) ([]Group, error)
	// Put makes a group. If the group is there already, Put changes its filter and settings, sets
	// its checkpoint if that is not nil, and keeps everything else.
	Put(ctx context.Context, epoch int64, group Group) error
	// Delete removes a group and all that is kept of it.
	Delete(ctx context.Context, epoch int64, key Key) error
	// Save makes changes. Repeating it does no harm.
	Save(ctx context.Context, epoch int64, key Key, changes Changes) error
	// Replay marks the parked events with numbers below stopAt, so that they are handed out
	// again.
	Replay(ctx context.Context, epoch int64, key Key, stopAt int64) error
	// Replaying are the marked events with numbers above after, in order.
	Replaying(ctx context.Context, key Key, after int64, limit int) ([]Parked, error)
	// ParkedAfter are the places of the group's parked events after a place, marked or not,
	// at most limit of them.
	ParkedAfter(ctx context.Context, key Key, after Place, limit int) ([]Place, error)
	// CountParked counts the parked events that are not marked.
	CountParked(ctx context.Context, key Key) (int64, error)
}

// Leadership tells which node serves the groups.
type Leadership struct {
	// Epoch is positive on the node that leads, and it grows with each change of the leader.
	Epoch int64
	// Host and Port are where clients find the leader; empty if there is none.
	Host string
	Port int
}

// Node is this node's part in choosing the one that leads.
type Node interface {
	// Leadership is who leads now, and a channel that is closed when that changes.
	Leadership() (Leadership, <-chan struct{})
}

// comparePlaces orders messages by place.
func comparePlaces(a, b *message) int { return a.Place.Compare(b.Place) }

// compareNumbers orders messages by their numbers among the parked.
func compareNumbers(a, b *message) int { return cmp.Compare(a.number, b.number) }
