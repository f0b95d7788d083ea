package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/danielgtaylor/huma/v2"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/readapi"
)

func (w *writer) handler(t *testing.T) http.Handler {
	t.Helper()
	handler, err := httpapi.New(httpapi.Options{Version: "test"}, func(api huma.API) {
		readapi.Register(api, readapi.Config{
			DB: w.Pool, Progress: live.Progress{Runner: w.Runner}, History: live.History{Store: w.Log}, Log: live.Log{Store: w.Log},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func get(t *testing.T, handler http.Handler, target string) (int, http.Header, []byte) {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+target, nil))
	return answer.Code, answer.Header(), answer.Body.Bytes()
}

// readAsCloudEvents reads the whole log page by page, and then as a live stream.
func (w *writer) readAsCloudEvents(t *testing.T) {
	handler := w.handler(t)
	read := 0
	for after := "0"; ; {
		status, header, body := get(t, handler, "/v1/events?limit=1000&after="+after)
		if status != http.StatusOK {
			t.Fatalf("after %s: %d %.300s", after, status, body)
		}
		if len(body) == 0 {
			break
		}
		if len(body) > pageMost {
			t.Errorf("after %s: a page of %d bytes", after, len(body))
		}
		for line := range strings.Lines(string(body)) {
			checkCloudEvent(t, line)
			read++
		}
		after = header.Get("Daybook-Position")
	}
	if read != w.events {
		t.Errorf("%d events are read, %d were written", read, w.events)
	}

	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events/live?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 4<<20)
	read = 0
	for caughtUp := false; !caughtUp && lines.Scan(); {
		caughtUp = lines.Text() == "event: caught_up"
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			checkCloudEvent(t, data)
			read++
		}
	}
	if read != w.events {
		t.Errorf("%d events are read live, %d were written: %v", read, w.events, lines.Err())
	}
}

func checkCloudEvent(t *testing.T, line string) {
	t.Helper()
	var event struct{ ID, Source, Type, Time string }
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		t.Fatalf("%v in %.300s", err, line)
	}
	at, err := time.Parse(time.RFC3339Nano, event.Time)
	if err != nil || at.Before(eventstore.EarliestCredible) || at.After(time.Now().Add(eventstore.MostAhead)) {
		t.Errorf("time %q of %s: %v", event.Time, event.Type, err)
	}
	if _, err := url.Parse(event.Source); err != nil || event.ID == "" || event.Type == "" {
		t.Errorf("event %.300s: %v", line, err)
	}
}

// document is the part of the OpenAPI document that the test needs.
type document struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name     string
			Required bool
			Schema   struct {
				Enum   []string
				Format string
			}
		}
	}
}

// walkReads reads every list of the API to its end, in each of its orders. It also reads some
// things of each kind one by one.
func (w *writer) walkReads(t *testing.T) {
	handler := w.handler(t)
	_, _, text := get(t, handler, "/openapi.json")
	var routes document
	if err := json.Unmarshal(text, &routes); err != nil {
		t.Fatal(err)
	}
	lists, details := 0, 0
	for path, methods := range routes.Paths {
		operation, reads := methods["get"]
		if !reads || strings.HasPrefix(path, "/v1/events") {
			continue
		}
		var sorts []string
		paged, query := false, url.Values{}
		for _, p := range operation.Parameters {
			paged = paged || p.Name == "cursor"
			if p.Required && p.Name == "currency" {
				query.Set("currency", "GBP")
			}
			if p.Name == "sort" {
				sorts = p.Schema.Enum
			}
			w.readWithExtremeTimes(t, handler, path, p.Name, p.Schema.Format)
		}
		for _, target := range w.detailTargets(path) {
			if !paged {
				w.mustGet(t, handler, target)
				details++
				continue
			}
			for _, sort := range append(slices.Clone(sorts), "") {
				query.Del("cursor")
				query.Set("limit", "500")
				query.Del("sort")
				if sort != "" {
					query.Set("sort", sort)
				}
				w.walkPages(t, handler, target, query)
				lists++
			}
		}
	}
	t.Logf("%d lists and %d details", lists, details)
	if lists < 10 || details < 50 {
		t.Errorf("%d lists and %d details were read", lists, details)
	}
	for _, by := range []string{"day", "month", "sku", "country", "channel", "kind", "currency"} {
		w.mustGet(t, handler, "/v1/sales?by="+by)
	}
	for _, report := range []string{
		"orders-taken?by=day,kind,country", "orders-taken?by=sku,channel", "discounts?by=promotion_id,code", "taxes?by=rate,treatment",
		"money?by=type,provider", "open-items?by=age,status", "bridge?by=month",
	} {
		if status, _, body := get(t, handler, "/v1/reports/"+report); status != http.StatusOK && status != http.StatusUnprocessableEntity { // too many rows
			t.Errorf("%s: %d %.300s", report, status, body)
		}
	}
}

