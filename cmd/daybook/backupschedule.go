package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"filippo.io/age"

	"daybook/internal/pause"
)

// backupFlags are the settings of backups that a server makes by itself.
type backupFlags struct {
	BackupEvery          time.Duration `placeholder:"DURATION" from:"DAYBOOK_BACKUP_EVERY" help:"Write a backup into --backup-dir each time this has passed since the last one, such as 24h; at least 1m. By default never. If several nodes use one database, one of them is enough."`
	BackupDir            string        `placeholder:"DIR" from:"DAYBOOK_BACKUP_DIR" help:"Where these backups are written. Put it on another disk than the data."`
	BackupKeep           int           `default:"7" placeholder:"N" from:"DAYBOOK_BACKUP_KEEP" help:"How many of these backups are kept; the oldest ones are deleted. Default: ${default}."`
	BackupRecipient      []string      `placeholder:"KEY" from:"DAYBOOK_BACKUP_RECIPIENT" help:"Encrypt these backups for the holder of this public key of age, such as age1.... Repeatable, or separated by commas. The server cannot read them itself."`
	BackupPassphraseFile string        `placeholder:"FILE" from:"DAYBOOK_BACKUP_PASSPHRASE_FILE" help:"Encrypt these backups with the passphrase in this file, which has one line."`
	BackupWithoutSecrets bool          `from:"DAYBOOK_BACKUP_WITHOUT_SECRETS" help:"Leave the hashes of API keys and passwords and the secrets of second factors out of these backups, as daybook backup --without-secrets does. After a restore, keys and passwords must be made anew."`
}

// backupPlan says which backups a server makes. With the zero value it makes none.
type backupPlan struct {
	every time.Duration
	dir   string
	keep  int
	to    []age.Recipient

	withoutSecrets bool
}

func (f backupFlags) plan(o *options) (plan backupPlan, err error) {
	if f.BackupEvery == 0 {
		for flag, given := range map[string]bool{
			"--backup-dir": f.BackupDir != "", "--backup-recipient": len(f.BackupRecipient) > 0, "--backup-passphrase-file": f.BackupPassphraseFile != "", "--backup-without-secrets": f.BackupWithoutSecrets,
		} {
			if given {
				return plan, usagef("%s does nothing without --backup-every", flag)
			}
		}
		if f.BackupKeep < 1 {
			return plan, usagef("--backup-keep must be 1 or more, not %d", f.BackupKeep)
		}
		return plan, nil
	}
	switch {
	case f.BackupEvery < time.Minute:
		return plan, usagef("--backup-every must be 1m or more, not %s", f.BackupEvery)
	case f.BackupKeep < 1:
		return plan, usagef("--backup-keep must be 1 or more, not %d", f.BackupKeep)
	case f.BackupDir == "":
		return plan, usagef("--backup-every needs --backup-dir DIR")
	case o.Store == storeKurrentDB:
		return plan, usagef("--backup-every is for a log in PostgreSQL; KurrentDB has tools of its own for its log, see docs/restore.md")
	}
	info, err := os.Stat(f.BackupDir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder")
	}
	if err != nil {
		return plan, usagef("--backup-dir %s: %v", f.BackupDir, err)
	}
	plan = backupPlan{every: f.BackupEvery, dir: f.BackupDir, keep: f.BackupKeep, withoutSecrets: f.BackupWithoutSecrets}
	plan.to, err = recipients(f.BackupRecipient, f.BackupPassphraseFile)
	return plan, asFlagOfServe(err)
}

// asFlagOfServe replaces the names of backup's flags in an error by the names that serve's flags
// have.
func asFlagOfServe(err error) error {
	if wrong, is := errors.AsType[*usageError](err); is {
		return usagef("%s", ofServe.ReplaceAllString(wrong.message, "--backup-$1"))
	}
	return err
}

var ofServe = regexp.MustCompile(`--(recipient|passphrase-file)`)

// backupName matches the name of a backup that a server has made. Sorted by name, the oldest is
// first.
var backupName = regexp.MustCompile(`^daybook-\d{8}T\d{6}Z-(\d+)\.backup$`)

// backups makes the backups of a plan, one after the other.
type backups struct {
	plan backupPlan
	node *node

	mu     sync.Mutex
	last   time.Time // of the newest backup; zero: there is none
	failed uint64
}

// state is what the metrics show.
func (b *backups) state() (last time.Time, failed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.failed
}

// backupRetry is the pause after a backup that failed.
const backupRetry = time.Minute

// Run makes backups until ctx ends.
func (b *backups) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, err := b.next(ctx)
		if err != nil && ctx.Err() == nil {
			wait = backupRetry
			b.mu.Lock()
			b.failed++
			b.mu.Unlock()
			b.node.log.ErrorContext(ctx, "the backup failed", "error", err)
		}
		pause.For(ctx, wait)
	}
	return ctx.Err()
}

// next makes a backup if it is time for one, and returns the time until the next one.
func (b *backups) next(ctx context.Context) (wait time.Duration, err error) {
	now := b.node.now()
	names, err := b.names()
	if err != nil {
		return 0, err
	}
	if len(names) > 0 {
		info, err := os.Stat(filepath.Join(b.plan.dir, names[len(names)-1]))
		if err != nil {
			return 0, err
		}
		b.note(info.ModTime())
		if age := now.Sub(info.ModTime()); age >= 0 && age < b.plan.every {
			return b.plan.every - age, nil
		}
	}
	head, _ := b.node.store.Latest().Position.Pair()
	name := fmt.Sprintf("daybook-%s-%s.backup", now.UTC().Format("20060102T150405Z"), strconv.FormatUint(head, 10))
	order := backupOrder{file: filepath.Join(b.plan.dir, name), now: now, to: b.plan.to, withoutSecrets: b.plan.withoutSecrets}
	result, err := writeBackup(ctx, b.node.logPool, order)
	if err != nil {
		return 0, err
	}
	b.note(time.Now())
	b.node.log.InfoContext(ctx, "backed up", "file", result.File, "position", result.Position, "bytes", result.Bytes, "secrets", result.Secrets, "seconds", result.Seconds)
	names = append(names, name)
	for _, old := range names[:max(0, len(names)-b.plan.keep)] {
		if err := os.Remove(filepath.Join(b.plan.dir, old)); err != nil {
			return 0, err
		}
	}
	return b.plan.every, nil
}

func (b *backups) note(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = at
}

// names returns the names of the backups in the folder, the oldest first.
func (b *backups) names() (all []string, err error) {
	entries, err := os.ReadDir(b.plan.dir)
	for _, entry := range entries {
		if backupName.MatchString(entry.Name()) {
			all = append(all, entry.Name())
		}
	}
	slices.Sort(all)
	return all, err
}
