// Package keyring knows the shop's API keys. Each node has one Keyring: it reads all keys when it
// starts, follows their stream, and tells who sends a request. So a key that was revoked on one
// node is refused by all nodes as soon as they hear of it, which takes milliseconds, and no request
// asks a database.
//
// The text of a key is "dbk_", its id, "_" and a secret of 256 random bits in hex. Only the hash of
// the secret is stored. Example: dbk_k3f9a1c2_ and 64 digits.
package keyring

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// prefix begins the text of every key, so that scanners for leaked secrets can find it.
const prefix = "dbk"

// Reasons why a key is refused. A client is not told which one it is, because that would help
// somebody who tries keys. The program's log has the reason.
var (
	ErrMalformed = errors.New("the text is no API key")
	ErrUnknown   = errors.New("there is no such API key")
	ErrWrong     = errors.New("the secret of the API key is wrong")
	ErrEnded     = errors.New("the API key was revoked or has expired")
)

// MaxDeaf is how long a node may go on with the keys that it read last while it does not hear of
// changes. After that it refuses all keys, because any of them may have been revoked.
const MaxDeaf = time.Minute

// ErrDeaf means that the node has not heard of changes for longer than MaxDeaf.
var ErrDeaf = errors.New("this node has not heard of changes of API keys and roles for more than " + MaxDeaf.String())

// noHash has the length of a hash. It is compared if there is no hash, so that the work is the
// same.
var noHash = strings.Repeat("0", sha256.Size*2)

// ErrNotReady means that the node has not read the keys yet.
var ErrNotReady = errors.New("the API keys have not been read yet")

// Keyring knows all keys. Its methods may be called by several goroutines.
type Keyring struct {
	store  eventstore.Store
	now    func() time.Time
	logger *slog.Logger

	mu      sync.RWMutex
	state   access.State
	read    bool
	opened  time.Time            // when everything that was recorded had been read
	trouble error                // why this node does not hear of changes; nil: it does
	since   time.Time            // the beginning of the trouble
	holders map[*holder]struct{} // to be ended when their rights change
	at      int64                // the revision of the last event that was read
	changed chan struct{}        // closed and replaced with each event
}

// New makes a Keyring over a log. Open reads the keys, and Run follows them.
func New(store eventstore.Store, now func() time.Time, logger *slog.Logger) *Keyring {
	return &Keyring{store: store, now: now, logger: logger, holders: map[*holder]struct{}{}, at: -1, changed: make(chan struct{})}
}

// Open reads all keys. The error is that of the log.
func (k *Keyring) Open(ctx context.Context) error {
	for recorded, err := range k.store.ReadStream(ctx, access.Stream(), k.next(), 0) {
		if _, none := errors.AsType[*eventstore.NotFoundError](err); none {
			break
		}
		if err != nil {
			return fmt.Errorf("read API keys: %w", err)
		}
		if err := k.apply(recorded); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read, k.opened = true, time.Now()
	return nil
}

// Run follows the keys until ctx ends. While the log does not answer, the node uses the keys that
// it read last, for MaxDeaf at most. After that, Run ends the requests that While lets go on.
func (k *Keyring) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := k.follow(ctx); err != nil && ctx.Err() == nil {
			k.setTrouble(err)
			k.logger.Warn("API keys cannot be followed; changes are not noticed", "error", err)
			k.endIfDeaf()
		}
		pause.For(ctx, time.Second)
	}
	return ctx.Err()
}

