package gateway

import (
	"context"
	"errors"
	"strconv"
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
	if cost, err := bcrypt.Cost(users.unlistedHash.hash); err != nil || cost != bcrypt.MinCost+1 {
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

// Who guesses keeps others out as little as may be: only so many passwords of a
// name wait, and those of all names that are not listed count as one's.
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
		for range over { // nobody else is answered yet
			if err := <-answers; !errors.Is(err, ErrBusy) {
				t.Errorf("one guess too many: %v", err)
			}
		}
	}
	// A client's many calls have one password; who has it is not kept out by others.
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
