package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	masters, err := table.Masters(ctx)
	if err != nil {
		return err
	}
	inUse := strings.Join(masters, ", ")
	file, err := n.masterKeyFile(cfg, inUse)
	switch {
	case err == nil && file == "" && inUse == "":
		if cfg.Serving {
			n.log.WarnContext(ctx, "personal texts are recorded in clear text, because there is no master key: see docs/privacy.md, and name a file with --master-key-file")
		}
		n.events = sealing.New(n.store, nil, personalFields)
		return nil
	case err == nil && file == "":
		err = fmt.Errorf("the keys of personal texts are encrypted with the master key %s, and no master key was given: name its file with --master-key-file", inUse)
	}
	var master *sealing.MasterKeys
	if err == nil {
		if master, err = sealing.ReadMasterKeys(file); err != nil {
			err = fmt.Errorf("the master key file %s: %w", file, err)
		}
	}
	if err == nil {
		n.keysOfPeople = sealing.NewKeys(table, master, time.Now)
		err = n.keysOfPeople.Open(ctx)
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

// runSealing forgets keys that were destroyed.
func (n *node) runSealing(ctx context.Context) error {
	if n.keysOfPeople == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return n.keysOfPeople.Run(ctx)
}

// masterKeyFile returns the file with the master keys; empty if there is none. With the program's
// own database, it makes the file in the data directory, unless the database has keys already.
// inUse has the ids of the master keys that these keys need.
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
