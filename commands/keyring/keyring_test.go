package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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
