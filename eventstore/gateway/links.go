package gateway

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"daybook/eventstore"
)

// linkType is the type of an event that points to another event. Its data names that event:
// revision@stream.
const linkType = "$>"

// resolved is an event as it is read: the event itself, or a link and the event that it
// points to. Event is nil if the link points to nothing.
type resolved struct {
	Event, Link *eventstore.Recorded
}

// Original is the event at the place that the reader asked for.
func (r resolved) Original() *eventstore.Recorded {
	if r.Link != nil {
		return r.Link
	}
	return r.Event
}

// resolve follows a link. It shows the target only to callers that could read it themselves,
// and only if its stream shows it.
func (s *Server) resolve(ctx context.Context, e *eventstore.Recorded) (resolved, error) {
	if !isLink(e) {
		return resolved{Event: e}, nil
	}
	target, err := s.target(ctx, e)
	if err != nil {
		return resolved{}, err
	}
	return resolved{Event: target, Link: e}, nil
}

// target reads the event that a link points to; nil if there is none.
func (s *Server) target(ctx context.Context, link *eventstore.Recorded) (*eventstore.Recorded, error) {
	stream, at, ok := parseLink(eventstore.Unwrap(link.Event).Data)
	if !ok {
		return nil, nil
	}
	err := s.authorize(ctx, stream, toRead)
	if err == nil {
		for e, failed := range s.readStream(ctx, stream, at, 1) {
			if err = failed; err == nil && e.Revision == at {
				return &e, nil
			}
		}
	}
	if isGone(err) {
		return nil, nil
	}
	return nil, err
}

// isGone tells whether an event cannot be read for a reason that lasts. nil counts as such a
// reason: the place in the stream is empty or hidden.
func isGone(err error) bool {
	_, missing := errors.AsType[*eventstore.NotFoundError](err)
	_, ended := errors.AsType[*eventstore.DeletedError](err)
	_, refused := errors.AsType[*failure](err)
	return err == nil || missing || ended || refused
}

// isLink tells whether an event points to another event, or once did. If its data does not
// begin with a number, it is an ordinary event, even if its type is the link's. A real server
// does the same.
func isLink(e *eventstore.Recorded) bool {
	if e.Type != linkType {
		return false
	}
	number, _, _ := strings.Cut(string(eventstore.Unwrap(e.Event).Data), "@")
	_, err := parseNumber(number)
	return err == nil
}

func parseLink(data []byte) (stream string, at int64, ok bool) {
	number, stream, found := strings.Cut(string(data), "@")
	at, err := parseNumber(number)
	return stream, at, found && err == nil && at >= 0 && at < math.MaxInt64 && checkName(stream) == nil
}

// parseNumber reads a number with blanks around it, which other writers' links have.
func parseNumber(text string) (int64, error) {
	return strconv.ParseInt(strings.Trim(text, " \t\n\v\f\r"), 10, 64)
}
