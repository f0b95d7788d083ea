package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// erasedSuffix ends the name of the file, beside that of the master keys, which lists the destroyed
// keys of erased customers and guests. It is needed after the restore of a backup that is older
// than an erasure: neither the log nor the tables of such a backup know of the erasure. The ids in
// the file are random and name nobody.
const erasedSuffix = ".erased"

// erasedFile is this file, and what of the table it has.
type erasedFile struct {
	path string
	has  map[string]bool
	full bool // it has everything that the table had at the start
}

// read returns the ids in the file.
func (f *erasedFile) read() (ids []string, err error) {
	text, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.has = map[string]bool{}
	for line := range bytes.Lines(text) {
		id := strings.TrimSpace(string(line))
		if id == "" || strings.HasPrefix(id, "#") || f.has[id] {
			continue
		}
		f.has[id] = true
		ids = append(ids, id)
	}
	return ids, nil
}

// add writes ids to the end of the file, and waits until they are on the disk.
func (f *erasedFile) add(ids []string) error {
	var lines strings.Builder
	for _, id := range ids {
		if !f.has[id] {
			lines.WriteString(id + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) //nolint:mnd // as master.key
	if err != nil {
		return err
	}
	_, err = file.WriteString(lines.String())
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		f.has[id] = true
	}
	return nil
}

// readFile destroys the keys again that the file lists.
func (e *erasing) readFile(ctx context.Context) (again int64, err error) {
	ids, err := e.file.read()
	if err != nil {
		return 0, fmt.Errorf("the list of erased keys: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return e.table.DestroyListed(ctx, ids)
}

const (
	// Since when destroyed keys are added to the file: at first all, then those of the last hour.
	erasedEver   = 100 * 365 * 24 * time.Hour
	erasedLately = time.Hour
)

// writeFile adds to the file the keys that were destroyed, by this node or by another one.
func (e *erasing) writeFile(ctx context.Context) error {
	if e.file == nil {
		return nil
	}
	since := erasedLately
	if !e.file.full {
		since = erasedEver
	}
	ids, err := e.table.DestroyedKeys(ctx, since)
	if err != nil {
		return err
	}
	if err := e.file.add(ids); err != nil {
		return fmt.Errorf("the list of erased keys cannot be written, so a backup from before an erasure brings its texts back: %w", err)
	}
	e.file.full = true
	return nil
}
