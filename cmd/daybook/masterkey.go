package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	commandspg "daybook/commands/postgres"
	"daybook/eventstore/sealing"
)

// masterKeyFile is the file with the master key in the data directory, if the shop uses the
// program's own database and no flag names another file.
const masterKeyFile = "master.key"

// openSealing puts the encryption of personal fields before the log. Without a master key, fields
// stay in clear text.
func (n *node) openSealing(ctx context.Context, cfg nodeConfig) error {
	table := commandspg.DataKeys{Pool: n.commandPool}
	if cfg.Master != nil {
		n.keysOfPeople = sealing.NewKeys(table, cfg.Master, time.Now)
		n.events = sealing.New(n.store, n.keysOfPeople, personalFields)
		return n.keysOfPeople.Open(ctx)
	}
	if cfg.Unsealed {
		n.events = sealing.New(n.store, nil, personalFields)
		return nil
	}
	masters, err := table.Masters(ctx)
	if err != nil {
		return err
	}
	inUse := strings.Join(masters, ", ")
	if n.masters == nil { // this may be a further try
		n.masters, err = n.openMasters(cfg, inUse)
	}
	switch {
	case err == nil && n.masters == nil && inUse == "":
		if cfg.Serving {
			n.log.WarnContext(ctx, "personal texts are recorded in clear text, because there is no master key: see docs/privacy.md, and name a file with --master-key-file")
		}
		n.events = sealing.New(n.store, nil, personalFields)
		return nil
	case err == nil && n.masters == nil:
		err = fmt.Errorf("the keys of personal texts are encrypted with the master key %s, and no master key was given: name its file with --master-key-file", inUse)
	}
	if err == nil {
		n.keysOfPeople = sealing.NewKeys(table, n.masters, time.Now)
		n.keysOfPeople.Report = n.reportMasters(table, n.masters)
		if n.masters.command == nil || !cfg.NoPersonalTexts { // a service that is away disturbs only who needs it
			err = n.keysOfPeople.Open(ctx)
		}
	}
	if missing, is := errors.AsType[*sealing.MasterKeyMissingError](err); is {
		err = fmt.Errorf("%w. Name the right file with --master-key-file; nothing was changed", missing)
	}
	if err != nil && cfg.NoPersonalTexts && !passes(err) {
		n.keysOfPeople = sealing.NewKeys(table, sealing.NoMaster{Reason: err}, time.Now)
		err = nil
	}
	n.events = sealing.New(n.store, n.keysOfPeople, personalFields)
	return err
}

// runSealing forgets keys that were destroyed, and tells which master keys this node has.
func (n *node) runSealing(ctx context.Context) error {
	if n.keysOfPeople == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	defer func() {
		// Nobody waits for a node that has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), awayAsk)
		defer cancel()
		_ = commandspg.DataKeys{Pool: n.commandPool}.ForgetMasters(ctx, n.name)
	}()
	return n.keysOfPeople.Run(ctx)
}

// nodeName tells nodes apart. Example: shop-1/4f2c9a01.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return host + "/" + uuid.NewString()[:8]
}

// reportMasters returns a function that tells the other nodes which master keys this node has now.
// It warns if it lacks one that is needed, because the next start would fail.
func (n *node) reportMasters(table commandspg.DataKeys, master *masterKeys) func(context.Context) {
	warned := ""
	return func(ctx context.Context) {
		has, err := master.refresh(ctx)
		var needed []string
		if err == nil {
			needed, err = table.NeededMasters(ctx)
		}
		if err == nil {
			err = table.ReportMasters(ctx, n.name, has)
		}
		for _, id := range needed {
			if err == nil && !slices.Contains(has, id) {
				err = fmt.Errorf("%s lacks the master key %s, which is still needed: put it back, or this node cannot start again", master, id)
			}
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if err != nil && ctx.Err() == nil && text != warned {
			n.log.WarnContext(ctx, "the master keys of personal texts", "error", err)
		}
		warned = text
	}
}

// masterKeyFile returns the file with the master keys; empty if there is none. With the program's
// own database, it makes the file in the data directory, unless the database has keys already or a
// command has the master keys. inUse has the ids of the master keys that the database needs.
func (n *node) masterKeyFile(cfg nodeConfig, inUse string) (string, error) {
	if cfg.MasterKeyFile != "" {
		return cfg.MasterKeyFile, nil
	}
	if n.database.server == nil {
		return besideSocket(n.commandPool), nil
	}
	file := filepath.Join(cfg.Database.DataDir, masterKeyFile)
	_, err := os.Stat(file)
	switch {
	case err == nil:
		return file, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case len(cfg.MasterKeyCommand) > 0:
		return "", nil
	case inUse != "":
		return "", fmt.Errorf("%s is missing, and the keys of personal texts are encrypted with its master key %s: put the file back, or name it with --master-key-file; nothing was changed", file, inUse)
	}
	line, id := sealing.NewMasterKey()
	if err := writeSecret(file, line); err != nil {
		return "", fmt.Errorf("write the master key: %w", err)
	}
	n.log.Info("the master key of personal texts was written: keep a copy of this file, but not beside the backups", "file", file, "master_key", id)
	return file, nil
}

// besideSocket returns the master key file of a running server whose database is reached by the
// socket in its data directory. It is empty for any other database.
func besideSocket(pool *pgxpool.Pool) string {
	host := pool.Config().ConnConfig.Host
	if !filepath.IsAbs(host) || filepath.Base(host) != "run" {
		return ""
	}
	file := filepath.Join(filepath.Dir(host), masterKeyFile)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}
