package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"daybook/commands/importer"
	commandspg "daybook/commands/postgres"
	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/backup"
	"daybook/internal/pgpool"
)

type restoreCommand struct {
	File           string `arg:"" help:"The file that daybook backup has written."`
	ToPosition     int64  `placeholder:"N" help:"Restore only the events up to this position. An append is restored whole or not at all."`
	ToTime         string `placeholder:"TIME" help:"Restore only the events that were recorded up to this time, such as 2026-01-31T12:00:00Z."`
	IdentityFile   string `placeholder:"FILE" help:"The file with the secret key of age for which the backup is encrypted."`
	PassphraseFile string `placeholder:"FILE" help:"The file with the passphrase of the backup, which has one line."`
	Check          bool   `help:"Only read the whole file and compare its checksum."`
	RevokeKeys     bool   `help:"Revoke all API keys in the restored log, end the access of all people who sign in, and print a new key for an admin, for a copy that is not the shop."`
}

// restoreResult says what was restored, or what would be restored.
type restoreResult struct {
	File       string    `json:"file"`
	MadeAt     time.Time `json:"made_at"`
	Program    string    `json:"program"`
	Position   int64     `json:"position"` // of the last event that was restored
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	InFile     int64     `json:"in_file"` // position of the last event in the file
	Restored   bool      `json:"restored"`
	Secrets    bool      `json:"secrets"` // false: the file has no hashes of keys and passwords
	Revoked    int       `json:"keys_revoked,omitzero"`
	Disabled   int       `json:"people_disabled,omitzero"`
	Key        string    `json:"key,omitempty"` // the new admin's key, if the other keys were revoked
}

func (c *restoreCommand) check(_ context.Context, p *program) error {
	if err := p.ownsLog("restore"); err != nil {
		return err
	}
	if c.ToPosition < 0 {
		return usagef("--to-position must be 1 or more, not %d", c.ToPosition)
	}
	if c.ToPosition > 0 && c.ToTime != "" {
		return usagef("--to-position and --to-time exclude each other: each of them gives the end")
	}
	if _, err := c.until(); err != nil {
		return err
	}
	_, err := c.identities()
	return err
}

func (c *restoreCommand) until() (time.Time, error) {
	if c.ToTime == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, c.ToTime)
	if err != nil {
		return time.Time{}, usagef("--to-time %s: want a time such as 2026-01-31T12:00:00Z", c.ToTime)
	}
	return at, nil
}

func (c *restoreCommand) identities() ([]age.Identity, error) {
	if c.IdentityFile != "" && c.PassphraseFile != "" {
		return nil, usagef("--identity-file and --passphrase-file exclude each other: each of them gives the key")
	}
	if c.PassphraseFile != "" {
		passphrase, err := readSecretFile(c.PassphraseFile)
		if err != nil {
			return nil, usagef("--passphrase-file %s: %v", c.PassphraseFile, err)
		}
		secret, err := age.NewScryptIdentity(passphrase)
		return []age.Identity{secret}, err
	}
	if c.IdentityFile == "" {
		return nil, nil
	}
	file, err := os.Open(c.IdentityFile)
	if err != nil {
		return nil, usagef("--identity-file %s: %v", c.IdentityFile, errors.Unwrap(err))
	}
	defer file.Close()
	found, err := age.ParseIdentities(file)
	if err != nil {
		return nil, usagef("--identity-file %s: want a file of age-keygen", c.IdentityFile)
	}
	return found, nil
}

// Run restores a file into an empty database. It reads the file twice, so that a damaged file is
// refused before anything is changed.
func (c *restoreCommand) Run(ctx context.Context, p *program) (err error) {
	until, err := c.until()
	if err != nil {
		return err
	}
	end, header, err := c.findEnd(ctx, until)
	if err != nil {
		return err
	}
	result := restoreResult{File: c.File, MadeAt: header.MadeAt, Program: header.Program, Position: end.position, RecordedAt: end.recordedAt, InFile: header.Position, Secrets: !header.WithoutSecrets}
	if !c.Check {
		if err := c.fill(ctx, p, end); err != nil {
			return err
		}
		result.Restored = true
		if c.RevokeKeys {
			if err := p.shutOut(ctx, &result); err != nil {
				return err
			}
		}
	}
	return p.print(result, func(out io.Writer) error { return result.tell(out) })
}

