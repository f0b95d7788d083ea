package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
)

// mergedAccount is what the staff sees of an account that was merged, or has absorbed another one.
type mergedAccount struct {
	MergedInto string   `json:"merged_into"`
	Absorbed   []string `json:"absorbed"`
	Totals     []struct {
		Orders int64 `json:"orders"`
	} `json:"totals"`
}

// openTwins opens a shop in which ally and alice are one person with two accounts, a key for each,
// and an order each. Ally also has an open cart.
func openTwins(t *testing.T, args ...string) (s *keyedShop, admin string) {
	t.Helper()
	s = &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
	s.running = serve(t, append([]string{"--database-url", s.database}, args...)...)
	admin = keyOf(s.url)
	s.must(admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	for _, id := range []string{"ally", "alice", "bob"} {
		s.keys[id] = s.keyByAPI(admin, `{"name":"k","role":"customer","customer_id":"`+id+`"}`)
		s.must(s.keys[id], http.MethodPost, "/v1/customers", `{"name":"`+id+`"}`)
		s.buyAs(id, id+"-1")
	}
	return s, admin
}

// buyAs opens a cart with a customer's key, and checks it out. It returns the order's position.
func (s *keyedShop) buyAs(customer, id string) (position string) {
	s.t.Helper()
	cart := s.openAs(customer)
	response, text := s.send(s.keys[customer], http.MethodPost, "/v1/carts/"+cart+"/checkout", `{"reference":"of-`+id+`"}`, "Idempotency-Key", id)
	if response.StatusCode != http.StatusCreated {
		s.t.Fatalf("%d %s", response.StatusCode, text)
	}
	s.keys["order "+id] = member(s.t, text, "order", "order_id")
	return response.Header.Get("Daybook-Position")
}

func (s *keyedShop) openAs(customer string) (cart string) {
	s.t.Helper()
	return member(s.t, s.must(s.keys[customer], http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
}

func (s *keyedShop) accountOf(key, id, position string) (a mergedAccount) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.must(key, http.MethodGet, "/v1/customers/"+id, "", "Daybook-Min-Position", position)), &a); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// Two accounts of one person are merged, and every order follows, also those that come later under
// the old id. A second customer reaches nothing of it.
func TestEveryOrderFollowsAMerge(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		s, admin := openTwins(t, log...)
		open := s.openAs("ally")
		for who, want := range map[string]int{"alice": http.StatusForbidden, "bob": http.StatusForbidden} {
			if status, text := s.ask(s.keys[who], http.MethodPost, "/v1/customers/"+who+"/merge", `{"into_customer_id":"alice"}`); status != want {
				t.Errorf("%s merges: %d %s", who, status, text)
			}
		}
		for body, want := range map[string]string{
			`{"into_customer_id":"ally"}`: "customer-merge-self", `{"into_customer_id":"nobody"}`: "customer-not-found", `{"into_customer_id":"a b"}`: "request-invalid",
		} {
			if status, text := s.ask(admin, http.MethodPost, "/v1/customers/ally/merge", body); status < 400 || !strings.Contains(text, want) {
				t.Errorf("%s: %d %s, want %s", body, status, text, want)
			}
		}
		response, text := s.send(admin, http.MethodPost, "/v1/customers/ally/merge", `{"into_customer_id":"alice"}`, "Idempotency-Key", "merge")
		if response.StatusCode != http.StatusOK || member(t, text, "merged_into") != "alice" {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
		position := response.Header.Get("Daybook-Position")
		if a := s.accountOf(admin, "alice", position); len(a.Absorbed) != 1 || len(a.Totals) != 1 || a.Totals[0].Orders != 2 {
			t.Errorf("alice is %+v", a)
		}
		if a := s.accountOf(admin, "ally", position); a.MergedInto != "alice" {
			t.Errorf("ally is %+v", a)
		}
		if a := s.accountOf(s.keys["ally"], "ally", position); a.MergedInto != "" || len(a.Absorbed) != 0 {
			t.Errorf("ally sees %+v", a)
		}

		// The old key still orders, and the cart that was open is checked out by the other account.
		position = s.buyAs("ally", "ally-2")
		s.must(s.keys["alice"], http.MethodPost, "/v1/carts/"+open+"/checkout", `{"reference":"of-ally-3"}`, "Idempotency-Key", "ally-3")
		s.reachesBoth(admin, position)

		if status, text := s.ask(admin, http.MethodPost, "/v1/erasures", `{"customer_id":"ally","reason":"requested"}`); status != http.StatusConflict || !strings.Contains(text, `"merged_into":"alice"`) {
			t.Errorf("ally is erased alone: %d %s", status, text)
		}
		if status, text := s.ask(s.keys["ally"], http.MethodPatch, "/v1/customers/ally", `{"name":"x"}`); status != http.StatusConflict || !strings.Contains(text, "customer-merged") || strings.Contains(text, "alice") {
			t.Errorf("ally changes: %d %s", status, text)
		}
		if status, text := s.ask(s.keys["ally"], http.MethodPost, "/v1/customers/ally/erasure", ""); status != http.StatusConflict || !strings.Contains(text, "customer-merged") || strings.Contains(text, "alice") {
			t.Errorf("ally asks to be erased: %d %s", status, text)
		}
		if text := s.must(s.keys["ally"], http.MethodGet, "/v1/customers/ally/export", ""); !strings.Contains(text, "customer.merged.v1") || strings.Contains(text, "alice") {
			t.Errorf("ally's export says into which account: %s", text)
		}
		if text := s.must(s.keys["alice"], http.MethodGet, "/v1/customers/alice/export", ""); !strings.Contains(text, `"of-ally-2"`) || strings.Contains(text, "of-bob") {
			t.Errorf("alice's export: %s", text)
		}
		verified(t, append([]string{"--database-url", s.database}, log...)...)
	})
}

