package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/cmd/daybook/shoppers"
)

// ask sends a write with a key of its own and returns the status and the code of
// the problem, if it is one.
func ask(t *testing.T, url string, body map[string]any) (status int, code string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", uuid.NewString())
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	var problem struct {
		Type string `json:"type"`
	}
	if err := json.UnmarshalRead(response.Body, &problem); err != nil {
		t.Error(err)
	}
	return response.StatusCode, strings.TrimPrefix(problem.Type, "/problems/")
}

// Carts that are checked out under one order id, one after the other and at once.
func TestAnOrderIDThatIsAnotherCartsIsRefused(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		dir := dataDir(t)
		server := serve(t, append([]string{"--data", dir}, log...)...)
		client := newShopper(server.url, 16)
		defer client.Close()
		goods := shoppers.Product{SKU: "DUP-1", Title: "A", Price: shoppers.Money{Amount: "3.10", Currency: "GBP"}, Opening: 20}
		if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{goods}); err != nil {
			t.Fatal(err)
		}
		cart := func(quantity int64) string {
			id, err := client.OpenCart(t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: goods.SKU, Quantity: quantity}})
			if err != nil {
				t.Fatal(err)
			}
			return server.url + "/v1/carts/" + id
		}
		taken := func(cart string, orderID string) {
			t.Helper()
			if status, code := ask(t, cart+"/checkout", map[string]any{"order_id": orderID}); status != http.StatusConflict || code != "order-id-taken" {
				t.Errorf("another cart's checkout as %s: %d %s", orderID, status, code)
			}
			if status, code := ask(t, cart+"/checkout", map[string]any{"order_id": orderID + "-too"}); status/100 != 2 {
				t.Errorf("the cart is checked out under another id: %d %s", status, code)
			}
		}
		if status, code := ask(t, cart(1)+"/checkout", map[string]any{"order_id": "placed"}); status/100 != 2 {
			t.Fatalf("checkout: %d %s", status, code)
		}
		taken(cart(1), "placed")
		if status, code := ask(t, cart(99)+"/checkout", map[string]any{"order_id": "short"}); code != "stock-insufficient" {
			t.Fatalf("checkout of too many: %d %s", status, code)
		}
		taken(cart(1), "short")

		const rounds, rivals = 4, 4
		for round := range rounds {
			id, carts, codes := fmt.Sprint("at-once-", round), make([]string, rivals), make([]string, rivals)
			for i := range carts {
				carts[i] = cart(1)
			}
			var wait sync.WaitGroup
			for i := range carts {
				wait.Go(func() { _, codes[i] = ask(t, carts[i]+"/checkout", map[string]any{"order_id": id}) })
			}
			wait.Wait()
			won := 0
			for i, code := range codes {
				switch code {
				case "":
					won++
				case "order-id-taken":
					if status, code := ask(t, carts[i]+"/checkout", map[string]any{"order_id": fmt.Sprint(id, "-", i)}); status/100 != 2 {
						t.Errorf("then under another id: %d %s", status, code)
					}
				default:
					t.Errorf("at once: %s", code)
				}
			}
			if won != 1 {
				t.Errorf("%d of %d carts became order %s: %q", won, rivals, id, codes)
			}
		}
		eventually(t, recoveryLimit, "the stock shows what is reserved", func() bool {
			return get[shoppers.Stock](t, server.url+"/v1/stock/DUP-1/main") == shoppers.Stock{OnHand: 20, Reserved: 3 + rounds*rivals, Available: 17 - rounds*rivals}
		})
		server.stop()
		if code := server.exit(t); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		expectVerified(t, dir, log...)
	})
}

func readJSON(t *testing.T, response *http.Response, into any) {
	t.Helper()
	if err := json.UnmarshalRead(response.Body, into); err != nil {
		t.Fatal(err)
	}
}
