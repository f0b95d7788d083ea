package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	commandspg "daybook/commands/postgres"
	"daybook/commands/pricebook"
	"daybook/eventstore"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/httpapi"
	"daybook/internal/httpapi/contracttest"
	"daybook/internal/live"
	"daybook/internal/pgtest"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/readapi"
)

// node is a server over a database that others serve too.
type node struct {
	*testing.T
	server  *httptest.Server
	answers *commandspg.Answers
}

func openDatabase(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	for _, migrate := range []func(context.Context, *pgxpool.Pool) error{eventstorepg.Migrate, commandspg.Migrate, projections.Migrate} {
		if err := migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// secretsOfNodes makes the codes of gift cards.
var secretsOfNodes = commands.NewSecrets([]byte("32 bytes that nobody else knows."))

func openNode(t *testing.T, pool *pgxpool.Pool) *node {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := eventstorepg.Open(t.Context(), pool, eventstorepg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	service := commands.NewService(store, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	book := pricebook.New(store, log)
	service.Prices, service.Secrets = book, secretsOfNodes
	answers := commandspg.NewAnswers(pool, log)
	runner, err := projections.New(projections.Config{Store: store, Pool: pool, Views: views.All(salesview.Options{}), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(httpapi.Options{Logger: log},
		func(api huma.API) { commandapi.Register(api, service, commandapi.Options{Answers: answers}) },
		func(api huma.API) {
			readapi.Register(api, readapi.Config{
				DB: pool, Progress: live.Progress{Runner: runner}, History: live.History{Store: store}, Log: live.Log{Store: store}, Definitions: live.Definitions{Book: book},
			})
		})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- runner.Run(ctx) }()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		_ = book.Run(ctx) // it ends with ctx
	}()
	n := &node{T: t, server: httptest.NewServer(new(contracttest.Server).Checked(t, handler)), answers: answers}
	t.Cleanup(func() {
		n.server.Close()
		cancel()
		<-followed
		for _, err := range []error{<-ran, answers.Flush(context.Background()), service.Close(context.Background()), store.Close(context.Background())} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// reply is what a node answered.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// ask sends a request; headers are name, value, name, value.
func (n *node) ask(method, path, body string, headers ...string) reply {
	n.Helper()
	r, err := http.NewRequestWithContext(n.Context(), method, n.server.URL+path, strings.NewReader(body))
	if err != nil {
		n.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := n.server.Client().Do(r)
	if err != nil {
		n.Error(err)
		return reply{}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		n.Error(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header, text: string(text)}
	if err := json.Unmarshal(text, &got.body); err != nil {
		n.Errorf("%s %s answers %s: %v", method, path, text, err)
	}
	return got
}

func (n *node) must(method, path, body string, headers ...string) reply {
	n.Helper()
	got := n.ask(method, path, body, headers...)
	if got.status >= http.StatusMultipleChoices {
		n.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

const keyHeader = "Idempotency-Key"

func TestAKeyIsGoodOnEveryNode(t *testing.T) {
	t.Parallel()
	pool := openDatabase(t)
	one, two := openNode(t, pool), openNode(t, pool)
	one.must("PUT", "/v1/products/MUG", `{"title":"Mug","prices":[{"amount":"2.50","currency":"GBP"}]}`)
	received := one.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, keyHeader, "k1")

	// The second node replays the answer before the first node has written it to the database, and
	// also after.
	for _, when := range []string{"at once", "later"} {
		again := two.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, keyHeader, "k1")
		if again.body["on_hand"] != 5.0 || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %s, replayed %q; want 5 on hand", when, again.text, again.header.Get("Idempotency-Replayed"))
		}
		for _, n := range []*node{one, two} {
			if err := n.answers.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := two.ask("POST", "/v1/stock/MUG/main/receipts", `{"quantity":6}`, keyHeader, "k1"); got.status != 422 {
		t.Errorf("another request under the key: %d %s, want 422", got.status, got.text)
	}
	read := two.must("GET", "/v1/stock/MUG/main", "", "Daybook-Min-Position", received.header.Get("Daybook-Position"), "Prefer", "wait=10")
	if read.body["on_hand"] != 5.0 {
		t.Errorf("read on the other node: %s, want what was just written", read.text)
	}
}

func TestNodesNeverSellMoreThanThereIs(t *testing.T) {
	t.Parallel()
	pool := openDatabase(t)
	nodes := []*node{openNode(t, pool), openNode(t, pool)}
	nodes[0].must("PUT", "/v1/products/RARE", `{"title":"Rare","prices":[{"amount":"9","currency":"GBP"}]}`)
	const units, buyers = 5, 24
	nodes[0].must("POST", "/v1/stock/RARE/main/receipts", fmt.Sprintf(`{"quantity":%d}`, units), keyHeader, "receipt")
	got := make([]reply, buyers)
	var wait sync.WaitGroup
	for i := range buyers {
		wait.Go(func() {
			n := nodes[i%len(nodes)]
			cart := fmt.Sprint("c-", i)
			n.must("POST", "/v1/carts", `{"cart_id":"`+cart+`","currency":"GBP","lines":[{"sku":"RARE","quantity":1}]}`)
			got[i] = n.ask("POST", "/v1/carts/"+cart+"/checkout", `{"payment":{},"confirm":true}`, keyHeader, "checkout-"+cart)
		})
	}
	wait.Wait()
	sold, last := 0, eventstore.Start
	for _, r := range got {
		switch {
		case r.status == http.StatusCreated:
			sold++
			if at, err := eventstore.ParsePosition(r.header.Get("Daybook-Position")); err != nil || last.Before(at) {
				last = at
			}
		case r.status != http.StatusConflict || r.body["type"] != "/problems/stock-insufficient" || r.body["available"] == nil:
			t.Errorf("answer %d %s, want an order or the refusal that says what is left", r.status, r.text)
		}
	}
	if sold != units {
		t.Errorf("%d orders for %d units", sold, units)
	}
	level := nodes[1].must("GET", "/v1/stock/RARE/main", "", "Daybook-Min-Position", last.String(), "Prefer", "wait=10")
	if level.body["allocated"] != float64(units) || level.body["reserved"] != 0.0 || level.body["available"] != 0.0 {
		t.Errorf("stock %s, want all of it allocated and nothing held", level.text)
	}
}
