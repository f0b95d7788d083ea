package readapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/go-json-experiment/json"

	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

const (
	keepAlive = 15 * time.Second
)

type eventsInput struct {
	accepted
	After     string   `query:"after" maxLength:"64" default:"0" doc:"The position to go on from: that of the last event seen."`
	LastEvent string   `header:"Last-Event-ID" maxLength:"64" doc:"What a browser sends when it asks for server-sent events again; it comes before after."`
	Limit     int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Types     []string `query:"type" maxItems:"20" example:"order.,stock.received" doc:"Prefixes of event types, separated by commas. None is all."`
}

// eventsPage answers with events, in one of the forms of eventForms.
type eventsPage struct {
	ContentType string `header:"Content-Type"`
	Position    string `header:"Daybook-Position" doc:"Of the last event here: where the next page goes on. Empty pages repeat what was asked."`
	Count       int    `header:"Daybook-Event-Count"`
	More        string `header:"Daybook-More" doc:"true if the page ended because of its size in bytes before its limit: more events follow."`
	Body        []byte
}

// pageBytes is the size at which a page ends: after the event that reaches it.
const pageBytes = 4 << 20

func (a *api) events(ctx context.Context, in *eventsInput) (*eventsPage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	form, err := in.form()
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	after := cmp.Or(in.LastEvent, in.After)
	page := &eventsPage{ContentType: form, Position: after}
	return page, page.fill(ctx, a.Log.Page(ctx, after, in.Types, in.Limit))
}

