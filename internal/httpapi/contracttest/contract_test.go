package contracttest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/etag"
	"daybook/internal/httpapi"
	"daybook/internal/httpapi/contracttest"
	"daybook/internal/problem"
)

type mug struct {
	Body struct {
		SKU   string `json:"sku"`
		Units int    `json:"units" minimum:"0"`
	}
}

// A response that differs from the document is reported, for each kind of difference. A correct
// response is not.
func TestADifferenceFromTheDocumentIsFound(t *testing.T) {
	t.Parallel()
	handler, err := httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}}, func(api huma.API) {
		huma.Register(api, huma.Operation{
			OperationID: "get-mug", Method: http.MethodGet, Path: "/v1/mugs/{sku}", Metadata: problem.Listing(access.Look, problem.CodeNotFound),
		}, func(context.Context, *struct {
			SKU string `path:"sku"`
		},
		) (*mug, error) {
			return &mug{}, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	contract, err := contracttest.Of(handler)
	if err != nil {
		t.Fatal(err)
	}
	const json, problems = "application/json", problem.ContentType
	for name, test := range map[string]struct {
		path   string
		status int
		kind   string
		body   string
		want   string // empty: nothing is wrong
	}{
		"as it should be":          {"/v1/mugs/A", 200, json, `{"sku":"A","units":1}`, ""},
		"a member too many":        {"/v1/mugs/A", 200, json, `{"sku":"A","units":1,"colour":"red"}`, "colour"},
		"a member too few":         {"/v1/mugs/A", 200, json, `{"sku":"A"}`, "units"},
		"another type":             {"/v1/mugs/A", 200, json, `{"sku":"A","units":"1"}`, "/units"},
		"a value out of bounds":    {"/v1/mugs/A", 200, json, `{"sku":"A","units":-1}`, "/units"},
		"no JSON":                  {"/v1/mugs/A", 200, json, `{"sku":`, "no JSON"},
		"another media type":       {"/v1/mugs/A", 200, "text/plain", `mug`, "text/plain"},
		"an unlisted status":       {"/v1/mugs/A", 202, json, `{}`, "not listed"},
		"a problem that is listed": {"/v1/mugs/A", 404, problems, `{"type":"/problems/not-found","title":"Not found","status":404}`, ""},
		"an unlisted problem":      {"/v1/mugs/A", 404, problems, `{"type":"/problems/cart-not-found","title":"Cart not found","status":404}`, "not list this problem"},
		"a fact that it has not":   {"/v1/mugs/A", 404, problems, `{"type":"/problems/not-found","title":"Not found","status":404,"sku":"A"}`, "sku"},
		"a fact that it lacks":     {"/v1/mugs/A", 422, problems, `{"type":"/problems/request-invalid","title":"Request invalid","status":422}`, "errors"},
		"of no address":            {"/v1/cups/A", 404, problems, `{"type":"/problems/not-found","title":"Not found","status":404}`, ""},
		"of no address, and none":  {"/v1/cups/A", 404, problems, `{"type":"/problems/lost","title":"Lost","status":404}`, "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Content-Type": {test.kind}}
			if test.status == http.StatusOK {
				header.Set("ETag", etag.Of(-1, []byte(test.body)))
			}
			err := contract.Check(http.MethodGet, test.path, test.status, header, []byte(test.body))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("found %v, want one that says %q", err, test.want)
			}
		})
	}
}

// A response with a secret is reported if caches may keep it.
func TestASecretForCachesIsFound(t *testing.T) {
	t.Parallel()
	key := `"dbk_k1_` + strings.Repeat("0", 64) + `"`
	for name, test := range map[string]struct {
		body   string
		header http.Header
		found  bool
	}{
		"nothing secret":    {`{"key_id":"k1"}`, http.Header{}, false},
		"a key":             {`{"api_key":` + key + `}`, http.Header{}, true},
		"a key, not kept":   {`{"api_key":` + key + `}`, http.Header{"Cache-Control": {"no-store"}}, false},
		"a key that may be": {`{"api_key":` + key + `}`, http.Header{"Cache-Control": {"no-cache"}}, true},
		"a step":            {`{"step_token":"dbs_` + strings.Repeat("a", 64) + `"}`, http.Header{}, true},
		"a factor":          {`{"app_secret":"ABC"}`, http.Header{}, true},
		"recovery codes":    {`{"recovery_codes":["a"]}`, http.Header{}, true},
		"how many are left": {`{"recovery_codes_left":3}`, http.Header{}, false},
		"a cookie":          {`{}`, http.Header{"Set-Cookie": {"a=b"}}, true},
		"a guest's token":   {`{}`, http.Header{"Daybook-Guest-Token": {"dbg_x"}}, true},
	} {
		if err := contracttest.CheckCaches(test.header, []byte(test.body)); (err != nil) != test.found {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A response is reported if it lacks a required header, or if a header has the wrong form.
func TestAMissingHeaderIsFound(t *testing.T) {
	t.Parallel()
	handler, err := httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}}, func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "get-mug", Method: http.MethodGet, Path: "/v1/mug", Metadata: problem.Listing(access.Look)},
			func(context.Context, *struct{}) (*mug, error) { return &mug{}, nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	contract, err := contracttest.Of(handler)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"sku":"A","units":1}`
	tag := etag.Of(-1, []byte(body))
	for name, test := range map[string]struct {
		status int
		tag    string
		want   string
	}{
		"there":            {200, tag, ""},
		"missing":          {200, "", "ETag is missing"},
		"missing of a 304": {304, "", "ETag is missing"},
		"of another form":  {200, `"5"`, "ETag"},
	} {
		header, body := http.Header{"Content-Type": {"application/json"}}, []byte(body)
		if test.tag != "" {
			header.Set("ETag", test.tag)
		}
		if test.status == http.StatusNotModified {
			body = nil
		}
		err := contract.Check(http.MethodGet, "/v1/mug", test.status, header, body)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %v, want one that says %q", name, err, test.want)
		}
	}
}

// errorsOf is a test that keeps its errors.
type errorsOf struct {
	testing.TB
	texts []string
}

func (e *errorsOf) Errorf(format string, _ ...any) { e.texts = append(e.texts, format) }

// Checked checks the responses of the handler that it wraps.
func TestAnAnswerThatPassesIsLookedAt(t *testing.T) {
	t.Parallel()
	handler, err := httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}}, func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "get-mug", Method: http.MethodGet, Path: "/v1/mug", Metadata: problem.Listing(access.Look)},
			func(context.Context, *struct{}) (*mug, error) {
				wrong := &mug{}
				wrong.Body.Units = -1
				return wrong, nil
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	noted := &errorsOf{TB: t}
	checked := new(contracttest.Server).Checked(noted, handler)
	for path, want := range map[string]int{"/v1/mug?colour=red": 0, "/v1/cup": 0, "/v1/mug": 1} {
		noted.texts = nil
		checked.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if len(noted.texts) != want {
			t.Errorf("%s: %d errors %v, want %d", path, len(noted.texts), noted.texts, want)
		}
	}
}
