package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"daybook/commands/keyring"
	"daybook/domain/access"
)

// uses is a keyring.UseStore in memory, which can be away.
type uses struct {
	mu   sync.Mutex
	away bool
	kept map[access.KeyID]time.Time
	rows int // how many were written
}

// Keep implements keyring.UseStore.
func (u *uses) Keep(_ context.Context, some map[access.KeyID]time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.away {
		return errors.New("away")
	}
	u.rows += len(some)
	maps.Copy(u.kept, some)
	return nil
}

// All implements keyring.UseStore.
func (u *uses) All(context.Context) (map[access.KeyID]time.Time, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.kept), nil
}

// A key that is used all the time is noted once a minute. While the store is away, nothing is lost,
// and nobody waits.
func TestTheLastUseOfAKeyIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &uses{kept: map[access.KeyID]time.Time{}}
		noted := keyring.NewUses(store, time.Now, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- noted.Run(ctx) }()
		began := time.Now()
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for range 150 { // seconds
			noted.Note("k1")
			if all, err := noted.All(t.Context()); err != nil || time.Since(all["k1"]) >= time.Minute {
				t.Fatalf("a use is shown as that of %s, now it is %s: %v", all["k1"], time.Now(), err)
			}
			<-ticker.C
		}
		if store.rows != 3 {
			t.Errorf("in 150 s, %d uses are stored, want 3", store.rows)
		}
		store.mu.Lock()
		store.away = true
		store.mu.Unlock()
		noted.Note("k2")
		used := time.Now()
		for range 30 {
			<-ticker.C
		}
		if all, err := noted.All(t.Context()); err != nil || !all["k2"].Equal(used) || all["k1"].Before(began.Add(2*time.Minute)) {
			t.Errorf("while the store is away: %v, %v", all, err)
		}
		store.mu.Lock()
		store.away = false
		store.mu.Unlock()
		noted.Note("k3")
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		for _, key := range []access.KeyID{"k2", "k3"} {
			if store.kept[key].IsZero() {
				t.Errorf("the use of %s is not stored before the node stops", key)
			}
		}
	})
}
