package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/domain/staff"
	"daybook/internal/pgtest"
	"daybook/internal/smtptest"
)

// linkIn is the token in the link of a mail to an address. page is the page of the link.
func linkIn(t *testing.T, m smtptest.Mail, to, page string) string {
	t.Helper()
	_, rest, found := strings.Cut(m.Text, "https://shop.example/"+page+"#token=")
	token, _, _ := strings.Cut(rest, "\n")
	if !found || token == "" || m.To != to {
		t.Fatalf("the mail to %s has no link to %s: %+v", to, page, m)
	}
	return strings.TrimSpace(token)
}

// signUp makes a login of a new customer, and returns their session and their id.
func (s *keyedShop) signUp(mails *smtptest.Server, email string) (session, customer string) {
	s.t.Helper()
	if got := s.plain(http.MethodPost, "/v1/auth/sign-up", fmt.Sprintf(`{"email":%q}`, email)); got.status != http.StatusAccepted {
		s.t.Fatalf("sign up: %+v", got)
	}
	return s.confirm(linkIn(s.t, mails.Next(s.t), email, "sign-up"))
}

// confirm makes a login with the token of a link.
func (s *keyedShop) confirm(token string) (session, customer string) {
	s.t.Helper()
	got := s.plain(http.MethodPost, "/v1/auth/sign-up/confirm", fmt.Sprintf(`{"token":%q,"password":%q,"name":"Ann Example"}`, token, goodPassword))
	if got.status != http.StatusOK || got.session == "" || got.browser == "" {
		s.t.Fatalf("confirm: %+v", got)
	}
	return got.session, member(s.t, got.text, "customer_id")
}

func (s *keyedShop) signInAsCustomer(email, password string) answer {
	s.t.Helper()
	return s.plain(http.MethodPost, "/v1/auth/sign-in", fmt.Sprintf(`{"email":%q,"password":%q,"as":"customer"}`, email, password))
}

// mustAs is as, for a request that must succeed.
func (s *keyedShop) mustAs(session, method, path, body string) string {
	s.t.Helper()
	got := s.as(session, method, path, body, "Idempotency-Key", uuid.NewString())
	if got.status/100 != 2 {
		s.t.Fatalf("%s %s: %+v", method, path, got)
	}
	return got.text
}

