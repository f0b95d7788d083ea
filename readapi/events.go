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

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

const (
	keepAlive = 15 * time.Second
)

type eventsInput struct {
	accepted
	After     string   `query:"after" maxLength:"64" default:"0" doc:"The position of the last event that you have. The page begins with the next event."`
	LastEvent string   `header:"Last-Event-ID" maxLength:"64" doc:"A browser sends it when it asks for server-sent events again. If it is given, after is ignored."`
	Limit     int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Types     []string `query:"type" maxItems:"20" example:"order.,stock.received" doc:"Prefixes of event types, separated by commas. Without any, events of all types."`
}

// eventsPage answers with events, in one of the forms of eventForms.
type eventsPage struct {
	ContentType string `header:"Content-Type"`
	Position    string `header:"Daybook-Position" doc:"The position of the last event on this page, from which the next page goes on. On an empty page it is the position that was asked for."`
	Count       int    `header:"Daybook-Event-Count"`
	More        string `header:"Daybook-More" doc:"true if the page reached its size in bytes before its limit of events, so more events follow."`
	Body        []byte
}

// pageBytes is the size at which a page ends: after the event that reaches it.
const pageBytes = 4 << 20

func (a *api) events(ctx context.Context, in *eventsInput) (*eventsPage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	form, err := in.form(eventForms...)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	log, err := a.log(ctx)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	after := cmp.Or(in.LastEvent, in.After)
	page := &eventsPage{ContentType: form, Position: after}
	return page, page.fill(ctx, log.Page(ctx, after, in.Types, in.Limit))
}

