package sealing

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"daybook/eventstore"
)

// Table stores data keys outside the log. All nodes share it.
type Table interface {
	// Fetch returns the row of a data key. ok is false if there is none.
	Fetch(ctx context.Context, id string) (row Row, ok bool, err error)
	// OfSubjects returns the rows of the data keys of subjects, by subject, except those that are
	// destroyed. If a subject has none, it stores fresh and returns it, but only if fresh.Master is
	// the current master key. Otherwise it returns ErrMasterChanged. A subject that was erased gets
	// no row.
	OfSubjects(ctx context.Context, subjects []string, fresh func(subject string) (Row, error)) (map[string]Row, error)
	// Destroyed returns the ids of the data keys that were destroyed since a time ago.
	Destroyed(ctx context.Context, since time.Duration) ([]string, error)
	// CurrentMaster returns the id of the master key that wraps new data keys. If there is none, or
	// if there are no data keys, it stores first and returns it.
	CurrentMaster(ctx context.Context, first string) (string, error)
	// Masters returns the ids of all master keys that wrap a data key.
	Masters(ctx context.Context) ([]string, error)
}

// ErrMasterChanged means that another master key has become the current one.
var ErrMasterChanged = errors.New("another master key is the current one")

// ErrSubjectErased means that the texts of a subject were erased, so it gets no key any more.
var ErrSubjectErased = errors.New("the texts of the subject were erased")

// Row is a data key as a Table has it.
type Row struct {
	ID      string
	Subject string // whose fields it encrypts: "customer:17850", or "cart:c-1" of a guest
	Master  string // the id of the master key that wraps it
	Wrapped []byte // the key, encrypted with the master key; nil if it is destroyed
}

// Destroyed tells whether nobody can have the key any more.
func (r Row) Destroyed() bool { return r.Wrapped == nil }

// Master has the master keys. MasterKeys has them in a file. A service that manages keys can
// implement it, too, and then no master key is ever on this machine.
//
// If the service cannot be reached, each method returns an error. Then a field that needs a key
// which is not in memory can be neither sealed nor opened (KeyAwayError), and never reads as
// erased. A node that opens waits for the service if the error is an *eventstore.UnavailableError.
type Master interface {
	// First returns the id of the master key that a new table begins with.
	First(ctx context.Context) (id string, err error)
	// Wrap encrypts a data key with a master key. about must be given to Unwrap again.
	Wrap(ctx context.Context, id string, key, about []byte) ([]byte, error)
	// Unwrap decrypts what Wrap has encrypted.
	Unwrap(ctx context.Context, id string, wrapped, about []byte) ([]byte, error)
}

const (
	// compareEvery is the pause between two looks at which data keys were destroyed.
	compareEvery = 10 * time.Second
	// staleAfter is when keys in memory are no longer used unless the table says that they are not
	// destroyed. So a destroyed key is dropped within this time, even if the table is away.
	staleAfter = 45 * time.Second
	// overlap is added to the time for which destroyed keys are asked for. It is longer than a
	// fetch can take, because a fetch can end after the key was destroyed.
	overlap = 5 * time.Minute
	// mostKeys bounds how many data keys a node has in memory. Each has less than a kilobyte.
	mostKeys = 16_384
)

// dataKey is a data key in memory. aead is nil if the key is destroyed.
type dataKey struct {
	id, subject string
	aead        cipher.AEAD
}

// Keys has the data keys of a node.
type Keys struct {
	table  Table
	master Master
	now    func() time.Time

	// Destroyed, if it is set, is called when this node has learned of keys that were destroyed.
	Destroyed func()
	// Report, if it is set, is called when Run begins and then each time that destroyed keys are
	// asked for. It tells other nodes which master keys this node has.
	Report func(ctx context.Context)

	comparing chan struct{} // held while asking which keys were destroyed
	made      maker

	mu         sync.Mutex
	recent     recent
	comparedAt time.Time
	gone       map[string]bool // the destroyed keys of the last comparison
	current    string          // the id of the current master key; empty: not known
	// Two generations bound the memory: if young has half of mostKeys, it becomes old, and old is
	// forgotten. A key of old that is used becomes young.
	young, old map[string]*dataKey // by name: a key's id, or "of " and its subject
}

