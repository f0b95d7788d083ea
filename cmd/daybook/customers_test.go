package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// account is a customer as the API shows them.
type account struct {
	CustomerID string   `json:"customer_id"`
	Registered bool     `json:"registered"`
	Name       string   `json:"name"`
	Email      string   `json:"email"`
	Groups     []string `json:"groups"`
	Blocked    bool     `json:"blocked"`
	Reason     string   `json:"block_reason"`
	Billing    string   `json:"default_billing"`
	Notes      []struct {
		Text string `json:"text"`
	} `json:"notes"`
	Addresses []struct {
		AddressID string   `json:"address_id"`
		Lines     []string `json:"lines"`
		Country   string   `json:"country"`
	} `json:"addresses"`
	Consents []struct {
		Purpose string `json:"purpose"`
		Given   bool   `json:"given"`
	} `json:"consents"`
	Totals []struct {
		Orders int64 `json:"orders"`
	} `json:"totals"`
}

func (s *keyedShop) customer(key, id string, position string) (a account) {
	s.t.Helper()
	text := s.must(key, http.MethodGet, "/v1/customers/"+id, "", "Daybook-Min-Position", position)
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// A shop's program registers a customer, who changes the account and buys. The staff finds the
// customer, notes something and blocks them. The log has no clear text of it.
func TestTheAccountOfACustomer(t *testing.T) {
	t.Parallel()
	masterKey := writeMasterKey(t)
	s := openKeyed(t, "--master-key-file", masterKey)
	storefront, operator := s.keys["storefront"], s.keys["operator"]
	const private = "MARKER"
	register := func(key string) (string, *http.Response) {
		response, text := s.send(storefront, http.MethodPost, "/v1/customers", `{"name":"`+private+` Ann","email":"`+private+`@home.example","phone":"+44 20 7946 0000"}`, "Idempotency-Key", key)
		if response.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
		return member(t, text, "customer_id"), response
	}
	id, response := register("ann@home.example")
	if again, _ := register("ann@home.example"); again != id || response.Header.Get("Location") != "/v1/customers/"+id {
		t.Errorf("%s and %s, at %s", id, again, response.Header.Get("Location"))
	}
	if other, _ := register("bob@home.example"); other == id {
		t.Error("two requests registered one customer")
	}
	if uuid.Validate(id) == nil || !strings.HasPrefix(id, "c") || len(id) != 33 {
		t.Errorf("the id %s is not one that the server makes with its secret", id)
	}

	for name, c := range map[string]struct{ path, method, body, code, pointer string }{
		"an e-mail address":       {"/v1/customers", http.MethodPost, `{"email":"ann"}`, "request-invalid", "#/email"},
		"an id that is an e-mail": {"/v1/customers", http.MethodPost, `{"customer_id":"ann@home.example"}`, "request-invalid", "#/customer_id"},
		"a country":               {"/v1/customers/" + id + "/addresses", http.MethodPost, `{"lines":["x"],"country":"UK"}`, "request-invalid", "#/country"},
		"a line":                  {"/v1/customers/" + id + "/addresses", http.MethodPost, `{"lines":["x","\u202e"],"country":"GB"}`, "request-invalid", "#/lines/1"},
		"a version":               {"/v1/customers/" + id + "/consents", http.MethodPost, `{"purpose":"terms","given":true}`, "request-invalid", "#/version"},
		"a known customer":        {"/v1/customers", http.MethodPost, `{"customer_id":"` + id + `"}`, "customer-exists", ""},
		"nobody":                  {"/v1/customers/nobody", http.MethodPatch, `{"name":"x"}`, "customer-not-found", ""},
		"no address":              {"/v1/customers/" + id + "/addresses/none", http.MethodDelete, ``, "customer-address-unknown", ""},
	} {
		if status, text := s.ask(storefront, c.method, c.path, c.body); status < 400 || !strings.Contains(text, c.code) || !strings.Contains(text, c.pointer) {
			t.Errorf("%s: %d %s, want %s at %s", name, status, text, c.code, c.pointer)
		}
	}

	at := "/v1/customers/" + id
	key := s.makeKey("--role", "customer", "--customer", id)
	eventually(t, patience, "the key is known", func() bool {
		status, _ := s.ask(key, http.MethodGet, "/v1/auth/me", "")
		return status == http.StatusOK
	})
	s.must(key, http.MethodPost, at+"/addresses", `{"lines":["1 `+private+` Street"],"city":"`+private+`","country":"gb"}`)
	s.must(key, http.MethodPost, at+"/consents", `{"purpose":"marketing","version":"2026-01","given":true}`)
	s.must(key, http.MethodPost, at+"/consents", `{"purpose":"marketing","given":false}`)
	s.must(operator, http.MethodPut, at+"/groups", `{"groups":["vip","trade"]}`)
	s.must(operator, http.MethodPost, at+"/notes", `{"text":"`+private+` calls often"}`)
	for _, staffOnly := range []string{"/notes", "/block", "/unblock"} {
		if status, _ := s.ask(key, http.MethodPost, at+staffOnly, `{"text":"x","reason":"x"}`); status != http.StatusForbidden {
			t.Errorf("a customer may use %s: %d", staffOnly, status)
		}
	}

	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	buy := func() (status int, text string) {
		cart := member(t, s.must(key, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
		return s.ask(key, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, "Idempotency-Key", cart)
	}
	status, text := buy()
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, text)
	}
	order := member(t, text, "order", "order_id")
	blocked, _ := s.send(operator, http.MethodPost, at+"/block", `{"reason":"`+private+`"}`)
	if status, text := buy(); status != http.StatusConflict || !strings.Contains(text, "customer-blocked") {
		t.Errorf("a blocked customer checks out: %d %s", status, text)
	}
	position := blocked.Header.Get("Daybook-Position")

	own, all := s.customer(key, id, position), s.customer(operator, id, position)
	if !own.Registered || own.Name != private+" Ann" || len(own.Addresses) != 1 || own.Addresses[0].Country != "GB" || own.Billing != own.Addresses[0].AddressID || len(own.Totals) != 1 || own.Totals[0].Orders != 1 || !own.Blocked || len(own.Consents) != 1 || own.Consents[0].Given {
		t.Errorf("the customer sees %+v", own)
	}
	if len(own.Notes) > 0 || len(own.Groups) > 0 || own.Reason != "" {
		t.Errorf("the customer sees what only the staff sees: %+v", own)
	}
	if len(all.Notes) != 1 || strings.Join(all.Groups, " ") != "trade vip" || all.Reason != private {
		t.Errorf("the staff sees %+v", all)
	}
	for query, want := range map[string]bool{"name=marker": true, "email=marker@HOME.example": true, "email_prefix=marker@": true, "order_id=" + order: true, "group=vip": true, "blocked=true": true, "name=ann": false, "order_id=none": false} {
		found := s.must(operator, http.MethodGet, "/v1/customer-accounts?"+query, "", "Daybook-Min-Position", position)
		if strings.Contains(found, id) != want {
			t.Errorf("%s: %s", query, found)
		}
	}
	for role, want := range map[string]int{"storefront": http.StatusForbidden, "auditor": http.StatusOK, "analyst": http.StatusForbidden} {
		status, text := s.ask(s.keys[role], http.MethodGet, "/v1/customer-accounts", "")
		if status != want || role == "analyst" && strings.Contains(text, private) {
			t.Errorf("%s: %d %s", role, status, text)
		}
	}
	if status, _ := s.ask(s.keys["analyst"], http.MethodGet, "/v1/customer-accounts?name=marker", ""); status != http.StatusForbidden {
		t.Errorf("an analyst searches a name: %d", status)
	}

	s.must(operator, http.MethodPost, at+"/unblock", "")
	if status, text := buy(); status != http.StatusCreated {
		t.Errorf("after the block: %d %s", status, text)
	}
	if found := inLog(t, s.database, private); len(found) > 0 {
		t.Errorf("the log has clear text: %q", found)
	}
	if code, out, errs := s.console("verify", "--master-key-file", masterKey); code != exitOK {
		t.Errorf("verify: %d %s %s", code, out, errs)
	}
}

// Customers without an account go on: they buy, and get an account later under the same id.
func TestACustomerFromBeforeGetsAnAccount(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	alice, storefront := s.keys["customer alice"], s.keys["storefront"]
	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	cart := member(t, s.must(alice, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
	bought, _ := s.send(alice, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, "Idempotency-Key", cart)
	if a := s.customer(alice, "alice", bought.Header.Get("Daybook-Position")); a.Registered || len(a.Totals) != 1 {
		t.Errorf("before: %+v", a)
	}
	registered, text := s.send(alice, http.MethodPost, "/v1/customers", `{"name":"Alice"}`)
	if a := s.customer(storefront, "alice", registered.Header.Get("Daybook-Position")); registered.StatusCode != http.StatusCreated || !a.Registered || a.Name != "Alice" || len(a.Totals) != 1 {
		t.Errorf("after: %s, %+v", text, a)
	}
	if status, _ := s.ask(storefront, http.MethodPost, "/v1/customers", `{"customer_id":"17850"}`); status != http.StatusCreated {
		t.Errorf("a program registers a customer that it has: %d", status)
	}
	picker := `{"grants":[{"permission":"customers.write","reach":"all"}]}`
	s.must(s.keys["admin"], http.MethodPut, "/v1/roles/desk", picker)
	desk := s.makeKey("--role", "desk")
	eventually(t, patience, "the key is known", func() bool {
		status, _ := s.ask(desk, http.MethodPost, "/v1/customers", `{}`)
		return status == http.StatusCreated
	})
	if status, text := s.ask(desk, http.MethodPost, "/v1/customers", `{"customer_id":"17851"}`); status != http.StatusForbidden || !strings.Contains(text, "fields.trusted") {
		t.Errorf("without fields.trusted an id is chosen: %d %s", status, text)
	}
}
