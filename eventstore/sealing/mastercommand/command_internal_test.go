package mastercommand

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/eventstore"
	"daybook/eventstore/sealing"
	"daybook/eventstore/sealing/mastercommand/mastercommandtest"
)

var _ sealing.Master = (*Command)(nil)

func TestMain(m *testing.M) {
	if mastercommandtest.Main(os.Args, os.Stdin, os.Stdout, os.Stderr) {
		return
	}
	m.Run()
}

// buffer is a log that goroutines share.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func open(t *testing.T) (*Command, *mastercommandtest.Fake, *buffer) {
	t.Helper()
	fake, log := mastercommandtest.New(t), &buffer{}
	c := New(fake.Args, nil, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, fake, log
}

var about = []byte("daybook data key 1 k1 customer:carol")

func keyOf(first byte) []byte { return append([]byte{first}, make([]byte, keySize-1)...) }

// works wraps and unwraps a key.
func works(t *testing.T, c *Command, id string) (wrapped []byte) {
	t.Helper()
	wrapped, err := c.Wrap(t.Context(), id, keyOf(7), about)
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.Unwrap(t.Context(), id, wrapped, about)
	if err != nil || !bytes.Equal(key, keyOf(7)) {
		t.Fatalf("%x, %v", key, err)
	}
	return wrapped
}

func TestACommandWrapsAndUnwraps(t *testing.T) {
	t.Parallel()
	c, fake, log := open(t)
	first, err := c.First(t.Context())
	if err != nil || first != fake.ID() || !c.Has(first) || c.Has("k1") {
		t.Fatalf("%q, %v", first, err)
	}
	wrapped := works(t, c, first)
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if key, err := c.Unwrap(t.Context(), first, wrapped, about); err != nil || !bytes.Equal(key, keyOf(7)) {
				t.Errorf("%x, %v", key, err)
			}
		})
	}
	asking.Wait()
	if fake.Starts() != 1 {
		t.Errorf("the command was started %d times", fake.Starts())
	}
	if _, err := c.Unwrap(t.Context(), first, wrapped, []byte("another row")); !isAway(err) {
		t.Errorf("for another row: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.First(t.Context()); !isAway(err) {
		t.Errorf("after its end: %v", err)
	}
	if text := log.String(); !strings.Contains(text, "logged in with the token [removed]") || strings.Contains(text, "0123456789") {
		t.Errorf("the log: %s", text)
	}
}

func isAway(err error) bool {
	_, is := errors.AsType[*eventstore.UnavailableError](err)
	return is
}

// Whatever the command does, keys are away and nothing else. When it works again, so do the keys.
func TestACommandThatFailsIsAway(t *testing.T) {
	t.Parallel()
	for mode, says := range map[string]string{
		mastercommandtest.Dies: "makes no sense", mastercommandtest.Hangs: "takes too long", mastercommandtest.Nonsense: "makes no sense",
		mastercommandtest.Refuses: "403 for the token [removed]",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c, fake, log := open(t)
			wrapped := works(t, c, fake.ID())
			if mode == mastercommandtest.Hangs {
				c.limit = 300 * time.Millisecond
			}
			fake.Behave(mode)
			if _, err := c.Unwrap(t.Context(), fake.ID(), wrapped, about); !isAway(err) || !strings.Contains(err.Error(), says) {
				t.Errorf("unwrap: %v", err)
			}
			if _, err := c.Wrap(t.Context(), fake.ID(), keyOf(8), about); !isAway(err) {
				t.Errorf("wrap: %v", err)
			}
			fake.Behave(mastercommandtest.Well)
			c.limit = requestMax
			for deadline := time.Now().Add(10 * time.Second); ; {
				if _, err := c.Unwrap(t.Context(), fake.ID(), wrapped, about); err == nil {
					break
				} else if time.Now().After(deadline) {
					t.Fatalf("it works and is away: %v", err)
				}
			}
			works(t, c, fake.ID())
			if starts := fake.Starts(); (starts == 1) != (mode == mastercommandtest.Refuses) || starts > 9 {
				t.Errorf("it was started %d times", starts)
			}
			if strings.Contains(log.String(), "0123456789") {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

// A command that was ended between two requests is not noticed.
func TestACommandThatWasEndedIsStartedAgain(t *testing.T) {
	t.Parallel()
	c, fake, _ := open(t)
	wrapped := works(t, c, fake.ID())
	c.child.kill()
	<-c.child.ended
	if _, err := c.Unwrap(t.Context(), fake.ID(), wrapped, about); err != nil {
		t.Error(err)
	}
	if fake.Starts() != 2 {
		t.Errorf("it was started %d times", fake.Starts())
	}
}

// Answers that are out of step, and keys that cannot be unwrapped, are noticed before a key is
// used.
func TestACommandThatMixesUpKeysIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{mastercommandtest.Chats, mastercommandtest.Swaps} {
		c, fake, _ := open(t)
		fake.Behave(mode)
		if wrapped, err := c.Wrap(t.Context(), fake.ID(), keyOf(9), about); !isAway(err) || wrapped != nil {
			t.Errorf("%s: %x, %v", mode, wrapped, err)
		}
	}
}

// A caller that goes away gets its answer no more, and the next one gets its own.
func TestACallerOfACommandMayGo(t *testing.T) {
	t.Parallel()
	c, fake, _ := open(t)
	wrapped := works(t, c, fake.ID())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, err := c.Wrap(gone, fake.ID(), keyOf(1), about); err != nil && !isAway(err) {
			t.Errorf("who has gone: %v", err)
		}
		if key, err := c.Unwrap(t.Context(), fake.ID(), wrapped, about); err != nil || !bytes.Equal(key, keyOf(7)) {
			t.Fatalf("%x, %v", key, err)
		}
	}
	if fake.Starts() != 1 {
		t.Errorf("it was started %d times", fake.Starts())
	}
}

func TestIDsOfMasterKeys(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		"0f3c5a9be1d2c4a7": true, "arn:aws:kms:eu-west-1:123456789012:key/1234abcd": true, "transit/daybook@3": true,
		"": false, "a b": false, "-x": false, "a\n": false, strings.Repeat("x", 201): false,
	} {
		if IsID(id) != good {
			t.Errorf("%q: %t", id, !good)
		}
	}
}
