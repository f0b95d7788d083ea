package kurrentdb

import (
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// If the subscription brings events with the ids of an append, they are compared byte for byte, and
// only at the place that the server's answer names.
func TestAWatchComparesWhatComes(t *testing.T) {
	sent := []eventstore.Event{
		{ID: uuid.New(), Type: "t.v1", Data: []byte(`{"n":1}`)},
		{ID: uuid.New(), Type: "t.v1", Data: []byte(`{"n":2}`)},
	}
	other := func(i int, data string) eventstore.Event {
		e := sent[i]
		e.Data = []byte(data)
		return e
	}
	foreign := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}
	answer := eventstore.Result{Revision: 6, Position: eventstore.At(20)}
	for name, c := range map[string]struct {
		came          []eventstore.Event // the last at revision 6 and position 20
		last          int64
		brought, same bool
		comes         bool
	}{
		"what was sent":               {sent, 6, true, true, false},
		"after others":                {append([]eventstore.Event{foreign, sent[0], foreign}, sent...), 6, true, true, false},
		"other bytes":                 {[]eventstore.Event{sent[0], other(1, `{"n":3}`)}, 6, true, false, false},
		"other bytes, the first":      {[]eventstore.Event{other(0, `{"n":0}`), sent[1]}, 6, true, false, false},
		"at another place":            {sent, 5, false, false, false},
		"a part":                      {sent[:1], 6, false, false, true},
		"only the end":                {sent[1:], 6, false, false, false},
		"another, past the place":     {[]eventstore.Event{foreign}, 6, false, false, false},
		"with another event in it":    {[]eventstore.Event{sent[0], foreign, sent[1]}, 6, false, false, false},
		"nothing, and not yet there":  {nil, 6, false, false, true},
		"the same in another stream":  {nil, 6, false, false, true},
		"what was sent, then another": {append(sent[:2:2], foreign), 7, true, true, false},
	} {
		r := newRing()
		r.begin(eventstore.At(5))
		r.flow(true)
		w := &watch{ring: r, stream: "a", events: sent, last: -1, changed: make(chan struct{}, 1)}
		r.watches["a"] = []*watch{w}
		for i, e := range c.came {
			back := len(c.came) - 1 - i
			r.push(eventstore.Recorded{Event: e, Stream: "a", Revision: c.last - int64(back), Position: eventstore.At(uint64(20 - back))})
		}
		if name == "the same in another stream" {
			r.push(eventstore.Recorded{Event: sent[0], Stream: "b", Position: eventstore.At(18)})
			r.push(eventstore.Recorded{Event: sent[1], Stream: "b", Revision: 1, Position: eventstore.At(19)})
		}
		result, brought, comes := w.compare(answer)
		if brought != c.brought || comes != c.comes || brought && (result.Revision != 6 || result.Replayed == c.same) {
			t.Errorf("%s: %+v, brought: %t, comes: %t", name, result, brought, comes)
		}
	}
}
