package signin

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"daybook/domain/staff"
	"daybook/domain/unit"
)

// Memory is a Store in memory. It is for tests and for short programs, because everything is lost
// when the program ends.
type Memory struct {
	mu       sync.Mutex
	contacts map[staff.PersonID]Contact
	logins   map[staff.PersonID]unit.CustomerID
	since    map[staff.PersonID]time.Time
	secrets  map[string]Secret
	sessions map[string]Session
	tried    map[string]int
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		contacts: map[staff.PersonID]Contact{}, logins: map[staff.PersonID]unit.CustomerID{}, since: map[staff.PersonID]time.Time{}, secrets: map[string]Secret{},
		sessions: map[string]Session{}, tried: map[string]int{},
	}
}

// AddPerson implements Store.
func (m *Memory) AddPerson(_ context.Context, id staff.PersonID, contact Contact, holder staff.PersonID, now time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, c := range m.contacts {
		if c.Email == contact.Email && other != holder {
			return false, nil
		}
	}
	delete(m.contacts, holder)
	m.contacts[id], m.since[id] = contact, now
	return true, nil
}

// ChangeEmail implements Store.
func (m *Memory) ChangeEmail(_ context.Context, id staff.PersonID, email string, holder staff.PersonID, now time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, c := range m.contacts {
		if c.Email == email && other != holder && other != id {
			return false, nil
		}
	}
	contact, known := m.contacts[id]
	if !known {
		return false, nil
	}
	if holder != id {
		delete(m.contacts, holder)
	}
	contact.Email = email
	m.contacts[id], m.since[id] = contact, now
	return true, nil
}

// ByEmail implements Store.
func (m *Memory) ByEmail(_ context.Context, email string) (staff.PersonID, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, c := range m.contacts {
		if c.Email == email {
			return id, m.since[id], nil
		}
	}
	return "", time.Time{}, nil
}

// Contacts implements Store.
func (m *Memory) Contacts(context.Context) (map[staff.PersonID]Contact, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[staff.PersonID]Contact, len(m.contacts))
	for id, c := range m.contacts {
		if !id.IsLogin() {
			all[id] = c
		}
	}
	return all, nil
}

// AddLogin implements Store.
func (m *Memory) AddLogin(ctx context.Context, id staff.PersonID, of unit.CustomerID, address string, holder staff.PersonID, now time.Time) (bool, error) {
	others, err := m.LoginsOf(ctx, of)
	if err != nil || slices.ContainsFunc(others, func(other staff.PersonID) bool { return other != id && other != holder }) {
		return false, err
	}
	added, err := m.AddPerson(ctx, id, Contact{Email: address}, holder, now)
	if added {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.logins, holder)
		m.logins[id] = of
	}
	return added, err
}

// LoginsOf implements Store.
func (m *Memory) LoginsOf(_ context.Context, id unit.CustomerID) (all []staff.PersonID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for login, of := range m.logins {
		if of == id {
			all = append(all, login)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, id staff.PersonID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.contacts, id)
	delete(m.logins, id)
	delete(m.since, id)
	maps.DeleteFunc(m.secrets, func(_ string, of Secret) bool { return of.Person == id })
	maps.DeleteFunc(m.sessions, func(_ string, of Session) bool { return of.Person == id })
	return nil
}

// SaveSecret implements Store.
func (m *Memory) SaveSecret(_ context.Context, secret Secret) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets[secret.ID] = secret
	return nil
}

// Secret implements Store.
func (m *Memory) Secret(_ context.Context, id string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.secrets[id].Value, nil
}

// SaveSession implements Store.
func (m *Memory) SaveSession(_ context.Context, session Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[session.Hash] = session
	return nil
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, hash string) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	session, known := m.sessions[hash]
	if !known {
		return nil, nil
	}
	return &session, nil
}

// Sessions implements Store.
func (m *Memory) Sessions(_ context.Context, id staff.PersonID) (all []Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, session := range m.sessions {
		if session.Person == id && session.Stage == Complete {
			all = append(all, session)
		}
	}
	slices.SortFunc(all, func(a, b Session) int { return a.BeganAt.Compare(b.BeganAt) })
	return all, nil
}

// Touch implements Store.
func (m *Memory) Touch(_ context.Context, hash string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if session, known := m.sessions[hash]; known {
		session.UsedAt = now
		m.sessions[hash] = session
	}
	return nil
}

// Try implements Store.
func (m *Memory) Try(_ context.Context, hash string, limit int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.sessions[hash]; !known || m.tried[hash] >= limit {
		return false, nil
	}
	m.tried[hash]++
	return true, nil
}

// EndSession implements Store.
func (m *Memory) EndSession(_ context.Context, hash string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.sessions[hash]
	delete(m.sessions, hash)
	delete(m.tried, hash)
	return known, nil
}

// KeepNewest implements Store.
func (m *Memory) KeepNewest(_ context.Context, id staff.PersonID, stage Stage, newest int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Session
	for _, session := range m.sessions {
		if session.Person == id && session.Stage == stage {
			all = append(all, session)
		}
	}
	slices.SortFunc(all, func(a, b Session) int { return b.BeganAt.Compare(a.BeganAt) })
	for _, session := range all[min(newest, len(all)):] {
		delete(m.sessions, session.Hash)
		delete(m.tried, session.Hash)
	}
	return nil
}

// Tidy implements Store.
func (m *Memory) Tidy(_ context.Context, id staff.PersonID, generation int64, keep []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, session := range m.sessions {
		if session.Person == id && session.Stage != KnownBy && session.Generation < generation {
			delete(m.sessions, hash)
		}
	}
	for name, secret := range m.secrets {
		if secret.Person == id && !slices.Contains(keep, name) {
			delete(m.secrets, name)
		}
	}
	return nil
}

// Prune implements Store.
func (m *Memory) Prune(_ context.Context, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, session := range m.sessions {
		if session.ExpiresAt.Before(before) {
			delete(m.sessions, hash)
			delete(m.tried, hash)
		}
	}
	return nil
}