// NewKeys makes the keys of a node.
func NewKeys(table Table, master Master, now func() time.Time) *Keys {
	k := &Keys{table: table, master: master, now: now, comparing: make(chan struct{}, 1)}
	k.made.all = k.makeAll
	return k
}

// Open makes sure that all master keys are there with which the table's keys are wrapped. A table
// without keys gets the first master key as its current one.
func (k *Keys) Open(ctx context.Context) error {
	wanted, err := k.table.Masters(ctx)
	if err != nil {
		return err
	}
	for _, id := range wanted {
		if err := k.try(ctx, id); err != nil {
			return err
		}
	}
	current, err := k.currentMaster(ctx)
	if err != nil {
		return err
	}
	return k.try(ctx, current)
}

// try makes sure that a master key is there.
func (k *Keys) try(ctx context.Context, id string) error {
	wrapped, err := k.master.Wrap(ctx, id, make([]byte, dataKeySize), nil)
	if err == nil {
		_, err = k.master.Unwrap(ctx, id, wrapped, nil)
	}
	return err
}

// Run asks again and again which keys were destroyed, until ctx ends. Without Run, a node asks only
// when it uses a key.
func (k *Keys) Run(ctx context.Context) error {
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		if k.Report != nil {
			k.Report(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		_ = k.compare(ctx, true) // who uses a key gets the error
	}
}

// Drop forgets data keys that were destroyed.
func (k *Keys) Drop(ids ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(ids) > 0 {
		k.recent.forget()
	}
	for _, id := range ids {
		for _, generation := range []map[string]*dataKey{k.young, k.old} {
			if key := generation[id]; key != nil {
				delete(generation, id)
				delete(generation, "of "+key.subject)
			}
		}
	}
}

// ofSubject returns the data key of a subject, and makes it if there is none.
func (k *Keys) ofSubject(ctx context.Context, subject string) (*dataKey, error) {
	if err := k.compare(ctx, false); err != nil {
		return nil, away("", err)
	}
	if key := k.inMemory("of " + subject); key != nil {
		return key, nil
	}
	key, err := k.made.get(ctx, subject)
	if errors.Is(err, ErrSubjectErased) {
		return nil, err
	}
	if err != nil {
		return nil, away("", err)
	}
	return key, nil
}

// mastersTried bounds how often a new data key is wrapped again because another master key has
// become the current one meanwhile.
const mastersTried = 3

// makeAll returns the keys of subjects, and makes those that do not exist yet.
func (k *Keys) makeAll(ctx context.Context, subjects []string) (map[string]*dataKey, error) {
	forgotten := k.timesForgotten()
	var rows map[string]Row
	var err error
	for range mastersTried {
		rows, err = k.table.OfSubjects(ctx, subjects, func(subject string) (Row, error) { return k.fresh(ctx, subject) })
		if !errors.Is(err, ErrMasterChanged) {
			break
		}
		k.mu.Lock()
		k.current = ""
		k.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	keys := make(map[string]*dataKey, len(rows))
	for subject, row := range rows {
		if keys[subject], err = k.unwrap(ctx, row, forgotten); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// fresh makes a data key.
func (k *Keys) fresh(ctx context.Context, subject string) (Row, error) {
	current, err := k.currentMaster(ctx)
	if err != nil {
		return Row{}, err
	}
	const idSize = 12
	random := make([]byte, idSize+dataKeySize)
	_, _ = rand.Read(random) // it never fails
	row := Row{ID: encoding.EncodeToString(random[:idSize]), Subject: subject, Master: current}
	row.Wrapped, err = k.master.Wrap(ctx, current, random[idSize:], row.about())
	return row, err
}

// about binds a wrapped key to its row, so that nobody can swap the keys of two rows.
func (r Row) about() []byte { return []byte("daybook data key 1 " + r.ID + " " + r.Subject) }

func (k *Keys) currentMaster(ctx context.Context) (string, error) {
	k.mu.Lock()
	current := k.current
	k.mu.Unlock()
	if current != "" {
		return current, nil
	}
	first, err := k.master.First(ctx)
	if err != nil {
		return "", err
	}
	if current, err = k.table.CurrentMaster(ctx, first); err != nil {
		return "", err
	}
	k.mu.Lock()
	k.current = current
	k.mu.Unlock()
	return current, nil
}

// ofID returns a data key by its id.
func (k *Keys) ofID(ctx context.Context, id string) (*dataKey, error) {
	if err := k.compare(ctx, false); err != nil {
		return nil, away(id, err)
	}
	if key := k.inMemory(id); key != nil {
		return key, nil
	}
	forgotten := k.timesForgotten()
	row, err := k.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	key, err := k.unwrap(ctx, row, forgotten)
	if err == nil {
		return key, nil
	}
	// The key may have got another master key since it was fetched, and the old one may be gone.
	again, fetchErr := k.fetch(ctx, id)
	if fetchErr != nil || again.Master == row.Master {
		return nil, err
	}
	return k.unwrap(ctx, again, forgotten)
}

func (k *Keys) fetch(ctx context.Context, id string) (Row, error) {
	row, ok, err := k.table.Fetch(ctx, id)
	if err == nil && !ok {
		err = errors.New("the table of keys has no such key")
	}
	if err != nil {
		return Row{}, away(id, err)
	}
	return row, nil
}

// unwrap decrypts the key of a row. The key is kept in memory, unless keys were destroyed since the
// row was fetched (see timesForgotten), because it may be one of them.
func (k *Keys) unwrap(ctx context.Context, row Row, forgotten int) (*dataKey, error) {
	key := &dataKey{id: row.ID, subject: row.Subject}
	if !row.Destroyed() {
		plain, err := k.master.Unwrap(ctx, row.Master, row.Wrapped, row.about())
		if err == nil {
			key.aead, err = newAEAD(plain)
		}
		if err != nil {
			return nil, away(row.ID, err)
		}
	}
	k.keep(key, forgotten)
	return key, nil
}

// away is the error for a key that cannot be fetched.
func away(id string, err error) error {
	return &eventstore.UnavailableError{Cause: &KeyAwayError{Key: id, Cause: err}}
}

// inMemory returns a key that is in memory, or nil.
func (k *Keys) inMemory(name string) *dataKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.young[name]; key != nil {
		return key
	}
	key := k.old[name]
	if key != nil {
		k.put(name, key)
	}
	return key
}

// keep keeps a key in memory by its id and, if it is not destroyed, by its subject.
func (k *Keys) keep(key *dataKey, forgotten int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key.aead != nil && k.recent.forgotten != forgotten {
		return
	}
	k.put(key.id, key)
	if key.aead != nil {
		k.put("of "+key.subject, key)
	}
}

// put needs the lock.
func (k *Keys) put(name string, key *dataKey) {
	if len(k.young) >= mostKeys { // each key has two names, so a generation has half of the keys
		k.old, k.young = k.young, nil
	}
	if k.young == nil {
		k.young = make(map[string]*dataKey)
	}
	k.young[name] = key
}

// compare asks which keys were destroyed, and forgets them. It asks only if the last answer is old,
// or if due is set. While that answer is not too old, only one caller asks and the others go on.
func (k *Keys) compare(ctx context.Context, due bool) error {
	age := k.age()
	if age < compareEvery && !due {
		return nil
	}
	if age < staleAfter {
		select {
		case k.comparing <- struct{}{}:
		default:
			return nil // another caller asks
		}
	} else {
		select {
		case k.comparing <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-k.comparing }()
	if age = k.age(); age < compareEvery && !due {
		return nil
	}
	began := k.now()
	destroyed, err := k.table.Destroyed(ctx, min(age, staleAfter)+overlap)
	if err != nil && age < staleAfter {
		return nil
	}
	if err != nil || age >= staleAfter {
		k.mu.Lock()
		k.young, k.old = nil, nil
		k.recent.forget()
		k.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("ask which keys were destroyed: %w", err)
	}
	if k.learn(destroyed, began) && k.Destroyed != nil {
		k.Destroyed()
	}
	return nil
}

// learn drops the keys that were destroyed, and tells whether some of them were not known before.
func (k *Keys) learn(destroyed []string, at time.Time) (fresh bool) {
	k.Drop(destroyed...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.comparedAt = at
	gone := make(map[string]bool, len(destroyed))
	for _, id := range destroyed {
		gone[id] = true
		fresh = fresh || !k.gone[id]
	}
	k.gone = gone
	return fresh
}

// age is how long ago the table was last asked which keys were destroyed.
func (k *Keys) age() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now().Sub(k.comparedAt)
}
