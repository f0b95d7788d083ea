package readapi_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/problem"
	"daybook/readapi"
)

func eventsOf(t *testing.T, text string) []readapi.Event {
	t.Helper()
	var events []readapi.Event
	for line := range strings.Lines(text) {
		var event readapi.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		events = append(events, event)
	}
	return events
}

// An event may have a megabyte, and a page a thousand events.
func TestAPageOfLargeEventsEndsAtItsSize(t *testing.T) {
	t.Parallel()
	s := open(t)
	const events, each, most = 30, 700 << 10, 4<<20 + 1<<20 // a page, and the event that reaches its size
	data := []byte(`{"text":"` + strings.Repeat("x", each) + `"}`)
	for range events {
		if err := s.Append("foreign-1", eventstore.Event{ID: uuid.New(), Type: "foreign.large", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]func(last readapi.Event) string{
		"the log": func(last readapi.Event) string { return "/v1/events?limit=1000&after=" + last.Position },
		"one stream": func(last readapi.Event) string {
			return fmt.Sprintf("/v1/streams/foreign-1?limit=1000&from=%d", last.Revision+1)
		},
	} {
		read, last, more := 0, readapi.Event{Position: "0", Revision: -1}, "true"
		for pages := 0; more == "true" && pages < events; pages++ {
			page := s.get(target(last))
			got := eventsOf(t, page.text)
			if page.status != 200 || len(page.text) > most || len(got) == 0 {
				t.Fatalf("%s: answer %d of %d bytes with %d events", name, page.status, len(page.text), len(got))
			}
			read, last, more = read+len(got), got[len(got)-1], page.header.Get("Daybook-More")
		}
		if read != events || more != "" {
			t.Errorf("%s: %d events were read, want %d; more: %q", name, read, events, more)
		}
	}
}

// A stream with the longest possible name can be read, and so can its metadata.
func TestStreamsOfLongNamesAreRead(t *testing.T) {
	t.Parallel()
	s := open(t)
	name, kind := strings.Repeat("é", eventstore.MaxStreamName/2), strings.Repeat("t", eventstore.MaxTypeName)
	for _, stream := range []string{name, eventstore.MetadataPrefix + name} {
		if err := s.Append(stream, eventstore.Event{ID: uuid.New(), Type: kind, Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		page := s.get("/v1/streams/" + url.PathEscape(stream))
		if got := eventsOf(t, page.text); page.status != 200 || len(got) != 1 || got[0].Subject != stream || got[0].Type != kind {
			t.Errorf("answer %d %.200s", page.status, page.text)
		}
	}
}

func TestTheLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.buy("o-1", "jane", "MUG", 3)
	var all []readapi.Event
	for after := "0"; ; {
		page := s.get("/v1/events?limit=4&after=" + after)
		if page.status != 200 || page.header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("answer %d %s %s", page.status, page.header.Get("Content-Type"), page.text)
		}
		events := eventsOf(t, page.text)
		if len(events) == 0 {
			if got := page.header.Get("Daybook-Position"); got != after {
				t.Errorf("an empty page after %s says %s", after, got)
			}
			break
		}
		all = append(all, events...)
		after = page.header.Get("Daybook-Position")
	}
	var n int
	for recorded, err := range s.Log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n < len(all) && (all[n].Foreign || all[n].ID != recorded.ID.String() || all[n].Position != recorded.Position.String() || all[n].Type != recorded.Type) {
			t.Errorf("event %d is %+v, want %s at %s", n, all[n], recorded.Type, recorded.Position)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d events, want %d", len(all), n)
	}
	first := all[0]
	if first.SpecVersion != "1.0" || first.Subject != "product-MUG" || first.Actor != "ann" || first.CommandID == "" {
		t.Errorf("first event %+v, want a CloudEvent that says who did it", first)
	}
	if got := eventsOf(t, s.get("/v1/events?type=order.,cart.opened").text); len(got) < 3 || got[0].Type != "cart.opened.v2" || got[1].Type != "order.placed.v1" {
		t.Errorf("by type: %+v", got)
	}
	if got := eventsOf(t, s.get("/v1/streams/product-MUG?from=1").text); len(got) != 1 || got[0].Type != "product.priced.v1" || got[0].Revision != 1 {
		t.Errorf("stream: %+v, want its second event", got)
	}
}

func TestTheLogIsFollowedLive(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	server := httptest.NewUnstartedServer(s.handler)
	const limit = time.Second // goroutines of other requests, and of this one until it is answered
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events/live?after=1&type=product.,stock.", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	for try := 1; err != nil && try < 10; try++ { // on a machine that stands still, this time may pass
		answer, err = http.DefaultClient.Do(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type %s, want text/event-stream", got)
	}
	lines := bufio.NewScanner(answer.Body)
	next := func() (name, data string) {
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				name = strings.TrimPrefix(line, "event: ")
			case strings.HasPrefix(line, "data: "):
				data = strings.TrimPrefix(line, "data: ")
			case line == "" && name != "":
				return name, data
			}
		}
		return "", ""
	}
	for _, want := range []string{"product.priced.v1", "stock.received.v1", "caught_up"} {
		if name, data := next(); name != want {
			t.Fatalf("event %q %s, want %s", name, data, want)
		}
	}
	s.sell("CUP", 1)
	name, data := next()
	if name != "product.listed.v1" || !strings.Contains(data, `"subject":"product-CUP"`) {
		t.Errorf("event %q %s, want what was just recorded", name, data)
	}
	for !strings.Contains(data, "stock-CUP") {
		_, data = next()
	}
	poll := time.NewTicker(limit / 10)
	defer poll.Stop()
	for began, n := time.Now(), 0; time.Since(began) < 2*limit; n++ {
		<-poll.C
		s.sell(unit.SKU(fmt.Sprint("SKU", n)), 1)
		for range 3 {
			if name, data = next(); name == "caught_up" {
				name, data = next()
			}
			if !strings.Contains(data, fmt.Sprint("SKU", n)) {
				t.Fatalf("event %q %s after %s, want one of SKU%d", name, data, time.Since(began), n)
			}
		}
	}
	close(s.stop)
	for {
		if name, _ := next(); name == "" {
			return // the server ended it
		}
	}
}

