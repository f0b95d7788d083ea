package readapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/pricebook"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/httpapi"
	"daybook/internal/httpapi/contracttest"
	"daybook/internal/live"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/projections/viewtest"
	"daybook/readapi"
)

// contract compares every answer of these tests with the OpenAPI document.
var contract contracttest.Server

// pageOrigin is the site whose pages may use the API.
const pageOrigin = "https://shop.example"

// shop is the read API over a log that the command side writes.
type shop struct {
	*viewtest.Bench
	service *commands.Service
	book    *pricebook.Book
	handler http.Handler
	stop    chan struct{}
}

func open(t *testing.T) *shop {
	t.Helper()
	bench := viewtest.New(t, views.All(salesview.Options{})...)
	s := &shop{Bench: bench, stop: make(chan struct{})}
	s.service = commands.NewService(bench.Log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	s.service.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
	// The service does not price carts by the book, so they have the prices of the products.
	s.book = pricebook.New(bench.Log, slog.New(slog.DiscardHandler))
	if err := bench.Runner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	s.handler, err = httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}, CORSOrigins: []string{pageOrigin}}, func(api huma.API) {
		readapi.Register(api, readapi.Config{
			DB: bench.Pool, Progress: live.Progress{Runner: bench.Runner}, History: live.History{Store: bench.Log},
			Log: live.Log{Store: bench.Log}, Stop: s.stop, Definitions: live.Definitions{Book: s.book},
			SharedList: func(string) (readapi.SharedList, bool) { // each token is one of this list
				return readapi.SharedList{CustomerID: "jane", ListID: "w-1", Share: 1}, true
			},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = contract.Checked(t, s.handler)
	return s
}

func call(actor string) commands.Call {
	return commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: actor, Channel: "web"}}
}

func (s *shop) sell(sku unit.SKU, units unit.Quantity) {
	s.Helper()
	price := unit.Money{Currency: "GBP"}
	price.Amount, _ = unit.ParseAmount("2.50")
	if _, err := s.service.Product(s.Context(), call("ann"), sku,
		product.List{SKU: sku, Title: "A " + string(sku), Kind: unit.Stocked}, product.SetPrice{Price: price}); err != nil {
		s.Fatal(err)
	}
	key := stock.Key{SKU: sku, Location: unit.DefaultLocation}
	if _, err := s.service.MoveStock(s.Context(), call("ann"), key, stock.Receive{At: s.service.At(key), Quantity: units}); err != nil {
		s.Fatal(err)
	}
}

// buy places an order, confirms it, and returns the position of the last write.
func (s *shop) buy(id unit.OrderID, customer unit.CustomerID, sku unit.SKU, quantity unit.Quantity) eventstore.Position {
	s.Helper()
	c := unit.CartID("cart-of-" + string(id))
	open := &cart.Open{CartID: c, CustomerID: customer, Currency: "GBP", Country: "France"}
	if _, err := s.service.AddLines(s.Context(), call("customer:"+string(customer)), c, open, []commands.WantedLine{{SKU: sku, Quantity: quantity}}); err != nil {
		s.Fatal(err)
	}
	result, err := s.service.Checkout(s.Context(), call("customer:"+string(customer)), commands.CheckoutRequest{CartID: c, OrderID: id, Reference: "ref-" + string(id)})
	if err != nil || result.Refusal() != nil {
		s.Fatal(err, result.Refusal())
	}
	done, err := s.service.Order(s.Context(), call("ann"), id, order.Confirm{Now: s.service.Now()})
	if err != nil {
		s.Fatal(err)
	}
	return done.Position
}

// response is what came back.
type response struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// get reads; headers are name, value, name, value.
func (s *shop) get(path string, headers ...string) response {
	s.Helper()
	r := httptest.NewRequestWithContext(s.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	got := response{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(w.Header().Get("Content-Type"), "json") && !strings.Contains(w.Header().Get("Content-Type"), "ndjson") {
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			s.Errorf("%s answers %s, which is not JSON: %v", path, got.text, err)
		}
	}
	return got
}

// at reads what reflects a position.
func (s *shop) at(position eventstore.Position, path string) response {
	s.Helper()
	got := s.get(path, "Daybook-Min-Position", position.String(), "Prefer", "wait=10")
	if got.status != http.StatusOK {
		s.Fatalf("%s answers %d %s", path, got.status, got.text)
	}
	return got
}

// untilReady waits until each view has been at the head of the log.
func (s *shop) untilReady() {
	s.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		got := s.get("/readyz")
		if got.status == http.StatusOK {
			return
		}
		select {
		case <-deadline:
			s.Fatalf("never ready: %s", got.text)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// value follows a path of members and indexes.
func (r response) value(path ...any) any {
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

func (r response) problem(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || fmt.Sprint(r.body["type"]) != "/problems/"+code {
		t.Errorf("answer %d %s, want %d, the problem %s", r.status, r.text, status, code)
	}
}