func (k *Keyring) follow(ctx context.Context) error {
	head, err := k.store.Head(ctx)
	if err != nil {
		return err
	}
	// Open reads what was recorded up to head. The subscription brings what comes after it.
	if err := k.Open(ctx); err != nil {
		return err
	}
	k.setTrouble(nil)
	for item, err := range k.store.Subscribe(ctx, head, eventstore.Filter{StreamPrefixes: []string{access.Stream()}}) {
		if err != nil {
			return err
		}
		if item.Event == nil || item.Event.Stream != access.Stream() {
			continue
		}
		if err := k.apply(*item.Event); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keyring) setTrouble(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble == nil {
		k.since = time.Now()
	}
	k.trouble = err
}

// endIfDeaf ends all long requests with keys if the node has been deaf for too long.
func (k *Keyring) endIfDeaf() {
	if k.Deaf() <= MaxDeaf {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for h := range k.holders {
		h.end()
		delete(k.holders, h)
	}
}

// Deaf is for how long this node has not heard of changes of keys: because they cannot be followed
// (see Trouble), or because the log has fallen silent. It is 0 if the node hears of them.
func (k *Keyring) Deaf() time.Duration {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := time.Now()
	if k.trouble != nil {
		return now.Sub(k.since)
	}
	log, reports := k.store.(eventstore.PulseReporter)
	if !reports || !k.read {
		return 0
	}
	heard := log.Pulse().Proven
	if k.opened.After(heard) {
		heard = k.opened
	}
	if silent := now.Sub(heard); silent > eventstore.Silent {
		return silent
	}
	return 0
}

// Trouble says why this node does not hear of changes of keys at present, for example because the
// log is away or has an event of a newer program. It is nil if the node hears of them.
func (k *Keyring) Trouble() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.trouble
}

// next is the revision of the first event that was not read yet.
func (k *Keyring) next() int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.at + 1
}

// apply adds an event to the state, unless it was applied before.
func (k *Keyring) apply(recorded eventstore.Recorded) error {
	event, err := eventstore.Decode(&recorded, access.Decode)
	if eventstore.IsForeign(err) {
		return nil // what another program writes gives nobody a right
	}
	if err != nil {
		return fmt.Errorf("read API keys: event %d: %w", recorded.Revision, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if recorded.Revision <= k.at {
		return nil
	}
	// Evolve may change the maps in place. That is safe, because no reader keeps them after its
	// lock.
	k.state, k.at = access.Evolve(k.state, event), recorded.Revision
	close(k.changed)
	k.changed = make(chan struct{})
	for h := range k.holders {
		if !k.holds(h) {
			h.end()
			delete(k.holders, h)
			continue
		}
		k.endInTime(h) // a rotation may have set an end to its secret
	}
	return nil
}

// holds tells whether a holder still has the rights with which its request began. The caller has
// the lock.
func (k *Keyring) holds(h *holder) bool {
	key := k.state.Keys[h.key]
	good := h.credential == key.Hash || h.credential == key.OldHash && k.now().Before(key.OldUntil)
	return good && key.ActiveAt(k.now()) && key.Role == h.role && maps.Equal(k.state.GrantsOf(key.Role), h.grants)
}

// Authenticate tells who the holder of a key is. The text is what the client sent.
//
// Errors: ErrMalformed, ErrUnknown, ErrWrong, ErrEnded, ErrNotReady, ErrDeaf.
func (k *Keyring) Authenticate(text string) (access.Principal, error) {
	id, secret, err := parse(text)
	if err != nil {
		return access.Principal{}, err
	}
	if k.Deaf() > MaxDeaf {
		return access.Principal{}, ErrDeaf
	}
	sum := sha256.Sum256([]byte(secret))
	given := hex.EncodeToString(sum[:])
	now := k.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	if !k.read {
		return access.Principal{}, ErrNotReady
	}
	key, known := k.state.Keys[id]
	if !known {
		key.Hash = noHash
	}
	// The comparison takes the same time for every secret. It is also made for an unknown key, so
	// that the time does not tell whether there is such a key.
	same := subtle.ConstantTimeCompare([]byte(given), []byte(key.Hash)) == 1
	old := subtle.ConstantTimeCompare([]byte(given), []byte(cmp.Or(key.OldHash, noHash))) == 1 && now.Before(key.OldUntil)
	switch {
	case !known:
		return access.Principal{}, ErrUnknown
	case !same && !old:
		return access.Principal{}, ErrWrong
	case !key.ActiveAt(now):
		return access.Principal{}, ErrEnded
	}
	who := k.state.PrincipalOf(id)
	who.Credential = given
	return who, nil
}

// IDOf is the id of a principal's key. It is empty for a principal without a key.
func IDOf(who access.Principal) access.KeyID {
	id, is := strings.CutPrefix(who.ID, access.KeyPrefix)
	if !is {
		return ""
	}
	return access.KeyID(id)
}

// holder is the holder of a key in a long request, such as a live stream.
type holder struct {
	key        access.KeyID
	credential string // the hash of the secret
	role       access.Role
	grants     access.Grants
	end        context.CancelFunc
	timer      *time.Timer // calls end; nil: nothing ends the key by itself
}

// While returns a context that ends when the rights of a principal change: its key is revoked or
// expires, its secret was replaced, or its role gets other grants. The caller must call stop. A
// principal without a key, such as a part of the program, keeps its rights.
func (k *Keyring) While(ctx context.Context, who access.Principal) (_ context.Context, stop func()) {
	id := IDOf(who)
	if id == "" {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	h := &holder{key: id, credential: who.Credential, role: who.Role, grants: who.Grants, end: func() { cancel(ErrEnded) }}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.holds(h) {
		cancel(ErrEnded)
		return ctx, func() {}
	}
	k.holders[h] = struct{}{}
	k.endInTime(h)
	return ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if h.timer != nil {
			h.timer.Stop()
		}
		delete(k.holders, h)
		cancel(nil)
	}
}

// endInTime starts the timer that ends a holder when its key expires, in place of the timer that
// the holder had. If a rotation has replaced the holder's secret, the end of the overlap counts if
// it is earlier. The caller has the lock.
func (k *Keyring) endInTime(h *holder) {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	key := k.state.Keys[h.key]
	end := key.ExpiresAt
	if h.credential != key.Hash && (end.IsZero() || key.OldUntil.Before(end)) {
		end = key.OldUntil
	}
	if !end.IsZero() {
		h.timer = time.AfterFunc(end.Sub(k.now()), h.end)
	}
}

// Keys calls see with each key, in no particular order.
func (k *Keyring) Keys(see func(id access.KeyID, key access.Key)) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for id, key := range k.state.Keys {
		see(id, key)
	}
}

// Roles calls see with each custom role, in no particular order. see must not keep the grants.
func (k *Keyring) Roles(see func(name access.Role, grants access.Grants)) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for name, grants := range k.state.Roles {
		see(name, grants)
	}
}

