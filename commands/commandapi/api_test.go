package commandapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/go-json-experiment/json"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi/contracttest"
)

// contract compares every answer of these tests with the OpenAPI document.
var contract contracttest.Server

// shop is the command API over a log in memory.
type shop struct {
	t       *testing.T
	handler http.Handler
	service *commands.Service
	answers *answers
	store   eventstore.Store
	policy  commands.Policy
}

func open(t *testing.T) *shop {
	t.Helper()
	store := memory.New()
	kept := &answers{kept: make(map[string]commands.KeptAnswer)}
	return shop{t: t, store: store, answers: kept}.start()
}

// start starts a new process on the shop's log and its stored answers.
func (s shop) start() *shop { return s.withAnswers(s.answers) }

// withPolicy starts a process with another policy.
func (s shop) withPolicy(policy commands.Policy) *shop {
	s.policy = policy
	return s.start()
}

// withAnswers starts a process that stores its answers in another place.
func (s shop) withAnswers(kept commands.Answers) *shop {
	s.t.Helper()
	if s.policy.ReserveFor == 0 {
		s.policy = commands.DefaultPolicy()
	}
	s.service = commands.NewService(s.store, s.policy, time.Now, aggregate.Options{})
	s.handler = serve(s.t, s.service, kept)
	s.closeAtEnd()
	return &s
}

// closeAtEnd closes the process when the test ends, and then lets go of it. Package testing keeps
// the functions of all ended tests in memory, with all that they refer to, and the routes of one
// process take 2 MB.
func (s *shop) closeAtEnd() {
	s.t.Cleanup(func() {
		if err := s.service.Close(context.Background()); err != nil {
			s.t.Error(err)
		}
		s.handler, s.service, s.store, s.answers = nil, nil, nil, nil
	})
}

// The processes of ended tests would otherwise add up to gigabytes.
func TestAnEndedTestKeepsNoProcess(t *testing.T) {
	t.Parallel()
	var service weak.Pointer[commands.Service]
	t.Cleanup(func() { // after the parallel test below has ended
		for range 3 {
			runtime.GC()
		}
		if service.Value() != nil {
			t.Error("the service is still in memory")
		}
	})
	t.Run("shop", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.sell("MUG", 1)
		service = weak.Make(s.service)
	})
}

// answers keeps answers in memory.
type answers struct {
	mu   sync.Mutex
	kept map[string]commands.KeptAnswer
}

func (a *answers) Find(_ context.Context, scope, key string) (*commands.KeptAnswer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer, found := a.kept[scope+"\x00"+key]; found {
		return &answer, nil
	}
	return nil, nil
}

func (a *answers) Keep(answer commands.KeptAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[answer.Scope+"\x00"+answer.Key] = answer
}

// lose forgets all answers that are not stored yet, as if the node died before it stored them.
func (a *answers) lose() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.kept)
}

// count returns how many answers are stored under a key, of all callers together.
func (a *answers) count(key string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, answer := range a.kept {
		if answer.Key == key {
			n++
		}
	}
	return n
}

// response is what came back.
type response struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// ask sends a request; headers are name, value, name, value.
func (s *shop) ask(method, path, body string, headers ...string) response {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Error(err)
	}
	got := response{status: w.Code, header: w.Header(), text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &got.body); err != nil {
			s.t.Errorf("%s %s answers %q, which is not JSON: %v", method, path, text, err)
		}
	}
	return got
}

// must sends a request that has to succeed.
func (s *shop) must(method, path, body string, headers ...string) response {
	s.t.Helper()
	got := s.ask(method, path, body, headers...)
	if got.status >= 300 {
		s.t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

// problem checks that an answer is the problem of a code.
func (r response) problem(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || r.body["type"] != "/problems/"+code || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer %d %s %s, want %d, the problem %s", r.status, r.header.Get("Content-Type"), r.text, status, code)
	}
}

// at follows a path of members and indexes.
func (r response) at(path ...any) any {
	var value any = r.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

var keyCount struct {
	sync.Mutex
	n int
}

// key is a header with a key that was not used before.
func key() (name, value string) {
	keyCount.Lock()
	defer keyCount.Unlock()
	keyCount.n++
	return "Idempotency-Key", fmt.Sprintf("key-%d", keyCount.n)
}

// sell lists a product at 2.50 GBP and puts units of it on the shelf.
func (s *shop) sell(sku string, units int) {
	s.t.Helper()
	s.must("PUT", "/v1/products/"+sku, `{"title":"A `+sku+`","prices":[{"amount":"2.50","currency":"GBP"}]}`)
	if units > 0 {
		s.receive(sku, units)
	}
}

// receive puts units of a SKU on the shelf.
func (s *shop) receive(sku string, units int) {
	s.t.Helper()
	name, value := key()
	s.must("POST", "/v1/stock/"+sku+"/main/receipts", fmt.Sprintf(`{"quantity":%d}`, units), name, value)
}

// stock is the state of a SKU's stock at the default location.
func (s *shop) stock(sku unit.SKU) (state stock.State) {
	s.t.Helper()
	err := s.service.ViewStock(s.t.Context(), stock.Key{SKU: sku, Location: unit.DefaultLocation}, func(now stock.State, _ int64) { state = now })
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// cart opens a cart with one line and returns its id.
func (s *shop) cart(sku string, quantity int) string {
	s.t.Helper()
	got := s.must("POST", "/v1/carts", fmt.Sprintf(`{"currency":"GBP","lines":[{"sku":%q,"quantity":%d}]}`, sku, quantity))
	id, _ := got.body["cart_id"].(string)
	return id
}

// commandsOf returns the paths of the document, each with its operations that are no reads.
func commandsOf(document response) map[string]any {
	paths, _ := document.at("paths").(map[string]any)
	for path, methods := range paths {
		methods, _ := methods.(map[string]any)
		if delete(methods, "get"); len(methods) == 0 {
			delete(paths, path)
		}
	}
	return paths
}
