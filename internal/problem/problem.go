// Package problem turns errors into problem documents (RFC 9457) with an HTTP status, for both
// APIs.
//
// The caller sees the code and the facts of a refusal, because it can act on them. It does not see
// the text of a fault of the server. It gets a request id instead, and the server's log has the
// text.
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

// ContentType is the media type of every problem document.
const ContentType = "application/problem+json"

// typePrefix and a code are a problem's type, which is also a path: GET on it explains the code.
const typePrefix = "/problems/"

// Document is a problem document (RFC 9457). It is also an error, so handlers can return it.
type Document struct {
	_ struct{} `additionalProperties:"true"`

	Type   string `json:"type" example:"/problems/stock-insufficient" doc:"What kind of problem it is: /problems/ and a stable code, or about:blank."`
	Title  string `json:"title" example:"Stock insufficient" doc:"The kind of problem, for a person; always the same for a type."`
	Status int    `json:"status" example:"409" doc:"The HTTP status."`
	Detail string `json:"detail,omitempty" example:"MUG: 3 asked for, 1 left." doc:"This case, for a person."`
	// RequestID is the id of the request in the server's log.
	RequestID string `json:"request_id,omitempty" doc:"Names this request in the server's log."`
	// Errors are the faults of an invalid request, one by one.
	Errors []Invalid `json:"errors,omitempty" doc:"What is wrong with the request, one by one."`
	// Facts are members for programs that say more about this case, such as the available quantity.
	Facts map[string]any `json:",embed" hidden:"true"`

	retryAfter time.Duration
	allow      string
	challenge  string
	position   string
	cause      error // why it happened; only the log gets it
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

// With adds facts. A fact that has the name of a standard member gets a prefix, so that it cannot
// replace that member.
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

// factOf is a fact in the form that responses have.
func factOf(value any) any {
	switch value := value.(type) {
	case unit.Money:
		return resource.MoneyOf(value)
	case []cart.Shortage:
		return resource.ShortagesOf(value)
	}
	return value
}

// retryIn sets how long the caller should wait before it tries again.
func (d *Document) retryIn(after time.Duration) *Document {
	d.retryAfter = after
	return d
}

// At sets the log position of what was recorded although the request has a problem. A read can wait
// for this position.
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

// Unwrap returns the cause, so that errors.Is and errors.As find it.
func (d *Document) Unwrap() error { return d.cause }

// GetStatus is one of the methods that huma calls on an error, like GetHeaders and ContentType.
func (d *Document) GetStatus() int { return d.Status }

// GetHeaders returns the headers of the response, such as Retry-After.
func (d *Document) GetHeaders() http.Header {
	headers := http.Header{}
	if d.retryAfter > 0 {
		seconds := int((d.retryAfter + time.Second - 1) / time.Second)
		headers.Set("Retry-After", strconv.Itoa(seconds))
	}
	if d.allow != "" {
		headers.Set("Allow", d.allow)
	}
	if d.challenge != "" {
		headers.Set("WWW-Authenticate", d.challenge)
	}
	if d.position != "" {
		headers.Set("Daybook-Position", d.position)
	}
	return headers
}

// ContentType replaces JSON by problem JSON.
func (d *Document) ContentType(string) string { return ContentType }

// Write writes a problem as the response, for code that does not use huma.
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

// titleOf makes the title from a code, so a code always has the same one: "stock-insufficient" has
// the title "Stock insufficient".
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "-", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
