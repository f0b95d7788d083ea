package onlineretail

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"daybook/domain/unit"
)

// Mode says what to do about bad rows.
type Mode int

const (
	// Strict refuses the file at its first bad row.
	Strict Mode = iota
	// Quarantine excludes bad rows, each with its whole invoice, and imports the rest. A
	// fault of the whole file (a wrong header, a truncated gzip) is still refused.
	Quarantine
)

// File is the content of a file. All of it is in memory, about 50 MB for the real 541,909
// rows. So every row is checked before the first invoice is imported.
type File struct {
	// SHA256 is that of the unpacked content, so a file and its gzip have the same.
	SHA256   string
	Rows     int       // without the header, and with the excluded rows
	Invoices []Invoice // in the order of their first rows
	Excluded []ExcludedRow
}

// Read reads a CSV file, or its gzip. A row whose time is outside the default bounds is bad.
//
// Errors: *Problem (a bad row, only under Strict) and *FileError.
func Read(r io.Reader, mode Mode) (*File, error) {
	return ReadWithin(r, mode, func(at time.Time) error { return unit.DefaultTimeBounds().Check(at, time.Now()) })
}

// ReadWithin is Read with other bounds for times. within returns what is wrong with a row's
// time, or nil.
func ReadWithin(r io.Reader, mode Mode, within func(at time.Time) error) (*File, error) {
	content, err := unpacked(r)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	scan := newRecords(io.TeeReader(content, hash))
	if err := header(scan); err != nil {
		return nil, err
	}
	g := newGrouping(mode)
	parse := newParser()
	parse.within = within
	for {
		rec, err := scan.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var parsed row
		if err == nil {
			parsed, err = parse.row(rec)
		}
		problem, bad := errors.AsType[*Problem](err)
		switch {
		case bad && mode == Quarantine:
			g.addBad(rec, problem)
		case err != nil:
			return nil, explainGzip(err)
		default:
			g.add(rec, parsed)
		}
	}
	if g.rows == 0 {
		return nil, &Problem{Row: 2, Column: 1, Reason: "the file ends after its header"}
	}
	file, err := g.file()
	if err != nil {
		return nil, err
	}
	file.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return file, nil
}

// unpacked unpacks a file that begins like a gzip.
func unpacked(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(2)
	if errors.Is(err, io.EOF) && len(magic) == 0 {
		return nil, empty()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &FileError{Cause: err}
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	zipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, explainGzip(&FileError{Cause: err})
	}
	return zipped, nil
}

// explainGzip describes the faults of a gzip in words.
func explainGzip(err error) error {
	file, ok := errors.AsType[*FileError](err)
	if !ok {
		return err
	}
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &FileError{Row: file.Row, Cause: fmt.Errorf("the gzip data is cut short; copy the file again: %w", file.Cause)}
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), corrupt:
		return &FileError{Row: file.Row, Cause: fmt.Errorf("the gzip data is damaged; copy the file again: %w", file.Cause)}
	}
	return err
}

// header checks row 1. Both modes need a correct header.
func header(scan *records) error {
	rec, err := scan.next()
	if errors.Is(err, io.EOF) {
		return empty()
	}
	if _, broken := errors.AsType[*Problem](err); err != nil && !broken {
		return explainGzip(err)
	}
	fields, _, _ := split(strings.TrimPrefix(rec.text, "\ufeff"), nil) // spreadsheets write the mark
	for i, want := range Columns {
		switch {
		case i >= len(fields):
			return &Problem{Row: 1, Column: i + 1, Reason: "the header ends here; want " + headerText}
		case fields[i] != want && otherNames[fields[i]] != want:
			return &Problem{Row: 1, Column: i + 1, Reason: fmt.Sprintf("the header says %q; want %s", fields[i], headerText)}
		}
	}
	if len(fields) > len(Columns) {
		return &Problem{Row: 1, Column: len(Columns) + 1, Reason: "the header has a column too many; want " + headerText}
	}
	return nil
}

var headerText = strings.Join(Columns[:], ",")

func empty() error {
	return &Problem{Row: 1, Column: 1, Reason: "the file is empty; want the header " + headerText}
}
