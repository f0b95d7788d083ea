package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/internal/etag"
	"daybook/internal/problem"
)

// Faults of the text of a parameter, in words.
const (
	faultEncoding = "not percent-encoded as it should be: a % is followed by two hexadecimal digits"
	faultNotText  = "not UTF-8 text"
	faultNull     = "holds the character U+0000, which no text here may hold"
	faultTwice    = "given more than once"
)

// checkParameters refuses faults of parameters that a reader of their values would not
// notice: a name that the operation does not know, a parameter that is given twice (of
// which the second would be lost), and a value that is no text. Each is named.
func checkParameters(ctx huma.Context, next func(huma.Context)) {
	r, w := humamux.Unwrap(ctx)
	op := ctx.Operation()
	faults := append(queryFaults(r.URL.RawQuery, op.Parameters), headerFaults(r.Header, op.Parameters)...)
	if len(faults) > 0 {
		problem.Write(w, r, problem.NotValid(faults...))
		return
	}
	next(ctx)
}

// queryFaults are the faults of a query, of which params are the known parameters.
func queryFaults(query string, params []*huma.Param) (faults []problem.Invalid) {
	var seen []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		fault := func(name, detail string) {
			faults = append(faults, problem.InParameter("query", strings.ToValidUTF8(cut(name), "?"), detail))
		}
		name, wrong := plainText(rawName, url.QueryUnescape)
		if wrong != "" {
			fault(rawName, wrong)
			continue
		}
		param := paramOf(params, "query", name)
		if param == nil {
			fault(name, "unknown query parameter")
			continue
		}
		if slices.Contains(seen, name) {
			detail := faultTwice
			if param.Schema != nil && param.Schema.Type == huma.TypeArray {
				detail += "; separate its values by commas"
			}
			fault(name, detail)
			continue
		}
		seen = append(seen, name)
		if _, wrong := plainText(rawValue, url.QueryUnescape); wrong != "" {
			fault(name, wrong)
		}
	}
	return faults
}

// headerFaults are headers of an operation that are given twice, except those that are
// lists: their lines were joined before. Lists of ETags are read, even an empty one, because
// a condition that is not understood must not be left out.
func headerFaults(headers http.Header, params []*huma.Param) (faults []problem.Invalid) {
	for _, param := range params {
		if param.In != "header" {
			continue
		}
		values := headers.Values(param.Name)
		conditional := param.Name == headerIfMatch || param.Name == headerIfNoneMatch
		switch {
		case len(values) == 1 && conditional:
			if _, err := etag.Parse(values[0]); err != nil {
				faults = append(faults, problem.InParameter("header", param.Name, err.Error()))
			}
		case len(values) > 1:
			faults = append(faults, problem.InParameter("header", param.Name, faultTwice))
		case len(values) == 1 && !utf8.ValidString(values[0]):
			faults = append(faults, problem.InParameter("header", param.Name, faultNotText))
		}
	}
	return faults
}

func paramOf(params []*huma.Param, in, name string) *huma.Param {
	at := slices.IndexFunc(params, func(p *huma.Param) bool { return p.In == in && p.Name == name })
	if at < 0 {
		return nil
	}
	return params[at]
}

// plainText decodes a text of a path or a query, or says what is wrong with it.
func plainText(raw string, unescape func(string) (string, error)) (text, wrong string) {
	text, err := unescape(raw)
	switch {
	case err != nil:
		return "", faultEncoding
	case strings.ContainsRune(text, 0):
		return "", faultNull
	case !utf8.ValidString(text):
		return "", faultNotText
	}
	return text, ""
}

// listHeaders are headers of requests that are lists: several lines of one are one list.
var listHeaders = []string{"Accept", "If-Match", "If-None-Match", "Prefer"}

// joinLists makes one line of the lines of a header that is a list, because a reader of a
// header sees the first line only.
func joinLists(headers http.Header) {
	for _, name := range listHeaders {
		if lines := headers.Values(name); len(lines) > 1 {
			headers.Set(name, strings.Join(lines, ", "))
		}
	}
}

// cut bounds what of a request is quoted in an answer.
func cut(text string) string {
	const most = 80 // bytes
	return text[:min(len(text), most)]
}
