package walcheck

import (
	"fmt"
	"strings"
	"time"
)

// Finding is something that is missing, or that should be known.
type Finding struct {
	// Code names the finding, such as archive-off. A code never changes.
	Code string `json:"code"`
	// Problem means that data could be lost, and that a setting can prevent it. Otherwise the
	// finding is only advice.
	Problem bool   `json:"problem"`
	Says    string `json:"says"`   // what is so
	Loss    string `json:"loss"`   // what would be lost
	Remedy  string `json:"remedy"` // what to do
}

// waitingMax is how many complete segments may wait. After a busy time a few of them always do.
const waitingMax = 8

// Judge says what is missing. The result is empty if nothing is.
func (f Facts) Judge() (all []Finding) {
	all = append(all, f.judgeCrash()...)
	all = append(all, f.judgeArchive()...)
	return append(all, f.judgeSlots()...)
}

// Problems is how many findings are more than advice.
func Problems(all []Finding) (count int) {
	for _, one := range all {
		if one.Problem {
			count++
		}
	}
	return count
}

// judgeCrash is about a crash after which the disk is still there.
func (f Facts) judgeCrash() (all []Finding) {
	if !f.Fsync {
		all = append(all, Finding{
			"fsync-off", true, "fsync is off, so PostgreSQL does not wait until the disk has what it writes.",
			"After a power cut, the whole database may be unusable.", "Set fsync = on.",
		})
	}
	if !f.FullPageWrites {
		all = append(all, Finding{
			"full-page-writes-off", true, "full_page_writes is off.",
			"Pages that were being written during a power cut stay half written, and nothing repairs them.", "Set full_page_writes = on.",
		})
	}
	if f.SynchronousCommit == "off" {
		all = append(all, Finding{
			"synchronous-commit-off", true, "synchronous_commit is off, so a commit is acknowledged before it is on the disk.",
			"A crash loses what was acknowledged in the last moments before it, such as orders.", "Set synchronous_commit = on.",
		})
	}
	if !f.Checksums {
		all = append(all, Finding{
			"checksums-off", false, "The data has no checksums.",
			"A page that the disk has damaged is noticed late or never, and base backups then have the damage, too.", "Stop the server and run pg_checksums --enable.",
		})
	}
	return all
}

// judgeArchive is about the loss of the disk.
func (f Facts) judgeArchive() (all []Finding) {
	if f.WALLevel == "minimal" {
		all = append(all, Finding{
			"wal-level-minimal", true, "wal_level is minimal, so the WAL is not enough to restore a base backup.",
			allSinceBackup, "Set wal_level = replica and start the server again. Then make a base backup.",
		})
	}
	streamed := len(f.Receivers) > 0
	switch {
	case f.ArchiveMode == "off" && streamed:
		return append(all, Finding{
			"received-only", false, "archive_mode is off. WAL goes only to " + strings.Join(f.Receivers, ", ") + ", which receives it as it is written.",
			"If the receiver stops and has no replication slot, WAL is lost until it runs again. A standby is not an archive: it repeats mistakes, such as a deleted table.", "Use pg_receivewal with a slot, or set archive_mode = on, too.",
		})
	case f.ArchiveMode == "off":
		return append(all, Finding{
			"archive-off", true, "archive_mode is off, so WAL is kept nowhere else.",
			allSinceBackup, "Set archive_mode = on and archive_command, and start the server again. Then make a base backup.",
		})
	case !f.ArchiveSet:
		return append(all, Finding{
			"archive-nowhere", true, "archive_mode is on, but neither archive_command nor archive_library is set.",
			allSinceBackup + " Meanwhile WAL fills the disk. When the disk is full, the shop stops.", "Set archive_command, and reload the configuration.",
		})
	case f.ArchivePretends:
		return append(all, Finding{
			"archive-pretends", true, "archive_command says that each segment is archived, but does nothing.",
			allSinceBackup, "Set an archive_command that copies the segment, and make a base backup.",
		})
	}
	return append(all, f.judgeArchiver()...)
}

// judgeArchiver is about an archive that is set up.
func (f Facts) judgeArchiver() (all []Finding) {
	switch {
	case f.LastFailedAt.After(f.LastArchivedAt):
		all = append(all, Finding{
			"archive-fails", true, fmt.Sprintf("The last attempt to archive failed, at %s with the segment %s; %d attempts have failed so far.", shown(f.LastFailedAt), f.LastFailed, f.Failed),
			f.sinceArchived() + " WAL that cannot be archived fills the disk.", "Read the server's log, and repair archive_command.",
		})
	case f.Archived == 0:
		all = append(all, Finding{
			"archive-never", true, "No segment has been archived yet, so nobody knows whether archiving works.",
			allSinceBackup, "Run SELECT pg_switch_wal() and then this command again.",
		})
	case f.Waiting > waitingMax:
		all = append(all, Finding{
			"archive-behind", true, fmt.Sprintf("%d complete segments wait to be archived.", f.Waiting),
			f.sinceArchived(), "Look at how long archive_command takes.",
		})
	}
	if f.ArchiveTimeout == 0 {
		all = append(all, Finding{
			"archive-timeout-none", false, fmt.Sprintf("archive_timeout is 0, so a segment is archived only when it is full (%d MiB).", f.SegmentBytes>>20),
			"What was recorded since the last full segment. In a quiet shop this may be hours of work.", "Set archive_timeout = 60, for example.",
		})
	}
	return all
}

// judgeSlots is about receivers that do not come for their WAL.
func (f Facts) judgeSlots() (all []Finding) {
	for _, slot := range f.Slots {
		switch {
		case slot.Status == "lost":
			all = append(all, Finding{
				"slot-lost", false, fmt.Sprintf("The replication slot %s has lost WAL that its receiver did not get.", slot.Name),
				"The receiver cannot go on.", "Drop the slot, and set up the receiver again.",
			})
		case !slot.Active:
			all = append(all, Finding{
				"slot-unused", f.SlotLimit < 0, fmt.Sprintf("The replication slot %s is not in use, and holds back %d MiB of WAL.", slot.Name, slot.Kept>>20),
				"WAL fills the disk, and when it is full, the shop stops.", "Start its receiver, or drop the slot; and limit what slots hold back by max_slot_wal_keep_size.",
			})
		}
	}
	return all
}

const allSinceBackup = "If the disk is lost, everything since the last backup is lost."

func (f Facts) sinceArchived() string {
	if f.LastArchivedAt.IsZero() {
		return allSinceBackup
	}
	return "If the disk is lost, everything since " + shown(f.LastArchivedAt) + " is lost."
}

// Loss says in a sentence what would be lost with the disk if there is no problem.
func (f Facts) Loss() string {
	if f.ArchiveMode == "off" {
		return "If the disk is lost, you lose what the receiver does not have yet."
	}
	if f.ArchiveTimeout == 0 {
		return fmt.Sprintf("If the disk is lost, you lose what was recorded since the last full segment (up to %d MiB).", f.SegmentBytes>>20)
	}
	return fmt.Sprintf("If the disk is lost, you lose what was recorded in about the last %s.", time.Duration(f.ArchiveTimeout)*time.Second)
}

func shown(at time.Time) string { return at.UTC().Format(time.RFC3339) }
