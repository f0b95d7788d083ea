package readapi

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// The media types of a page of events. A client chooses one with Accept. The first one is the
// default.
const (
	contentLines    = "application/x-ndjson"
	contentJSON     = "application/json"
	contentMessages = "text/event-stream"
)

var eventForms = []string{contentLines, contentJSON, contentMessages}

// accepted is the Accept header of a request for events.
type accepted struct{ header string }

// Resolve implements huma.Resolver. It tells caches that the answer depends on Accept.
func (a *accepted) Resolve(ctx huma.Context) []error {
	a.header = ctx.Header("Accept")
	ctx.AppendHeader("Vary", "Accept")
	return nil
}

// form returns the one of the forms that has the largest weight in Accept; of several with the
// same weight, the first one. If the client accepts none, it returns the problem 406. Example:
// "application/json, */*;q=0.1" gives JSON, and "text/csv" is refused.
func (a *accepted) form(forms ...string) (string, error) {
	if strings.TrimSpace(a.header) == "" {
		return forms[0], nil
	}
	best, weight := "", 0.0
	for _, form := range forms {
		if q := weightOf(form, a.header); q > weight {
			best, weight = form, q
		}
	}
	if best == "" {
		return "", problem.New(http.StatusNotAcceptable, problem.CodeNotAcceptable,
			"Events can be sent here as "+strings.Join(forms, ", ")+", and Accept names none of them.")
	}
	return best, nil
}

// weightOf is the weight that an Accept header gives to a media type, by its most specific
// entry that matches; see RFC 9110, section 12.5.1.
func weightOf(mediaType, accept string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	ranges := []string{"*/*", kind + "/*", mediaType} // the least specific first
	weight, matched := 0.0, -1
	for entry := range strings.SplitSeq(accept, ",") {
		name, parameters, err := mime.ParseMediaType(entry)
		at := slices.Index(ranges, name)
		if err != nil || at <= matched {
			continue
		}
		q := 1.0
		if text, given := parameters["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		weight, matched = q, at
	}
	return weight
}

// add adds an event to a page.
func (p *eventsPage) add(event *Event) (err error) {
	if free := cap(p.Body) - len(p.Body); free < eventRoom { // twice as large, not a quarter larger
		p.Body = slices.Grow(p.Body, max(firstRoom, len(p.Body)))
	}
	switch p.ContentType {
	case contentJSON:
		opening := ",\n"
		if p.Count == 0 {
			opening = openingJSON
		}
		p.Body, err = appendEvent(append(p.Body, opening...), event)
	case contentMessages:
		var line []byte
		line, err = appendEvent(nil, event)
		var message bytes.Buffer
		writeMessage(&message, messageName(*event), event.Position, line)
		p.Body = append(p.Body, message.Bytes()...)
	default:
		p.Body, err = appendEvent(p.Body, event)
		p.Body = append(p.Body, '\n')
	}
	p.Position = event.Position
	p.Count++
	return err
}

const (
	eventRoom = 1 << 10  // more than most events have
	firstRoom = 16 << 10 // of a page
)

// documentSchema is the schema of a page in JSON.
func documentSchema(event *huma.Schema) *huma.Schema {
	most := maxPageEvents
	return &huma.Schema{
		Type: huma.TypeObject, Description: "A page of events.", Required: []string{"events", "more"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"events":   {Type: huma.TypeArray, Items: event, MaxItems: &most, Description: "The events of the page, in order."},
			"position": {Type: huma.TypeString, Description: "The position of the last event on this page, from which the next page goes on. On an empty page it is the position that was asked for.", Examples: []any{"1042"}},
			"more":     {Type: huma.TypeBoolean, Description: "True if the page reached its size in bytes before its limit of events, so more events follow."},
		},
	}
}

// maxPageEvents is the largest limit that a client may give for a page.
const maxPageEvents = 1000

const openingJSON = `{"events":[`

// close ends a page's body.
func (p *eventsPage) close() {
	if p.ContentType != contentJSON {
		return
	}
	if p.Count == 0 {
		p.Body = append(p.Body, openingJSON...)
	}
	p.Body = append(p.Body, ']')
	if p.Position != "" {
		p.Body = append(p.Body, `,"position":"`+p.Position+`"`...)
	}
	p.Body = append(p.Body, `,"more":`+strconv.FormatBool(p.More == "true")+"}\n"...)
}
