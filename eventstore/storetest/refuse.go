package storetest

import (
	"errors"
	"strings"

	"github.com/google/uuid"

	"daybook/eventstore"
)

var refusalRules = []rule{
	{"an append that can never be taken is invalid", invalidAppends},
	{"a name with control characters is invalid", steeringNames},
	{"an append over a limit is too large", tooLargeAppends},
}

// one returns a single event, changed.
func one(change func(*eventstore.Event)) []eventstore.Event {
	events := newEvents(1)
	change(&events[0])
	return events
}

func data(text string) []eventstore.Event {
	return one(func(e *eventstore.Event) { e.Data = []byte(text) })
}

// steering are characters that control a terminal or another program that shows a name.
var steering = []string{"\x01", "\t", "\n", "\r", "\x1b", "\x7f", "\u0085", "\u009b", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f", "\u061c"}

func steeringNames(l *log) {
	for _, character := range steering {
		for _, name := range []string{"a" + character + "b", character, "$$a" + character} {
			_, err := l.Append(l.ctx, name, eventstore.Any, newEvents(1))
			if invalid, ok := errors.AsType[*eventstore.InvalidError](err); !ok || !strings.Contains(invalid.Reason, "stream name") {
				l.Errorf("stream %q: error %v, want an InvalidError about the stream name", name, err)
			}
			_, err = l.Append(l.ctx, l.stream("a"), eventstore.Any, append(newEvents(1), one(func(e *eventstore.Event) { e.Type = name })...))
			if invalid, ok := errors.AsType[*eventstore.InvalidError](err); !ok || !strings.Contains(invalid.Reason, "type name of event 1") {
				l.Errorf("type %q: error %v, want an InvalidError about the second event's type", name, err)
			}
		}
	}
	l.holds(l.stream("a"), nil)
	if left := l.readAll(l.start); len(left) != 0 {
		l.Errorf("%d events were recorded", len(left))
	}
}

func invalidAppends(l *log) {
	stream := l.stream("a")
	twice := logWide(newEvents(2))
	twice[1].ID = twice[0].ID
	for name, c := range map[string]struct {
		stream   string
		expected eventstore.Expected
		events   []eventstore.Event
	}{
		"no events":                   {stream, eventstore.Any, nil},
		"no stream name":              {"", eventstore.Any, newEvents(1)},
		"stream name not UTF-8":       {"a\xff", eventstore.Any, newEvents(1)},
		"stream name with a zero":     {"a\x00", eventstore.Any, newEvents(1)},
		"revision -3":                 {stream, eventstore.AtRevision(-3), newEvents(1)},
		"revision -5":                 {stream, eventstore.AtRevision(-5), newEvents(1)},
		"no id":                       {stream, eventstore.Any, one(func(e *eventstore.Event) { e.ID = uuid.Nil })},
		"no type":                     {stream, eventstore.Any, one(func(e *eventstore.Event) { e.Type = "" })},
		"type not UTF-8":              {stream, eventstore.Any, one(func(e *eventstore.Event) { e.Type = "\xc3(" })},
		"type with a zero":            {stream, eventstore.Any, one(func(e *eventstore.Event) { e.Type = "a\x00b" })},
		"a log-wide id twice":         {stream, eventstore.Any, twice},
		"no data":                     {stream, eventstore.Any, data("")},
		"data not JSON":               {stream, eventstore.Any, data("hello")},
		"data cut short":              {stream, eventstore.Any, data(`{"a":1`)},
		"data with something after":   {stream, eventstore.Any, data(`{"a":1} {}`)},
		"data not UTF-8":              {stream, eventstore.Any, data("{\"a\":\"\xff\"}")},
		"data with a bare zero":       {stream, eventstore.Any, data("{\"a\":\"\x00\"}")},
		"data a list":                 {stream, eventstore.Any, data(`[1]`)},
		"data null":                   {stream, eventstore.Any, data(`null`)},
		"half a surrogate pair":       {stream, eventstore.Any, data(`{"a":"\ud800"}`)},
		"nested without end":          {stream, eventstore.Any, data(`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`)},
		"metadata not JSON":           {stream, eventstore.Any, one(func(e *eventstore.Event) { e.Meta = []byte("x") })},
		"metadata a number":           {stream, eventstore.Any, one(func(e *eventstore.Event) { e.Meta = []byte("1") })},
		"second of two events broken": {stream, eventstore.Any, append(newEvents(1), data("{")...)},
	} {
		_, err := l.Append(l.ctx, c.stream, c.expected, c.events)
		if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
			l.Errorf("%s: error %v, want an InvalidError", name, err)
		}
	}
	l.holds(stream, nil)
	if left := l.readAll(l.start); len(left) != 0 {
		l.Errorf("%d events were recorded", len(left))
	}
}

func tooLargeAppends(l *log) {
	stream := l.stream("a")
	over := newEvents(2)
	over[1].Data = filled(eventstore.MaxAppendBytes - over[0].Size() - len(over[1].Meta) - 2*len(over[1].Type) + 1)
	for name, c := range map[string]struct {
		stream string
		events []eventstore.Event
		what   string
		size   int
	}{
		"one byte over":         {stream, over, "bytes", eventstore.MaxAppendBytes + 1},
		"one event over":        {stream, newEvents(eventstore.MaxAppendEvents + 1), "events", eventstore.MaxAppendEvents + 1},
		"stream name too long":  {strings.Repeat("é", 257), newEvents(1), "stream name bytes", 514},
		"metadata of too long":  {eventstore.MetadataPrefix + strings.Repeat("n", 513), newEvents(1), "stream name bytes", 513},
		"type name too long":    {stream, one(func(e *eventstore.Event) { e.Type = strings.Repeat("t", 513) }), "type name bytes", 513},
		"metadata far too long": {stream, one(func(e *eventstore.Event) { e.Meta = filled(3 << 20) }), "bytes", 3<<20 + 2*len("suite.happened.v1") + len(`{"n":0}`)},
	} {
		_, err := l.Append(l.ctx, c.stream, eventstore.Any, c.events)
		large, ok := errors.AsType[*eventstore.TooLargeError](err)
		if !ok {
			l.Errorf("%s: error %v, want a TooLargeError", name, err)
			continue
		}
		if large.What != c.what || large.Size != c.size {
			l.Errorf("%s: %d %s, want %d %s", name, large.Size, large.What, c.size, c.what)
		}
	}
	l.holds(stream, nil)

	// The longest names, of a stream and of its metadata. The bytes do not repeat, so
	// that no index can make them shorter than they are.
	longest := l.stream(string(filled(eventstore.MaxStreamName - len(l.prefix))))
	for _, name := range []string{longest, eventstore.MetadataPrefix + longest} {
		events := one(func(e *eventstore.Event) { e.Type = string(filled(eventstore.MaxTypeName)) })
		l.append(name, eventstore.NoStream, events)
		l.holds(name, events)
	}
}
