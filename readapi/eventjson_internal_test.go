package readapi

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// fullEvent has a value in each member.
func fullEvent() Event {
	at := time.Date(2026, 11, 29, 4, 5, 6, 789_000_000, time.UTC)
	return Event{
		SpecVersion: "1.0", ID: "0190a1b2-0000-8000-8000-000000000001", Source: "/v1/streams/order-o%2F1", Type: "order.placed.v1", Subject: "order-o/1",
		Time: at, ContentType: "application/json", Position: "1042", Revision: 3, RecordedAt: at.Add(time.Microsecond),
		CommandID: "0190a1b2-0000-8000-8000-000000000002", CorrelationID: "c", CausationID: "d", Actor: "customer:42", OnBehalfOf: "staff:p1", ActingFor: "17850", Channel: "web", Trace: "00-0af7-b7ad-01",
		DataSchema: "urn:daybook:unknown", Foreign: true, Data: jsontext.Value(`{"order_id":"o/1","lines":[{"sku":"MUG","quantity":2,"price":"7.50"}]}`),
	}
}

func TestAnEventOfAPageIsWrittenAsItsTypeSays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Event){
		"full":           func(*Event) {},
		"empty":          func(e *Event) { *e = Event{Data: jsontext.Value(`{}`)} },
		"odd texts":      func(e *Event) { e.Actor, e.Type = "a\"b\\c\u2028<é>\x01\n", `order.placed\u000a` },
		"spaces in data": func(e *Event) { e.Data = jsontext.Value("{ \"a\" : [ 1 ,\n 2 ] ,\t\"b\":\"\\u0041\\/\" }") },
		"data is a text": func(e *Event) { e.Data = jsontext.Value(`"x"`) },
		"no JSON value":  func(e *Event) { e.Data = map[string]int{"a": 1} },
		"no data":        func(e *Event) { e.Data = jsontext.Value(nil) },
		"name twice":     func(e *Event) { e.Data = jsontext.Value(`{"a":1,"a":2}`) },
		"broken data":    func(e *Event) { e.Data = jsontext.Value(`{"a":`) },
		"no UTF-8":       func(e *Event) { e.Channel = "\xff" },
		"other zone":     func(e *Event) { e.Time = e.Time.In(time.FixedZone("", 3600)) },
		"far year":       func(e *Event) { e.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year below 0":   func(e *Event) { e.Time = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		event := fullEvent()
		change(&event)
		want, refused := json.Marshal(event)
		got, err := appendEvent([]byte("before "), &event)
		if (err != nil) != (refused != nil) {
			t.Errorf("%s: %v, json.Marshal says %v", name, err, refused)
		}
		if err == nil && string(got) != "before "+string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func BenchmarkEventsPage(b *testing.B) {
	event := fullEvent()
	event.Foreign = false
	event.Data = jsontext.Value(`{"order_id":"o/1","lines":[` + strings.Repeat(`{"sku":"MUG","quantity":2,"price":"7.50"},`, 4) + `{"sku":"TRAY","quantity":1,"price":"1"}]}`)
	for b.Loop() {
		page := &eventsPage{ContentType: contentLines}
		for range 500 {
			if err := page.add(&event); err != nil {
				b.Fatal(err)
			}
		}
	}
}
