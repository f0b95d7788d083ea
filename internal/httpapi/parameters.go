package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	faultHole     = "holds an empty value: give one before and after each comma"
)

// checkParameters notes the faults of parameters. Some of these faults would pass without it: an
// unknown name (?colour=red), a parameter that is given twice (?limit=1&limit=2, where the second
// value would be lost), an empty value, alone (?limit=) or in a list (?status=open,,merged), and a
// value that is not text in UTF-8. checkParameters refuses nothing itself. refuseFaults does that
// later, so that one response can name the faults of the body, too.
func checkParameters(schemas huma.Registry) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humamux.Unwrap(ctx)
		params := ctx.Operation().Parameters
		found := problem.RequestOf(r.Context())
		found.Fault(queryFaults(r.URL.RawQuery, params)...)
		found.Fault(headerFaults(r.Header, params)...)
		found.Fault(valueFaults(ctx, params, schemas)...)
		if ctx.Operation().Hidden {
			refuseFaults(ctx, next) // a hidden operation is not in the document, so refuseLast was not called for it
			return
		}
		next(ctx)
	}
}

// refuseLast adds the refusal of faults after all other middlewares of an operation.
func refuseLast(_ *huma.OpenAPI, op *huma.Operation) {
	for _, param := range op.Parameters {
		if param.Schema != nil {
			param.Schema.PrecomputeMessages()
		}
	}
	op.Middlewares = append(slices.Clone(op.Middlewares), refuseFaults)
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
		case param.Schema != nil && param.Schema.Type == huma.TypeArray && hasEmptyValue(value):
			fault(name, faultHole)
		}
	}
	return faults
}

// hasEmptyValue tells whether a list of values has an empty one, such as "a,,b". The values are
// separated by commas, and a comma that belongs to a value has a backslash before it.
func hasEmptyValue(list string) bool {
	begins := true
	for part := range strings.SplitSeq(list, ",") {
		if begins && part == "" {
			return true
		}
		begins = !strings.HasSuffix(part, `\`)
	}
	return false
}

// headerFaults returns the faults of an operation's headers. A header that is given twice is a
// fault. A header that is a list may have several lines, but joinLists has made one of them before.
// A list of ETags that cannot be parsed is a fault, too, even an empty one, because a condition
// must not be ignored.
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

// valueFaults returns the parameters whose values their schemas do not allow. A parameter without a
// value counts as not given.
func valueFaults(ctx huma.Context, params []*huma.Param, schemas huma.Registry) (faults []problem.Invalid) {
	for _, param := range params {
		if param.Schema == nil {
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
		switch {
		case text == "":
			if param.Required && param.In == "query" {
				faults = append(faults, problem.InParameter(param.In, param.Name, "required query parameter is missing"))
			}
		case param.Schema.Type == huma.TypeInteger:
			if _, fits := bounded(param.Schema, text); !fits {
				faults = append(faults, problem.InParameter(param.In, param.Name, bounds(param.Schema)))
			}
		case param.Schema.Type == huma.TypeBoolean:
			if _, err := strconv.ParseBool(text); err != nil {
				faults = append(faults, problem.InParameter(param.In, param.Name, "want true or false"))
			}
		case param.Schema.Type == huma.TypeArray:
			var list []any
			for value := range strings.SplitSeq(text, ",") {
				list = append(list, value)
			}
			faults = append(faults, schemaFaults(param, list, schemas)...)
		default:
			faults = append(faults, schemaFaults(param, text, schemas)...)
		}
	}
	return faults
}

// schemaFaults lets huma check the value of a parameter.
func schemaFaults(param *huma.Param, value any, schemas huma.Registry) []problem.Invalid {
	place := huma.NewPathBuffer(nil, 0)
	place.Push(param.In)
	place.Push(param.Name)
	var found huma.ValidateResult
	huma.Validate(schemas, param.Schema, place, huma.ModeWriteToServer, value, &found)
	return problem.Found(found.Errors)
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