// No event will come after a position that the log has not reached. The answer says that at once,
// and its status is not 200. By the HTML standard, an EventSource that gets another status fails
// for good. If it got 200 and the stream ended, it would connect again for ever.
func TestAPositionBeyondTheHeadIsRefusedForGood(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, _ := head.Pair()
	beyond := eventstore.At(last + 1).String()
	for _, ask := range [][]string{
		{"/v1/events/live?after=" + beyond},
		{"/v1/events/live", "Last-Event-ID", beyond},
		{"/v1/events/live?after=0", "Last-Event-ID", beyond, "Accept", "text/event-stream"},
		{"/v1/events?after=" + beyond},
		{"/v1/events?type=order.&after=" + beyond},
	} {
		got := s.get(ask[0], ask[1:]...)
		got.problem(t, 409, problem.CodeBeyondHead)
		if got.value("head") != head.String() || got.value("position") != beyond || strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream") || got.header.Get("Retry-After") != "" {
			t.Errorf("%v: answer %v %s, want it to tell the head", ask, got.header, got.text)
		}
	}
	for _, path := range []string{"/v1/events?after=" + head.String(), "/v1/events?type=order.&after=" + head.String()} {
		if got := s.get(path); got.status != 200 || got.text != "" {
			t.Errorf("%s, which is the head: answer %d %s", path, got.status, got.text)
		}
	}
}

