package gateway

import (
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/protobuf/encoding/protowire"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// Create and Update have the same settings in messages of different types.
type wireSettings interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutTicks() int64
	GetMessageTimeoutMs() int32
	GetCheckpointAfterTicks() int64
	GetCheckpointAfterMs() int32
	GetRevision() uint64
}

// duration reads a time in one of its two forms; the form that is not used is zero. A time that is
// too long for a time.Duration becomes the longest one.
func duration(ticks int64, ms int32) time.Duration {
	const longest = math.MaxInt64 / int64(tick)
	return time.Duration(min(max(ticks, -longest), longest))*tick + time.Duration(ms)*time.Millisecond
}

// common reads all settings but the start and the strategy.
func common(s wireSettings) groups.Settings {
	return groups.Settings{
		ResolveLinks:       s.GetResolveLinks(),
		ExtraStatistics:    s.GetExtraStatistics(),
		MessageTimeout:     duration(s.GetMessageTimeoutTicks(), s.GetMessageTimeoutMs()),
		MaxRetryCount:      int(s.GetMaxRetryCount()),
		CheckpointAfter:    duration(s.GetCheckpointAfterTicks(), s.GetCheckpointAfterMs()),
		MinCheckpointCount: int(s.GetMinCheckpointCount()),
		MaxCheckpointCount: int(s.GetMaxCheckpointCount()),
		MaxSubscriberCount: int(s.GetMaxSubscriberCount()),
		LiveBufferSize:     int(s.GetLiveBufferSize()),
		HistoryBufferSize:  int(s.GetHistoryBufferSize()),
		ReadBatchSize:      int(s.GetReadBatchSize()),
	}
}

// wireStream is the start in a stream, in the messages of both requests. It has one of three forms.
type wireStream interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetRevision() uint64
	GetStart() *shared.Empty
	GetEnd() *shared.Empty
}

type wirePosition interface {
	GetCommitPosition() uint64
	GetPreparePosition() uint64
}

// atRevision is the place of a revision. The highest possible revision means the end.
func atRevision(revision uint64) groups.Place {
	if revision >= 1<<63-1 {
		return eventstore.End
	}
	return groups.InStream(int64(revision))
}

// onStream is the start in a stream. If none is given, it is revision 0.
func onStream(from wireStream) groups.Place {
	if from.GetEnd() != nil {
		return eventstore.End
	}
	return atRevision(from.GetRevision())
}

// onAll is the start in $all.
func onAll(at wirePosition, end *shared.Empty) (groups.Place, error) {
	commit, prepare := at.GetCommitPosition(), at.GetPreparePosition()
	switch {
	case end != nil || commit >= 1<<63-1:
		return eventstore.End, nil
	case commit < prepare:
		return groups.None, invalid("C:%d/P:%d is not a position: the second number is above the first", commit, prepare)
	}
	return position(commit, prepare), nil
}

// newerStrategy is the name of the strategy in a request to change a group. The field is in newer
// schemas than that of our messages. It is empty if the request has no such field.
func newerStrategy(settings *persistent.UpdateReq_Settings) (name groups.Strategy) {
	const consumerStrategy = 16 // as in CreateReq
	for rest := settings.ProtoReflect().GetUnknown(); len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		size := protowire.ConsumeFieldValue(number, kind, rest[max(n, 0):])
		if n < 0 || size < 0 {
			break
		}
		if value, m := protowire.ConsumeBytes(rest[n:]); number == consumerStrategy && kind == protowire.BytesType && m > 0 {
			name = groups.Strategy(value)
		}
		rest = rest[n+size:]
	}
	return name
}

