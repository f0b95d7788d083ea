package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/problem"
)

type boundedInput struct {
	Body struct {
		Texts []string `json:"texts" maxItems:"100000" maxLength:"100"`
	}
}

// waits is a part with one route, which takes large bodies. Its handler waits until the test lets
// it respond, through the channel leave.
func waits(entered chan<- struct{}, leave <-chan struct{}) Part {
	return func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "wait", Method: http.MethodPost, Path: "/wait", MaxBodyBytes: MaxBodyBytes, Metadata: problem.Listing(access.Look)},
			func(context.Context, *boundedInput) (*struct{}, error) {
				entered <- struct{}{}
				<-leave
				return nil, nil
			})
	}
}

// If a node already holds as many bytes of bodies as it may, a further request waits, and is
// refused after BodyWait. When the earlier requests are answered, their bytes are free again.
func TestBodiesBeyondTheBudgetWaitAndAreRefused(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	handler, err := New(Options{PublicHosts: []string{"example.com"}, BodyBudget: 1, BodyWait: 50 * time.Millisecond}, waits(entered, leave))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"texts":["` + strings.Repeat(strings.Repeat("a", 97)+`","`, MaxBodyBytes/100-1) + `"]}`
	answered := make(chan int, 10)
	begin := func() {
		t.Helper()
		go func() { answered <- send(t, handler, "POST", "/wait", body).Code }()
		select {
		case <-entered:
		case status := <-answered:
			t.Fatalf("a body within the budget: answer %d", status)
		}
	}
	begin() // the smallest budget has room for two bodies
	begin()
	refused := send(t, handler, "POST", "/wait", body)
	if refused.Code != http.StatusServiceUnavailable || refused.Header().Get("Retry-After") == "" || !strings.Contains(refused.Body.String(), problem.CodeOverloaded) {
		t.Errorf("a body beyond the budget: answer %d %s, want 503 with Retry-After", refused.Code, refused.Body)
	}
	if w := send(t, handler, "GET", "/openapi.json", ""); w.Code != http.StatusOK {
		t.Errorf("a request without a body: answer %d", w.Code)
	}
	leave <- struct{}{}
	if status := <-answered; status != http.StatusNoContent {
		t.Errorf("the first: answer %d", status)
	}
	begin()
	close(leave)
	for range 2 {
		if status := <-answered; status != http.StatusNoContent {
			t.Errorf("one after that: answer %d", status)
		}
	}
}

// One sender gets a quarter of the budget, and others get theirs, however slow its requests are.
// Customers and strangers count by their address, too, and programs do not.
func TestOneSenderGetsAShareOfTheBudget(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	signIn := func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "open", Method: http.MethodPost, Path: "/open", MaxBodyBytes: MaxBodyBytes, Metadata: problem.Listing(access.Open)},
			func(context.Context, *boundedInput) (*struct{}, error) {
				entered <- struct{}{}
				<-leave
				return nil, nil
			})
	}
	handler, err := New(Options{
		PublicHosts: []string{"example.com"}, BodyBudget: 8 * (MaxBodyBytes + 1), BodyWait: 20 * time.Millisecond, Access: someKeys,
	}, waits(entered, leave), signIn)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"texts":["` + strings.Repeat("a", 90) + `"` + strings.Repeat(" ", MaxBodyBytes-200) + `]}`
	answered := make(chan int)
	held := 0
	for i, one := range []struct {
		key, from string
		free      bool
	}{
		{"alice", "a", true}, {"alice", "b", true}, {"alice", "c", false}, // by her key
		{"bob", "a", true}, {"bob", "a", false}, // by the address, which alice and bob share
		{"", "a", true}, {"", "d", true}, {"", "d", true}, {"", "d", false}, // without a key it has another share
		{"shop", "d", true}, {"shop", "a", true}, {"shop", "e", false},
	} {
		path := "/wait"
		if one.key == "" {
			path = "/open"
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.RemoteAddr = one.from
		if one.key != "" {
			r.Header.Set("Authorization", "Bearer "+one.key)
		}
		go func() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			answered <- w.Code
		}()
		select {
		case <-entered:
			held++
			if !one.free {
				t.Errorf("body %d is beyond the share of its sender, and is read", i)
			}
		case status := <-answered:
			if one.free || status != http.StatusServiceUnavailable {
				t.Errorf("body %d: answer %d", i, status)
			}
		}
	}
	close(leave)
	for range held {
		if status := <-answered; status != http.StatusNoContent {
			t.Errorf("a body within the share of its sender: answer %d", status)
		}
	}
}

