package gateway

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// readRequest is what a client asks of Streams.Read.
type readRequest struct {
	stream    string              // empty: $all
	revision  int64               // of the stream; -1 before its first event
	position  eventstore.Position // of $all
	fromEnd   bool
	backwards bool
	follow    bool   // a subscription, which begins after the named place
	count     uint64 // the limit of a read
	filter    *filter
	links     bool // links are resolved
	ids       idForm
	bounds    bool // the client understands messages about a stream's first and last revision
}

// Read implements Streams: reads of a stream or of $all, and subscriptions.
func (s *Server) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	options := req.GetOptions()
	r, err := parseRead(options)
	if err != nil {
		return err
	}
	ctx := stream.Context()
	name := r.stream
	if name == "" {
		name = allStream
	}
	if err := s.authorize(ctx, name, toRead); err != nil {
		return err
	}
	if err := r.parseFilter(options.GetFilter()); err != nil {
		return err
	}
	if err := s.ofGroup(ctx, name); err != nil {
		return err
	}
	w := &eventWriter{server: s, stream: stream, ids: r.ids, links: r.links}
	switch {
	case r.follow:
		return s.subscribe(ctx, r, w)
	case r.stream == "":
		return w.events(ctx, s.eventsOfAll(ctx, r))
	default:
		return s.sendStream(ctx, r, w)
	}
}

// parseRead reads the request without its filter. The filter is parsed later, only for callers who
// may read.
func parseRead(options *streams.ReadReq_Options) (r readRequest, err error) {
	if options.GetUuidOption() == nil {
		return r, invalid("the form of ids (uuid_option) is missing")
	}
	_, text := options.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	r.ids = idForm(text)
	r.links = options.GetResolveLinks()
	r.bounds = options.GetControlOption().GetCompatibility() >= 1
	switch options.GetReadDirection() {
	case streams.ReadReq_Options_Forwards:
	case streams.ReadReq_Options_Backwards:
		r.backwards = true
	default:
		return r, invalid("read direction %d is neither forwards (0) nor backwards (1)", options.GetReadDirection())
	}
	switch count := options.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		r.count = count.Count
	case *streams.ReadReq_Options_Subscription:
		r.follow = true
	default:
		return r, invalid("the request has neither a count nor a subscription")
	}
	if r.follow && r.backwards {
		return r, invalid("a subscription can only go forwards")
	}
	switch from := options.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		err = r.parseStream(from.Stream)
	case *streams.ReadReq_Options_All:
		err = r.parseAll(from.All)
	default:
		err = invalid("the request has neither a stream nor $all")
	}
	return r, err
}

func (r *readRequest) parseStream(from *streams.ReadReq_Options_StreamOptions) (err error) {
	if r.stream, err = parseStream(from.GetStreamIdentifier()); err != nil {
		return err
	}
	switch at := from.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		switch {
		case at.Revision == endRevision:
			r.fromEnd = true
		case at.Revision > math.MaxInt64:
			return invalid("revision %d is beyond the highest, which is %d", at.Revision, int64(math.MaxInt64))
		}
		r.revision = int64(at.Revision)
	case *streams.ReadReq_Options_StreamOptions_Start:
		if r.follow {
			r.revision = -1
		}
	case *streams.ReadReq_Options_StreamOptions_End:
		r.fromEnd = true
	default:
		return invalid("the revision to begin with is missing")
	}
	return nil
}

func (r *readRequest) parseAll(from *streams.ReadReq_Options_AllOptions) error {
	switch at := from.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		r.position = position(at.Position.GetCommitPosition(), at.Position.GetPreparePosition())
		switch commit, prepare := r.position.Pair(); {
		case r.position == eventstore.End:
			r.fromEnd = true
		case commit < prepare || commit > math.MaxInt64:
			return invalid("C:%d/P:%d is not a position: both numbers are at most %d, and the second is not above the first", commit, prepare, int64(math.MaxInt64))
		}
	case *streams.ReadReq_Options_AllOptions_Start:
	case *streams.ReadReq_Options_AllOptions_End:
		r.fromEnd, r.position = true, eventstore.End
	default:
		return invalid("the position to begin with is missing")
	}
	return nil
}

func (r *readRequest) parseFilter(options *streams.ReadReq_Options_FilterOptions) (err error) {
	if options == nil {
		return nil
	}
	if r.stream != "" {
		return invalid("only a read of %s can have a filter", allStream)
	}
	switch by := options.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_EventType:
		r.filter, err = newFilter(true, by.EventType, options.GetMax(), options.GetCheckpointIntervalMultiplier())
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		r.filter, err = newFilter(false, by.StreamIdentifier, options.GetMax(), options.GetCheckpointIntervalMultiplier())
	default:
		err = invalid("a filter must be on the type or on the stream of events")
	}
	return err
}

