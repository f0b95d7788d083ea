package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/commands/keyring"
	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// If a newer program has recorded an event that this one does not know, the keys that were read
// before stay good, and the keyring says that it does not hear of changes.
func TestAKeyringSaysThatItDoesNotKnowAnEvent(t *testing.T) {
	t.Parallel()
	store := memory.New()
	id := keyring.NewID()
	secret := keyring.NewSecret(id)
	kind, data, err := access.Encode(access.KeyIssued{Key: id, Name: "a", Role: access.Admin, Hash: secret.Hash})
	if err != nil {
		t.Fatal(err)
	}
	record := func(kind string, data []byte) {
		t.Helper()
		event := eventstore.Event{ID: aggregate.EventID(uuid.New(), 0), Type: kind, Data: data}
		if _, err := store.Append(t.Context(), access.Stream(), eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	record(kind, data)
	keys := keyring.New(store, time.Now, slog.New(slog.DiscardHandler))
	if err := keys.Open(t.Context()); err != nil || keys.Trouble() != nil {
		t.Fatalf("open: %v, trouble %v", err, keys.Trouble())
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- keys.Run(ctx) }()
	record("shopaccess.key_painted.v1", []byte(`{}`))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for keys.Trouble() == nil {
		<-ticker.C // if this never ends, the time limit of the test ends it
	}
	if !strings.Contains(keys.Trouble().Error(), "key_painted") {
		t.Errorf("it says %v", keys.Trouble())
	}
	if who, err := keys.Authenticate(secret.Text); err != nil || who.Role != access.Admin {
		t.Errorf("the key that was read before: %v, %v", who, err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// A live stream was opened before its key was rotated. It ends with the overlap of the rotation.
func TestALongRequestEndsWithItsOldSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		id := keyring.NewID()
		old, next := keyring.NewSecret(id), keyring.NewSecret(id)
		record := func(event access.Event) {
			t.Helper()
			kind, data, err := access.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			recorded := eventstore.Event{ID: aggregate.EventID(uuid.New(), 0), Type: kind, Data: data}
			if _, err := store.Append(t.Context(), access.Stream(), eventstore.Any, []eventstore.Event{recorded}); err != nil {
				t.Fatal(err)
			}
		}
		record(access.KeyIssued{Key: id, Name: "a", Role: access.Admin, Hash: old.Hash})
		keys := keyring.New(store, time.Now, slog.New(slog.DiscardHandler))
		if err := keys.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		who, err := keys.Authenticate(old.Text)
		if err != nil {
			t.Fatal(err)
		}
		request, stop := keys.While(t.Context(), who)
		defer stop()
		record(access.KeyRotated{Key: id, Hash: next.Hash, OldUntil: time.Now().Add(time.Hour)})
		if err := keys.Open(t.Context()); err != nil { // reads what is new
			t.Fatal(err)
		}
		<-time.After(59 * time.Minute)
		if request.Err() != nil {
			t.Error("it has ended within the overlap")
		}
		<-time.After(2 * time.Minute)
		if !errors.Is(context.Cause(request), keyring.ErrEnded) {
			t.Errorf("after the overlap: %v", context.Cause(request))
		}
	})
}

// awayStore is a log that does not answer while it is away.
type awayStore struct {
	*memory.Store

	away   atomic.Bool
	proven atomic.Pointer[time.Time] // the pulse; nil: now
}

// Head implements eventstore.Store.
func (s *awayStore) Head(ctx context.Context) (eventstore.Position, error) {
	if s.away.Load() {
		return eventstore.Position{}, errors.New("away")
	}
	return s.Store.Head(ctx)
}

// Pulse implements eventstore.PulseReporter.
func (s *awayStore) Pulse() eventstore.Pulse {
	if at := s.proven.Load(); at != nil {
		return eventstore.Pulse{Proven: *at}
	}
	return eventstore.Pulse{Proven: time.Now()}
}

// A node that does not hear of changes uses its keys for a minute. After that it refuses them and
// ends the requests that go on, until it hears of changes again. It does so if the keys cannot be
// followed, and if the log falls silent without an error.
func TestADeafNodeRefusesKeysAfterAMinute(t *testing.T) {
	t.Parallel()
	for name, deafen := range map[string]func(s *awayStore, deaf bool){
		"the keys cannot be followed": func(s *awayStore, deaf bool) { s.away.Store(deaf) },
		"the log is silent": func(s *awayStore, deaf bool) {
			if now := time.Now(); deaf {
				s.proven.Store(&now)
			} else {
				s.proven.Store(nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &awayStore{Store: memory.New()}
				id := keyring.NewID()
				secret := keyring.NewSecret(id)
				kind, data, err := access.Encode(access.KeyIssued{Key: id, Name: "a", Role: access.Admin, Hash: secret.Hash})
				if err != nil {
					t.Fatal(err)
				}
				issued := []eventstore.Event{{ID: aggregate.EventID(uuid.New(), 0), Type: kind, Data: data}}
				if _, err := store.Append(t.Context(), access.Stream(), eventstore.Any, issued); err != nil {
					t.Fatal(err)
				}
				keys := keyring.New(store, time.Now, slog.New(slog.DiscardHandler))
				if err := keys.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				deafen(store, true)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- keys.Run(ctx) }()
				who, err := keys.Authenticate(secret.Text)
				if err != nil {
					t.Fatal(err)
				}
				request, done := keys.While(t.Context(), who)
				defer done()
				<-time.After(keyring.MaxDeaf - time.Second)
				if _, err := keys.Authenticate(secret.Text); err != nil || request.Err() != nil {
					t.Errorf("within the minute: %v, %v", err, request.Err())
				}
				<-time.After(4 * time.Second)
				if _, err := keys.Authenticate(secret.Text); !errors.Is(err, keyring.ErrDeaf) || keys.Deaf() <= keyring.MaxDeaf {
					t.Errorf("after the minute: %v, deaf for %s", err, keys.Deaf())
				}
				if store.away.Load() && request.Err() == nil { // a silent log brings nothing to a request that goes on
					t.Error("a request goes on with a key that may have been revoked")
				}
				deafen(store, false)
				<-time.After(2 * time.Second)
				if _, err := keys.Authenticate(secret.Text); err != nil || keys.Deaf() != 0 {
					t.Errorf("after the trouble: %v, deaf for %s", err, keys.Deaf())
				}
				stop()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

func TestTextOf(t *testing.T) {
	t.Parallel()
	secret := keyring.NewSecret("k1")
	alone := strings.TrimPrefix(secret.Text, "dbk_k1_")
	for _, c := range []struct {
		name, password, text string
		isKey                bool
	}{
		{"k1", alone, secret.Text, true},
		{"k1", secret.Text, secret.Text, true},
		{"k2", secret.Text, "", false},
		{"k1", "password", "", false},
		{"a_b", alone, "", false},
		{"", alone, "", false},
	} {
		text, isKey := keyring.TextOf(c.name, c.password)
		if isKey != c.isKey || isKey && text != c.text {
			t.Errorf("%s and %s: %s, %t", c.name, c.password, text, isKey)
		}
	}
}