// newDefinition reads a request to make a group. Older clients, and both clients for Node.js, name
// the stream in the options and the start in the settings.
func newDefinition(options *persistent.CreateReq_Options) (groups.Definition, error) {
	settings := options.GetSettings()
	if settings == nil {
		return groups.Definition{}, invalid("a group needs settings")
	}
	d := groups.Definition{Settings: common(settings)}
	d.Name = options.GetGroupName()
	if err := checkGroupName(d.Name); err != nil {
		return d, err
	}
	d.Settings.Strategy = groups.Strategy(settings.GetConsumerStrategy())
	if d.Settings.Strategy == "" {
		d.Settings.Strategy = groups.Strategy(settings.GetNamedConsumerStrategy().String()) //nolint:staticcheck // older clients set it
	}
	var err error
	switch from := options.GetStreamOption().(type) {
	case *persistent.CreateReq_Options_All:
		d.Source = groups.All
		if from.All.GetAllOption() == nil {
			return d, invalid("the position to begin with is missing")
		}
		if d.Settings.StartFrom, err = onAll(from.All.GetPosition(), from.All.GetEnd()); err != nil {
			return d, err
		}
		d.Filter, err = newGroupFilter(from.All.GetFilter())
	case *persistent.CreateReq_Options_Stream:
		d.Source, err = streamOfGroup(from.Stream.GetStreamIdentifier())
		d.Settings.StartFrom = onStream(from.Stream)
	default:
		d.Source, err = streamOfGroup(options.GetStreamIdentifier()) //nolint:staticcheck // older clients set it
		d.Settings.StartFrom = atRevision(settings.GetRevision())    //nolint:staticcheck // older clients set it
	}
	return d, err
}

// newSettings reads a request to change a group.
func newSettings(options *persistent.UpdateReq_Options) (groups.Key, groups.Settings, error) {
	wire := options.GetSettings()
	if wire == nil {
		return groups.Key{}, groups.Settings{}, invalid("a group needs settings")
	}
	key := groups.Key{Name: options.GetGroupName()}
	settings := common(wire)
	if settings.Strategy = newerStrategy(wire); settings.Strategy == "" {
		settings.Strategy = groups.Strategy(wire.GetNamedConsumerStrategy().String())
	}
	var err error
	switch from := options.GetStreamOption().(type) {
	case *persistent.UpdateReq_Options_All:
		key.Source = groups.All
		if from.All.GetAllOption() == nil {
			return key, settings, invalid("the position to begin with is missing")
		}
		settings.StartFrom, err = onAll(from.All.GetPosition(), from.All.GetEnd())
	case *persistent.UpdateReq_Options_Stream:
		key.Source, err = streamOfGroup(from.Stream.GetStreamIdentifier())
		settings.StartFrom = onStream(from.Stream)
	default:
		key.Source, err = streamOfGroup(options.GetStreamIdentifier()) //nolint:staticcheck // older clients set it
		settings.StartFrom = atRevision(wire.GetRevision())            //nolint:staticcheck // older clients set it
	}
	return key, settings, err
}

// streamOfGroup reads the stream of a group; $all has an option of its own.
func streamOfGroup(id *shared.StreamIdentifier) (string, error) {
	stream, err := parseStream(id)
	switch {
	case err != nil:
		return "", err
	case stream == groups.All:
		return "", invalid("a group on %s needs the option all instead of a stream", groups.All)
	}
	return stream, checkText("stream name", stream)
}

// maxGroupName is the limit of a group's name in bytes. The name must fit into an index together
// with the stream's name.
const maxGroupName = 1024

// checkGroupName returns nil if a group may have this name. It accepts an empty name, because
// package groups refuses it in the words of a real server.
func checkGroupName(name string) error {
	if len(name) > maxGroupName {
		return invalid("the name of the group has %d bytes, over the limit of %d", len(name), maxGroupName)
	}
	return checkText("group name", name)
}

func newGroupFilter(wire *persistent.CreateReq_AllOptions_FilterOptions) (groups.Filter, error) {
	var by *persistent.CreateReq_AllOptions_FilterOptions_Expression
	f := groups.Filter{}
	switch selects := wire.GetFilter().(type) {
	case *persistent.CreateReq_AllOptions_FilterOptions_EventType:
		by = selects.EventType
	case *persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
		f.ByStream, by = true, selects.StreamIdentifier
	default:
		if wire != nil {
			return f, invalid("a filter needs a regular expression or prefixes")
		}
		return f, nil
	}
	f.Prefixes, f.Regex = by.GetPrefix(), by.GetRegex()
	_, err := newFilter(!f.ByStream, by, storeMarks, 1)
	return f, err
}
