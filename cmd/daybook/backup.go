package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	commandspg "daybook/commands/postgres"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/backup"
	"daybook/internal/embeddedpg"
	"daybook/internal/pgpool"
)

type backupCommand struct {
	File           string   `arg:"" help:"The file to write. It must not exist yet."`
	Recipient      []string `placeholder:"KEY" help:"Encrypt the file for the holder of this public key of age, such as age1.... Repeatable."`
	PassphraseFile string   `placeholder:"FILE" help:"Encrypt the file with the passphrase in this file, which has one line."`
	WithoutSecrets bool     `help:"Leave out the hashes of API keys, tokens and recovery codes, the hashes of passwords, the secrets of second factors, and the keys of personal texts. After a restore, keys and passwords must be made anew, and personal texts are erased."`
}

// backupResult says what is in a backup.
type backupResult struct {
	File      string  `json:"file"`
	Position  int64   `json:"position"` // of the last event in it
	Bytes     int64   `json:"bytes"`
	Encrypted bool    `json:"encrypted"`
	Secrets   bool    `json:"secrets"` // false: hashes of keys and passwords were left out
	Seconds   float64 `json:"seconds"`
}

func (c *backupCommand) check(_ context.Context, p *program) error {
	if err := p.ownsLog("backup"); err != nil {
		return err
	}
	_, err := recipients(c.Recipient, c.PassphraseFile)
	return err
}

// ownsLog refuses to back up or restore a log that is not in PostgreSQL.
func (o *options) ownsLog(what string) error {
	if o.Store == storeKurrentDB {
		return usagef("--store %s: %s is for a log in PostgreSQL; KurrentDB has tools of its own for its log, see docs/restore.md", storeKurrentDB, what)
	}
	return nil
}

// recipients reads for whom a backup is encrypted. If there are none, it is not encrypted.
func recipients(keys []string, passphraseFile string) (all []age.Recipient, err error) {
	for _, key := range keys {
		found, err := age.ParseRecipients(strings.NewReader(key))
		if err != nil {
			return nil, usagef("--recipient: want a public key of age, such as age1...")
		}
		all = append(all, found...)
	}
	if passphraseFile == "" {
		return all, nil
	}
	if len(all) > 0 {
		return nil, usagef("--recipient and --passphrase-file exclude each other: each of them gives the key")
	}
	passphrase, err := readSecretFile(passphraseFile)
	if err != nil {
		return nil, usagef("--passphrase-file %s: %v", passphraseFile, err)
	}
	secret, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, usagef("--passphrase-file %s: %v", passphraseFile, err)
	}
	return []age.Recipient{secret}, nil
}

// Run writes the backup. A server may run meanwhile.
func (c *backupCommand) Run(ctx context.Context, p *program) (err error) {
	if err := p.mustHaveData("backup"); err != nil {
		return err
	}
	to, err := recipients(c.Recipient, c.PassphraseFile)
	if err != nil {
		return err
	}
	pool, closeAll, err := p.besideServer(ctx, "backup")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	result, err := writeBackup(ctx, pool, backupOrder{file: c.File, now: p.now(), to: to, withoutSecrets: c.WithoutSecrets})
	if err != nil {
		return err
	}
	return p.print(result, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("%s has the log up to position %d (%d bytes).\n", result.File, result.Position, result.Bytes)
		if !result.Secrets {
			w.printf("Hashes of API keys and passwords, secrets of second factors and keys of personal texts are left out. Names and addresses of people are in it.\n")
		}
		if result.Secrets {
			w.printf("The master key is not in it. Personal texts can be read only with the master key.\n")
		}
		return w.err
	})
}