// limit is the count in the form of the store's limit.
func (r readRequest) limit() int { return int(min(r.count, math.MaxInt)) }

func (s *Server) eventsOfAll(ctx context.Context, r readRequest) iter.Seq2[eventstore.Recorded, error] {
	switch {
	case r.count == 0 || r.fromEnd && !r.backwards:
		return func(func(eventstore.Recorded, error) bool) {}
	case r.backwards:
		return s.readAllBackwards(ctx, r.position, r.filter, r.limit())
	default:
		return s.readAll(ctx, r.position, r.filter, r.limit())
	}
}

func (s *Server) eventsOfStream(ctx context.Context, r readRequest) iter.Seq2[eventstore.Recorded, error] {
	from := r.revision
	if r.fromEnd {
		from = eventstore.LastRevision
	}
	if r.backwards {
		return s.readStreamBackwards(ctx, r.stream, from, r.limit())
	}
	return s.readStream(ctx, r.stream, from, r.limit())
}

// sendStream sends the events of a stream. If there is no such stream, it sends a message that says
// so, and returns no error.
func (s *Server) sendStream(ctx context.Context, r readRequest, w *eventWriter) error {
	if r.bounds {
		return s.sendWithBounds(ctx, r, w)
	}
	if r.count == 0 {
		return nil
	}
	return w.orNotFound(r.stream, w.events(ctx, s.eventsOfStream(ctx, r)))
}

// sendWithBounds sends the events, before them a message with the first shown revision, and after
// them one with the last revision.
func (s *Server) sendWithBounds(ctx context.Context, r readRequest, w *eventWriter) error {
	first, err := s.firstShown(ctx, r.stream)
	if err != nil {
		return w.orNotFound(r.stream, err)
	}
	last, err := s.lastEvent(ctx, r.stream)
	if err != nil {
		return w.orNotFound(r.stream, err)
	}
	if err := w.send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(first)}}); err != nil {
		return err
	}
	if r.count > 0 {
		if err := w.events(ctx, s.eventsOfStream(ctx, r)); err != nil {
			return err
		}
	}
	return w.send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(last.Revision)}})
}

// subscribe follows a stream or $all until the call or the server ends, or the caller may no longer
// read it.
func (s *Server) subscribe(ctx context.Context, r readRequest, w *eventWriter) error {
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	name := r.stream
	if name == "" {
		name = allStream
	}
	ctx, stop := s.whileReadable(ctx, name)
	defer stop()
	return causeOr(ctx, s.follow(ctx, r, w))
}

// follow sends what a subscription yields, until ctx ends.
func (s *Server) follow(ctx context.Context, r readRequest, w *eventWriter) error {
	items, err := s.items(ctx, &r)
	if err != nil {
		return err
	}
	w.ofStream, w.last = r.stream != "", r.revision
	s.served.subscriptions.Add(1)
	defer s.served.subscriptions.Add(-1)
	s.logger.DebugContext(ctx, "gateway: subscription", "stream", r.stream, "connection", header(ctx, "connection-name"))
	confirmation := &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}
	if err := w.send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: confirmation}}); err != nil {
		return err
	}
	for item, err := range items {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := w.item(ctx, item); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// items checks that a subscription can begin, and returns what it yields. If the subscription
// begins at the end, items puts the place of the end into the request.
func (s *Server) items(ctx context.Context, r *readRequest) (_ iter.Seq2[eventstore.Item, error], err error) {
	if r.stream != "" {
		last, err := s.lastRevision(ctx, r.stream)
		if err == nil {
			err = s.isEnded(ctx, r.stream)
		}
		if err != nil {
			return nil, err
		}
		if r.fromEnd {
			r.revision = last
		}
		return s.followStream(ctx, r.stream, r.revision, firstHead), nil
	}
	head, err := s.store.Head(ctx)
	switch {
	case err != nil:
		return nil, err
	case r.fromEnd:
		r.position = head
	case head.Before(r.position):
		return nil, invalid("position %s is beyond the last event", r.position)
	}
	return s.followAll(ctx, r.position, r.filter, firstHead), nil
}

// orNotFound sends the message *not found* if err says that the stream is missing. It returns every
// other error.
func (w *eventWriter) orNotFound(stream string, err error) error {
	if _, missing := errors.AsType[*eventstore.NotFoundError](err); !missing {
		return err
	}
	notFound := &streams.ReadResp_StreamNotFound{StreamIdentifier: streamID(stream)}
	return w.send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: notFound}})
}
