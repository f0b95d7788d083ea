package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/logtest"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/pgtest"
	"daybook/internal/smtptest"
)

// TestRecordALogToKeep makes the file of a log that later versions of the
// program must be able to open; see internal/verify/testdata/logs/README.md.
//
//	DAYBOOK_RECORD_LOG  the file to write; without it nothing happens
//	DAYBOOK_PROGRAM     the program that makes the log (by default built from here)
//
// The program is killed at the end, in the middle of checkouts, so that the log has work that has
// begun and not ended.
func TestRecordALogToKeep(t *testing.T) {
	file := os.Getenv("DAYBOOK_RECORD_LOG")
	if file == "" {
		t.Skip("DAYBOOK_RECORD_LOG names no file to write")
	}
	program := os.Getenv("DAYBOOK_PROGRAM")
	if program == "" {
		program = build(t)
	}
	// Without a master key the texts of people are in clear text, so that they can be compared.
	database := pgtest.URL(t)
	where := []string{"--database-url", database}
	cert, key := certificate(t)
	server := startChildWith(t, program, append(where, "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key)...)
	s := &storyteller{T: t, url: server.url}
	s.catalogue()
	s.access()
	s.people()
	s.warehouse()
	s.carts()
	s.customers()
	s.prices()
	s.sales()
	s.money()
	s.recordReturns()
	s.foreign(server.gateway + "&tlsCAFile=" + url.QueryEscape(cert))
	if code := server.terminate(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	mails := openMailServer(t)
	server = startChildWith(t, program, append(append(where, "--remedy", "backorder"), withMail(mails)...)...)
	s.url = server.url
	s.logins(&keyedShop{t: t, running: running{url: server.url}}, mails)
	s.lose("lost-2")
	s.turmoil(func() { server.kill(t) })
	export(t, database, file)
}

// logins leaves customers who sign in, and guests who have signed in, in every state.
func (s *storyteller) logins(shop *keyedShop, mails *smtptest.Server) {
	order := func(id, details string) {
		s.do(http.MethodPost, "/carts", object{"cart_id": id, "currency": "GBP", "lines": []object{{"sku": "mug", "quantity": 1}}})
		s.do(http.MethodPost, "/carts/"+id+"/checkout", object{"order_id": id, "confirm": true, "details": object{"email": details}})
	}
	order("of-a-guest", "ann@home.example")
	session, customer := shop.signUp(mails, "ann@home.example") // claims the order
	shop.mustAs(session, http.MethodPost, "/v1/auth/email", fmt.Sprintf(`{"password":%q,"email":"new@home.example"}`, goodPassword))
	for range 2 { // one is the notice to the present address
		if m := mails.Next(s.T); m.To == "new@home.example" {
			shop.mustAs("", http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, linkIn(s.T, m, m.To, "confirm-email")))
		}
	}
	again := shop.signInAsCustomer("new@home.example", goodPassword)
	shop.mustAs(again.session, http.MethodPost, "/v1/auth/sign-out", "")
	_, gone := shop.signUp(mails, "gone@home.example")
	s.do(http.MethodPost, "/customers/"+customer+"/notes", object{"text": "signs in"})
	var login struct {
		Person string `json:"person_id"`
	}
	_, text := s.send(http.MethodGet, "/customers/"+gone+"/login", nil)
	if err := json.Unmarshal(text, &login); err != nil {
		s.Fatal(err)
	}
	s.do(http.MethodPost, "/staff/"+login.Person+"/disable", object{"reason": "fraud"})
}

// export writes the log of a database into a file.
func export(t *testing.T, database, file string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	pool, err := openPool(ctx, database, "export", 4, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	log, err := eventstorepg.Open(ctx, pool, eventstorepg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(ctx)
	events, err := logtest.Write(file, log.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d events", file, events)
}

// storyteller sends a server every kind of request.
type storyteller struct {
	*testing.T
	url string
	key string // an API key; empty: the admin's
	// plant changes the body of each request; nil: as it is.
	plant func(path string, body any) any
	// heard gets each response to a write; nil: nobody. It is called by many goroutines.
	heard func(response *http.Response, text string)
}

// object is a JSON object, written short.
type object = map[string]any

func gbp(amount string) object { return object{"amount": amount, "currency": "GBP"} }

// ask sends a request and returns the status of its answer; 0 if there is none,
// because the server is gone. headers are pairs.
func (s *storyteller) ask(method, path string, body any, headers ...string) int {
	s.Helper()
	status, _ := s.send(method, path, body, headers...)
	return status
}

// send is ask with the text of the response.
func (s *storyteller) send(method, path string, body any, headers ...string) (status int, text []byte) {
	s.Helper()
	var content io.Reader = http.NoBody
	if s.plant != nil {
		body = s.plant(path, body)
		path = strings.ReplaceAll(path, "reason=", "reason="+planted)
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			s.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.Context(), method, s.url+"/v1"+path, content)
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Idempotency-Key", uuid.NewString())
	if s.plant != nil {
		for _, name := range plantedHeaders {
			request.Header.Set(name, planted+"-"+name)
		}
	}
	if s.key != "" {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, _ = io.ReadAll(response.Body)
	if s.heard != nil && method != http.MethodGet {
		s.heard(response, string(text))
	}
	if response.StatusCode >= http.StatusBadRequest {
		s.Logf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	return response.StatusCode, text
}

// do sends a request that must succeed.
func (s *storyteller) do(method, path string, body any, headers ...string) {
	s.Helper()
	if status := s.ask(method, path, body, headers...); status < 200 || status > 299 {
		s.Fatalf("%s %s %v: status %d", method, path, body, status)
	}
}

func (s *storyteller) post(path string, body any, headers ...string) {
	s.Helper()
	s.do(http.MethodPost, path, body, headers...)
}

// refused sends a request that a rule must refuse.
func (s *storyteller) refused(path string, body any) {
	s.Helper()
	if status := s.ask(http.MethodPost, path, body); status != http.StatusConflict {
		s.Fatalf("POST %s %v: status %d, want 409", path, body, status)
	}
}