// Grants are those of a role, as a copy. A role that does not exist has none.
func (k *Keyring) Grants(role access.Role) access.Grants {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return maps.Clone(k.state.GrantsOf(role))
}

// HasAdmin tells whether there is an active key that has no end and may make other keys.
func (k *Keyring) HasAdmin() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.state.Keys {
		if key.ActiveAt(k.now()) && key.ExpiresAt.IsZero() && k.state.MayMakeKeys(key) {
			return true
		}
	}
	return false
}

// Overdue tells whether a key has reached its end and no event says so yet.
func (k *Keyring) Overdue() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.state.Keys {
		if key.Status == access.Active && !key.ActiveAt(k.now()) {
			return true
		}
	}
	return false
}

// Has waits until the keyring has read the stream up to a revision, so that whoever made a key can
// use it at once.
func (k *Keyring) Has(ctx context.Context, revision int64) error {
	for {
		k.mu.RLock()
		at, changed := k.at, k.changed
		k.mu.RUnlock()
		if at >= revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Secret is a new key's text, and what the log has of it.
type Secret struct {
	Text string // what its holder sends; it is shown once
	Hash string
}

// NewID makes the id of a new key.
func NewID() access.KeyID {
	random := make([]byte, 5)
	_, _ = rand.Read(random) // it never fails
	return access.KeyID("k" + hex.EncodeToString(random))
}

// NewSecret makes a new secret for a key.
func NewSecret(id access.KeyID) Secret {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	secret := hex.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	return Secret{Text: prefix + "_" + string(id) + "_" + secret, Hash: hex.EncodeToString(sum[:])}
}

// TextOf is the text of a key whose id and secret are given separately, as a user name and a
// password. The password may also be the whole text of the key. isKey is false if the password has
// neither form, or if the whole text is that of a key with another id.
func TextOf(name, password string) (text string, isKey bool) {
	if id, _, err := parse(password); err == nil {
		return password, string(id) == name
	}
	text = prefix + "_" + name + "_" + password
	_, _, err := parse(text)
	return text, err == nil
}

// parse reads the text of a key.
func parse(text string) (id access.KeyID, secret string, err error) {
	parts := strings.Split(text, "_")
	if len(parts) != 3 || parts[0] != prefix || parts[1] == "" || len(parts[1]) > 40 || len(parts[2]) != 64 {
		return "", "", ErrMalformed
	}
	return access.KeyID(parts[1]), parts[2], nil
}
