// Package live implements the interfaces with which the read API sees the running program: how far
// the read models are, the history of a stock, an order or a return, and the event stream. It turns
// positions into text, and events into the form that consumers get.
//
// Package readapi responds to the requests.
package live

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pause"
	"daybook/projections"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/stockview"
	"daybook/readapi"
)

// Progress is readapi.Progress over the runner of this node.
type Progress struct {
	Runner *projections.Runner
	// Cluster has the meaning that it has in Log.
	Cluster bool
}

// Position implements readapi.Progress.
func (p Progress) Position(ctx context.Context, views ...string) (string, error) {
	var least eventstore.Position
	for i, view := range views {
		at, err := p.Runner.Position(ctx, view)
		if err != nil {
			return "", err
		}
		if i == 0 || at.Before(least) {
			least = at
		}
	}
	return least.String(), nil
}

// Wait implements readapi.Progress.
func (p Progress) Wait(ctx context.Context, position string, views ...string) error {
	want, err := place(position, p.Cluster)
	if err != nil {
		return &readapi.PositionError{In: "header", Name: "Daybook-Min-Position", Text: position}
	}
	began := time.Now()
	err = p.Runner.WaitFor(ctx, want, views...)
	if behind, ok := errors.AsType[*projections.LagError](err); ok {
		return &readapi.BehindError{Want: position, Reached: behind.Position.String(), Waited: time.Since(began)}
	}
	return err
}

// Status implements readapi.Progress.
func (p Progress) Status(ctx context.Context) ([]readapi.ProjectionStatus, error) {
	builds, err := p.Runner.Status(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]readapi.ProjectionStatus, 0, len(builds))
	for _, b := range builds {
		all = append(all, readapi.ProjectionStatus{
			View: b.View, Build: b.Build, Version: b.Version, State: string(b.State), InUse: b.InUse,
			Position: b.Position.String(), Head: b.Head.String(), Complete: b.Complete, Share: b.Share, Lag: b.Lag, AgeSeconds: b.AgeSeconds,
			Events: b.Events, Odd: b.Odd, Owner: b.Owner, Error: eventstore.Visible(b.Error),
		})
	}
	return all, nil
}

// History is readapi.History over the log.
type History struct {
	Store eventstore.Store
	Show  Show
}

// Show returns an event as readers see it; nil: as it was recorded.
type Show func(eventstore.Recorded) eventstore.Recorded

// event returns an event as readers see it.
func (s Show) event(recorded eventstore.Recorded) eventstore.Recorded {
	if s == nil {
		return recorded
	}
	return s(recorded)
}

