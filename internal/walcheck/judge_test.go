package walcheck

import (
	"strings"
	"testing"
	"time"
)

// good are the facts of a server with which nothing is wrong.
func good() Facts {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return Facts{
		Version: "17.2", WALLevel: "replica", ArchiveMode: "on", ArchiveSet: true, ArchiveTimeout: 60, Fsync: true, FullPageWrites: true, SynchronousCommit: "on",
		Checksums: true, SlotLimit: -1, SegmentBytes: 16 << 20, Archived: 12, LastArchivedAt: at, Failed: 1, LastFailed: "x", LastFailedAt: at.Add(-time.Hour), Waiting: 2,
		Slots: []Slot{{Name: "receiver", Active: true, Kept: 1 << 40}},
	}
}

func codes(all []Finding) (names []string) {
	for _, one := range all {
		name := one.Code
		if !one.Problem {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return names
}

// Each thing that can be wrong is found, and nothing else is. A code in brackets is only advice.
func TestWhatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	if all := good().Judge(); len(all) != 0 {
		t.Errorf("a good server has the findings %q", codes(all))
	}
	for name, c := range map[string]struct {
		change func(*Facts)
		want   string
		says   string
	}{
		"fsync":                       {func(f *Facts) { f.Fsync = false }, "fsync-off", "unusable"},
		"pages":                       {func(f *Facts) { f.FullPageWrites = false }, "full-page-writes-off", "half written"},
		"commits":                     {func(f *Facts) { f.SynchronousCommit = "off" }, "synchronous-commit-off", "acknowledged"},
		"checksums":                   {func(f *Facts) { f.Checksums = false }, "(checksums-off)", "pg_checksums"},
		"no archive":                  {func(f *Facts) { f.ArchiveMode = "off" }, "archive-off", "everything since the last backup"},
		"a receiver":                  {func(f *Facts) { f.ArchiveMode, f.Receivers = "off", []string{"pg_receivewal"} }, "(received-only)", "only to pg_receivewal"},
		"no place":                    {func(f *Facts) { f.ArchiveSet = false }, "archive-nowhere", "the shop stops"},
		"a command like true":         {func(f *Facts) { f.ArchivePretends = true }, "archive-pretends", "does nothing"},
		"never":                       {func(f *Facts) { f.Archived, f.LastArchivedAt, f.LastFailedAt = 0, time.Time{}, time.Time{} }, "archive-never", "pg_switch_wal"},
		"failing":                     {func(f *Facts) { f.LastFailedAt = f.LastArchivedAt.Add(time.Second) }, "archive-fails", "since 2026-01-02T03:04:05Z"},
		"failing from the first":      {func(f *Facts) { f.Archived, f.LastArchivedAt = 0, time.Time{} }, "archive-fails", "since the last backup"},
		"behind":                      {func(f *Facts) { f.Waiting = 9 }, "archive-behind", "9 complete segments"},
		"no timeout":                  {func(f *Facts) { f.ArchiveTimeout = 0 }, "(archive-timeout-none)", "16 MiB"},
		"minimal":                     {func(f *Facts) { f.WALLevel, f.ArchiveMode = "minimal", "off" }, "wal-level-minimal archive-off", "base backup"},
		"an unused slot":              {func(f *Facts) { f.Slots[0].Active = false }, "slot-unused", "1048576 MiB"},
		"an unused slot with a limit": {func(f *Facts) { f.Slots[0].Active, f.SlotLimit = false, 100 }, "(slot-unused)", "receiver"},
		"a lost slot":                 {func(f *Facts) { f.Slots[0].Active, f.Slots[0].Status = false, "lost" }, "(slot-lost)", "set up the receiver again"},
	} {
		f := good()
		c.change(&f)
		all := f.Judge()
		text := ""
		for _, one := range all {
			if one.Says == "" || one.Loss == "" || one.Remedy == "" {
				t.Errorf("%s: %+v does not say everything", name, one)
			}
			text += one.Says + one.Loss + one.Remedy
		}
		if got := strings.Join(codes(all), " "); got != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s, want %s and %q in\n%s", name, got, c.want, c.says, text)
		}
		if wanted := len(all) - strings.Count(c.want, "("); Problems(all) != wanted {
			t.Errorf("%s: %d problems, want %d", name, Problems(all), wanted)
		}
	}
}

func TestTheLossIsSaid(t *testing.T) {
	t.Parallel()
	received, full := good(), good()
	received.ArchiveMode, full.ArchiveTimeout = "off", 0
	for want, f := range map[string]Facts{"in about the last 1m0s": good(), "up to 16 MiB": full, "the receiver": received} {
		if got := f.Loss(); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestNumbersOfSegments(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int64{
		"000000010000000000000003": 3, "00000002000000010000000A": 256 + 10, "000000010000000000000002.00000028.backup": 2, "00000002.history": -1, "": -1,
		"00000001000000000000000X": -1,
	} {
		got, is := segmentNumber(name, 16<<20)
		if !is {
			got = -1
		}
		if got != want {
			t.Errorf("%s has the number %d, want %d", name, got, want)
		}
	}
	if !pretends("/bin/true") || pretends("cp %p /archive/%f") {
		t.Error("commands that only pretend are told from others in a wrong way")
	}
}