func (r restoreResult) tell(out io.Writer) error {
	w := &lineWriter{out: out}
	w.printf("%s was made at %s by daybook %s, and has the log up to position %d. It is whole.\n", r.File, r.MadeAt.Format(time.RFC3339), r.Program, r.InFile)
	if r.Restored {
		w.printf("The log is restored up to position %d", r.Position)
		if !r.RecordedAt.IsZero() {
			w.printf(", recorded at %s", r.RecordedAt.Format(time.RFC3339Nano))
		}
		w.printf(". The first start builds everything else from it.\n")
	}
	if !r.Secrets {
		w.printf("%s", withoutSecretsSays)
	}
	if r.Revoked > 0 {
		w.printf("%d API keys are revoked.\n", r.Revoked)
	}
	if r.Disabled > 0 {
		w.printf("%d people cannot sign in any more.\n", r.Disabled)
	}
	if r.Key != "" {
		w.printf("The copy has one API key, which may do everything. It is shown only now:\n%s\n", r.Key)
	}
	return w.err
}

// backupEnd is where a restore ends.
type backupEnd struct {
	position   int64
	recordedAt time.Time
	whole      bool // it is the end of the file
}

// findEnd reads the whole file, and finds the last event to restore. The events of one append have
// the same recorded time, and are restored together or not at all.
func (c *restoreCommand) findEnd(ctx context.Context, until time.Time) (end backupEnd, header backup.Header, err error) {
	var started, last eventstorepg.Row // the first event of the latest recorded time, and the last event of all
	var before backupEnd               // the last event before started
	cut := false
	header, err = c.read(ctx, nil, func(row *eventstorepg.Row) {
		if cut {
			return
		}
		if !row.RecordedAt.Equal(last.RecordedAt) {
			before, started = backupEnd{position: last.Position, recordedAt: last.RecordedAt}, *row
		}
		if c.ToPosition > 0 && row.Position > c.ToPosition || !until.IsZero() && row.RecordedAt.After(until) {
			cut = true
			end = backupEnd{position: last.Position, recordedAt: last.RecordedAt}
			if row.RecordedAt.Equal(started.RecordedAt) && started.Position != row.Position {
				end = before
			}
			return
		}
		last = *row
	})
	if err == nil && !cut {
		end = backupEnd{position: last.Position, recordedAt: last.RecordedAt, whole: true}
	}
	return end, header, err
}

// read calls the functions for all rows of the file, and returns an error if the file is damaged.
func (c *restoreCommand) read(ctx context.Context, keep func(*backup.Kept) error, event func(*eventstorepg.Row)) (backup.Header, error) {
	identities, err := c.identities()
	if err != nil {
		return backup.Header{}, err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return backup.Header{}, err
	}
	defer file.Close()
	r, err := backup.NewReader(file, identities...)
	if err != nil {
		return backup.Header{}, c.explain(err)
	}
	defer r.Close()
	for ctx.Err() == nil {
		kept, row, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return r.Header, nil
		case err != nil:
			return r.Header, c.explain(err)
		case row != nil:
			event(row)
		case keep != nil:
			if err := keep(kept); err != nil {
				return r.Header, err
			}
		}
	}
	return r.Header, ctx.Err()
}

func (c *restoreCommand) explain(err error) error {
	if errors.Is(err, backup.ErrEncrypted) {
		return fmt.Errorf("%s: %w: give --identity-file or --passphrase-file", c.File, err)
	}
	return fmt.Errorf("%s: %w", c.File, err)
}

// fill restores everything in one transaction.
func (c *restoreCommand) fill(ctx context.Context, p *program, end backupEnd) (err error) {
	db, err := openDatabase(ctx, p.database(), p.log)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, db.stop(context.WithoutCancel(ctx))) }()
	pool, err := openPool(ctx, db.url, "restore", 2, p.log)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrate(ctx, pool); err != nil {
		return err
	}
	ctx = pgpool.Within(ctx, backupMax)
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var kept []backup.Kept
		rows := func(yield func(eventstorepg.Row, error) bool) {
			going := true
			_, err := c.read(ctx, func(row *backup.Kept) error {
				kept = append(kept, backup.Kept{Table: row.Table, Row: row.Row.Clone()})
				return nil
			}, func(row *eventstorepg.Row) {
				if going && row.Position <= end.position {
					going = yield(*row, nil)
				}
			})
			if err != nil && going {
				yield(eventstorepg.Row{}, err)
			}
		}
		if err := eventstorepg.RestoreRows(ctx, tx, rows); err != nil {
			return err
		}
		return fillKept(ctx, tx, kept, end)
	})
}

