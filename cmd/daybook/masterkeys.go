package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"daybook/commands"
	commandspg "daybook/commands/postgres"
	"daybook/eventstore/sealing"
	"daybook/eventstore/sealing/mastercommand"
	"daybook/internal/pause"
)

// masterKeyCommand changes the master key of personal texts. The log is not touched. Servers may
// run meanwhile.
type masterKeyCommand struct {
	Status masterKeyStatusCommand `cmd:"" help:"List the master keys, what each is used for, and which running nodes lack one."`
	Add    masterKeyAddCommand    `cmd:"" help:"Write a new master key to the end of the file. It is used from daybook master-key rotate on."`
	Rotate masterKeyRotateCommand `cmd:"" help:"Use another master key of the file or the command: for all new keys of personal texts, and for those that are there. Run it again if it was stopped; it goes on."`
	Drop   masterKeyDropCommand   `cmd:"" help:"Remove a master key from the file. A key that is still needed is not removed."`
}

type masterKeyStatusCommand struct{}

type masterKeyAddCommand struct{}

type masterKeyRotateCommand struct {
	To   string        `placeholder:"ID" help:"The master key to use. By default the one key that was never used."`
	Wait time.Duration `default:"1m" placeholder:"TIME" help:"How long to wait until all running nodes have the key. Default: ${default}."`
}

type masterKeyDropCommand struct {
	Key string `arg:"" name:"key" help:"The id of the master key, as daybook master-key status shows it."`
}

// masterKeyRow is a master key in the output.
type masterKeyRow struct {
	ID        string   `json:"id"`
	InFile    bool     `json:"in_file"`
	InCommand bool     `json:"in_command,omitzero"` // the command has it
	Current   bool     `json:"current"`             // wraps new keys
	Former    bool     `json:"former"`              // was the current one once
	DataKeys  int64    `json:"data_keys"`           // how many keys of personal texts it wraps
	Lacking   []string `json:"lacking,omitempty"`   // the running nodes that lack it
	Missing   bool     `json:"missing,omitzero"`    // it is needed, and neither the file nor the command has it
	Retires   bool     `json:"removable,omitzero"`  // it was used, and the database needs it no longer
}

type masterKeyStatus struct {
	File    string         `json:"file"` // empty: there is none
	Command string         `json:"command,omitempty"`
	Keys    []masterKeyRow `json:"keys"`
	Nodes   []string       `json:"nodes"` // that run
}

// masters is what the subcommands work with.
type masters struct {
	table commandspg.DataKeys
	*masterKeys
}

// overMasters opens the database and the file of master keys.
func (p *program) overMasters(ctx context.Context, do func(masters) error) error {
	return p.overLog(ctx, func(n *node) error {
		table := commandspg.DataKeys{Pool: n.commandPool}
		inUse, err := table.Masters(ctx)
		if err != nil {
			return err
		}
		if n.masters == nil { // say why
			if n.masters, err = n.openMasters(p.nodeConfig(commands.DefaultPolicy()), strings.Join(inUse, ", ")); err != nil {
				return err
			}
		}
		if n.masters == nil {
			return errors.New("there is no file with a master key: name it with --master-key-file")
		}
		return do(masters{table, n.masters})
	})
}

// status returns all master keys that are known: first those of the file, then those that only the
// tables know.
func (m masters) status(ctx context.Context) (masterKeyStatus, error) {
	use, err := m.table.MasterUse(ctx)
	if err != nil {
		return masterKeyStatus{}, err
	}
	has, err := m.refresh(ctx)
	if err != nil {
		return masterKeyStatus{}, err
	}
	inFile := m.inFile()
	ids := slices.Clone(has)
	for _, id := range append(slices.Sorted(maps.Keys(use.Keys)), use.Current) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	result := masterKeyStatus{File: m.fileName(), Command: m.program(), Keys: []masterKeyRow{}, Nodes: []string{}}
	for _, node := range use.Nodes {
		result.Nodes = append(result.Nodes, node.Name)
	}
	for _, id := range ids {
		there, former := slices.Contains(has, id), slices.Contains(use.Former, id)
		result.Keys = append(result.Keys, masterKeyRow{
			ID: id, InFile: slices.Contains(inFile, id), InCommand: there && !slices.Contains(inFile, id), Current: id == use.Current, Former: former, DataKeys: use.Keys[id],
			Lacking: use.Lacking(id), Missing: !there && use.Needed(id), Retires: former && !use.Needed(id),
		})
	}
	return result, nil
}

