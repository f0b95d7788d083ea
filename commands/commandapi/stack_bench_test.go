package commandapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/eventstore/memory"
	"daybook/internal/apidoc"
	"daybook/internal/httpapi"
	"daybook/internal/resource"
)

// caller sends requests to a handler without a network. Of each answer it keeps only the status.
type caller struct {
	handler http.Handler
	n       int
	header  http.Header
	status  int
	bytes   int
}

func (c *caller) Header() http.Header { return c.header }
func (c *caller) WriteHeader(s int)   { c.status = s }
func (c *caller) Write(data []byte) (int, error) {
	c.bytes += len(data)
	return len(data), nil
}
func (c *caller) SetReadDeadline(time.Time) error { return nil }

func (c *caller) send(b *testing.B, method, path, body string) {
	b.Helper()
	c.n++
	c.status, c.bytes = 0, 0
	clear(c.header)
	address, err := url.Parse(path)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{
		Method: method, URL: address, RequestURI: path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: "127.0.0.1:8080", RemoteAddr: "127.0.0.1:54321",
		Header: http.Header{
			"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))},
			"Idempotency-Key": {"bench-" + strconv.Itoa(c.n)},
		},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader([]byte(body))),
	}
	c.handler.ServeHTTP(c, r.WithContext(b.Context()))
	if c.status >= http.StatusMultipleChoices || c.bytes == 0 {
		b.Fatalf("%s %s answers %d with %d bytes", method, path, c.status, c.bytes)
	}
}

// The bodies of an order as the benchmarks send them.
const (
	benchCart     = `{"currency":"GBP","lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":2},{"sku":"C","quantity":3}]}`
	benchCheckout = `{"payment":{"provider":"bench"},"confirm":true}`
)

// BenchmarkStack measures what the API itself costs: all that happens to a request and its answer
// outside the service. The handlers give the answer of a real request again.
func BenchmarkStack(b *testing.B) {
	service := commands.NewService(memory.New(), commands.DefaultPolicy(), time.Now, aggregate.Options{})
	defer service.Close(context.Background())
	var opened *response[resource.Cart]
	var placed *response[CheckoutState]
	handler, err := httpapi.New(httpapi.Options{}, func(to huma.API) {
		Register(to, service, Options{})
	}, func(to huma.API) {
		a := &api{service: service, huma: to, timeout: time.Minute, keys: &keys{
			answers: keepsNone{}, holds: service.CheckLog, timeout: time.Minute, underWay: make(map[scopedKey]chan struct{}),
		}}
		add(a, apidoc.TagCarts, op{method: post, path: "/v1/bench", id: "bench-open", created: true, shown: true, lines: true},
			func(ctx context.Context, c call, in *openCartInput) (out *response[resource.Cart], err error) {
				if opened == nil {
					opened, err = a.openCart(ctx, c, in)
				}
				return opened, err
			})
		add(a, apidoc.TagCarts, op{method: post, path: "/v1/bench/{cart_id}/checkout", id: "bench-checkout", created: true, shown: true, key: true},
			func(ctx context.Context, c call, in *checkoutInput) (out *response[CheckoutState], err error) {
				if placed == nil {
					in.CartID = opened.Body.CartID
					placed, err = a.checkout(ctx, c, in)
				}
				return placed, err
			})
	})
	if err != nil {
		b.Fatal(err)
	}
	c := &caller{handler: handler, header: make(http.Header)}
	for _, sku := range []string{"A", "B", "C"} {
		c.send(b, "PUT", "/v1/products/"+sku, `{"title":"A thing","prices":[{"amount":"2.50","currency":"GBP"}]}`)
		c.send(b, "POST", "/v1/stock/"+sku+"/main/receipts", `{"quantity":1000000000}`)
	}
	c.send(b, "POST", "/v1/bench", benchCart)
	checkout := "/v1/bench/" + "0198c0de-0000-7000-8000-000000000001/checkout"
	c.send(b, "POST", checkout, benchCheckout)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.send(b, "POST", "/v1/bench", benchCart)
		}
	})
	b.Run("checkout", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.send(b, "POST", checkout, benchCheckout)
		}
	})
}
