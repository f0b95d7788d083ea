package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// installed makes sure that huma's hooks are set once, because they are variables of its package.
var installed sync.Once

// Install makes huma return its own errors as problem documents, and compare the names of members
// with their case. Without Install, huma shows the text of an unknown error to the client.
func Install() {
	installed.Do(func() {
		huma.ValidateStrictCasing = true
		huma.DefaultArrayNullable = false // no list of this API is ever null
		validation.MsgExpectedRFC3339DateTime = wantTime
		validation.MsgExpectedRFC3339Date = wantDay
		huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
			return fromHuma(context.Background(), status, message, errs)
		}
		huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
			return fromHuma(ctx.Context(), status, message, errs)
		}
	})
}

// What a client must send in place of a wrong time or day.
const (
	wantTime = "want a time such as 2026-01-31T12:00:00Z, with its zone"
	wantDay  = "want a day such as 2026-01-31"
)

// plain replaces messages of huma that name a layout of Go, or that do not say what is wanted.
func plain(message string) string {
	switch {
	case strings.HasPrefix(message, "invalid date/time for format"):
		return wantTime
	case message == "invalid boolean":
		return "want true or false"
	}
	return message
}

// fromHuma makes a problem from a refusal by huma itself.
func fromHuma(ctx context.Context, status int, message string, errs []error) *Document {
	cause := errors.Join(errs...)
	switch status {
	case http.StatusBadRequest:
		return From(ctx, Malformed(malformed(message, errs)))
	case http.StatusUnprocessableEntity:
		// Only this many are translated, because the translation of a finding takes longer than
		// its search.
		return From(ctx, NotValid(Found(errs[:min(len(errs), MaxFaults)])...))
	case http.StatusRequestEntityTooLarge:
		return From(ctx, New(status, CodeTooLarge, "The body is too large."))
	case http.StatusUnsupportedMediaType:
		return From(ctx, WrongForm("Send JSON, with Content-Type: application/json."))
	case http.StatusNotAcceptable:
		return From(ctx, New(status, CodeNotAcceptable, "Only JSON is served here."))
	case http.StatusRequestTimeout:
		return From(ctx, TooSlow())
	}
	if cause == nil {
		cause = errors.New(message)
	}
	return From(ctx, cause)
}

// malformed says what is wrong with a body that is not JSON. It uses the decoder's text, because
// that quotes at most one character of the body.
func malformed(message string, errs []error) string {
	if message == "request body is required" {
		return "A body is required."
	}
	for _, err := range errs {
		if detail, ok := errors.AsType[*huma.ErrorDetail](err); ok && detail.Message != "" && strings.HasPrefix(detail.Location, "body") {
			return "The body is not valid JSON: " + strings.TrimPrefix(detail.Message, "jsontext: ") + "."
		}
	}
	return "The body is not valid JSON."
}

// Found translates the findings of huma's validation.
func Found(errs []error) []Invalid {
	faults := make([]Invalid, 0, len(errs))
	for _, err := range errs {
		faults = append(faults, invalid(err))
	}
	return faults
}

// invalid translates one of huma's findings. It leaves out the value, because that may be large or
// secret.
func invalid(err error) Invalid {
	detail, ok := errors.AsType[*huma.ErrorDetail](err)
	if !ok {
		return Invalid{Detail: "not valid"}
	}
	in, rest, _ := strings.Cut(detail.Location, ".")
	switch in {
	case "path", "query", "header":
		return inParameter(in, rest, plain(detail.Message))
	}
	pointer := pointerOf(strings.TrimPrefix(detail.Location, "body"))
	if at, message, found := misfit(detail.Message); found {
		return InBody(at, message)
	}
	if missing, found := missingProperty(detail.Message); found {
		return InBody(pointer+"/"+escape(missing), "required")
	}
	return InBody(pointer, detail.Message)
}

// inParameter translates a finding in a parameter. huma gives the place of a value of a list, such
// as "status[0]". The fault has the name of the parameter, and says in words which value it is.
func inParameter(in, place, message string) Invalid {
	name, index, listed := strings.Cut(place, "[")
	if !listed {
		return InParameter(in, place, message)
	}
	if at, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil {
		message = fmt.Sprintf("value %d: %s", at+1, message)
	}
	return InParameter(in, name, message)
}

// Misfit is the error of a decoder that cannot decode a value. Pointer is the JSON pointer of the
// value in the body. huma passes on only the error's text.
type Misfit struct {
	Pointer string
	Time    bool // the value should be a time
}

func (m *Misfit) Error() string {
	if m.Time {
		return fmt.Sprintf("at %q: %s", m.Pointer, wantTime)
	}
	return fmt.Sprintf("at %q: does not fit here", m.Pointer)
}

// misfit reads the pointer from the text of a Misfit.
func misfit(message string) (pointer, detail string, found bool) {
	rest, found := strings.CutPrefix(message, "at ")
	if !found {
		return "", "", false
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return "", "", false
	}
	pointer, err = strconv.Unquote(quoted)
	return pointer, strings.TrimPrefix(rest[len(quoted):], ": "), err == nil
}

// missingProperty reads the name of a missing member from huma's message. huma gives the place of
// the object, and not of the member.
func missingProperty(message string) (name string, found bool) {
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	rest, found := strings.CutPrefix(message, before)
	if !found {
		return "", false
	}
	return strings.CutSuffix(rest, after)
}

// pointerOf turns huma's path, ".lines[0].sku", into a JSON pointer.
func pointerOf(path string) string {
	var pointer strings.Builder
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		fmt.Fprintf(&pointer, "/%s", escape(step))
	}
	return pointer.String()
}

// escaper is made only once, because a replacer needs several kilobytes.
var escaper = strings.NewReplacer("~", "~0", "/", "~1")

func escape(step string) string { return escaper.Replace(step) }
