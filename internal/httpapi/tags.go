package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/internal/etag"
	"daybook/internal/problem"
)

const (
	headerETag        = "ETag"
	headerIfMatch     = "If-Match"
	headerIfNoneMatch = "If-None-Match"
)

// tagResponses gives each response of an operation an ETag that no other body has. The ETag begins
// with the revision of the thing in the body, which the handler sets. So the body is held back
// until the handler has ended. Then tagResponses checks the conditions of a read: the status is 412
// if If-Match does not name the body, and 304 if If-None-Match names it.
//
// A response that streams is not held back after its first flush.
func tagResponses(ctx huma.Context, next func(huma.Context)) {
	r, w := humamux.Unwrap(ctx)
	if !isTagged(ctx.Operation()) {
		next(ctx)
		return
	}
	held := &heldResponse{ResponseWriter: w, header: make(http.Header), status: http.StatusOK}
	next(humamux.NewContext(ctx.Operation(), r, held))
	if held.through {
		return
	}
	if held.status == http.StatusOK || held.status == http.StatusCreated {
		revision, tag := held.tag()
		// The conditions of a write were compared with the revision before the write.
		if r.Method == http.MethodGet {
			if wanted, given := listIn(r, headerIfMatch); given && !names(wanted, tag) {
				problem.Write(w, r, problem.OtherBody(revision))
				return
			}
			if had, given := listIn(r, headerIfNoneMatch); given {
				held.leaveOut(had, tag)
			}
		}
	}
	held.pass()
}

// listIn returns the list of tags in a header. given is false if the header is missing.
func listIn(r *http.Request, header string) (list etag.List, given bool) {
	text := r.Header.Get(header)
	if text == "" {
		return list, false
	}
	list, err := etag.Parse(text)
	return list, err == nil // checkParameters has refused a header that is not a list of tags
}

func names(list etag.List, tag string) bool {
	_, is := list.Find(tag)
	return is
}

// isTagged tells whether the responses of an operation have ETags. Those of probes have none.
func isTagged(op *huma.Operation) bool {
	return slices.ContainsFunc([]string{"/v1/", "/problems", "/openapi."}, func(prefix string) bool { return strings.HasPrefix(op.Path, prefix) })
}

// heldResponse holds a response back until its handler ends or flushes it.
type heldResponse struct {
	http.ResponseWriter

	header  http.Header
	status  int
	body    []byte
	through bool // the response streams
}

// Response returns what was written of the response so far. Package commandapi keeps it under the
// key of the request, so it must not be changed.
func (h *heldResponse) Response() (status int, header http.Header, body []byte) {
	return h.status, h.header, h.body
}

func (h *heldResponse) Header() http.Header {
	if h.through {
		return h.ResponseWriter.Header()
	}
	return h.header
}

func (h *heldResponse) WriteHeader(status int) {
	if h.through {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	h.status = status
}

func (h *heldResponse) Write(data []byte) (int, error) {
	if h.through {
		return h.ResponseWriter.Write(data)
	}
	h.body = append(h.body, data...)
	return len(data), nil
}

// FlushError begins to stream.
func (h *heldResponse) FlushError() error {
	if !h.through {
		h.pass()
		h.through = true
	}
	return http.NewResponseController(h.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find the connection.
func (h *heldResponse) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// tag sets the ETag of the response. revision is the revision of the thing in the body, or below 0
// if it has none.
func (h *heldResponse) tag() (revision int64, tag string) {
	revision, err := strconv.ParseInt(strings.Trim(h.header.Get(headerETag), `"`), 10, 64)
	if err != nil {
		revision = -1
	}
	tag = etag.Of(revision, h.body)
	h.header.Set(headerETag, tag)
	return revision, tag
}

// leaveOut turns the response into a 304 if the client has the body already.
func (h *heldResponse) leaveOut(had etag.List, tag string) {
	found, is := had.Find(tag)
	if !is {
		return
	}
	h.header.Set(headerETag, found.As(tag))
	h.status = http.StatusNotModified
	h.header.Del("Content-Type")
	h.body = nil
}

// pass writes what was held back.
func (h *heldResponse) pass() {
	to := h.ResponseWriter.Header()
	for name, values := range h.header {
		if name == "Vary" {
			values = append(to[name], values...) // the header Vary: the front has written Origin and Accept-Encoding into it already
		}
		to[name] = values
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body) // an error means that the client has gone
}

// describeTags documents the ETag of an operation's responses, and the conditions of reads. A 304
// has the headers that the body would have.
func describeTags(_ *huma.OpenAPI, op *huma.Operation) {
	if !isTagged(op) {
		return
	}
	reads := op.Method == http.MethodGet
	for status, response := range op.Responses {
		streams := response.Content["text/event-stream"] != nil && len(response.Content) == 1
		if status != "200" && status != "201" || streams {
			continue
		}
		if response.Headers == nil {
			response.Headers = make(map[string]*huma.Header)
		}
		response.Headers[headerETag] = tagHeader()
		if !reads {
			continue
		}
		unchanged := &huma.Response{Description: "The body is one that If-None-Match names.", Headers: make(map[string]*huma.Header)}
		for name, header := range response.Headers {
			own, schema := *header, *header.Schema
			own.Schema, unchanged.Headers[name] = &schema, &own
		}
		op.Responses["304"] = unchanged
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: headerIfMatch, In: "header", Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{`"4.uhx0cXJUUGPW7vBT"`}},
			Description: "ETags, separated by commas, or `*`. If none of them is the ETag of the body that the response would have, the response is 412.",
		}, &huma.Param{
			Name: headerIfNoneMatch, In: "header", Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{`"4.uhx0cXJUUGPW7vBT"`}},
			Description: "ETags of bodies that the client has, separated by commas, or `*`. If the body of the response would be one of them, the response is 304 without a body.",
		})
	}
}

func tagHeader() *huma.Header {
	return &huma.Header{
		Description: "Names this body. No other body has the same ETag. It begins with the revision of the thing in the body, if the thing has one. So a write can send it in If-Match.",
		Schema:      &huma.Schema{Type: huma.TypeString},
	}
}