// A guest fills a cart and signs up. The cart becomes theirs, and they buy with their session. They
// see only what is theirs, sign in again, and are at last erased.
func TestACustomerSignsUpAndShops(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{storePostgres, storeKurrentDB} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			mails := openMailServer(t)
			database := pgtest.URL(t)
			args := append(withMail(mails), "--guests", "--master-key-file", writeMasterKey(t), "--database-url", database)
			if engine == storeKurrentDB {
				args = append(args, "--store", storeKurrentDB, "--kurrentdb-url", openGatewayOver(t, pgtest.URL(t)))
			}
			running := serve(t, args...)
			admin := keyOf(running.url)
			s := &keyedShop{t: t, running: running, database: database}
			s.must(admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
			s.must(admin, http.MethodPut, "/v1/products/MUG/prices/GBP", `{"amount":"7.50"}`)
			s.must(admin, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":100}`, "Idempotency-Key", uuid.NewString())
			cart, token := s.openAsGuest("", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`)

			// Ann has bought as a guest before, with the address that she confirms now.
			s.must(admin, http.MethodPost, "/v1/carts", `{"cart_id":"before","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
			s.must(admin, http.MethodPost, "/v1/carts/before/checkout", `{"order_id":"before","confirm":true,"details":{"email":"Ann@home.example"}}`, "Idempotency-Key", uuid.NewString())

			session, ann := s.signUp(mails, "ann@home.example")
			eventually(t, recoveryLimit, "the order from before is in the list of the customer", func() bool {
				return strings.Contains(s.mustAs(session, http.MethodGet, "/v1/customers/"+ann+"/orders", ""), `"before"`)
			}) // the sign-in has claimed it; only the read model may be behind
			s.mustAs(session, http.MethodPost, "/v1/carts/"+cart+"/claim", `{"guest_token":"`+token+`"}`)
			order := member(t, s.mustAs(session, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`), "order", "order_id")
			if order == "" {
				order = cart
			}
			eventually(t, recoveryLimit, "the order is in the list of the customer", func() bool {
				return strings.Contains(s.mustAs(session, http.MethodGet, "/v1/customers/"+ann+"/orders", ""), order)
			})
			if text := s.mustAs(session, http.MethodGet, "/v1/auth/me", ""); member(t, text, "role") != "customer" || !strings.Contains(text, ann) {
				t.Errorf("who they are: %s", text)
			}
			s.onlyTheirs(mails, session, order, ann)

			again := s.signInAsCustomer("Ann@home.example", goodPassword)
			if again.status != http.StatusOK || member(t, again.text, "customer_id") != ann {
				t.Fatalf("sign in: %+v", again)
			}
			login := s.must(admin, http.MethodGet, "/v1/customers/"+ann+"/login", "")
			if member(t, login, "login_status") != "active" || member(t, login, "email") != "ann@home.example" {
				t.Errorf("the login: %s", login)
			}
			export := s.mustAs(again.session, http.MethodGet, "/v1/customers/"+ann+"/export", "")
			if !strings.Contains(export, "shoplogin.signed_up.v1") || member(t, export, "logins", "0", "email") != "ann@home.example" {
				t.Errorf("the export: %.2000s", export)
			}
			s.leaves(mails, again.session, order, ann)
			verify := args[len(withMail(mails))+1:]
			verified(t, verify...)
		})
	}
}

// onlyTheirs shows that a customer reaches nothing of others and of the shop.
func (s *keyedShop) onlyTheirs(mails *smtptest.Server, session, order, ann string) {
	s.t.Helper()
	other, bob := s.signUp(mails, "bob@home.example")
	for path, want := range map[string]int{
		"/v1/orders/" + order:              http.StatusNotFound,
		"/v1/customers/" + ann:             http.StatusNotFound,
		"/v1/customers/" + ann + "/orders": http.StatusNotFound,
		"/v1/customers/" + ann + "/export": http.StatusNotFound,
		"/v1/customers/" + ann + "/login":  http.StatusNotFound,
		"/v1/customers/" + bob + "/login":  http.StatusOK,
		"/v1/staff":                        http.StatusForbidden,
		"/v1/stock":                        http.StatusForbidden,
		"/v1/events":                       http.StatusForbidden,
	} {
		if got := s.as(other, http.MethodGet, path, ""); got.status != want {
			s.t.Errorf("%s of another customer: %+v, want %d", path, got, want)
		}
	}
	if got := s.as(other, http.MethodPost, "/v1/auth/invitations", `{"customer_id":"`+ann+`","email":"bob@evil.example"}`); got.status != http.StatusForbidden {
		s.t.Errorf("a customer invites to the account of another one: %+v", got)
	}
	if got := s.as(session, http.MethodGet, "/v1/orders/"+order, ""); got.status != http.StatusOK {
		s.t.Errorf("the order of the customer: %+v", got)
	}
}

// leaves erases a customer at their own wish. Their session and their login end.
func (s *keyedShop) leaves(mails *smtptest.Server, session, order, ann string) {
	s.t.Helper()
	for _, id := range []string{order, "before"} {
		s.mustAs(session, http.MethodPost, "/v1/orders/"+id+"/cancel", `{"reason":"moves away"}`)
	}
	s.mustAs(session, http.MethodPost, "/v1/customers/"+ann+"/erasure", "")
	eventually(s.t, recoveryLimit, "the session has ended", func() bool {
		return s.as(session, http.MethodGet, "/v1/auth/me", "").status == http.StatusUnauthorized
	})
	eventually(s.t, recoveryLimit, "nobody has the address", func() bool {
		return s.as("", http.MethodPost, "/v1/auth/sign-in", `{"email":"ann@home.example","password":"`+goodPassword+`","as":"customer"}`).status == http.StatusUnauthorized
	})
	if _, again := s.signUp(mails, "ann@home.example"); again == ann {
		s.t.Error("who signs up after the erasure gets the old id")
	}
}

// The events of a login are those of the staff under other names, except those that make one.
func TestLoginsHaveTheEventsOfTheStaff(t *testing.T) {
	t.Parallel()
	var got []string
	for _, typ := range staff.LoginTypes() {
		got = append(got, strings.Replace(typ, staff.LoginCategory, staff.Category, 1))
	}
	for _, typ := range staff.Types() {
		if !slices.Contains(got, typ) && !slices.Contains([]string{"shopstaff.invited.v1", "shopstaff.joined.v1", "shopstaff.role_changed.v1"}, typ) {
			t.Errorf("%s has no twin of logins", typ)
		}
	}
}

// A backup without secrets can be made of a shop whose customers sign in, although the texts of
// their logins are sealed.
func TestLoginsAreInABackupWithoutSecrets(t *testing.T) {
	t.Parallel()
	mails, database := openMailServer(t), pgtest.URL(t)
	running := serve(t, append(withMail(mails), "--master-key-file", writeMasterKey(t), "--database-url", database)...)
	s := &keyedShop{t: t, running: running, database: database}
	_, customer := s.signUp(mails, "ann@home.example")
	file := filepath.Join(t.TempDir(), "without.backup")
	if got := call(t, nil, "backup", file, "--without-secrets", "--database-url", database); got.code != exitOK {
		t.Fatalf("%d %s", got.code, got.stderr)
	}
	if content := contentOf(t, file); !strings.Contains(content, "shoplogin.signed_up.v1") || !strings.Contains(content, customer) || strings.Contains(content, "home.example") || strings.Contains(content, `"commands.secrets"`) {
		t.Errorf("the backup: %.3000s", content)
	}
}