// Only a few bodies are checked at once. A request that waits for its check ends when its client
// goes away, or after BodyWait.
func TestChecksOfBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBodies(nil, 0, 50*time.Millisecond)
	if err := b.checks.Acquire(t.Context(), int64(2*runtime.GOMAXPROCS(0))); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	_, _, err := b.check(r, &shape{}, []byte(`{}`))
	if refused, ok := errors.AsType[*problem.Document](err); !ok || refused.Code() != problem.CodeOverloaded || refused.GetHeaders().Get("Retry-After") == "" {
		t.Errorf("after a time: %v, want %s with Retry-After", err, problem.CodeOverloaded)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	b.wait = time.Hour
	if _, _, err := b.check(r.WithContext(gone), &shape{}, []byte(`{}`)); err == nil {
		t.Error("the body of a client that has gone was checked")
	}
	b.checks.Release(1)
	if _, _, err := b.check(r, &shape{}, []byte(`{}`)); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	list := shape{root: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeInteger}}, values: 10}
	if _, faults, err := b.check(r.WithContext(gone), &list, []byte(`[true]`)); len(faults) > 0 || err == nil {
		t.Errorf("a client that has gone, with room for its check: %v, %v, want no check", faults, err)
	}
}

// A client that announces a large body and sends little of it holds only little of the budget. So
// other clients are served.
func TestBodiesThatDoNotComeHoldLittle(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{BodyBudget: 1, BodyWait: 50 * time.Millisecond}, echo, waits(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	address := server.Listener.Addr().String()
	for range 100 { // each announces half of the budget
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /wait HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n{", address, MaxBodyBytes); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := raw(t, address, "POST /echo/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"); status != http.StatusUnprocessableEntity {
		t.Errorf("another client: answer %d %s, want it served", status, body)
	}
}

func TestABodyIsReadInPieces(t *testing.T) {
	t.Parallel()
	b := newBodies(nil, 0, 0)
	for _, size := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, 2 * firstRead, 9999, 10_000} {
		for _, announced := range []bool{true, false} {
			text := strings.Repeat("abc", size)[:size]
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/", io.MultiReader(strings.NewReader(text[:size/2]), strings.NewReader(text[size/2:])))
			r.ContentLength = -1
			if announced {
				r.ContentLength = int64(size)
			}
			r = r.WithContext(problem.NewContext(r.Context(), &problem.Request{Client: "192.0.2.1", Who: someKeys["alice"]}))
			held := b.hold(r)
			body, err := held.read(r, 10_000)
			if err != nil || string(body) != text || held.bytes < int64(size) {
				t.Errorf("%d bytes, announced: %t: %d are read, %d held, %v", size, announced, len(body), held.bytes, err)
			}
			held.release()
		}
	}
	if !b.budget.TryAcquire(b.total) {
		t.Error("not all of the budget was given back")
	}
	if len(b.shares.taken) > 0 {
		t.Errorf("%d shares are remembered after the requests that used them", len(b.shares.taken))
	}
}

// If a route has a body without a limit, the program does not start.
func TestARouteWithoutBoundsIsRefused(t *testing.T) {
	t.Parallel()
	type list struct {
		Body struct {
			Items []struct {
				N int `json:"n"`
			} `json:"items"`
		}
	}
	type text struct {
		Body struct {
			Inner *struct {
				Text string `json:"text"`
			} `json:"inner,omitempty"`
		}
	}
	type listOfTexts struct {
		Body struct {
			Texts []string `json:"texts" maxItems:"3"`
		}
	}
	type anything struct {
		Body struct {
			Facts map[string]int `json:"facts"`
		}
	}
	for name, test := range map[string]struct {
		part Part
		says string
	}{
		"a list":           {route[list], "#/items is a list without maxItems"},
		"a text in it":     {route[text], "#/inner/text is a text without maxLength"},
		"a text in a list": {route[listOfTexts], "#/texts/0 is a text without maxLength"},
		"any members":      {route[anything], "#/facts takes any members"},
	} {
		if _, err := New(Options{}, test.part); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s", name, err, test.says)
		}
	}
}

func route[I any](api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "one", Method: http.MethodPost, Path: "/one", Metadata: problem.Listing(access.Look)},
		func(context.Context, *I) (*struct{}, error) { return nil, nil })
}
