package sealing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// Subjects that come while keys are stored share the next transaction, each of them once.
func TestNewSubjectsShareATransaction(t *testing.T) {
	t.Parallel()
	const callers = 60
	var calls [][]string // only the maker's one goroutine calls all
	begun, release := make(chan struct{}), make(chan struct{})
	m := &maker{all: func(_ context.Context, subjects []string) (map[string]*dataKey, error) {
		calls = append(calls, subjects)
		if len(calls) == 1 {
			close(begun)
			<-release
		}
		keys := map[string]*dataKey{}
		for _, subject := range subjects {
			if subject != "customer:erased" {
				keys[subject] = &dataKey{subject: subject}
			}
		}
		return keys, nil
	}}
	var asking sync.WaitGroup
	ask := func(subject string) {
		asking.Go(func() {
			key, err := m.get(t.Context(), subject)
			if erased := subject == "customer:erased"; erased != errors.Is(err, ErrSubjectErased) || !erased && (err != nil || key.subject != subject) {
				t.Errorf("%s: %v, %v", subject, key, err)
			}
		})
	}
	ask("customer:first")
	<-begun
	for i := range callers {
		ask(fmt.Sprint("cart:", i%(callers/2))) // two callers for each
	}
	ask("customer:erased")
	for waits := 0; waits < callers+1; {
		m.mu.Lock()
		waits = len(m.waiting)
		m.mu.Unlock()
	}
	close(release)
	asking.Wait()
	if len(calls) != 2 || len(calls[1]) != callers/2+1 {
		t.Errorf("%d transactions; of the second one, the subjects are %q", len(calls), calls[1:])
	}
}

// Who does not wait any more gets an error, and the others their keys. If keys cannot be stored,
// all who wait for them learn why.
func TestWhoWaitsForAKeyLearnsWhatHappened(t *testing.T) {
	t.Parallel()
	away, gone := errors.New("away"), errors.New("gone")
	begun, release := make(chan struct{}, 1), make(chan struct{})
	m := &maker{all: func(context.Context, []string) (map[string]*dataKey, error) {
		begun <- struct{}{}
		<-release
		return nil, away
	}}
	ctx, cancel := context.WithCancelCause(t.Context())
	waits := make(chan error, 2)
	go func() { _, err := m.get(ctx, "cart:1"); waits <- err }()
	<-begun
	cancel(gone)
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("who has left: %v", err)
	}
	go func() { _, err := m.get(t.Context(), "cart:2"); waits <- err }()
	close(release)
	if err := <-waits; !errors.Is(err, away) {
		t.Errorf("who waits: %v", err)
	}
}

// One key of a batch fails all. Then each is asked for alone, and only who wants this key gets the
// error.
func TestAFailingKeyFailsItsOwnCallersOnly(t *testing.T) {
	t.Parallel()
	broken := errors.New("its master key is missing")
	begun, release := make(chan struct{}), make(chan struct{})
	var batches, alone atomic.Int64
	m := &maker{all: func(_ context.Context, subjects []string) (map[string]*dataKey, error) {
		if slices.Equal(subjects, []string{"customer:first"}) {
			close(begun)
			<-release
		} else if len(subjects) > 1 {
			batches.Add(1)
		} else {
			alone.Add(1)
		}
		keys := map[string]*dataKey{}
		for _, subject := range subjects {
			switch subject {
			case "customer:broken":
				return nil, broken
			case "customer:erased":
			default:
				keys[subject] = &dataKey{subject: subject}
			}
		}
		return keys, nil
	}}
	want := map[string]error{"customer:broken": broken, "customer:erased": ErrSubjectErased, "cart:1": nil, "cart:2": nil, "cart:3": nil}
	var asking sync.WaitGroup
	ask := func(subject string, want error) {
		asking.Go(func() {
			key, err := m.get(t.Context(), subject)
			if !errors.Is(err, want) || want == nil && (err != nil || key.subject != subject) || want != nil && key != nil {
				t.Errorf("%s: %v, %v, want %v", subject, key, err, want)
			}
		})
	}
	ask("customer:first", nil)
	<-begun
	for subject, err := range want {
		ask(subject, err)
		ask(subject, err) // two callers for each
	}
	for waits := 0; waits < 2*len(want); {
		m.mu.Lock()
		waits = len(m.waiting)
		m.mu.Unlock()
	}
	close(release)
	asking.Wait()
	if batches.Load() != 1 || alone.Load() == 0 {
		t.Errorf("%d batches, and %d keys were asked for alone", batches.Load(), alone.Load())
	}
}

// Clear text is in memory only for the same sealed text, and only until a key is destroyed. What
// was decrypted before that and comes later is not kept.
func TestRecentEventsAreForgotten(t *testing.T) {
	t.Parallel()
	k := NewKeys(nil, nil, nil)
	id := [16]byte{1}
	keep := func() { k.keepClear(id, "a", []byte("sealed"), []byte("clear"), k.timesForgotten()) }
	keep()
	if got := k.clearOf(id, "a", []byte("sealed")); string(got) != "clear" {
		t.Errorf("got %q", got)
	}
	for name, of := range map[string][]byte{"another text": k.clearOf(id, "a", []byte("sealeD")), "another event": k.clearOf([16]byte{2}, "a", []byte("sealed")), "another stream": k.clearOf(id, "b", []byte("sealed"))} {
		if of != nil {
			t.Errorf("%s: got %q", name, of)
		}
	}
	before := k.timesForgotten()
	k.Drop("some key")
	if got := k.clearOf(id, "a", []byte("sealed")); got != nil {
		t.Errorf("after a key was destroyed: %q", got)
	}
	k.keepClear(id, "a", []byte("sealed"), []byte("clear"), before)
	if got := k.clearOf(id, "a", []byte("sealed")); got != nil {
		t.Errorf("what was decrypted before: %q", got)
	}
	keep()
	large := make([]byte, recentBytes/4)
	for i := range 8 {
		k.keepClear([16]byte{3, byte(i)}, "a", large, nil, k.timesForgotten())
	}
	if got := k.clearOf(id, "a", []byte("sealed")); got != nil {
		t.Errorf("the memory is not bounded: %q", got)
	}
}
