package groups

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// A group was made, but the answer was lost. When it is made again, it is there as it was made the
// first time.
func TestAGroupMadeAgainAfterALostAnswerIsAsItWas(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		d := Definition{Key: Key{Source: All, Name: "x"}, Filter: Filter{Prefixes: []string{"first"}}, Settings: defaults()}
		lost := errors.New("the answer is lost")
		b.store.set(lost)
		if err := b.Create(b.Context(), d); !errors.Is(err, lost) {
			b.Fatalf("create: %v, want %v", err, lost)
		}
		b.store.set(nil)
		again := d
		again.Filter.Prefixes = []string{"second"}
		if err := b.Create(b.Context(), again); !isA[*ExistsError](err) {
			b.Fatalf("create again: %v, want *ExistsError", err)
		}
		for _, when := range []string{"now", "after a restart"} {
			info, err := b.Info(b.Context(), d.Key)
			b.must(err)
			if got := info.Filter.Prefixes; !slices.Equal(got, d.Filter.Prefixes) {
				b.Errorf("%s the group selects %q, want %q", when, got, d.Filter.Prefixes)
			}
			b.must(b.Restart(b.Context()))
		}
	})
}

func TestAGroupDeletedAgainAfterALostAnswerIsServedNoMore(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(b *bench) {
		c := b.connect(1)
		lost := errors.New("the answer is lost")
		b.store.set(lost)
		if err := b.Delete(b.Context(), b.key); !errors.Is(err, lost) {
			b.Fatalf("delete: %v, want %v", err, lost)
		}
		b.store.set(nil)
		if err := b.Delete(b.Context(), b.key); !isA[*NotFoundError](err) {
			b.Fatalf("delete again: %v, want *NotFoundError", err)
		}
		b.wantOver(c, &DroppedError{Key: b.key})
	})
}

var changes = map[string]func(*bench) error{
	"create": func(b *bench) error {
		return b.Create(b.Context(), Definition{Key: Key{Source: "s", Name: "x"}, Settings: defaults()})
	},
	"update": func(b *bench) error { return b.Update(b.Context(), b.key, defaults()) },
	"delete": func(b *bench) error { return b.Delete(b.Context(), b.key) },
}

// While the store hangs during a change, this node loses its lease. It must stop serving at once,
// so that two nodes never serve the same groups.
func TestALostLeaseIsNotHeldUpByAChange(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(b *bench) {
				other := Key{Source: "s", Name: "other"}
				b.must(b.Create(b.Context(), Definition{Key: other, Settings: defaults()}))
				c, err := b.Connect(b.Context(), other, Connection{}, 1)
				b.must(err)
				b.store.set(errHangs)
				changed := make(chan error, 1)
				go func() { changed <- change(b) }()
				b.pass(time.Second)
				b.node.set(Leadership{Host: "other", Port: 1})
				began := time.Now()
				b.wantOver(c, &NotLeaderError{Host: "other", Port: 1})
				if took := time.Since(began); took != endMax {
					b.Errorf("the group was served for %s more, want %s", took, endMax)
				}
				if err := <-changed; err == nil {
					b.Error("a change that was cut off is reported as done")
				}
				// The node may lead again, and then nothing is cut off early.
				b.node.set(Leadership{Epoch: 2})
				b.pass(time.Second)
				began = time.Now()
				if err := b.Delete(b.Context(), other); err == nil || time.Since(began) != changeMax {
					b.Errorf("under the next lease a change ended after %s with %v, want %s", time.Since(began), err, changeMax)
				}
			})
		})
	}
}

// When the service ends, work that is under way and hangs is soon cut off.
func TestTheEndIsNotHeldUp(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(b *bench) {
				b.store.set(errHangs)
				changed := make(chan error, 1)
				go func() { changed <- change(b) }()
				b.pass(changeMax / 2)
				if len(changed) != 0 {
					b.Fatalf("the change is over: %v", <-changed)
				}
				began := time.Now()
				b.end()
				if took := time.Since(began); took != endMax {
					b.Errorf("the end took %s, want %s", took, endMax)
				}
				if err := <-changed; err == nil {
					b.Error("a change that was cut off is reported as done")
				}
			})
		})
	}
	t.Run("save", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(s *Settings) { s.MaxCheckpointCount = 1 }, func(b *bench) {
			b.source.grow(1)
			c := b.connect(1)
			ids := b.want(c, "0/0")
			b.store.set(errHangs)
			c.Ack(ids)
			b.pass(time.Second)
			began := time.Now()
			b.end()
			if took := time.Since(began); took != endMax {
				b.Errorf("the end took %s, want %s", took, endMax)
			}
		})
	})
}
