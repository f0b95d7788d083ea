// Package walcheck says whether a PostgreSQL server keeps its WAL (its write-ahead log) elsewhere,
// so that a base backup can be restored up to the moment before a disk was lost. It only reads
// settings and statistics, changes nothing, and makes no backup.
package walcheck

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Facts are what the server says about itself.
type Facts struct {
	Version           string `json:"version"` // such as 17.2
	WALLevel          string `json:"wal_level"`
	ArchiveMode       string `json:"archive_mode"`
	ArchiveSet        bool   `json:"archive_set"` // archive_command or archive_library has a value
	ArchivePretends   bool   `json:"archive_pretends"`
	ArchiveTimeout    int64  `json:"archive_timeout_seconds"` // 0: none
	Fsync             bool   `json:"fsync"`
	FullPageWrites    bool   `json:"full_page_writes"`
	SynchronousCommit string `json:"synchronous_commit"`
	Checksums         bool   `json:"data_checksums"`
	SlotLimit         int64  `json:"max_slot_wal_keep_size_mb"` // -1: none
	SegmentBytes      int64  `json:"wal_segment_bytes"`

	Archived       int64     `json:"archived"` // segments, since the statistics were reset
	LastArchivedAt time.Time `json:"last_archived_at,omitzero"`
	Failed         int64     `json:"failed"` // attempts to archive
	LastFailed     string    `json:"last_failed,omitempty"`
	LastFailedAt   time.Time `json:"last_failed_at,omitzero"`
	Waiting        int64     `json:"waiting"` // complete segments after the last one that was archived

	Receivers []string `json:"receivers"` // programs that receive the WAL as it is written, such as pg_receivewal
	Slots     []Slot   `json:"slots"`
}

// Slot is a replication slot. It makes the server keep WAL until a receiver has it.
type Slot struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // physical or logical
	Active bool   `json:"active"`
	Status string `json:"wal_status"`
	Kept   int64  `json:"kept_bytes"` // of WAL
}

// StandbyError means that the server is a copy that follows another one.
type StandbyError struct{}

func (*StandbyError) Error() string {
	return "this server is a standby, which only follows another one: ask the primary server, because that is where WAL is archived"
}

// Read asks a server. It returns *StandbyError if the server is a standby.
func Read(ctx context.Context, pool *pgxpool.Pool) (f Facts, err error) {
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var standby bool
		if err := tx.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&standby); err != nil {
			return err
		}
		if standby {
			return &StandbyError{}
		}
		for _, read := range []func(context.Context, pgx.Tx) error{f.readSettings, f.readArchiver, f.readReceivers} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return f, fmt.Errorf("ask about the WAL: %w", err)
	}
	return f, nil
}

func (f *Facts) readSettings(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT name, setting FROM pg_settings WHERE name = ANY($1)`, []string{
		"server_version", "wal_level", "archive_mode", "archive_command", "archive_library", "archive_timeout", "fsync", "full_page_writes",
		"synchronous_commit", "data_checksums", "max_slot_wal_keep_size", "wal_segment_size",
	})
	if err != nil {
		return err
	}
	set := map[string]string{}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { set[name] = value; return nil }); err != nil {
		return err
	}
	f.Version, f.WALLevel, f.ArchiveMode, f.SynchronousCommit = set["server_version"], set["wal_level"], set["archive_mode"], set["synchronous_commit"]
	f.Fsync, f.FullPageWrites, f.Checksums = set["fsync"] == "on", set["full_page_writes"] == "on", set["data_checksums"] == "on"
	// While archiving is off, the server shows (disabled) in place of the command.
	command, library := set["archive_command"], set["archive_library"]
	f.ArchiveSet = command != "" && command != "(disabled)" || library != ""
	f.ArchivePretends = library == "" && pretends(command)
	for name, to := range map[string]*int64{"archive_timeout": &f.ArchiveTimeout, "max_slot_wal_keep_size": &f.SlotLimit, "wal_segment_size": &f.SegmentBytes} {
		if *to, err = strconv.ParseInt(set[name], 10, 64); err != nil {
			return fmt.Errorf("the setting %s: %w", name, err)
		}
	}
	return nil
}

// pretends tells whether a command says that a segment is archived without doing anything.
func pretends(command string) bool {
	switch command {
	case "true", "/bin/true", "/usr/bin/true", ":", "exit 0", "cd .":
		return true
	}
	return false
}

func (f *Facts) readArchiver(ctx context.Context, tx pgx.Tx) error {
	var present, last, failed string
	var at, failedAt *time.Time
	err := tx.QueryRow(ctx, `SELECT pg_walfile_name(pg_current_wal_lsn()), archived_count, coalesce(last_archived_wal, ''), last_archived_time,
		failed_count, coalesce(last_failed_wal, ''), last_failed_time FROM pg_stat_archiver`).Scan(&present, &f.Archived, &last, &at, &f.Failed, &failed, &failedAt)
	if err != nil {
		return err
	}
	if at != nil {
		f.LastArchivedAt = at.UTC()
	}
	if failedAt != nil {
		f.LastFailedAt, f.LastFailed = failedAt.UTC(), failed
	}
	here, isSegment := segmentNumber(present, f.SegmentBytes)
	done, known := segmentNumber(last, f.SegmentBytes)
	if isSegment && known {
		f.Waiting = max(0, here-done-1)
	}
	return nil
}

// segmentNumber is the number of a WAL file by its name, such as 000000010000000A000000FF. A name
// has three numbers of eight digits: the timeline, the upper half of the place, and the segment in
// it. Names of other files, such as histories of timelines, have no number.
func segmentNumber(name string, segmentBytes int64) (number int64, is bool) {
	const digits = 24
	if len(name) < digits || segmentBytes <= 0 {
		return 0, false
	}
	var raw [digits / 2]byte
	if _, err := hex.Decode(raw[:], []byte(name[:digits])); err != nil {
		return 0, false
	}
	upper, _ := strconv.ParseInt(name[8:16], 16, 64) // the digits were checked
	lower, _ := strconv.ParseInt(name[16:digits], 16, 64)
	return upper*((1<<32)/segmentBytes) + lower, true
}

func (f *Facts) readReceivers(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT coalesce(application_name, '') FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1`)
	if err != nil {
		return err
	}
	if f.Receivers, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `SELECT slot_name::text, slot_type, active, coalesce(wal_status, ''),
		coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint FROM pg_replication_slots ORDER BY 1`)
	if err != nil {
		return err
	}
	f.Slots, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Slot])
	return err
}