// pageMost is the most bytes that a page may have: 4 MiB, and the last event, which may go beyond
// it.
const pageMost = 5 << 20

// readWithExtremeTimes gives a time parameter the earliest and the latest time that its format can
// write. The API may refuse them, but it must not fail.
func (w *writer) readWithExtremeTimes(t *testing.T, handler http.Handler, path, name, format string) {
	t.Helper()
	times := map[string][]string{
		"date":      {"0000-01-01", "0001-01-01", "1066-10-14", "9999-12-31"},
		"date-time": {"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00%2B23:59"},
	}
	for _, at := range times[format] {
		if strings.Contains(path, "{") {
			continue
		}
		if status, _, body := get(t, handler, path+"?"+name+"="+at); status >= http.StatusInternalServerError {
			t.Errorf("%s?%s=%s: %d %.300s", path, name, at, status, body)
		}
	}
}

// detailsEach is how many things of each kind are read one by one.
const detailsEach = 70

// detailTargets fills the parameters of a path with ids that are in the log.
func (w *writer) detailTargets(path string) (targets []string) {
	kinds := map[string]string{
		"{order_id}": "order-", "{return_id}": "return-", "{cart_id}": "cart-", "{sku}": "product-", "{sku}/{location}": "stock-", "{stream}": "",
	}
	switch {
	case !strings.Contains(path, "{"):
		return []string{path}
	case strings.Contains(path, "{customer_id}"):
		return []string{strings.ReplaceAll(path, "{customer_id}", "word")}
	}
	for _, parameter := range []string{"{order_id}", "{return_id}", "{cart_id}", "{sku}/{location}", "{sku}", "{stream}"} {
		if !strings.Contains(path, parameter) {
			continue
		}
		prefix := kinds[parameter]
		for _, at := range w.random.Perm(len(w.streams)) {
			name, is := strings.CutPrefix(w.streams[at], prefix)
			if !is || len(targets) == detailsEach {
				continue
			}
			parts := strings.Split(name, "@")
			for i := range parts {
				parts[i] = url.PathEscape(parts[i])
			}
			targets = append(targets, strings.Replace(path, parameter, strings.Join(parts, "/"), 1))
		}
		return targets
	}
	return nil
}

func (w *writer) mustGet(t *testing.T, handler http.Handler, target string) []byte {
	t.Helper()
	status, _, body := get(t, handler, target)
	if status != http.StatusOK && status != http.StatusNotFound {
		t.Errorf("%s: %d %.300s", target, status, body)
	}
	return body
}

func (w *writer) walkPages(t *testing.T, handler http.Handler, path string, query url.Values) {
	t.Helper()
	for pages := 0; ; pages++ {
		var page struct{ Next string }
		body := w.mustGet(t, handler, path+"?"+query.Encode())
		if len(body) > pageMost {
			t.Errorf("%s: a page of %d bytes", path, len(body))
		}
		if err := json.Unmarshal(body, &page); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if page.Next == "" {
			return
		}
		if pages > 10_000 {
			t.Fatalf("%s has no end", path)
		}
		query.Set("cursor", page.Next)
	}
}

// readThroughGateway reads the whole log with the official client of EventStoreDB.
func (w *writer) readThroughGateway(t *testing.T) {
	server, err := gateway.New(w.Log, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	config, err := esdb.ParseConnectionString("esdb://" + listener.Addr().String() + "?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reading, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, ^uint64(0)>>1)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	read := 0
	for {
		event, err := reading.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d events: %v", read, err)
		}
		if at := event.OriginalEvent().CreatedDate; at.Year() < 2020 || at.Year() > 9999 {
			t.Errorf("event %s was created at %s", event.OriginalEvent().EventID, at)
		}
		read++
	}
	if read != w.events {
		t.Errorf("%d events are read, %d were written", read, w.events)
	}
}