// A client may want the events in one of three forms.
// dataschema says which form the data of an event has. The data is shown as it was recorded: an
// amount that was recorded as 7.5 is shown as 7.5, although carts and orders show it as 7.50.
func TestEventsShowTheirDataAsRecordedAndSayItsForm(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	other := eventstore.Event{ID: uuid.New(), Type: "product.priced.v1", Data: []byte(`{"price":"none"}`)}
	if err := s.Append("product-MUG", other); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"application/x-ndjson", "application/json", "text/event-stream"} {
		page := s.get("/v1/streams/product-MUG", "Accept", accept)
		want := map[string]string{ // by dataschema
			"urn:daybook:product.listed.v1": `"kind":"stocked"`,
			"urn:daybook:product.priced.v1": `"amount":"2.5"`,
			"urn:daybook:unknown":           `"data":{"price":"none"}`,
		}
		for dataSchema, data := range want {
			if !strings.Contains(page.text, `"dataschema":"`+dataSchema+`"`) || !strings.Contains(page.text, data) {
				t.Errorf("%s: %s, want an event of the form %s with %s", accept, page.text, dataSchema, data)
			}
		}
		for recorded, err := range s.Log.ReadStream(t.Context(), "product-MUG", 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(page.text, `"data":`+string(recorded.Data)) {
				t.Errorf("%s: %s, want the data %s byte for byte", accept, page.text, recorded.Data)
			}
		}
	}
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if product := s.get("/v1/products/MUG", "Daybook-Min-Position", head.String(), "Prefer", "wait=10"); !strings.Contains(product.text, `"amount":"2.50"`) {
		t.Errorf("the product is %s, want a price with the digits of its currency", product.text)
	}
}

func TestAcceptChoosesTheFormOfEvents(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	for _, path := range []string{"/v1/events", "/v1/streams/product-MUG"} {
		want := eventsOf(t, s.get(path).text)
		for accept, form := range map[string]string{
			"":                                       "application/x-ndjson",
			"*/*":                                    "application/x-ndjson",
			"application/x-ndjson":                   "application/x-ndjson",
			"application/*":                          "application/x-ndjson",
			"application/json":                       "application/json",
			"text/event-stream":                      "text/event-stream",
			"text/*;q=0.5, application/json;q=0.4":   "text/event-stream",
			"application/x-ndjson;q=0, */*;q=0.1":    "application/json",
			"text/html, application/json, */*;q=0.1": "application/json",
			"application/x-ndjson; q=0.2 , application/json ; q=0.201": "application/json",
		} {
			page := s.get(path, "Accept", accept)
			var got []readapi.Event
			switch form {
			case "application/x-ndjson":
				got = eventsOf(t, page.text)
			case "application/json":
				var document struct {
					Events []readapi.Event `json:"events"`
				}
				if err := json.Unmarshal([]byte(page.text), &document); err != nil {
					t.Errorf("%s, %q: %v", path, accept, err)
				}
				got = document.Events
			default:
				for line := range strings.Lines(page.text) {
					if data, is := strings.CutPrefix(line, "data: "); is {
						got = append(got, eventsOf(t, data)...)
					}
				}
			}
			if page.status != 200 || page.header.Get("Content-Type") != form || !slices.Contains(page.header.Values("Vary"), "Accept") || len(got) == 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %q: answer %d, %s, with %d events; want %d as %s", path, accept, page.status, page.header, len(got), len(want), form)
			}
		}
		for _, accept := range []string{"text/csv", "application/x-ndjson;q=0", "application/json;q=0, application/xml", "application"} {
			if page := s.get(path, "Accept", accept); page.status != http.StatusNotAcceptable || !strings.Contains(page.text, "application/x-ndjson") {
				t.Errorf("%s, %q: answer %d %s, want 406 that names the forms", path, accept, page.status, page.text)
			}
		}
	}
	for _, accept := range []string{"application/json", "application/x-ndjson", "text/event-stream;q=0, */*"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a stream would not end by itself
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events/live", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		cancel()
		if w.Code != http.StatusNotAcceptable || !strings.Contains(w.Body.String(), "here as text/event-stream,") {
			t.Errorf("live, %q: answer %d %s, want 406 that names the form", accept, w.Code, w.Body)
		}
	}
	empty := s.get("/v1/events?type=nothing.", "Accept", "application/json")
	if events, is := empty.body["events"].([]any); !is || len(events) != 0 || empty.body["position"] != "0" || empty.body["more"] != false {
		t.Errorf("an empty page is %s", empty.text)
	}
	all := eventsOf(t, s.get("/v1/events").text)
	again := s.get("/v1/events", "Accept", "text/event-stream", "Last-Event-ID", all[0].Position)
	if !strings.HasPrefix(again.text, "id: "+all[1].Position+"\nevent: "+all[1].Type+"\n") {
		t.Errorf("asked again after %s: %.200s", all[0].Position, again.text)
	}
}
