package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// A name that is not listed takes the way of one that is, and as long: the time of
// the answer does not tell them apart.
func TestAnUnknownNameTakesAsLong(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for name, cost := range map[string]int{"ann": bcrypt.MinCost, "bob": bcrypt.MinCost + 1} {
		hash, err := bcrypt.GenerateFromPassword([]byte("right"), cost)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString(name + ":" + string(hash) + "\n")
	}
	users, err := ReadPasswordFile(strings.NewReader(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost(users.stranger.hash); err != nil || cost != bcrypt.MinCost+1 {
		t.Errorf("it is compared at cost %d, want %d: %v", cost, bcrypt.MinCost+1, err)
	}
	// While another password is compared, both wait for their turn.
	if err := users.hashing.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"ann", "eve"} {
		if _, err := users.Authenticate(ended, name, "wrong"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s does not wait: %v", name, err)
		}
	}
	users.hashing.Release(1)
	// Not even the stranger's own password is good.
	users.stranger.hash, err = bcrypt.GenerateFromPassword([]byte("known"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := users.Authenticate(t.Context(), "eve", "known"); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("eve: %v", err)
		}
	}
}
