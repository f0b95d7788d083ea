// Package problem is the only place where an error becomes an HTTP status: it
// makes RFC 9457 problem documents, for both sides of the API.
//
// A refusal by a rule keeps its code and facts, for it is meant for the caller.
// A fault keeps its text to itself: the caller gets a request id, the log gets
// the text. Which routes there are, and what they do, is not its business.
package problem

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// ContentType is that of every problem document.
const ContentType = "application/problem+json"

// typePrefix makes a problem type from a code. GET on it explains the code.
const typePrefix = "/problems/"

// Document is an RFC 9457 problem document, and the error that carries it to
// the edge.
type Document struct {
	_ struct{} `additionalProperties:"true"`

	Type   string `json:"type" example:"/problems/stock-insufficient" doc:"What kind of problem it is: /problems/ and a stable code, or about:blank."`
	Title  string `json:"title" example:"Stock insufficient" doc:"The kind of problem, for a person; always the same for a type."`
	Status int    `json:"status" example:"409" doc:"The HTTP status."`
	Detail string `json:"detail,omitempty" example:"MUG: 3 asked for, 1 left." doc:"This case, for a person."`
	// RequestID finds the request in the server's log.
	RequestID string `json:"request_id,omitempty" doc:"Names this request in the server's log."`
	// Errors are the single faults of a request that is not valid.
	Errors []Invalid `json:"errors,omitempty" doc:"What is wrong with the request, one by one."`
	// Facts are this case's particulars for a program, as extension members.
	Facts map[string]any `json:",embed" hidden:"true"`

	retryAfter time.Duration
	allow      string
	position   string
	cause      error // for the log
}

// Invalid is one fault of a request: in the body, by a JSON pointer, or in a
// parameter, by its name.
type Invalid struct {
	Detail    string `json:"detail" doc:"What is wrong."`
	Pointer   string `json:"pointer,omitempty" example:"#/lines/0/quantity" doc:"Where in the body, as a JSON pointer (RFC 6901) in a URI fragment."`
	In        string `json:"in,omitempty" enum:"path,query,header" doc:"Where the parameter is."`
	Parameter string `json:"parameter,omitempty" doc:"Which parameter."`
}

// New is the problem of a code.
func New(status int, code, detail string) *Document {
	return &Document{Type: typePrefix + code, Title: titleOf(code), Status: status, Detail: detail}
}

// With adds facts. A fact named like a standard member is prefixed, so that it
// can never stand in for it.
func (d *Document) With(facts map[string]any) *Document {
	if d.Facts == nil && len(facts) > 0 {
		d.Facts = make(map[string]any, len(facts))
	}
	for name, value := range facts {
		switch name {
		case "type", "title", "status", "detail", "instance", "request_id", "errors":
			name = "fact_" + name
		}
		d.Facts[name] = factOf(value)
	}
	return d
}

// factOf is a fact as answers show it.
func factOf(value any) any {
	switch value := value.(type) {
	case unit.Money:
		return resource.MoneyOf(value)
	case []cart.Shortage:
		return resource.ShortagesOf(value)
	}
	return value
}

// retryIn tells the caller when to come back.
func (d *Document) retryIn(after time.Duration) *Document {
	d.retryAfter = after
	return d
}

// At tells the caller where the log stands after what was recorded in spite of
// the problem, so that a read can wait for it.
func (d *Document) At(position string) *Document {
	d.position = position
	return d
}

// because keeps the cause for the log.
func (d *Document) because(err error) *Document {
	d.cause = err
	return d
}

// Code is the stable code, or empty for about:blank.
func (d *Document) Code() string {
	code, ours := strings.CutPrefix(d.Type, typePrefix)
	if !ours {
		return ""
	}
	return code
}

func (d *Document) Error() string { return d.Type + ": " + d.Detail }

// Unwrap gives the cause, for errors.Is and errors.As.
func (d *Document) Unwrap() error { return d.cause }

// GetStatus is one of three things that huma asks of an error.
func (d *Document) GetStatus() int { return d.Status }

// GetHeaders are the headers that belong to the problem.
func (d *Document) GetHeaders() http.Header {
	headers := http.Header{}
	if d.retryAfter > 0 {
		seconds := int((d.retryAfter + time.Second - 1) / time.Second)
		headers.Set("Retry-After", strconv.Itoa(seconds))
	}
	if d.allow != "" {
		headers.Set("Allow", d.allow)
	}
	if d.position != "" {
		headers.Set("Daybook-Position", d.position)
	}
	return headers
}

// ContentType turns JSON into problem JSON.
func (d *Document) ContentType(string) string { return ContentType }

// Write answers a request with a problem, where no framework does.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	d := From(r.Context(), err)
	body, encodeErr := json.Marshal(d)
	if encodeErr != nil { // a fact that cannot be encoded is a bug of ours
		d = internal(encodeErr)
		d.RequestID = Note(r.Context(), d.cause)
		body, _ = json.Marshal(d)
	}
	for name, values := range d.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(d.Status)
	_, _ = w.Write(body) // the client may have gone
}

// titleOf makes a title from a code: "stock-insufficient" is "Stock
// insufficient", always the same for a code.
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "-", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
