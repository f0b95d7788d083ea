package main

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"daybook/commands/keyring"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi"
	"daybook/internal/problem"
)

// silentLog is a log that has been silent since a time.
type silentLog struct {
	*memory.Store

	since time.Time
}

// Pulse implements eventstore.PulseReporter.
func (s silentLog) Pulse() eventstore.Pulse { return eventstore.Pulse{Proven: s.since} }

// If a node has heard of no changes of keys for a minute, requests with a key and in a session get
// 503 with the reason, and not 401.
func TestADeafNodeIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := keyring.New(silentLog{memory.New(), time.Now()}, time.Now, slog.New(slog.DiscardHandler))
		if err := keys.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		node := nodeAccess{keys: keys}
		if _, err := node.Authenticate(t.Context(), nobodysKey); !errors.Is(err, keyring.ErrUnknown) {
			t.Errorf("within the minute: %v", err)
		}
		<-time.After(keyring.MaxDeaf + time.Second)
		_, byKey := node.Authenticate(t.Context(), nobodysKey)
		_, inSession := node.Session(t.Context(), "dbs_0")
		for name, err := range map[string]error{"a key": byKey, "a session": inSession} {
			unready, is := errors.AsType[*httpapi.UnreadyError](err)
			if !is {
				t.Errorf("%s: %v", name, err)
				continue
			}
			refused, is := errors.AsType[*problem.Document](unready.Cause)
			if !is || refused.Status != http.StatusServiceUnavailable || !strings.Contains(refused.Detail, "has not heard of changes") {
				t.Errorf("%s: %v", name, unready.Cause)
			}
		}
	})
}
