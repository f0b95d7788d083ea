package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"daybook/eventstore/sealing"
	"daybook/eventstore/sealing/mastercommand"
)

// masterKeys are the master keys of a node: those of a file, those of a command, or both while one
// replaces the other. It implements sealing.Master. Only the row of a data key says which of them
// has its master key, by an id.
type masterKeys struct {
	file    *sealing.MasterKeys    // nil: there is none
	command *mastercommand.Command // nil: there is none
}

// openMasters returns the master keys that the configuration names; nil if there are none. inUse
// has the ids of the master keys that the database needs.
func (n *node) openMasters(cfg nodeConfig, inUse string) (*masterKeys, error) {
	file, err := n.masterKeyFile(cfg, inUse)
	if err != nil {
		return nil, err
	}
	n.masterFile = file
	if file == "" && n.database.server != nil {
		n.masterFile = filepath.Join(cfg.Database.DataDir, masterKeyFile) // for the list of destroyed keys
	}
	m := &masterKeys{}
	if file != "" {
		if m.file, err = sealing.ReadMasterKeys(file); err != nil {
			return nil, fmt.Errorf("the master key file %s: %w", file, err)
		}
	}
	if len(cfg.MasterKeyCommand) > 0 {
		m.command = mastercommand.New(cfg.MasterKeyCommand, cfg.Environ, n.log)
	}
	if m.file == nil && m.command == nil {
		return nil, nil //nolint:nilnil // nil is no master key
	}
	return m, nil
}

// close ends the command.
func (m *masterKeys) close() error {
	if m == nil || m.command == nil {
		return nil
	}
	return m.command.Close()
}

// String says where the keys are.
func (m *masterKeys) String() string {
	var where []string
	if m.file != nil {
		where = append(where, m.file.File())
	}
	if m.command != nil {
		where = append(where, "the command "+m.command.Program())
	}
	return strings.Join(where, " and ")
}

// fileName is the name of the file; empty if there is none.
func (m *masterKeys) fileName() string {
	if m.file == nil {
		return ""
	}
	return m.file.File()
}

// program is the program of the command; empty if there is none.
func (m *masterKeys) program() string {
	if m.command == nil {
		return ""
	}
	return m.command.Program()
}

// inFile returns the ids of the keys in the file, as far as it was read.
func (m *masterKeys) inFile() []string {
	if m.file == nil {
		return nil
	}
	return m.file.IDs()
}

// refresh returns the ids of all keys that are there now.
func (m *masterKeys) refresh(ctx context.Context) (ids []string, err error) {
	if m.file != nil {
		if ids, err = m.file.Refresh(); err != nil {
			return nil, err
		}
	}
	if m.command != nil {
		more, err := m.command.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range more {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// First implements sealing.Master. If there is a command, a new table begins with its first key.
func (m *masterKeys) First(ctx context.Context) (string, error) {
	if m.command != nil {
		return m.command.First(ctx)
	}
	return m.file.First(ctx)
}

// holderOf returns who has a master key.
func (m *masterKeys) holderOf(ctx context.Context, id string) (sealing.Master, error) {
	if m.command == nil || slices.Contains(m.inFile(), id) {
		return m.file, nil // it looks itself whether it has the key by now
	}
	if m.command.Has(id) {
		return m.command, nil
	}
	has, err := m.refresh(ctx)
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(m.inFile(), id):
		return m.file, nil
	case slices.Contains(has, id):
		return m.command, nil
	}
	return nil, &sealing.MasterKeyMissingError{ID: id, File: m.String(), Has: has}
}

// Wrap implements sealing.Master.
func (m *masterKeys) Wrap(ctx context.Context, id string, key, about []byte) ([]byte, error) {
	holder, err := m.holderOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return holder.Wrap(ctx, id, key, about)
}

// Unwrap implements sealing.Master.
func (m *masterKeys) Unwrap(ctx context.Context, id string, wrapped, about []byte) ([]byte, error) {
	holder, err := m.holderOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return holder.Unwrap(ctx, id, wrapped, about)
}

// secretVariables have passwords of this program, which no command needs.
var secretVariables = []string{"DATABASE_URL", "KURRENTDB_URL", "DAYBOOK_SMTP_URL"}

// withoutSecrets is the environment for a command.
func (e environment) withoutSecrets() (variables []string) {
	if e.environ == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(e.environ()), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(secretVariables, name)
	})
}
