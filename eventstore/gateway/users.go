package gateway

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

// ErrBadCredentials means that there is no such user, or that the password is wrong. It does
// not say which.
var ErrBadCredentials = errors.New("unknown user or wrong password")

// PasswordFile is a list of users as Apache's htpasswd writes it, with bcrypt,
// and with the user's groups after another colon:
//
//	ann:$2y$10$...:$admins
//	report:$2y$10$...
type PasswordFile struct {
	users map[string]listedUser
	// unlistedHash is compared for names that are not in the list. A refusal without a
	// comparison would be faster, and so would show which names are in the list. No password
	// matches it.
	unlistedHash listedUser
	// A hash is slow on purpose, and a client sends its password with each call. So the last
	// right password is recognised by a fast keyed digest.
	key           []byte
	mu            sync.Mutex
	authenticated map[string][]byte
	comparing     singleflight.Group  // calls with the same password share one comparison
	waiting       *semaphore.Weighted // calls that wait for a comparison
	hashing       *semaphore.Weighted // comparisons, so that guessing cannot use the whole machine
}

// guesses is how many passwords of one name may wait to be compared. So an attacker who
// guesses can only keep out the users with that name. All names that are not in the list
// count as one name, because an attacker can invent any number of them.
const guesses = 8

// waiting is how many calls may wait for the comparison of their passwords. Each of them may
// hold data that it has sent and that is not read yet.
const waiting = 256

type listedUser struct {
	User
	hash    []byte
	guesses *semaphore.Weighted
}

// ReadPasswordFile reads the list; an error names the line.
func ReadPasswordFile(r io.Reader) (*PasswordFile, error) {
	f := &PasswordFile{
		users: make(map[string]listedUser), authenticated: make(map[string][]byte),
		key: make([]byte, sha256.Size), hashing: semaphore.NewWeighted(1),
		waiting:      semaphore.NewWeighted(waiting),
		unlistedHash: listedUser{guesses: semaphore.NewWeighted(guesses)},
	}
	rand.Read(f.key)
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, err := parseUser(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if _, twice := f.users[user.Name]; twice {
			return nil, fmt.Errorf("line %d: user %s is named twice", number, user.Name)
		}
		f.users[user.Name] = user
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if len(f.users) == 0 {
		return nil, errors.New("no user is named, so nobody could call")
	}
	var err error
	if f.unlistedHash.hash, err = bcrypt.GenerateFromPassword([]byte(rand.Text()), f.cost()); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return f, nil
}

// cost is the highest cost of the users' hashes. Usually all have the same cost.
func (f *PasswordFile) cost() (highest int) {
	for _, user := range f.users {
		if cost, err := bcrypt.Cost(user.hash); err == nil {
			highest = max(highest, cost)
		}
	}
	return highest
}

func parseUser(line string) (listedUser, error) {
	name, rest, _ := strings.Cut(line, ":")
	hash, groups, _ := strings.Cut(rest, ":")
	if name == "" {
		return listedUser{}, errors.New("want name:hash, and groups after another colon")
	}
	if _, err := bcrypt.Cost([]byte(hash)); err != nil {
		return listedUser{}, fmt.Errorf("user %s: the password is not hashed by bcrypt (htpasswd -B)", name)
	}
	user := listedUser{User: User{Name: name}, hash: []byte(hash), guesses: semaphore.NewWeighted(guesses)}
	for group := range strings.SplitSeq(groups, ",") {
		if group = strings.TrimSpace(group); group != "" {
			user.Groups = append(user.Groups, group)
		}
	}
	return user, nil
}

// ErrBusy means that too many passwords of that name wait to be compared.
var ErrBusy = errors.New("too many passwords are being tried")

// ErrTooMany means that a caller sends too many calls and must pause. The text of an error that
// wraps it is told to the caller.
var ErrTooMany = errors.New("too many calls")

// Names are the names of the users, sorted.
func (f *PasswordFile) Names() []string { return slices.Sorted(maps.Keys(f.users)) }

// Authenticate implements Users.
func (f *PasswordFile) Authenticate(ctx context.Context, name, password string) (User, error) {
	user, known := f.users[name]
	if !known {
		user = f.unlistedHash
	}
	mac := hmac.New(sha256.New, f.key)
	io.WriteString(mac, name+"\x00"+password) //nolint:errcheck // a hash takes everything
	digest := mac.Sum(nil)
	if known && f.wasAuthenticated(name, digest) {
		return user.User, nil
	}
	if !f.waiting.TryAcquire(1) {
		return User{}, ErrBusy
	}
	defer f.waiting.Release(1)
	compared := f.comparing.DoChan(string(digest), func() (any, error) {
		return nil, f.compare(&user, password)
	})
	select {
	case <-ctx.Done():
		return User{}, fmt.Errorf("authenticate a caller: %w", ctx.Err()) // the name may be a secret
	case result := <-compared:
		if result.Err != nil {
			return User{Name: user.Name}, result.Err
		}
	}
	if !known {
		return User{}, ErrBadCredentials
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.authenticated[name] = digest
	return user.User, nil
}

// compare compares a password. Comparisons are done in the order in which they came.
func (f *PasswordFile) compare(user *listedUser, password string) error {
	if !user.guesses.TryAcquire(1) {
		return ErrBusy
	}
	defer user.guesses.Release(1)
	if err := f.hashing.Acquire(context.Background(), 1); err != nil { // calls other than the first may wait for it
		return err
	}
	defer f.hashing.Release(1)
	if bcrypt.CompareHashAndPassword(user.hash, []byte(password)) != nil {
		return ErrBadCredentials
	}
	return nil
}

func (f *PasswordFile) wasAuthenticated(name string, digest []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return hmac.Equal(f.authenticated[name], digest)
}
