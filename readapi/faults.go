package readapi

import (
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// noteFaults notes faults of parameters that their schemas cannot describe. It runs before the
// request is refused for other faults, so one response names all faults. Example: a cursor that was
// cut off, beside a limit that is not a number.
//
// Some faults are found only later, and alone, because they depend on the rest of the request or on
// the log: a cursor of another list, and a position that has a form of another log.
func noteFaults(ctx huma.Context, next func(huma.Context)) {
	found := problem.RequestOf(ctx.Context())
	for _, p := range ctx.Operation().Parameters {
		text := ctx.Query(p.Name)
		if p.In == "header" {
			text = ctx.Header(p.Name)
		}
		if text == "" || p.In == "path" {
			continue
		}
		if wrong := faultOf(p, text, ctx.Header("Daybook-Min-Position") != ""); wrong != "" {
			found.Fault(problem.InParameter(p.In, p.Name, wrong))
		}
	}
	next(ctx)
}

// faultOf says what is wrong with the value of a parameter. It is empty if nothing is wrong. waits
// says that the request names a position to wait for. Without such a position, Prefer is not read.
func faultOf(p *huma.Param, text string, waits bool) string {
	switch {
	case p.Schema != nil && p.Schema.Format == "date" && strings.HasPrefix(text, "0000"): // PostgreSQL has no year 0
		return "want a day such as 2026-01-31, of the year 1 or later"
	case p.Name == "cursor":
		if _, _, whole := splitCursor(text); !whole {
			return faultCursor
		}
	case p.Name == "Prefer":
		if _, ok := patience(text); !ok && waits {
			return faultWait
		}
	case p.Name == "Daybook-Min-Position", p.Name == "Last-Event-ID", p.Name == "after":
		if !positionForm.MatchString(text) {
			return faultPosition
		}
	}
	return ""
}

// positionForm is the form of positions on any log.
var positionForm = regexp.MustCompile(`^[0-9]{1,20}(/[0-9]{1,20})?$`)

const (
	faultCursor   = "no list gave out this cursor: it was cut off or changed, or an earlier version gave it out"
	faultPosition = "not a position of this log"
	faultWait     = "want wait=n, in seconds"
)