type streamInput struct {
	accepted
	Stream string `path:"stream" maxLength:"514" example:"order-1001" doc:"Percent-encode blanks and slashes."`
	From   int64  `query:"from" minimum:"0" default:"0" example:"0" doc:"The first revision."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *api) stream(ctx context.Context, in *streamInput) (*eventsPage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	form, err := in.form()
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	page := &eventsPage{ContentType: form}
	return page, page.fill(ctx, a.Log.Stream(ctx, in.Stream, in.From, in.Limit))
}

// fill writes the page. It is read whole first, so that a fault is still a
// problem document. Its size is bounded, because an event may have a megabyte.
func (p *eventsPage) fill(ctx context.Context, events iter.Seq2[Event, error]) error {
	defer p.close()
	for event, err := range events {
		if err != nil {
			return problem.From(ctx, known(err))
		}
		if len(p.Body) >= pageBytes {
			p.More = "true"
			return nil
		}
		line, err := json.Marshal(event)
		if err != nil {
			return problem.From(ctx, fmt.Errorf("event %s: %w", event.ID, err))
		}
		p.put(event, line)
		p.Position = event.Position
		p.Count++
	}
	return nil
}

type liveInput struct {
	After     string   `query:"after" maxLength:"64" doc:"The position to go on from; the head of the log by default, and 0 for its beginning."`
	LastEvent string   `header:"Last-Event-ID" maxLength:"64" doc:"What a browser sends when it connects again; it comes before after."`
	Types     []string `query:"type" maxItems:"20" doc:"Prefixes of event types, separated by commas. None is all."`
}

// followLive streams events as server-sent events: id is the position, event
// the type, data the event. An event named caught_up says that nothing more is
// known for now.
func (a *api) followLive(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	leave, err := a.live.enter(problem.RequestOf(ctx).Client)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	after, err := a.startOf(ctx, in)
	if err == nil {
		// Whether the position is one is known before the answer begins.
		_, err = a.Log.Follow(ctx, after, in.Types)
	}
	if err != nil {
		leave()
		return nil, problem.From(ctx, known(err))
	}
	return &huma.StreamResponse{Body: func(to huma.Context) {
		defer leave()
		_, w := humamux.Unwrap(to)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // a proxy must not hold events back
		s := &sender{w: w, control: http.NewResponseController(w), patience: a.LiveWrite}
		if err := s.comment("from " + after); err != nil {
			return
		}
		err := a.pump(to.Context(), after, in.Types, s)
		if err != nil && to.Context().Err() == nil {
			problem.Note(to.Context(), err)
			_ = s.send(brokenOff, "", []byte(`{"detail":"The stream broke off; connect again."}`)) // the client may have gone
		}
	}}, nil
}

// startOf is the position a live stream goes on from.
func (a *api) startOf(ctx context.Context, in *liveInput) (string, error) {
	switch {
	case in.LastEvent != "":
		return in.LastEvent, nil
	case in.After != "":
		return in.After, nil
	}
	return a.Log.Head(ctx)
}

// pump sends what is followed until the client or the server ends it.
func (a *api) pump(ctx context.Context, after string, types []string, s *sender) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	follow, err := a.Log.Follow(ctx, after, types)
	if err != nil {
		return err
	}
	events, failed := make(chan Event), make(chan error, 1)
	go func() { failed <- forward(ctx, follow, events) }()
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		var err error
		select {
		case event := <-events:
			err = s.event(event)
		case <-ticker.C:
			err = s.comment("alive")
		case err = <-failed:
			return err
		case <-a.Stop:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return nil //nolint:nilerr // the client has gone, which is how such streams end
		}
	}
}

// forward turns a sequence into a channel, which can be waited for beside others.
func forward(ctx context.Context, follow iter.Seq2[Event, error], events chan<- Event) error {
	for event, err := range follow {
		if err != nil {
			return err
		}
		select {
		case events <- event:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// sender writes server-sent events.
type sender struct {
	w       io.Writer
	control *http.ResponseController
	// patience is how long the reader may take to accept an event.
	patience time.Duration
}

func (s *sender) event(e Event) error {
	if e.ID == "" {
		return s.send(caughtUp, e.Position, []byte(`{"position":"`+e.Position+`"}`))
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	return s.send(messageName(e), e.Position, data)
}

// messageName is the name of an event's message: its type, unless that would pass for a
// word of this server's own.
func messageName(e Event) string {
	if e.Type == caughtUp || e.Type == brokenOff {
		return "message"
	}
	return e.Type
}

// Names of server-sent events that are no events of the log.
const (
	caughtUp  = "caught_up"
	brokenOff = "error"
)

func (s *sender) comment(text string) error { return s.write(": " + oneLine(text) + "\n\n") }

// oneLine leaves out what would end the line, so that no name can begin another one.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, text)
}

func (s *sender) send(name, id string, data []byte) error {
	var b bytes.Buffer
	writeMessage(&b, name, id, data)
	return s.write(b.String())
}

// writeMessage writes a server-sent event, whose data is JSON in one line.
func writeMessage(b *bytes.Buffer, name, id string, data []byte) {
	if id != "" {
		b.WriteString("id: " + oneLine(id) + "\n")
	}
	b.WriteString("event: " + oneLine(name) + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
}

func (s *sender) write(text string) error {
	// A test's recorder has no connection whose deadline could be set.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// eventType is what events have around their data.
var eventType = reflect.TypeFor[Event]()

// caughtUpData and brokenOffData are the data of the messages of a live stream that are no
// events of the log.
type (
	caughtUpData struct {
		Position string `json:"position" doc:"Up to which place in the log everything was looked at."`
	}
	brokenOffData struct {
		Detail string `json:"detail" example:"The stream broke off; connect again." doc:"Why the stream ends, in words."`
	}
)

// registerEvents adds the routes of the log, whose answers are not one JSON
// document each.
func (a *api) registerEvents() {
	event := apidoc.Events(a.huma.OpenAPI().Components.Schemas, eventType)
	messages := &huma.MediaType{Schema: a.liveMessages(event)}
	page := map[string]*huma.MediaType{
		contentLines: {Schema: event}, contentMessages: messages,
		contentJSON: {Schema: documentSchema(event)},
	}
	live := map[string]*huma.MediaType{contentMessages: messages}
	register := func(id, path, summary, about string, content map[string]*huma.MediaType, codes ...string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Description: about, Tags: []string{apidoc.TagEvents},
			Responses: map[string]*huma.Response{"200": {
				Description: "Events, each a CloudEvent.",
				Content:     content,
			}},
			Metadata: problem.Listing(codes...),
		}
	}
	huma.Register(a.huma, register("list-events", "/v1/events", "Read the log, page by page", "Events come in the log's order, one a line; none is ever missed or changed. Go on from the last one's position. A page ends early, with `Daybook-More: true`, when it has come to 4 MiB. `Accept` chooses the form: a JSON object a line, one JSON document, or server-sent events, which end with the page.", page, append([]string{problem.CodeBeyondHead, problem.CodeNotAcceptable}, problem.OfReads...)...), a.events)
	huma.Register(a.huma, register("read-stream", "/v1/streams/{stream}", "Read the history of one aggregate", "Events come in the stream's order, one a line. A page ends early, with `Daybook-More: true`, when it has come to 4 MiB. Go on from the last event's revision. `Accept` chooses the form, as for the log.", page, append([]string{problem.CodeNotAcceptable, problem.CodeNotFound, problem.CodeGone}, problem.OfReads...)...), a.stream)
	huma.Register(a.huma, register("follow-events", "/v1/events/live", "Follow the log live", "Server-sent events: `id` is the position, `event` the type, `data` a CloudEvent. `caught_up` says that nothing more is known for now. Reconnecting with `Last-Event-ID` misses nothing. A position beyond the head of the log is refused (409 `position-beyond-head`; not on KurrentDB), and a browser does not come back after that.", live, append([]string{problem.CodeTooManyHere, problem.CodeOverloaded, problem.CodeBeyondHead}, problem.OfReads...)...), a.followLive)
}

// liveMessages is the schema of a live stream: a text, whose messages have a schema of
// their own.
func (a *api) liveMessages(event *huma.Schema) *huma.Schema {
	schemas := a.huma.OpenAPI().Components.Schemas
	message := func(about string, data *huma.Schema, names map[string]any) *huma.Schema {
		return &huma.Schema{
			Type: huma.TypeObject, Description: about, Required: []string{"event", "data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeString, Description: "The position; a client that connects again sends it as Last-Event-ID.", Examples: []any{"1042"}},
				"event": {Type: huma.TypeString, Description: "What the message is.", Extensions: names},
				"data":  data,
			},
		}
	}
	caught := schemas.Schema(reflect.TypeFor[caughtUpData](), true, "")
	broken := schemas.Schema(reflect.TypeFor[brokenOffData](), true, "")
	anyOf := []*huma.Schema{
		message("An event of the log. The message's name is the event's type, or message where that is a word of this server's own.", event, map[string]any{"examples": []any{"order.placed.v1"}, "not": map[string]any{"enum": []any{caughtUp, brokenOff}}}),
		message("Nothing more is known for now.", caught, map[string]any{"const": caughtUp}),
		message("The stream broke off.", broken, map[string]any{"const": brokenOff}),
	}
	return &huma.Schema{
		Type: huma.TypeString, Description: "A stream of messages as HTML's server-sent events have them. contentSchema says what one message is.",
		Extensions: map[string]any{"contentMediaType": "text/event-stream", "contentSchema": map[string]any{"anyOf": anyOf}},
	}
}