// besideServer connects to the database. It can do so even while a server on this machine uses the
// data directory.
func (p *program) besideServer(ctx context.Context, purpose string) (pool *pgxpool.Pool, closeAll func() error, err error) {
	db, err := openDatabase(ctx, p.database(), p.log)
	if inUse, busy := errors.AsType[*embeddedpg.InUseError](err); busy {
		db, err = database{url: socketURL(inUse.DataDir)}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() error { return db.stop(context.WithoutCancel(ctx)) }
	// The tables are not brought to this program's version, because an older server may use them.
	pool, err = openPool(ctx, db.url, purpose, 2, p.log)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return pool, func() error { pool.Close(); return db.stop(context.WithoutCancel(ctx)) }, nil
}

// socketURL is the address of the PostgreSQL that a server runs in a data directory.
func socketURL(dir string) string {
	return "postgres:///daybook?host=" + url.QueryEscape(filepath.Join(dir, "run")) + "&user=daybook"
}

// keptTables are the tables that cannot be made from the log. A backup has their rows as they are.
// Read models, timers, snapshots and places are not in it, because the program builds them again
// from the log. Sessions are not in it, because people can sign in again. The answers that are kept
// under idempotency keys are not in it, because the log itself says which requests were carried
// out.
var keptTables = []struct{ name, read, write string }{
	{"gateway.groups", `SELECT to_json(t)::text FROM gateway.groups t ORDER BY group_id`, `INSERT INTO gateway.groups OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_record(NULL::gateway.groups, $1)`},
	{"gateway.parked", `SELECT to_json(t)::text FROM gateway.parked t ORDER BY group_id, number`, `INSERT INTO gateway.parked SELECT * FROM json_populate_record(NULL::gateway.parked, $1)`},
	{"commands.people", `SELECT to_json(t)::text FROM commands.people t ORDER BY person`, `INSERT INTO commands.people (person, email, name, since, customer_id) SELECT person, email, name, since, coalesce(customer_id, '') FROM json_populate_record(NULL::commands.people, $1)`},
	{secretsTable, `SELECT to_json(t)::text FROM commands.secrets t WHERE name IN ('` + commandspg.SecretOfLogins + `', '` + commandspg.SecretOfCodes + `') ORDER BY name`, `INSERT INTO commands.secrets SELECT * FROM json_populate_record(NULL::commands.secrets, $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`},
	{"commands.people_secrets", `SELECT to_json(t)::text FROM commands.people_secrets t ORDER BY id`, `INSERT INTO commands.people_secrets SELECT * FROM json_populate_record(NULL::commands.people_secrets, $1)`},
	{"commands.data_keys", `SELECT to_json(t)::text FROM commands.data_keys t ORDER BY id`, `INSERT INTO commands.data_keys SELECT * FROM json_populate_record(NULL::commands.data_keys, $1)`},
	{"commands.erased", `SELECT to_json(t)::text FROM commands.erased t ORDER BY subject`, `INSERT INTO commands.erased SELECT * FROM json_populate_record(NULL::commands.erased, $1)`},
	{keptTable, `SELECT to_json(t)::text FROM commands.kept t ORDER BY order_id`, `INSERT INTO commands.kept SELECT * FROM json_populate_record(NULL::commands.kept, $1)`},
	{"commands.former_master_keys", `SELECT to_json(t)::text FROM commands.former_master_keys t ORDER BY id`, `INSERT INTO commands.former_master_keys SELECT * FROM json_populate_record(NULL::commands.former_master_keys, $1)`},
	{"commands.imports", `SELECT to_json(t)::text FROM commands.imports t`, `INSERT INTO commands.imports SELECT * FROM json_populate_record(NULL::commands.imports, $1)`},
}

// codeUndefinedTable is PostgreSQL's code for a table that does not exist.
const codeUndefinedTable = "42P01"

// backupMax is the longest time for one statement of a backup or a restore.
const backupMax = time.Hour

// backupOrder says which backup is written.
type backupOrder struct {
	file           string
	now            time.Time
	to             []age.Recipient // none: it is not encrypted
	withoutSecrets bool
}

// writeBackup writes a file with everything up to the log's present head. The file gets its name
// only when it is whole.
func writeBackup(ctx context.Context, pool *pgxpool.Pool, order backupOrder) (result backupResult, err error) {
	began, file := time.Now(), order.file
	if _, err := os.Lstat(file); err == nil {
		return result, fmt.Errorf("%s exists already, and a backup replaces no file", file)
	}
	ctx = pgpool.Within(ctx, backupMax)
	head, kept, err := readKept(ctx, pool)
	if missing, is := errors.AsType[*pgconn.PgError](err); is && missing.Code == codeUndefinedTable {
		return result, fmt.Errorf("back up: the database is older than this program, or has no log: use the program that it belongs to, or daybook migrate: %w", err)
	}
	if err != nil {
		return result, fmt.Errorf("back up: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part") // its mode is 0600
	if err != nil {
		return result, err
	}
	defer func() { _ = os.Remove(part.Name()) }() // by then a whole file has its own name, too, and only this name goes
	if order.withoutSecrets {
		if kept, err = keptWithoutSecrets(kept, order.now); err != nil {
			return result, fmt.Errorf("back up: %w", err)
		}
	}
	header := backup.Header{Program: thisBuild().Version, MadeAt: order.now.UTC(), Position: head, WithoutSecrets: order.withoutSecrets}
	size, err := fillBackup(ctx, pool, part, header, kept, order.to)
	if err = errors.Join(err, part.Close()); err != nil {
		return result, fmt.Errorf("back up: %w", err)
	}
	if err := os.Link(part.Name(), file); errors.Is(err, fs.ErrExist) {
		return result, fmt.Errorf("%s exists already, and a backup replaces no file", file)
	} else if err != nil {
		return result, err
	}
	return backupResult{File: file, Position: head, Bytes: size, Encrypted: len(order.to) > 0, Secrets: !order.withoutSecrets, Seconds: time.Since(began).Seconds()}, nil
}

// readKept reads the log's head and the rows of keptTables. It reads them in one snapshot of the
// database, so that they fit together.
func readKept(ctx context.Context, pool *pgxpool.Pool) (head int64, kept []backup.Kept, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, pool, options, func(tx pgx.Tx) error {
		if head, err = eventstorepg.HeadOf(ctx, tx); err != nil {
			return err
		}
		for _, table := range keptTables {
			rows, err := tx.Query(ctx, table.read)
			if err != nil {
				return err
			}
			texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, text := range texts {
				kept = append(kept, backup.Kept{Table: table.name, Row: jsontext.Value(text)})
			}
		}
		return nil
	})
	return head, kept, err
}

func fillBackup(ctx context.Context, pool *pgxpool.Pool, file *os.File, header backup.Header, kept []backup.Kept, to []age.Recipient) (size int64, err error) {
	w, err := backup.NewWriter(file, header, to...)
	if err != nil {
		return 0, err
	}
	for _, row := range kept {
		if err := w.Keep(row); err != nil {
			return 0, err
		}
	}
	for row, err := range eventstorepg.Rows(ctx, pool, 0, header.Position) {
		if err == nil && header.WithoutSecrets {
			row, err = withoutSecrets(row)
		}
		if err == nil {
			err = w.Event(row)
		}
		if err != nil {
			return 0, err
		}
	}
	if err := errors.Join(w.Close(), file.Sync()); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
