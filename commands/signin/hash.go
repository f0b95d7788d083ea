package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// Cost is what one hash of a password costs (argon2id).
type Cost struct {
	Passes    uint32
	MemoryKiB uint32
}

// DefaultCost takes about 30 ms and 19 MiB. It is the lowest cost that OWASP's Password Storage
// Cheat Sheet recommends.
var DefaultCost = Cost{Passes: 2, MemoryKiB: 19 * 1024}

// ErrBusy means that a password waited too long (hashWait), because others were being hashed.
var ErrBusy = errors.New("too many passwords are compared at this moment")

const (
	hashesAtOnce = 2 // more would take too much memory, and each would take longer
	hashWait     = 5 * time.Second
	saltBytes    = 16
	hashBytes    = 32
)

// hasher hashes passwords, a few at a time, because each hash takes much memory.
type hasher struct {
	cost  Cost
	slots chan struct{}
	// spare is a slot only for people of the staff who have shown something besides a password: a
	// known browser, a session or a token. So whoever sends many wrong passwords, from many
	// addresses, cannot keep them from signing in.
	spare  chan struct{}
	nobody string       // the hash of no password; it is compared if there is no stored hash
	done   atomic.Int64 // how many hashes were computed; for tests
}

func newHasher(cost Cost) *hasher {
	if cost == (Cost{}) {
		cost = DefaultCost
	}
	return &hasher{cost: cost, slots: make(chan struct{}, hashesAtOnce), spare: make(chan struct{}, 1), nobody: encode(cost, make([]byte, saltBytes), make([]byte, hashBytes))}
}

// hash returns the text that is stored for a password, in the form that argon2's own program
// writes. Only people with a session or a token set a password, so the spare slot is for them.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // it never fails
	key, err := h.compute(ctx, h.cost, salt, password, true)
	if err != nil {
		return "", err
	}
	return encode(h.cost, salt, key), nil
}

// matches tells whether a password is the one whose hash was stored. If there is no stored hash, it
// computes a hash all the same and returns false. If known is true, the spare slot may be used.
func (h *hasher) matches(ctx context.Context, stored, password string, known bool) (bool, error) {
	there := stored != ""
	if !there {
		stored = h.nobody
	}
	var cost Cost
	var salt64, key64 string
	if n, err := fmt.Sscanf(stored, "$argon2id$v=19$m=%d,t=%d,p=1$%22s$%43s", &cost.MemoryKiB, &cost.Passes, &salt64, &key64); err != nil || n != 4 {
		return false, fmt.Errorf("the stored hash of a password cannot be read: %w", err)
	}
	salt, err := base64.RawStdEncoding.DecodeString(salt64)
	if err != nil {
		return false, fmt.Errorf("the stored hash of a password cannot be read: %w", err)
	}
	key, err := base64.RawStdEncoding.DecodeString(key64)
	if err != nil {
		return false, fmt.Errorf("the stored hash of a password cannot be read: %w", err)
	}
	given, err := h.compute(ctx, cost, salt, password, known)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(given, key) == 1 && there, nil
}

func (h *hasher) compute(ctx context.Context, cost Cost, salt []byte, password string, known bool) ([]byte, error) {
	spare := h.spare
	if !known {
		spare = nil // nothing can be sent to it
	}
	ctx, cancel := context.WithTimeoutCause(ctx, hashWait, ErrBusy)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case spare <- struct{}{}:
		defer func() { <-spare }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	h.done.Add(1)
	return argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, 1, hashBytes), nil
}

func encode(cost Cost, salt, key []byte) string {
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", cost.MemoryKiB, cost.Passes, text(salt), text(key))
}
