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

// Messages about faults of a parameter's text.
const (
	faultEncoding = "not percent-encoded as it should be: a % is followed by two hexadecimal digits"
	faultNotText  = "not UTF-8 text"
	faultNull     = "holds the character U+0000, which no text here may hold"
	faultTwice    = "given more than once"
	faultEmpty    = "empty: give it a value, or leave it out"
)

// checkParameters refuses faults of parameters that huma does not notice: an unknown name, a
// parameter that is given twice (the second would be lost), a value that is empty (it would be
// ignored), and a value that is not text in UTF-8. It names each faulty parameter.
func checkParameters(ctx huma.Context, next func(huma.Context)) {
	r, w := humamux.Unwrap(ctx)
	op := ctx.Operation()
	faults := append(queryFaults(r.URL.RawQuery, op.Parameters), headerFaults(r.Header, op.Parameters)...)
	faults = append(faults, numberFaults(ctx, op.Parameters)...)
	if len(faults) > 0 {
		problem.Write(w, r, problem.NotValid(faults...))
		return
	}
	next(ctx)
}

// queryFaults returns the faults of a query. params are the parameters of the operation.
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
		switch value, wrong := plainText(rawValue, url.QueryUnescape); {
		case wrong != "":
			fault(name, wrong)
		case value == "":
			fault(name, faultEmpty)
		}
	}
	return faults
}

// headerFaults returns the headers of an operation that are given twice. Headers that are lists may
// be, because their lines were joined before. Lists of ETags are parsed here, even an empty one,
// because a condition that cannot be read must not be ignored.
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

// numberFaults returns the parameters that are not one of the whole numbers that are allowed. A
// parameter without a value counts as not given.
func numberFaults(ctx huma.Context, params []*huma.Param) (faults []problem.Invalid) {
	for _, param := range params {
		if param.Schema == nil || param.Schema.Type != huma.TypeInteger {
			continue
		}
		var text string
		switch param.In {
		case "path":
			text = ctx.Param(param.Name)
		case "query":
			text = ctx.Query(param.Name)
		case "header":
			text = ctx.Header(param.Name)
		}
		if _, fits := bounded(param.Schema, text); text != "" && !fits {
			faults = append(faults, problem.InParameter(param.In, param.Name, bounds(param.Schema)))
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

// plainText decodes a text of a path or a query. If it cannot, wrong says why.
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

// listHeaders are the request headers that are lists. Several lines of one are one list.
var listHeaders = []string{"Accept", "If-Match", "If-None-Match", "Prefer"}

// joinLists joins the lines of each header that is a list, because handlers see only the first line
// of a header.
func joinLists(headers http.Header) {
	for _, name := range listHeaders {
		if lines := headers.Values(name); len(lines) > 1 {
			headers.Set(name, strings.Join(lines, ", "))
		}
	}
}

// cut shortens text of a request that a response quotes.
func cut(text string) string {
	const most = 80 // bytes
	return text[:min(len(text), most)]
}