// Run implements the subcommand.
func (c *masterKeyStatusCommand) Run(ctx context.Context, p *program) error {
	return p.overMasters(ctx, func(m masters) error {
		status, err := m.status(ctx)
		if err != nil {
			return err
		}
		return p.print(status, func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%s\n", m)
			for _, key := range status.Keys {
				w.printf("%s  %s\n", key.ID, key.inWords())
			}
			w.printf("%d nodes run.\n", len(status.Nodes))
			return w.err
		})
	})
}

func (r masterKeyRow) inWords() string {
	state := "not used yet"
	switch {
	case r.Current:
		state = "current"
	case r.Retires:
		state = "no longer needed by this database"
	case r.Former || r.DataKeys > 0:
		state = "being replaced"
	}
	state += fmt.Sprintf(", wraps %d keys", r.DataKeys)
	if r.Missing {
		state += ", MISSING"
	}
	if r.InCommand {
		state += ", of the command"
	}
	if len(r.Lacking) > 0 {
		state += ", not at the nodes " + strings.Join(r.Lacking, ", ")
	}
	return state
}

type masterKeyAdded struct {
	File string `json:"file"`
	ID   string `json:"id"`
}

// Run implements the subcommand.
func (c *masterKeyAddCommand) Run(ctx context.Context, p *program) error {
	return p.overMasters(ctx, func(m masters) error {
		if m.file == nil {
			return errNoMasterFile
		}
		id, err := sealing.AddMasterKey(m.file.File())
		if err != nil {
			return fmt.Errorf("the master key file %s: %w", m.file.File(), err)
		}
		return p.print(masterKeyAdded{m.file.File(), id}, func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%s has the new master key %s. It is not used yet.\n", m.file.File(), id)
			w.printf("Copy the file to all other nodes, then run daybook master-key rotate.\n")
			return w.err
		})
	})
}

type masterKeyRotated struct {
	Current  string   `json:"current"`
	Wrapped  int      `json:"wrapped"` // how many keys of personal texts were wrapped again
	Drop     []string `json:"removable"`
	fileName string
}

// masterKeyID is the form of the id of a master key.
var masterKeyID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// errNoMasterFile means that only a command has master keys.
var errNoMasterFile = errors.New("there is no file with a master key; the keys of a command are made and removed where it has them")

func (c *masterKeyRotateCommand) check(_ context.Context, p *program) error {
	possible := masterKeyID.MatchString(c.To) || p.MasterKeyCommand != "" && mastercommand.IsID(c.To)
	switch {
	case c.To != "" && !possible:
		return usagef("--to: want the id of a master key, as daybook master-key status shows it, not %q", c.To)
	case c.Wait < 0 || c.Wait > 24*time.Hour:
		return usagef("--wait must be from 0 to 24h, not %s", c.Wait)
	}
	return nil
}

// Run implements the subcommand.
func (c *masterKeyRotateCommand) Run(ctx context.Context, p *program) error {
	return p.overMasters(ctx, func(m masters) error {
		to, err := m.target(ctx, c.To)
		if err != nil {
			return err
		}
		if err := m.setCurrent(ctx, to, c.Wait, p.stderr); err != nil {
			return err
		}
		told := time.Now()
		wrapped, err := sealing.Rewrap(ctx, m.table, m.masterKeys, to, func(done int) {
			if time.Since(told) >= progressEvery {
				told = time.Now()
				fmt.Fprintf(p.stderr, "%d keys were wrapped again\n", done)
			}
		})
		if err != nil {
			return fmt.Errorf("%d keys were wrapped again; run daybook master-key rotate again for the rest: %w", wrapped, err)
		}
		status, err := m.status(ctx)
		if err != nil {
			return err
		}
		result := masterKeyRotated{Current: to, Wrapped: wrapped, Drop: []string{}, fileName: status.File}
		for _, key := range status.Keys {
			if key.InFile && key.Retires {
				result.Drop = append(result.Drop, key.ID)
			}
		}
		return p.print(result, result.inWords)
	})
}