type streamInput struct {
	accepted
	Stream string `path:"stream" maxLength:"514" example:"order-order-bob" doc:"Percent-encode blanks and slashes."`
	From   int64  `query:"from" minimum:"0" default:"0" example:"0" doc:"The revision of the stream with which the page begins."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *api) stream(ctx context.Context, in *streamInput) (*eventsPage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	form, err := in.form(eventForms...)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	// The name of such a stream is the id of a customer.
	if strings.HasPrefix(in.Stream, "customer-") && !seesPersonal(ctx, access.ReadEvents) {
		return nil, problem.From(ctx, problem.FieldsForbidden(problem.InParameter("path", "stream", faultPersonal)))
	}
	log, err := a.log(ctx)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	page := &eventsPage{ContentType: form}
	return page, page.fill(ctx, log.Stream(ctx, in.Stream, in.From, in.Limit))
}

// fill writes the page. It reads the whole page before it sends anything, so that an error can
// still become a problem. The size of a page in bytes is bounded, because one event may have a
// megabyte.
func (p *eventsPage) fill(ctx context.Context, events iter.Seq2[Event, error]) error {
	defer p.close()
	for event, err := range events {
		if err != nil {
			return problem.From(ctx, typedProblem(err))
		}
		if len(p.Body) >= pageBytes {
			p.More = "true"
			return nil
		}
		event.nameForm()
		if err := p.add(&event); err != nil {
			return problem.From(ctx, fmt.Errorf("event %s: %w", event.ID, err))
		}
	}
	return nil
}

type liveInput struct {
	accepted
	After     string   `query:"after" maxLength:"64" doc:"The position of the last event that you have. By default the head of the log, so that only new events come. 0 begins with the first event."`
	LastEvent string   `header:"Last-Event-ID" maxLength:"64" doc:"A browser sends it when it connects again. If it is given, after is ignored."`
	Types     []string `query:"type" maxItems:"20" doc:"Prefixes of event types, separated by commas. Without any, events of all types."`
}

// followLive streams events as server-sent events: id is the position, event the type, and
// data the event. A message named caught_up says that all events so far were sent.
func (a *api) followLive(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	if _, err := in.form(contentMessages); err != nil {
		return nil, problem.From(ctx, err)
	}
	log, err := a.log(ctx)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	leave, err := a.live.enter(problem.RequestOf(ctx))
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	after, err := a.startOf(ctx, in)
	if err == nil {
		// Check the position before the response begins, so that a wrong one can still become
		// a problem.
		_, err = log.Follow(ctx, after, in.Types)
	}
	if err != nil {
		leave()
		return nil, problem.From(ctx, typedProblem(err))
	}
	return &huma.StreamResponse{Body: func(to huma.Context) {
		defer leave()
		_, w := humamux.Unwrap(to)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect events before it passes them on
		s := &sender{w: w, control: http.NewResponseController(w), patience: a.LiveWrite}
		if err := s.comment("from " + after); err != nil {
			return
		}
		watched, stop := whileAllowed(to.Context())
		defer stop()
		err := a.pump(watched, log, after, in.Types, s)
		if watched.Err() != nil && to.Context().Err() == nil {
			_ = s.send(brokenOff, "", []byte(`{"detail":"The API key or the session has ended, or its rights have changed."}`))
			return
		}
		if err != nil && to.Context().Err() == nil {
			problem.Note(to.Context(), err)
			_ = s.send(brokenOff, "", []byte(`{"detail":"The stream broke off; connect again."}`)) // the client may have gone
		}
	}}, nil
}

// whileAllowed returns a context that ends when the rights of a request's sender change.
func whileAllowed(ctx context.Context) (_ context.Context, stop func()) {
	if watch := problem.RequestOf(ctx).WhileAllowed; watch != nil {
		return watch(ctx)
	}
	return ctx, func() {}
}

// startOf is the position after which a live stream begins.
func (a *api) startOf(ctx context.Context, in *liveInput) (string, error) {
	switch {
	case in.LastEvent != "":
		return in.LastEvent, nil
	case in.After != "":
		return in.After, nil
	}
	return a.Log.Head(ctx)
}

// pump sends events until the client or the server ends the stream.
func (a *api) pump(ctx context.Context, log Log, after string, types []string, s *sender) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	follow, err := log.Follow(ctx, after, types)
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

// forward sends a sequence's events to a channel, because select can wait for several channels
// at once.
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
	e.nameForm()
	data, err := appendEvent(nil, &e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	return s.send(messageName(e), e.Position, data)
}

// nameForm sets the member that names the form of the event's data. The data itself is shown as it
// was recorded (decision 53).
func (e *Event) nameForm() { e.DataSchema = apidoc.DataSchema(e.Type, e.Foreign) }

// messageName is the name of an event's message: the event's type. If another program's event
// has a type that is one of the server's own names, such as caught_up, it is "message".
func messageName(e Event) string {
	if e.Type == caughtUp || e.Type == brokenOff {
		return "message"
	}
	return e.Type
}

// The server's own messages, which are not events of the log.
const (
	caughtUp  = "caught_up"
	brokenOff = "error"
)

func (s *sender) comment(text string) error { return s.write(": " + oneLine(text) + "\n\n") }

// oneLine removes line breaks, so that a name in an event cannot begin another message.
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
	// The error is ignored, because a recorder in a test has no connection.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// eventType is the Go type of an event in a response: its data, and the attributes around it.
var eventType = reflect.TypeFor[Event]()

// caughtUpData and brokenOffData are the data of the server's own messages in a live stream.
type (
	caughtUpData struct {
		Position string `json:"position" doc:"All events up to this position were sent, or did not match type."`
	}
	brokenOffData struct {
		Detail string `json:"detail" example:"The stream broke off; connect again." doc:"Why the stream ends, in words."`
	}
)

// registerEvents adds the routes of the log. Their responses are not single JSON documents.
func (a *api) registerEvents() {
	event := apidoc.Events(a.huma.OpenAPI().Components.Schemas, eventType)
	a.registerExports(event)
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
			Metadata: problem.Listing(access.ReadEvents, codes...), Middlewares: huma.Middlewares{noteFaults},
		}
	}
	huma.Register(a.huma, register("list-events", "/v1/events", "Read the log, page by page", "Events come in the log's order, one on each line. None is ever missed or changed. Ask for the next page with the position of the last event. A page ends early, with `Daybook-More: true`, when it has reached 4 MiB. `Accept` chooses the form: one JSON object on each line, one JSON document, or server-sent events, which end with the page.", page, append([]string{problem.CodeBeyondHead, problem.CodeNotAcceptable}, problem.OfReads...)...), a.events)
	huma.Register(a.huma, register("read-stream", "/v1/streams/{stream}", "Read the history of one aggregate", "Events come in the stream's order, one on each line. A page ends early, with `Daybook-More: true`, when it has reached 4 MiB. The next page begins with the revision after the last event's. `Accept` chooses the form, as for the log.", page, append([]string{problem.CodeNotAcceptable, problem.CodeNotFound, problem.CodeGone}, problem.OfReads...)...), a.stream)
	huma.Register(a.huma, register("follow-events", "/v1/events/live", "Follow the log live", "Server-sent events: `id` is the position, `event` the type, `data` a CloudEvent. `caught_up` says that all events so far were sent. If you connect again with `Last-Event-ID`, you miss nothing. A position beyond the head of the log is refused (409 `position-beyond-head`), and a browser does not come back after that.", live, append([]string{problem.CodeTooManyHere, problem.CodeOverloaded, problem.CodeBeyondHead, problem.CodeNotAcceptable}, problem.OfReads...)...), a.followLive)
}

// liveMessages is the schema of a live stream. The stream is a text, and its messages have
// their own schemas.
func (a *api) liveMessages(event *huma.Schema) *huma.Schema {
	schemas := a.huma.OpenAPI().Components.Schemas
	message := func(about string, data *huma.Schema, names map[string]any) *huma.Schema {
		return &huma.Schema{
			Type: huma.TypeObject, Description: about, Required: []string{"event", "data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeString, Description: "The position; a client that connects again sends it as Last-Event-ID.", Examples: []any{"1042"}},
				"event": {Type: huma.TypeString, Description: "The name of the message.", Extensions: names},
				"data":  data,
			},
		}
	}
	caught := schemas.Schema(reflect.TypeFor[caughtUpData](), true, "")
	broken := schemas.Schema(reflect.TypeFor[brokenOffData](), true, "")
	anyOf := []*huma.Schema{
		message("An event of the log. The message's name is the event's type. If the type is one of the server's own names, such as caught_up, the name is message.", event, map[string]any{"examples": []any{"order.placed.v1"}, "not": map[string]any{"enum": []any{caughtUp, brokenOff}}}),
		message("All events so far were sent.", caught, map[string]any{"const": caughtUp}),
		message("The stream broke off.", broken, map[string]any{"const": brokenOff}),
	}
	return &huma.Schema{
		Type: huma.TypeString, Description: "A stream of messages in the form of HTML's server-sent events. contentSchema describes one message.",
		Extensions: map[string]any{"contentMediaType": "text/event-stream", "contentSchema": map[string]any{"anyOf": anyOf}},
	}
}
