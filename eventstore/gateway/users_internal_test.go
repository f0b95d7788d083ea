package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// For a name that is not listed, the gateway does the same work as for a listed name. So the time
// of the answer does not show which names are listed.
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
	if cost, err := bcrypt.Cost(users.unlistedHash.hash); err != nil || cost != bcrypt.MinCost+1 {
		t.Errorf("it is compared at cost %d, want %d: %v", cost, bcrypt.MinCost+1, err)
	}
	// While another password is compared, both names wait.
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
	// Even the password of unlistedHash is refused.
	users.unlistedHash.hash, err = bcrypt.GenerateFromPassword([]byte("known"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := users.Authenticate(t.Context(), "eve", "known"); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("eve: %v", err)
		}
	}
}

// An attacker who guesses passwords can keep only few others out: only a few passwords of each name
// wait, and all names that are not listed count as one name.
func TestGuessesThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users, err := ReadPasswordFile(strings.NewReader("ann:" + string(hash) + "\nbob:" + string(hash) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := users.hashing.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	guess := func(name func(i int) string, password func(i int) string, times int) <-chan error {
		answers := make(chan error, times)
		for i := range times {
			go func() {
				_, err := users.Authenticate(t.Context(), name(i), password(i))
				answers <- err
			}()
		}
		return answers
	}
	ann := func(int) string { return "ann" }
	stranger := func(i int) string { return "eve-" + strconv.Itoa(i) }
	const over = 3
	bad := []<-chan error{guess(ann, strconv.Itoa, guesses+over), guess(stranger, strconv.Itoa, guesses+over)}
	for _, answers := range bad {
		for range over { // only calls over the limit are answered now
			if err := <-answers; !errors.Is(err, ErrBusy) {
				t.Errorf("one guess too many: %v", err)
			}
		}
	}
	// Many calls of one client have the same password, and share one comparison. So they do not
	// count as many guesses.
	good := guess(func(int) string { return "bob" }, func(int) string { return "right" }, 10*guesses)
	users.hashing.Release(1)
	for range 10 * guesses {
		if err := <-good; err != nil {
			t.Errorf("the right password: %v", err)
		}
	}
	for _, answers := range bad {
		for range guesses {
			if err := <-answers; !errors.Is(err, ErrBadCredentials) {
				t.Errorf("a wrong password: %v", err)
			}
		}
	}
}
