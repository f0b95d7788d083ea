package gateway

import (
	"context"
	"iter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/encoding/protowire"

	"daybook/eventstore"
)

// eventWriter sends what a read or a subscription finds. It belongs to one goroutine, which
// also reads the events from the log. So a slow client slows down its own reading, and
// nothing is buffered for it.
type eventWriter struct {
	server   *Server
	stream   streams.Streams_ReadServer
	ids      idForm
	links    bool  // links are resolved
	ofStream bool  // this is a subscription to a stream
	last     int64 // the last revision of this stream that was sent
}

func (w *eventWriter) send(resp *streams.ReadResp) error { return w.stream.Send(resp) }

// events sends all events of a read.
func (w *eventWriter) events(ctx context.Context, events iter.Seq2[eventstore.Recorded, error]) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		if err := w.event(ctx, &e); err != nil {
			return err
		}
	}
	return nil
}

// event sends an event or, if it is a link, the event to which it links.
func (w *eventWriter) event(ctx context.Context, e *eventstore.Recorded) (err error) {
	found := resolved{Event: e}
	if w.links {
		if found, err = w.server.resolve(ctx, e); err != nil {
			return err
		}
	}
	user, _ := userOf(ctx)
	found.Event, found.Link = user.sees(found.Event), user.sees(found.Link)
	commit, _ := e.Position.Pair()
	return w.send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event:    w.ids.recordedEvent(found.Event),
		Link:     w.ids.recordedEvent(found.Link),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: commit},
	}}})
}

// item sends what a subscription yields.
func (w *eventWriter) item(ctx context.Context, item eventstore.Item) error {
	switch {
	case item.Event != nil:
		w.last = item.Event.Revision
		return w.event(ctx, item.Event)
	case item.CaughtUp:
		return w.caughtUp(item.Checkpoint)
	default:
		commit, prepare := item.Checkpoint.Pair()
		checkpoint := &streams.ReadResp_Checkpoint{CommitPosition: commit, PreparePosition: prepare}
		return w.send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: checkpoint}})
	}
}

// Fields of CaughtUp since 24.10.5. This schema does not have them yet.
const (
	caughtUpTimestamp = 1
	caughtUpRevision  = 2
	caughtUpPosition  = 3
)

// caughtUp says that the head is reached, at which time, and where the head is.
func (w *eventWriter) caughtUp(at eventstore.Position) error {
	fields := appendMessage(nil, caughtUpTimestamp, timestamp(w.server.now()))
	switch {
	case !w.ofStream && !at.IsStart():
		commit, prepare := at.Pair()
		fields = appendMessage(fields, caughtUpPosition, appendNumber(appendNumber(nil, 1, commit), 2, prepare))
	case w.ofStream && w.last >= 0:
		fields = appendNumber(fields, caughtUpRevision, uint64(w.last))
	}
	message := &streams.ReadResp_CaughtUp{}
	message.ProtoReflect().SetUnknown(fields)
	return w.send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: message}})
}

// timestamp encodes a google.protobuf.Timestamp.
func timestamp(at time.Time) []byte {
	return appendNumber(appendNumber(nil, 1, uint64(at.Unix())), 2, uint64(at.Nanosecond()))
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}
