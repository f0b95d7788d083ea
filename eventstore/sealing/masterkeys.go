package sealing

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// MasterKeys are the master keys in a file. It implements Master. The file has one key in each
// line, 64 hexadecimal digits; empty lines and lines that begin with # are skipped. The first key
// is for a table that has no keys yet. The others stay there while data keys are wrapped by them.
// The file is read again when a key is asked for that was not in it, so a key can be added while
// the program runs.
type MasterKeys struct {
	file string

	mu   sync.Mutex
	keys []masterKey
}

type masterKey struct {
	id  string
	key []byte
}

// masterIDLength is how many hexadecimal digits an id has. An id tells keys apart and does not
// reveal them.
const masterIDLength = 16

func newMasterKey(key []byte) masterKey {
	hash := sha256.Sum256(append([]byte("daybook master key 1 "), key...))
	return masterKey{hex.EncodeToString(hash[:])[:masterIDLength], key}
}

// NewMasterKey returns the line of a new random master key, and its id.
func NewMasterKey() (line, id string) {
	key := make([]byte, dataKeySize)
	_, _ = rand.Read(key) // it never fails
	return hex.EncodeToString(key), newMasterKey(key).id
}

// ReadMasterKeys reads a file of master keys. Its errors show nothing of what the file holds.
func ReadMasterKeys(file string) (*MasterKeys, error) {
	keys, err := parseMasterKeys(file)
	if err != nil {
		return nil, err
	}
	return &MasterKeys{file: file, keys: keys}, nil
}

// maxMasterFile bounds how much of a file is read, because the path may name a wrong file.
const maxMasterFile = 64 << 10

func parseMasterKeys(file string) ([]masterKey, error) {
	text, err := readMasterFile(file)
	if err != nil {
		return nil, err
	}
	return masterKeysIn(text)
}

func masterKeysIn(text []byte) (keys []masterKey, err error) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		trimmed := strings.TrimSpace(string(line))
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		key, err := hex.DecodeString(trimmed)
		if err != nil || len(key) != dataKeySize {
			return nil, fmt.Errorf("line %d is not 64 hexadecimal digits", number)
		}
		keys = append(keys, newMasterKey(key))
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key")
	}
	return keys, nil
}

// plainPath removes the path from an error, because the caller names it.
func plainPath(err error) error {
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// IDs returns the ids of the keys, in the order of the file.
func (m *MasterKeys) IDs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]string, len(m.keys))
	for i, key := range m.keys {
		ids[i] = key.id
	}
	return ids
}

// Refresh reads the file again and returns the ids of its keys. Keys that are in the file no longer
// stay in memory, so that a mistake in the file does no harm while the program runs.
func (m *MasterKeys) Refresh() (ids []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refresh()
}

// refresh needs the lock.
func (m *MasterKeys) refresh() (ids []string, err error) {
	keys, err := parseMasterKeys(m.file)
	if err != nil {
		return nil, fmt.Errorf("the master key file %s: %w", m.file, err)
	}
	for _, key := range keys {
		ids = append(ids, key.id)
	}
	for _, key := range m.keys {
		if keyOf(keys, key.id) == nil {
			keys = append(keys, key)
		}
	}
	m.keys = keys
	return ids, nil
}

// File is the path of the file.
func (m *MasterKeys) File() string { return m.file }

// First implements Master.
func (m *MasterKeys) First(context.Context) (string, error) { return m.IDs()[0], nil }

// MasterKeyMissingError means that a file has no master key of an id.
type MasterKeyMissingError struct {
	ID   string
	File string
	Has  []string // the ids of its keys
}

func (e *MasterKeyMissingError) Error() string {
	return fmt.Sprintf("the keys of personal fields are encrypted with the master key %s, and %s has only %s",
		e.ID, e.File, strings.Join(e.Has, ", "))
}

// find returns the key of an id. If it is not known, the file is read again.
func (m *MasterKeys) find(id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key := keyOf(m.keys, id); key != nil {
		return key, nil
	}
	has, err := m.refresh()
	if err != nil {
		return nil, err
	}
	if key := keyOf(m.keys, id); key != nil {
		return key, nil
	}
	return nil, &MasterKeyMissingError{ID: id, File: m.file, Has: has}
}

func keyOf(keys []masterKey, id string) []byte {
	for _, key := range keys {
		if key.id == id {
			return key.key
		}
	}
	return nil
}

// Wrap implements Master. The nonce stands before the encrypted key.
func (m *MasterKeys) Wrap(_ context.Context, id string, key, about []byte) ([]byte, error) {
	master, err := m.find(id)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(master)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize, nonceSize+len(key)+tagSize)
	_, _ = rand.Read(nonce) // it never fails
	return aead.Seal(nonce, nonce, key, about), nil
}

// Unwrap implements Master.
func (m *MasterKeys) Unwrap(_ context.Context, id string, wrapped, about []byte) ([]byte, error) {
	master, err := m.find(id)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(master)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < nonceSize {
		return nil, errors.New("a wrapped key is too short")
	}
	key, err := aead.Open(nil, wrapped[:nonceSize], wrapped[nonceSize:], about)
	if err != nil {
		return nil, fmt.Errorf("a key does not belong to its row, or not to the master key %s", id)
	}
	return key, nil
}

// NoMaster is a Master that has no key. With it, fields can be neither sealed nor opened.
type NoMaster struct {
	Reason error // why there is no key
}

// First implements Master.
func (n NoMaster) First(context.Context) (string, error) { return "", n.Reason }

// Wrap implements Master.
func (n NoMaster) Wrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, n.Reason
}

// Unwrap implements Master.
func (n NoMaster) Unwrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, n.Reason
}