// all returns events as readers see them.
func (s Show) all(events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range events {
			if err == nil {
				recorded = s.event(recorded)
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

// log is the log as readers see it.
func (h History) log() projections.StreamReader { return shownReader(h) }

// shownReader reads events as readers see them.
type shownReader History

// ReadStream implements projections.StreamReader.
func (r shownReader) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return r.Show.all(r.Store.ReadStream(ctx, stream, from, limit))
}

// OrderTimeline implements readapi.History.
func (h History) OrderTimeline(ctx context.Context, orderID string, last int64) ([]orderview.Entry, error) {
	return orderview.History{Log: h.log()}.Order(ctx, orderID, last)
}

// OrderMoney implements readapi.History.
func (h History) OrderMoney(ctx context.Context, orderID string, last int64) (orderview.Money, error) {
	return orderview.History{Log: h.log()}.Money(ctx, orderID, last)
}

// ReturnTimeline implements readapi.History.
func (h History) ReturnTimeline(ctx context.Context, returnID string, last int64) ([]orderview.Entry, error) {
	return orderview.History{Log: h.log()}.Return(ctx, returnID, last)
}

// Movements implements readapi.History.
func (h History) Movements(ctx context.Context, db query.DB, sku, location string, f stockview.MovementFilter, p query.Page) (query.List[stockview.Movement], error) {
	return stockview.History{Log: h.log()}.Movements(ctx, db, unit.SKU(sku), unit.LocationID(location), f, p)
}

// Log is readapi.Log over an event store.
type Log struct {
	Store eventstore.Store
	// Cluster says that the log is on a cluster of KurrentDB, whose nodes elect a leader. A new
	// leader may not have the latest events yet, although the leader before it has shown them to
	// readers. So if a reader names a position that the leader does not have, Log asks again for
	// the time settling before it refuses the position.
	Cluster bool
	Show    Show
}

// settling is how long a new leader of a cluster may lack the latest events.
const settling = 2 * time.Second

// Head implements readapi.Log.
func (l Log) Head(ctx context.Context) (string, error) {
	head, err := l.Store.Head(ctx)
	return head.String(), err
}

// Components implements readapi.Log.
func (l Log) Components() []readapi.Component {
	proving, ok := l.Store.(eventstore.PulseReporter)
	if !ok {
		return nil
	}
	now, pulse := time.Now(), proving.Pulse()
	log := readapi.Component{Component: "log", State: "heard", AgeSeconds: -1}
	if guarded, ok := l.Store.(interface {
		Diverged() *eventstore.DivergedError
	}); ok {
		if diverged := guarded.Diverged(); diverged != nil {
			log.State, log.Error = "diverged", diverged.Error()
			if !pulse.Proven.IsZero() {
				log.AgeSeconds = now.Sub(pulse.Proven).Seconds()
			}
			return []readapi.Component{log}
		}
	}
	if !pulse.Proven.IsZero() {
		log.AgeSeconds = now.Sub(pulse.Proven).Seconds()
	}
	if pulse.Deaf(now) {
		log.State = "silent"
	}
	if pulse.Trouble != nil {
		log.Error = pulse.Trouble.Error()
	}
	return []readapi.Component{log}
}

// Page implements readapi.Log.
func (l Log) Page(ctx context.Context, after string, types []string, limit int) iter.Seq2[readapi.Event, error] {
	from, err := place(after, l.Cluster)
	if err != nil {
		return failedRead(&readapi.PositionError{In: "query", Name: "after", Text: after})
	}
	return func(yield func(readapi.Event, error) bool) {
		none := true
		for event, err := range cloudEvents(l.Show.all(l.Store.ReadAll(ctx, from, eventstore.Filter{TypePrefixes: types}, limit))) {
			none = false
			if !yield(event, placed(err)) || err != nil {
				return
			}
		}
		if none {
			if err := l.checkNotBeyondEnd(ctx, from); err != nil {
				yield(readapi.Event{}, err)
			}
		}
	}
}

// place reads a position. Only a position of KurrentDB may have two numbers, such as "1042/1040".
func place(text string, cluster bool) (eventstore.Position, error) {
	if !cluster && strings.Contains(text, "/") {
		return eventstore.Start, fmt.Errorf("position %q: this log has only positions of one number", text)
	}
	return eventstore.ParsePosition(text)
}

// checkNotBeyondEnd is an error if a position is beyond the end of the log.
func (l Log) checkNotBeyondEnd(ctx context.Context, from eventstore.Position) error {
	for began := time.Now(); ; pause.For(ctx, 50*time.Millisecond) {
		end, err := l.end(ctx)
		switch {
		case err != nil || !end.Before(from):
			return err
		case !l.Cluster || time.Since(began) > settling:
			return &readapi.BeyondError{Position: from.String(), Head: end.String()}
		}
	}
}

// end is the position of the last record of the log. Records that KurrentDB wrote for itself count,
// because readers get their positions, too.
func (l Log) end(ctx context.Context) (eventstore.Position, error) {
	if ending, ok := l.Store.(eventstore.EndReader); ok {
		return ending.End(ctx)
	}
	return l.Store.Head(ctx)
}

// checkPlace is an error if nothing can be read from a position: it is beyond the end of the log,
// or the log has no record there.
func (l Log) checkPlace(ctx context.Context, from eventstore.Position) error {
	if l.Cluster && !from.IsStart() { // on other logs each position up to the end has an event
		for _, err := range l.Store.ReadAll(ctx, from, eventstore.Filter{}, 1) {
			if err != nil {
				return placed(err)
			}
			return nil
		}
	}
	return l.checkNotBeyondEnd(ctx, from)
}

// placed replaces the log's error about a position without a record by an error of readapi. It is a
// BeyondError if the position is beyond the end of the log, else a PositionError. All other errors
// stay as they are.
func placed(err error) error {
	unknown, is := errors.AsType[*eventstore.UnknownPlaceError](err)
	switch {
	case !is:
		return err
	case unknown.Head.Before(unknown.Position):
		return &readapi.BeyondError{Position: unknown.Position.String(), Head: unknown.Head.String()}
	}
	return &readapi.PositionError{In: "query", Name: "after", Text: unknown.Position.String()}
}

// Stream implements readapi.Log.
func (l Log) Stream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[readapi.Event, error] {
	return cloudEvents(l.Show.all(l.Store.ReadStream(ctx, stream, from, limit)))
}

// Follow implements readapi.Log.
func (l Log) Follow(ctx context.Context, after string, types []string) (iter.Seq2[readapi.Event, error], error) {
	from, err := place(after, l.Cluster)
	if err != nil {
		return nil, &readapi.PositionError{In: "query", Name: "after", Text: after}
	}
	if err := l.checkPlace(ctx, from); err != nil {
		return nil, err
	}
	return func(yield func(readapi.Event, error) bool) {
		for item, err := range l.Store.Subscribe(ctx, from, eventstore.Filter{TypePrefixes: types}) {
			var event readapi.Event
			switch {
			case err != nil:
			case item.Event != nil:
				event = cloudEvent(l.Show.event(*item.Event))
			case item.CaughtUp:
				event.Position = item.Checkpoint.String()
			default:
				continue // a mark without an event, which says how far the subscription has read
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}, nil
}

func failedRead(err error) iter.Seq2[readapi.Event, error] {
	return func(yield func(readapi.Event, error) bool) { yield(readapi.Event{}, err) }
}

func cloudEvents(events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[readapi.Event, error] {
	return func(yield func(readapi.Event, error) bool) {
		for recorded, err := range events {
			var event readapi.Event
			if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
				err = readapi.ErrNoStream
			}
			if errors.Is(err, context.DeadlineExceeded) {
				err = &eventstore.UnavailableError{Cause: fmt.Errorf("the log has not answered in time: %w", err)}
			}
			if err == nil {
				event = cloudEvent(recorded)
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// cloudEvent is a recorded event as a CloudEvent. It says whether a foreign writer wrote the
// event. A foreign event may have any content, and must not stop the events after it. So
// metadata that cannot be read is left out, data that cannot be quoted is put into an
// envelope, and control characters in names are escaped. source has the exact stream,
// percent-encoded.
func cloudEvent(recorded eventstore.Recorded) readapi.Event {
	meta := eventstore.MetadataOrNone(recorded.Meta)
	data := recorded.Data
	if !jsontext.Value(data).IsValid() { // an object with one member name twice, which JSON cannot quote
		if wrapped, _, err := eventstore.Wrap(eventstore.Content{Type: "application/octet-stream", Data: data}); err == nil {
			data = wrapped
		}
	}
	event := readapi.Event{
		SpecVersion: "1.0", ID: recorded.ID.String(), Source: "/v1/streams/" + url.PathEscape(recorded.Stream), Type: eventstore.Visible(recorded.Type), Subject: eventstore.Visible(recorded.Stream),
		Time: meta.EffectiveAt(recorded.RecordedAt), ContentType: "application/json",
		Position: recorded.Position.String(), Revision: recorded.Revision, RecordedAt: recorded.RecordedAt,
		CorrelationID: meta.CorrelationID, CausationID: meta.CausationID, Actor: meta.Actor, OnBehalfOf: meta.OnBehalfOf, ActingFor: meta.ActingFor, Channel: meta.Channel, Trace: meta.Trace,
		Foreign: eventstore.Foreign(&recorded) != nil,
		Data:    jsontext.Value(data),
	}
	if meta.CommandID != uuid.Nil {
		event.CommandID = meta.CommandID.String()
	}
	return event
}