// reachesBoth checks which orders and carts each key reaches after ally was merged into alice.
func (s *keyedShop) reachesBoth(admin, position string) {
	s.t.Helper()
	for who, want := range map[string]map[string]bool{
		"alice": {"alice-1": true, "ally-1": true, "ally-2": true, "bob-1": false},
		"ally":  {"alice-1": false, "ally-1": true, "ally-2": true, "bob-1": false},
		"bob":   {"alice-1": false, "ally-1": false, "ally-2": false, "bob-1": true},
	} {
		for _, path := range []string{"/v1/orders", "/v1/orders?customer_id=" + who, "/v1/customers/" + who + "/orders"} {
			for key, as := range map[string]string{s.keys[who]: "as " + who, admin: "as admin"} {
				if key == admin && path == "/v1/orders" {
					continue
				}
				list := s.must(key, http.MethodGet, path, "", "Daybook-Min-Position", position)
				for order, sees := range want {
					if strings.Contains(list, `"of-`+order+`"`) != sees {
						s.t.Errorf("%s %s: %s is there: %t", path, as, order, !sees)
					}
				}
			}
		}
		for order, sees := range want {
			status, text := s.ask(s.keys[who], http.MethodGet, "/v1/orders/"+s.keys["order "+order], "", "Daybook-Min-Position", position)
			if (status == http.StatusOK) != sees || !sees && status != http.StatusNotFound {
				s.t.Errorf("%s reads %s: %d %s", who, order, status, text)
			}
			// The order has no such line, but only a caller for whom the order exists learns that.
			response, text := s.send(s.keys[who], http.MethodPost, "/v1/orders/"+s.keys["order "+order]+"/cancel", `{"reason":"no","lines":[{"line":99,"quantity":1}]}`, "Idempotency-Key", who+order)
			if status := response.StatusCode; status != http.StatusNotFound || sees != strings.Contains(text, "line-unknown") {
				s.t.Errorf("%s cancels a line of %s: %d %s", who, order, status, text)
			}
		}
		for other, sees := range map[string]bool{"alice": who == "alice", "ally": who != "bob", "bob": who == "bob"} {
			for _, path := range []string{"/v1/customers/" + other, "/v1/customers/" + other + "/orders"} {
				if status, text := s.ask(s.keys[who], http.MethodGet, path, ""); (status == http.StatusOK) != sees {
					s.t.Errorf("%s reads %s: %d %s", who, path, status, text)
				}
			}
		}
	}
}

// Who erases a customer erases the accounts that were merged into theirs, with all texts of their
// orders.
func TestErasingACustomerErasesMergedAccounts(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	finish := s.tellOf(carol)
	s.must(s.admin, http.MethodPost, "/v1/customers", `{"customer_id":"carola"}`)
	s.must(s.admin, http.MethodPost, "/v1/customers/carol/merge", `{"into_customer_id":"carola"}`)
	if status, text := s.ask(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carola","reason":"requested"}`); status != http.StatusConflict || !strings.Contains(text, "carol-sent") {
		t.Errorf("with an open order of the merged account: %d %s", status, text)
	}
	if text := s.must(s.admin, http.MethodGet, "/v1/customers/carola/export", ""); !strings.Contains(text, `"order_id":"carol-sent"`) || !strings.Contains(text, `"customer_id":"carola"`) {
		t.Errorf("the export lacks what belongs to the merged account: %s", text)
	}
	finish()
	if n := liveKeys(t, pool, "customer:carol"); n != 1 {
		t.Errorf("before, carol has %d keys", n)
	}
	s.erase(pool, "carola")
	for _, subject := range []string{"customer:carol", "customer:carola"} {
		if n := liveKeys(t, pool, subject); n != 0 {
			t.Errorf("%s has %d keys", subject, n)
		}
	}
	if found := marksIn(dump(t, pool), carol); len(found) > 0 {
		t.Errorf("the database has %q", found)
	}
	for _, customer := range []string{carol, "carola"} {
		eventually(t, recoveryLimit, "no response shows a text", func() bool { return len(marksIn(s.reads(s.url, customer), carol)) == 0 })
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}