// cutGroupsSQL moves the places of groups back to the end of a log that was restored in part. A
// place in a stream is a revision plus 1, and a place in the whole log is a position.
const cutGroupsSQL = `
	WITH ends AS (
		SELECT g.group_id, CASE WHEN g.source = '$all' THEN $1 ELSE coalesce(s.revision + 1, 0) END AS last
		FROM gateway.groups g LEFT JOIN eventstore.streams s ON s.stream = g.source
	), cut AS (
		UPDATE gateway.groups g SET anchor = '',
			checkpoint_commit = least(checkpoint_commit, e.last), checkpoint_prepare = least(checkpoint_prepare, e.last)
		FROM ends e WHERE e.group_id = g.group_id
	)
	DELETE FROM gateway.parked p USING ends e WHERE e.group_id = p.group_id AND p.place_commit > e.last`

// fillKept restores the rows that cannot be made from the log.
func fillKept(ctx context.Context, tx pgx.Tx, kept []backup.Kept, end backupEnd) error {
	for _, row := range kept {
		write := ""
		for _, table := range keptTables {
			if table.name == row.Table {
				write = table.write
			}
		}
		if write == "" {
			return fmt.Errorf("the backup has rows of %q, which this program does not know: use a newer program", row.Table)
		}
		if _, err := tx.Exec(ctx, write, string(row.Row)); err != nil {
			return fmt.Errorf("restore %s: %w", row.Table, err)
		}
	}
	if _, err := tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence('gateway.groups', 'group_id'), coalesce(max(group_id), 1), max(group_id) IS NOT NULL) FROM gateway.groups`); err != nil {
		return fmt.Errorf("restore gateway.groups: %w", err)
	}
	if end.whole {
		return nil
	}
	if _, err := tx.Exec(ctx, cutGroupsSQL, end.position); err != nil {
		return fmt.Errorf("restore gateway.groups: %w", err)
	}
	return restartImport(ctx, tx, end.position)
}

// restartImport changes the record of an import if the log was restored only in part. It then says
// that each invoice may be in the log or not.
func restartImport(ctx context.Context, tx pgx.Tx, end int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM commands.imports WHERE NOT EXISTS (SELECT FROM eventstore.events WHERE meta->>'channel' = 'import')`); err != nil {
		return fmt.Errorf("restore commands.imports: %w", err)
	}
	var counts []byte
	err := tx.QueryRow(ctx, `SELECT counts FROM commands.imports`).Scan(&counts)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	at, positionErr := eventstore.ParsePosition(strconv.FormatInt(end, 10))
	if err = errors.Join(err, positionErr); err == nil {
		counts, err = importer.Restarted(counts, at)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE commands.imports SET done_invoices = 0, counts = $1`, counts)
	}
	if err != nil {
		return fmt.Errorf("restore commands.imports: %w", err)
	}
	return nil
}

// whyShutOut is why access ends in a log that was restored as a copy.
const whyShutOut = "the log was restored as a copy"

// shutOut ends all access to a restored log, and makes a new key for an admin.
func (p *program) shutOut(ctx context.Context, result *restoreResult) error {
	return p.overLog(ctx, func(n *node) (err error) {
		if result.Revoked, result.Key, err = n.revokeKeys(ctx); err == nil {
			result.Disabled, err = n.disablePeople(ctx)
		}
		return err
	})
}

// revokeKeys revokes all API keys that are still good. Before that it makes a new admin's key,
// because the last admin's key cannot be revoked.
func (n *node) revokeKeys(ctx context.Context) (count int, secret string, err error) {
	made, err := n.makeKey(ctx, access.IssueKey{Name: "admin of a restored copy", Role: access.Admin}, 0)
	if err != nil {
		return 0, "", err
	}
	keys, err := accessList{n.keys, n.keyUses, n.now}.Keys(ctx)
	if err != nil {
		return 0, "", err
	}
	for _, key := range keys {
		if key.Status != access.Active || key.KeyID == made.Key.KeyID {
			continue
		}
		if _, err := n.changeKey(ctx, key.KeyID, access.RevokeKey{Key: key.KeyID, Reason: whyShutOut}); err != nil {
			return count, "", err
		}
		count++
	}
	return count, made.Secret, nil
}

// disablePeople ends the access of all people of the staff. Their passwords and second factors are
// deleted, too. Customers can no longer sign in, because nothing finds their logins any more.
func (n *node) disablePeople(ctx context.Context) (count int, err error) {
	members, err := n.desk.Members(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range members {
		if m.Status == staff.Ended {
			continue
		}
		if _, err := n.desk.Disable(ctx, consoleCall(), m.ID, whyShutOut); err != nil {
			return count, err
		}
		count++
	}
	return count, commandspg.ForgetSecret(ctx, n.commandPool, commandspg.SecretOfLogins)
}
