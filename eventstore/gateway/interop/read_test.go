package interop_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

func reading() []scenario {
	return []scenario{
		{"read-forwards", readForwards},
		{"read-backwards", readBackwards},
		{"read-missing", readMissing},
		{"read-all-forwards", readAllForwards},
		{"read-all-backwards", readAllBackwards},
		{"read-links", readLinks},
	}
}

func readForwards(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 5)...)
	read := func(from esdb.StreamPosition, count uint64) []*esdb.ResolvedEvent {
		return s.read(t, s.name, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: from}, count)
	}
	wantRevisions(t, read(esdb.Start{}, everything), 0, 1, 2, 3, 4)
	wantRevisions(t, read(esdb.Start{}, 2), 0, 1)
	wantRevisions(t, read(esdb.Revision(3), everything), 3, 4)
	wantRevisions(t, read(esdb.Revision(1), 3), 1, 2, 3)
	wantRevisions(t, read(esdb.Revision(5), everything)) // beyond the end: nothing
	wantRevisions(t, read(esdb.End{}, everything))
}

func readBackwards(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 5)...)
	read := func(from esdb.StreamPosition, count uint64) []*esdb.ResolvedEvent {
		return s.read(t, s.name, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: from}, count)
	}
	wantRevisions(t, read(esdb.End{}, everything), 4, 3, 2, 1, 0)
	wantRevisions(t, read(esdb.End{}, 1), 4)
	wantRevisions(t, read(esdb.Revision(2), everything), 2, 1, 0)
	wantRevisions(t, read(esdb.Revision(3), 2), 3, 2)
	wantRevisions(t, read(esdb.Revision(99), 2), 4, 3) // beyond the end: from the last
	wantRevisions(t, read(esdb.Start{}, everything), 0)
}

func readMissing(t *testing.T, s *session) {
	for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		from := map[esdb.Direction]esdb.StreamPosition{esdb.Forwards: esdb.Start{}, esdb.Backwards: esdb.End{}}[direction]
		_, err := s.tryRead(s.name, esdb.ReadStreamOptions{Direction: direction, From: from}, everything)
		wantCode(t, "read a stream that is not there", err, esdb.ErrorCodeResourceNotFound)
	}
}

// readAllForwards begins with the event at the position it is given.
func readAllForwards(t *testing.T, s *session) {
	first := s.append(t, s.name+"-1", esdb.NoStream{}, events("a", 1)...)
	s.append(t, s.name+"-2", esdb.NoStream{}, events("a", 2)...)
	s.append(t, s.name+"-1", esdb.Revision(0), events("a", 1)...)
	read := func(from esdb.AllPosition, count uint64) []*esdb.ResolvedEvent {
		return s.readAll(t, esdb.ReadAllOptions{Direction: esdb.Forwards, From: from}, count)
	}

	want := []place{{s.name + "-1", 0}, {s.name + "-2", 0}, {s.name + "-2", 1}, {s.name + "-1", 1}}
	wantPlaces(t, read(position(first), 4), want...)
	wantPlaces(t, read(position(first), 2), want[:2]...)
	all := read(esdb.Start{}, everything)
	wantPlaces(t, all[len(all)-4:], want...)
	wantAscending(t, all)
	wantPlaces(t, read(esdb.End{}, everything))
}

// readAllBackwards begins with the event before the position it is given.
func readAllBackwards(t *testing.T, s *session) {
	s.append(t, s.name+"-1", esdb.NoStream{}, events("a", 1)...)
	s.append(t, s.name+"-2", esdb.NoStream{}, events("a", 1)...)
	last := s.append(t, s.name+"-1", esdb.Revision(0), events("a", 1)...)
	read := func(from esdb.AllPosition, count uint64) []*esdb.ResolvedEvent {
		return s.readAll(t, esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}, count)
	}

	want := []place{{s.name + "-1", 1}, {s.name + "-2", 0}, {s.name + "-1", 0}}
	wantPlaces(t, read(esdb.End{}, 3), want...)
	wantPlaces(t, read(position(last), 2), want[1:]...)
	wantPlaces(t, read(esdb.End{}, everything)[:3], want...)
	wantPlaces(t, read(esdb.Start{}, everything))
}

// readLinks reads links to events of another stream. One of these events is gone.
func readLinks(t *testing.T, s *session) {
	sent := events("a", 2)
	s.append(t, s.name, esdb.NoStream{}, sent...)
	links := s.name + "-links"
	s.append(t, links, esdb.NoStream{}, link("1@"+s.name), link("0@"+s.name+"-missing"), link("0@"+s.name))

	got := s.read(t, links, esdb.ReadStreamOptions{ResolveLinkTos: true}, everything)
	wantRevisions(t, got, 0, 1, 2) // the revisions of the links
	if got[0].Event == nil || got[0].Event.EventID != sent[1].EventID || got[0].Event.StreamID != s.name || got[0].Link.StreamID != links {
		t.Errorf("the first link is resolved as %+v", got[0])
	}
	if got[1].Event != nil || string(got[1].Link.Data) != "0@"+s.name+"-missing" {
		t.Errorf("a link to nothing is resolved as %+v", got[1])
	}
	if got[2].Event == nil || got[2].Event.EventID != sent[0].EventID {
		t.Errorf("the last link is resolved as %+v", got[2])
	}
	for _, plain := range s.read(t, links, esdb.ReadStreamOptions{}, everything) {
		if plain.Link != nil || plain.Event.EventType != "$>" || plain.Event.StreamID != links {
			t.Errorf("a link that is not to be resolved comes as %+v", plain)
		}
	}
}

func link(to string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "$>", ContentType: esdb.ContentTypeBinary, Data: []byte(to)}
}

// place is a stream and a revision.
type place struct {
	stream   string
	revision uint64
}

func wantPlaces(t *testing.T, got []*esdb.ResolvedEvent, want ...place) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %v", len(got), len(want), want)
	}
	for i, event := range got {
		if at := (place{event.Event.StreamID, event.Event.EventNumber}); at != want[i] {
			t.Errorf("event %d is %v, want %v", i, at, want[i])
		}
	}
}

func wantAscending(t *testing.T, all []*esdb.ResolvedEvent) {
	t.Helper()
	for i, event := range all {
		if i > 0 && event.Event.Position.Commit <= all[i-1].Event.Position.Commit {
			t.Fatalf("event at %v follows the one at %v", event.Event.Position, all[i-1].Event.Position)
		}
	}
}
