package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/logtest"
	eventstorepg "daybook/eventstore/postgres"
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
	dir := dataDir(t)
	server := startChild(t, program, dir, "--gateway", "127.0.0.1:0")
	s := &storyteller{T: t, url: server.url}
	s.catalogue()
	s.access()
	s.people()
	s.warehouse()
	s.carts()
	s.customers()
	s.sales()
	s.recordReturns()
	s.foreign(server.gateway)
	if code := server.terminate(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	server = startChild(t, program, dir, "--remedy", "backorder")
	s.url = server.url
	s.lose("lost-2")
	s.turmoil(func() { server.kill(t) })
	export(t, dir, file)
}

// export writes the log of a data directory that no program uses into a file.
func export(t *testing.T, dir, file string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	db, err := openDatabase(ctx, databaseConfig{DataDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.stop(ctx) //nolint:errcheck // it is thrown away
	pool, err := openPool(ctx, db.url, "export", 4, slog.New(slog.DiscardHandler))
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
