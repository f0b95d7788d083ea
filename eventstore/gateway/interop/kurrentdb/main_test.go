// Package kurrentdb_test runs the scenarios of the interop test with the
// KurrentDB client, in a module of its own: it cannot be linked into one binary
// with the EventStoreDB client. The scenarios stand in the folder above. Its test
// builds this package with them, by go test -overlay, and starts it with a gateway.
package kurrentdb_test

import (
	"os"
	"testing"
	"time"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

func TestScenarios(t *testing.T) {
	at := addresses{
		Plain:    os.Getenv("GATEWAY"),
		Follower: os.Getenv("GATEWAY_FOLLOWER"),
		Seeds:    os.Getenv("GATEWAY_SEEDS"),
		Discover: os.Getenv("GATEWAY_DISCOVER"),
		Secure:   os.Getenv("GATEWAY_SECURE"),
	}
	if at.Plain == "" {
		t.Skip("no GATEWAY: this is run by the test of the folder above")
	}
	runScenarios(t, at, append(scenarios(at), scenario{"caught-up-says-where", caughtUpSaysWhere}))
}

// caughtUpSaysWhere checks the place and the time of *caught up*, which only the KurrentDB client
// returns.
func caughtUpSaysWhere(t *testing.T, s *session) {
	last := s.append(t, s.name, kurrentdb.NoStream{}, events("a", 3)...)
	isCaughtUp := func(e *kurrentdb.SubscriptionEvent) bool { return e.CaughtUp != nil }

	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Revision(1)})
	wantNext(t, sub, place{s.name, 2})
	mark := next(t, sub, "being caught up", isCaughtUp).CaughtUp
	if mark.StreamRevision == nil || *mark.StreamRevision != 2 || time.Since(mark.Date).Abs() > time.Hour {
		t.Errorf("caught up with the stream: %+v, want revision 2 and the time", mark)
	}

	all := s.subscribeToAll(t, kurrentdb.SubscribeToAllOptions{From: kurrentdb.End{}})
	mark = next(t, all, "being caught up", isCaughtUp).CaughtUp
	if mark.Position == nil || mark.Position.Commit < last.CommitPosition || time.Since(mark.Date).Abs() > time.Hour {
		t.Errorf("caught up with $all: %+v, want a position from %v on, and the time", mark, position(last))
	}
}
