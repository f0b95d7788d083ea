package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/problem"
)

type thingInput struct {
	Include string `query:"include" maxLength:"10"`
}

type thingOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Revision int    `json:"revision"`
		Extra    string `json:"extra,omitempty"`
	}
}

// thing is a part with several responses that show one thing at one revision.
func thing(api huma.API) {
	show := func(extra string) *thingOutput {
		out := &thingOutput{ETag: `"5"`}
		out.Body.Revision, out.Body.Extra = 5, extra
		return out
	}
	huma.Register(api, huma.Operation{OperationID: "get-thing", Method: http.MethodGet, Path: "/v1/thing", Metadata: problem.Listing(access.Look)},
		func(_ context.Context, in *thingInput) (*thingOutput, error) { return show(in.Include), nil })
	huma.Register(api, huma.Operation{OperationID: "change-thing", Method: http.MethodPost, Path: "/v1/thing", Metadata: problem.Listing(access.Look)},
		func(context.Context, *struct{}) (*thingOutput, error) { return show("changed"), nil })
}

// One thing at one revision has several bodies: the response of a read, the same with more members
// that the client asked for, and the response of a command. Each of them has its own ETag.
func TestTwoBodiesNeverShareATag(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{PublicHosts: []string{"example.com"}}, thing)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for _, target := range []string{"GET /v1/thing", "GET /v1/thing?include=stock", "GET /v1/thing?include=price", "POST /v1/thing"} {
		method, path, _ := strings.Cut(target, " ")
		for range 2 {
			w := send(t, handler, method, path, "")
			tag, body := w.Header().Get("ETag"), w.Body.String()
			if other, seen := bodies[tag]; w.Code != http.StatusOK || tag == "" || seen && other != body {
				t.Errorf("%s: answer %d, ETag %s, %s; the tag is that of %s", target, w.Code, tag, body, other)
			}
			bodies[tag] = body
		}
	}
	if len(bodies) != 4 {
		t.Errorf("%d tags of four bodies", len(bodies))
	}
	read := send(t, handler, "GET", "/v1/thing", "").Header().Get("ETag")
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/thing?include=stock", nil)
	r.Header.Set("If-None-Match", read)
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("with the tag of another body: answer %d, want the body", w.Code)
	}
}
