package commandapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi"
)

// BenchmarkOrder measures an order without disk and network. A cart of three lines is checked out,
// paid and confirmed, over a log in memory.
func BenchmarkOrder(b *testing.B) {
	service := commands.NewService(memory.New(), commands.DefaultPolicy(), time.Now, aggregate.Options{})
	defer service.Close(context.Background())
	handler, err := httpapi.New(httpapi.Options{PublicHosts: []string{"example.com"}}, func(api huma.API) {
		commandapi.Register(api, service, commandapi.Options{Answers: &answers{kept: make(map[string]commands.KeptAnswer)}})
	})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	send := func(method, path, body string) {
		n++
		r := httptest.NewRequestWithContext(b.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Idempotency-Key", fmt.Sprint("bench-", n))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= http.StatusMultipleChoices {
			b.Fatalf("%s %s answers %d %s", method, path, w.Code, w.Body)
		}
	}
	for _, sku := range []string{"A", "B", "C"} {
		send("PUT", "/v1/products/"+sku, `{"title":"A thing","prices":[{"amount":"2.50","currency":"GBP"}]}`)
		send("POST", "/v1/stock/"+sku+"/main/receipts", `{"quantity":1000000000}`)
	}
	b.ReportAllocs()
	for b.Loop() {
		id := fmt.Sprint("c-", n)
		send("POST", "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":2},{"sku":"C","quantity":3}]}`)
		send("POST", "/v1/carts/"+id+"/checkout", `{"payment":{"provider":"bench"},"confirm":true}`)
	}
}