func (r masterKeyRotated) inWords(out io.Writer) error {
	w := &lineWriter{out: out}
	w.printf("%s is the master key in use. %d keys of personal texts were wrapped again.\n", r.Current, r.Wrapped)
	for _, id := range r.Drop {
		w.printf("The database no longer needs %s. Backups made until now need it, so keep a copy with them. daybook master-key drop %s removes it from %s.\n", id, id, r.fileName)
	}
	return w.err
}

// target returns the id of the master key to use: the given one, or the one of the file that was
// never used. If there is none, it is the current one, whose rotation may have been stopped.
func (m masters) target(ctx context.Context, given string) (string, error) {
	status, err := m.status(ctx)
	if err != nil {
		return "", err
	}
	var unused, missing []string
	current := ""
	for _, key := range status.Keys {
		switch {
		case key.Missing:
			missing = append(missing, key.ID)
		case key.Current:
			current = key.ID
		case !key.Former && key.DataKeys == 0:
			unused = append(unused, key.ID)
		}
	}
	switch {
	case len(missing) > 0:
		return "", fmt.Errorf("%s lacks the master key %s, which the database needs: put it back; nothing was changed", m, strings.Join(missing, " and "))
	case given != "" && !slices.ContainsFunc(status.Keys, func(r masterKeyRow) bool { return r.ID == given }):
		return "", fmt.Errorf("%s has no master key %s, which --to names; nothing was changed", m, given)
	case given != "":
		return given, nil
	case len(unused) > 1:
		return "", fmt.Errorf("%s has several new master keys: choose one by --to ID, of %s", m, strings.Join(unused, ", "))
	case len(unused) == 1:
		return unused[0], nil
	case current == "":
		return "", fmt.Errorf("%s has no new master key: daybook master-key add makes one in a file", m)
	}
	return current, nil
}

// rotateAsk is the pause between two looks at whether all nodes have a master key.
const rotateAsk = 500 * time.Millisecond

// setCurrent makes a master key the current one as soon as all running nodes have it.
func (m masters) setCurrent(ctx context.Context, to string, wait time.Duration, progress io.Writer) error {
	began := time.Now()
	for told := false; ; told = true {
		err := m.table.SetMaster(ctx, to)
		lack, waits := errors.AsType[*commandspg.NodesLackError](err)
		if !waits {
			return err
		}
		if time.Since(began) >= wait {
			return fmt.Errorf("%w; nothing was changed. Copy the master key file to them, and run this command again", lack)
		}
		if !told {
			fmt.Fprintf(progress, "waiting: %v\n", lack)
		}
		if pause.For(ctx, rotateAsk); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Run implements the subcommand.
func (c *masterKeyDropCommand) Run(ctx context.Context, p *program) error {
	return p.overMasters(ctx, func(m masters) error {
		if m.file == nil {
			return errNoMasterFile
		}
		use, err := m.table.MasterUse(ctx)
		if err != nil {
			return err
		}
		switch {
		case use.Keys[c.Key] > 0:
			return fmt.Errorf("the master key %s is still needed: it wraps %d keys of personal texts. daybook master-key rotate wraps them with another one", c.Key, use.Keys[c.Key])
		case c.Key == use.Current:
			return fmt.Errorf("the master key %s is still needed: it wraps new keys of personal texts", c.Key)
		}
		if err := sealing.DropMasterKey(m.file.File(), c.Key); err != nil {
			return fmt.Errorf("the master key file %s: %w", m.file.File(), err)
		}
		return p.print(masterKeyAdded{m.file.File(), c.Key}, func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%s no longer has the master key %s. Copy the file to all other nodes.\n", m.file.File(), c.Key)
			return w.err
		})
	})
}
