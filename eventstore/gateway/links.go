package gateway

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"daybook/eventstore"
)

// linkType is the type of an event that stands for another one, which its data
// names: revision@stream.
const linkType = "$>"

// resolved is an event as it is read: itself, or what it links to and the link.
// Event is nil if the link leads nowhere.
type resolved struct {
	Event, Link *eventstore.Recorded
}

// Original is the event that stands where the reader looked.
func (r resolved) Original() *eventstore.Recorded {
	if r.Link != nil {
		return r.Link
	}
	return r.Event
}

// resolve follows a link. Its target is shown only to those who could read it
// themselves, and as long as its stream shows it.
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

// target reads the event a link leads to; nil is none.
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

// isGone tells whether an event is not to be had, for whatever lasting reason;
// nil is one: its place in the stream is empty or hidden.
func isGone(err error) bool {
	_, missing := errors.AsType[*eventstore.NotFoundError](err)
	_, ended := errors.AsType[*eventstore.DeletedError](err)
	_, refused := errors.AsType[*failure](err)
	return err == nil || missing || ended || refused
}

// isLink tells whether an event leads to another, or once did. One whose data begins
// with no number is an event like others, whatever its type, as on a real server.
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
