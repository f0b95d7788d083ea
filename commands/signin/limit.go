package signin

import (
	"cmp"
	"fmt"
	"math"
	"sync"
	"time"

	"daybook/domain/staff"
)

// WaitError means that too many tries have failed, and after how long the next one is allowed.
type WaitError struct{ After time.Duration }

func (e *WaitError) Error() string {
	return fmt.Sprintf("too many tries have failed; the next is allowed in %s", e.After)
}

// Tries are counted under several keys. Each key allows a number of failures without a pause. After
// that number, each failure doubles the pause until the next try, up to maxPause. Nobody is locked
// out for good, and a try during a pause does not make the pause longer.
//
// Somebody who guesses from many addresses makes the owner of an account wait in browsers that are
// not known. So a browser with which the owner has signed in before, or that a link to the owner's
// address has made known (KnowBrowser), has a key of its own, and the other keys do not count for
// it.
const (
	freeOfDevice  = 10 // a known browser: the person has signed in with it
	freeOfPair    = 5  // one account from one address
	freeOfAddress = 20 // all accounts from one address: password spraying
	freeOfAccount = 50 // one account from all addresses, without known browsers
	freeOfCodes   = 10 // codes of one person, after a good password
	freeOfPresent = 10 // the present password of a person who has signed in, from all addresses
	// noteAt is a number of failures for one account. From this number on, they are noted as
	// guessing.
	noteAt    = 10
	maxPause  = 15 * time.Minute
	forgotten = time.Hour // after the last failure
	// codesForgotten is longer, because a code has only six digits. Somebody who knows the password
	// gets about a hundred tries a day.
	codesForgotten = 24 * time.Hour
	maxKeys        = 50_000
)

// key is something under which tries are counted.
type key struct {
	name string
	free int
	kept time.Duration // how long failures count after the last one; 0: forgotten
}

// signInKeys are the keys of a sign-in. account stands for the e-mail address, and device for a
// known browser. device is empty if the browser is not known.
func signInKeys(account, client, device string) []key {
	if device != "" {
		return []key{{name: "device " + device, free: freeOfDevice}}
	}
	return []key{{name: "pair " + client + " " + account, free: freeOfPair}, {name: "address " + client, free: freeOfAddress}, {name: accountKey(account), free: freeOfAccount}}
}

// isKnown tells whether a sign-in comes from a known browser.
func isKnown(keys []key) bool { return len(keys) == 1 && keys[0].free == freeOfDevice }

func accountKey(account string) string { return "account " + account }

// passwordKeys are the keys of a change of password, which only a person who has signed in can
// send. The second key does not depend on the address, so that somebody with a stolen session
// cannot guess the password from many addresses, nor use up the spare slot of hashes. The owner is
// not locked out, because a link sets a new password.
func passwordKeys(id staff.PersonID, client string) []key {
	return []key{{name: "change " + client + " " + string(id), free: freeOfPair}, {name: "present " + string(id), free: freeOfPresent, kept: codesForgotten}}
}

// codeKeys are the keys of a code for the second factor. Only somebody who knows the password can
// send one. device is as for signInKeys, so nobody else can make the person wait in a known
// browser.
func codeKeys(id staff.PersonID, device string) []key {
	return []key{{name: "codes " + device + " " + string(id), free: freeOfCodes, kept: codesForgotten}}
}

// proofKeys are the keys of a proof by password and code, which only a person who has signed in can
// send. The last key does not depend on the address, so that somebody with a stolen session and the
// password cannot guess codes from many addresses.
func proofKeys(id staff.PersonID, client string) []key {
	return append(passwordKeys(id, client)[:1], key{name: "proof " + string(id), free: freeOfCodes, kept: codesForgotten})
}

// limits counts tries. The counts are in memory, so each node has its own.
type limits struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*tries
}

type tries struct {
	failed int
	last   time.Time
	until  time.Time // no try is allowed before this time
}

func newLimits(now func() time.Time) *limits { return &limits{now: now, by: map[string]*tries{}} }

// take begins a try. If the try must wait, take counts nothing. Otherwise the try counts as failed
// until clear is called. So it does not help to send many tries at the same moment.
func (l *limits) take(keys []key) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, k := range keys {
		if t := l.by[k.name]; t != nil {
			wait = max(wait, t.until.Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, k := range keys {
		l.count(k, now)
	}
	return 0
}

func (l *limits) count(k key, now time.Time) {
	t := l.by[k.name]
	if t == nil {
		l.makeRoom(now)
		t = new(tries)
		l.by[k.name] = t
	}
	if now.Sub(t.last) > cmp.Or(k.kept, forgotten) {
		*t = tries{}
	}
	t.failed++
	t.last = now
	if over := t.failed - k.free; over >= 0 {
		t.until = now.Add(min(maxPause, time.Second<<min(over, 20)))
	}
}

// makeRoom forgets a key if there are too many: an old one, or, of a few that it meets, the one
// with the fewest failures. So somebody with very many addresses, each of which fails a few times,
// cannot make it forget the failures of the account that they guess at.
func (l *limits) makeRoom(now time.Time) {
	const looksAt = 64
	for len(l.by) >= maxKeys {
		least, fewest, seen := "", math.MaxInt, 0
		for name, t := range l.by { // maps begin at a random place
			failed := t.failed
			if now.Sub(t.last) > codesForgotten {
				failed = -1
			}
			if failed < fewest {
				least, fewest = name, failed
			}
			if seen++; seen == looksAt || fewest < 0 {
				break
			}
		}
		delete(l.by, least)
	}
}

// clear notes that a try has succeeded. Failures of others, from the same address or for the same
// account, still count.
func (l *limits) clear(keys []key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range keys {
		if i == 0 {
			delete(l.by, k.name)
		} else if t := l.by[k.name]; t != nil {
			t.failed--
			t.until = time.Time{}
		}
	}
}

// failures are how many tries have failed lately under the name of a key.
func (l *limits) failures(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.by[name]; t != nil {
		return t.failed
	}
	return 0
}
