package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/internal/problem"
)

type echoInput struct {
	Name  string `path:"name" maxLength:"20"`
	Limit int    `query:"limit" maximum:"10"`
	Body  *struct {
		Text string `json:"text" maxLength:"5"`
		N    int64  `json:"n,omitzero" maximum:"100"`
	}
}

type echoOutput struct {
	Body struct {
		Name string `json:"name"`
	}
}

// echo is a part with one route. The route answers with the name that is in its path.
func echo(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "echo", Method: http.MethodPost, Path: "/echo/{name}", Metadata: problem.Listing(access.Look)},
		func(_ context.Context, in *echoInput) (*echoOutput, error) {
			switch in.Name {
			case "panic":
				panic("out of paper")
			case "secret":
				return nil, io.ErrNoProgress
			}
			out := &echoOutput{}
			out.Body.Name = in.Name
			return out, nil
		})
}

func newTestHandler(t *testing.T, log io.Writer) http.Handler {
	t.Helper()
	handler, err := New(Options{Version: "test", PublicHosts: []string{"example.com"}, Logger: slog.New(slog.NewTextHandler(log, nil))}, echo)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func send(t *testing.T, handler http.Handler, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestWhatIsWrongIsAProblem(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for name, test := range map[string]struct {
		method, target, body string
		status               int
		code                 string
		says                 string
	}{
		"no such address":        {"GET", "/nowhere", "", 404, problem.CodeNotFound, ""},
		"no such method":         {"GET", "/echo/a", "", 405, problem.CodeMethod, ""},
		"not JSON":               {"POST", "/echo/a", `{"text":`, 400, problem.CodeMalformed, "unexpected EOF"},
		"a member twice":         {"POST", "/echo/a", `{"text":"a","text":"b"}`, 400, problem.CodeMalformed, "duplicate"},
		"an unknown member":      {"POST", "/echo/a", `{"text":"a","txet":"b"}`, 422, problem.CodeInvalid, "#/txet"},
		"a member in other case": {"POST", "/echo/a", `{"Text":"a"}`, 422, problem.CodeInvalid, "#/Text"},
		"a text too long":        {"POST", "/echo/a", `{"text":"abcdef"}`, 422, problem.CodeInvalid, "#/text"},
		"a member of no length":  {"POST", "/echo/a", `{"text":1}`, 422, problem.CodeInvalid, "#/text"},
		"a fraction":             {"POST", "/echo/a", `{"text":"a","n":1.5}`, 422, problem.CodeInvalid, "#"},
		"a parameter too large":  {"POST", "/echo/a?limit=11", "", 422, problem.CodeInvalid, `"parameter":"limit"`},
		"an unknown parameter":   {"POST", "/echo/a?limti=1", "", 422, problem.CodeInvalid, `"parameter":"limti"`},
		"a body too large":       {"POST", "/echo/a", `{"text":"` + strings.Repeat("a", MaxBodyBytes) + `"}`, 413, problem.CodeTooLarge, ""},
		"a text no row can hold": {"POST", "/echo/a", `{"text":"a\u0000"}`, 422, problem.CodeInvalid, "U+0000"},
		"an unknown problem":     {"GET", "/problems/nothing", "", 404, problem.CodeNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := send(t, handler, test.method, test.target, test.body)
			var got struct {
				Type string `json:"type"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != test.status || got.Type != "/problems/"+test.code || w.Header().Get("Content-Type") != problem.ContentType {
				t.Errorf("answer %d %s %s, want %d %s", w.Code, w.Header().Get("Content-Type"), w.Body, test.status, test.code)
			}
			if !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("answer %s, want it to say %s", w.Body, test.says)
			}
			if strings.Contains(w.Body.String(), "Go ") || strings.Contains(w.Body.String(), "$schema") {
				t.Errorf("answer %s speaks of its inside", w.Body)
			}
		})
	}
}

func TestTheAnswerToAWrongMethodNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	w := send(t, newTestHandler(t, io.Discard), "DELETE", "/echo/a", "")
	if got := w.Header().Get("Allow"); got != "POST" {
		t.Errorf("Allow %q, want POST", got)
	}
}

func TestAPathMayHoldAnything(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for encoded, want := range map[string]string{
		"A%2FB": "A/B", "A%20B": "A B", "%C3%A9": "é", "100%25": "100%", "a+b": "a+b", "A%2520B": "A%20B",
	} {
		w := send(t, handler, "POST", "/echo/"+encoded, "")
		if !strings.Contains(w.Body.String(), `"name":"`+want+`"`) {
			t.Errorf("%s is read as %s, want %q", encoded, w.Body, want)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	handler := newTestHandler(t, &log)
	for name, cause := range map[string]string{"panic": "out of paper", "secret": io.ErrNoProgress.Error()} {
		w := send(t, handler, "POST", "/echo/"+name, "")
		if w.Code != 500 || strings.Contains(w.Body.String(), cause) {
			t.Errorf("%s: answer %d %s, want a bare 500", name, w.Code, w.Body)
		}
		if id := w.Header().Get("X-Request-ID"); !strings.Contains(log.String(), cause) || !strings.Contains(log.String(), id) {
			t.Errorf("%s: log %s, want the cause and the request id %s", name, log.String(), id)
		}
	}
}

func TestPagesOfOtherSitesMayNotWrite(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for name, test := range map[string]struct {
		method, header, value string
		status                int
	}{
		"a program":            {"POST", "", "", 200},
		"a page of its own":    {"POST", "Sec-Fetch-Site", "same-origin", 200},
		"a page of another":    {"POST", "Sec-Fetch-Site", "cross-site", 403},
		"an older browser":     {"POST", "Origin", "https://elsewhere.example", 403},
		"another one, reading": {"GET", "Sec-Fetch-Site", "cross-site", 403},
		"one of another port":  {"GET", "Sec-Fetch-Site", "same-site", 403},
		"an address typed in":  {"GET", "Sec-Fetch-Site", "none", 405},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/echo/a", http.NoBody)
		r.Header.Set(test.header, test.value)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: answer %d %s, want %d", name, w.Code, w.Body, test.status)
		}
	}
}

func TestARequestKeepsItsID(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for given, kept := range map[string]bool{"abc-1": true, "": false, "a\nb": false, strings.Repeat("x", 65): false} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/openapi.json", nil)
		r.Header.Set("X-Request-ID", given)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if got := w.Header().Get("X-Request-ID"); got == "" || (got == given) != kept {
			t.Errorf("request id %q becomes %q", given, got)
		}
	}
}

func TestEveryProblemIsExplained(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	var list struct {
		Problems []problem.Entry `json:"problems"`
	}
	if err := json.Unmarshal(send(t, handler, "GET", "/problems", "").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Problems) < 100 {
		t.Errorf("%d problems, want those of every rule", len(list.Problems))
	}
	seen := make(map[string]bool)
	for _, entry := range list.Problems {
		if seen[entry.Code] {
			t.Errorf("%s is declared twice", entry.Code)
		}
		seen[entry.Code] = true
		if entry.Title == "" || entry.Detail == "" || entry.Status < 400 {
			t.Errorf("%+v explains nothing", entry)
		}
		w := send(t, handler, "GET", entry.Type, "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), entry.Code) {
			t.Errorf("%s answers %d %s", entry.Type, w.Code, w.Body)
		}
	}
}

// Without access control a client names its actor, but not as one that was authenticated.
func TestNobodyLooksAuthenticatedWithoutAccessControl(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for actor, want := range map[string]int{
		"operator:eve": http.StatusOK, "keyboard": http.StatusOK, "": http.StatusOK,
		"key:k1": http.StatusUnprocessableEntity, "staff:p1": http.StatusUnprocessableEntity, "system:reactor": http.StatusUnprocessableEntity,
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/problems", http.NoBody)
		request.Header.Set("Daybook-Actor", actor)
		answer := httptest.NewRecorder()
		if handler.ServeHTTP(answer, request); answer.Code != want {
			t.Errorf("%q: %d %s, want %d", actor, answer.Code, answer.Body, want)
		}
	}
}
