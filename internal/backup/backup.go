// Package backup writes and reads files with the log and with what cannot be made from the log. It
// does not know the database.
//
// A file has lines of JSON. They are compressed by zstd, and then encrypted by age if the backup
// has recipients. The first line is the header. The last line has the number of events, and a
// checksum of all lines before it. So a file that was cut off or changed is noticed.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"daybook/eventstore/postgres"
)

// Format is the number of the form that this package writes. It reads no other.
const Format = 1

// maxLine bounds a line. An event has at most some megabytes.
const maxLine = 64 << 20

// Header says what is in a file.
type Header struct {
	Format  int       `json:"daybook_backup"`
	Program string    `json:"program"` // the version that has made the file
	MadeAt  time.Time `json:"made_at"`
	// Position is that of the last event in the file. All events up to it are there.
	Position int64 `json:"position"`
	// WithoutSecrets means that hashes of keys, tokens and passwords were left out, and secrets of
	// second factors, too. In events, zeros stand for the hashes, and
	// lists of recovery codes are empty.
	WithoutSecrets bool `json:"without_secrets,omitzero"`
}

// Kept is a row of a table that cannot be made from the log.
type Kept struct {
	Table string         `json:"table"`
	Row   jsontext.Value `json:"row"`
}

// end is the last line.
type end struct {
	Events int64  `json:"events"`
	SHA256 string `json:"sha256"` // of all bytes before this line, in hexadecimal digits
}

// line is one line. One of its members is set.
type line struct {
	Header *Header       `json:"header,omitempty"`
	Kept   *Kept         `json:"kept,omitempty"`
	Event  *postgres.Row `json:"event,omitempty"`
	End    *end          `json:"end,omitempty"`
}

// Writer writes a file.
type Writer struct {
	out    io.Writer
	hash   hash.Hash
	events int64
	closes []io.Closer // in the order in which they are closed
}

// NewWriter begins a file. If there are recipients, the file is encrypted for them.
func NewWriter(to io.Writer, header Header, recipients ...age.Recipient) (*Writer, error) {
	w := &Writer{hash: sha256.New()}
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(to, recipients...)
		if err != nil {
			return nil, fmt.Errorf("encrypt the backup: %w", err)
		}
		w.closes, to = []io.Closer{sealed}, sealed
	}
	packed, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress the backup: %w", err)
	}
	w.out, w.closes = packed, append([]io.Closer{packed}, w.closes...)
	header.Format = Format
	return w, w.write(line{Header: &header})
}

// Keep writes a row of a table.
func (w *Writer) Keep(row Kept) error { return w.write(line{Kept: &row}) }

// Event writes an event. Events come in the order of the log, after all rows of tables.
func (w *Writer) Event(row postgres.Row) error {
	w.events++
	return w.write(line{Event: &row})
}

// Close writes the last line. It does not close the io.Writer that the file is written to.
func (w *Writer) Close() error {
	err := w.write(line{End: &end{Events: w.events, SHA256: hex.EncodeToString(w.hash.Sum(nil))}})
	for _, one := range w.closes {
		err = errors.Join(err, one.Close())
	}
	return err
}

func (w *Writer) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	text = append(text, '\n')
	_, _ = w.hash.Write(text) // it never fails
	if _, err := w.out.Write(text); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// DamagedError means that a file is not a backup, or not a whole one.
type DamagedError struct{ Reason string }

func (e *DamagedError) Error() string { return "not a whole backup: " + e.Reason }

func damaged(format string, args ...any) error { return &DamagedError{fmt.Sprintf(format, args...)} }

// ErrEncrypted means that a file is encrypted, and that no key was given.
var ErrEncrypted = errors.New("the backup is encrypted")

// Reader reads a file.
type Reader struct {
	Header Header

	lines  *bufio.Scanner
	hash   hash.Hash
	events int64
	last   int64 // the position of the last event
	stop   func()
}

// sealedMark is the beginning of an encrypted file.
const sealedMark = "age-encryption.org/"

// NewReader begins to read a file. Call Close at the end.
func NewReader(from io.Reader, identities ...age.Identity) (*Reader, error) {
	buffered := bufio.NewReader(from)
	if mark, _ := buffered.Peek(len(sealedMark)); string(mark) == sealedMark {
		if len(identities) == 0 {
			return nil, ErrEncrypted
		}
		opened, err := age.Decrypt(buffered, identities...)
		if err != nil {
			return nil, fmt.Errorf("decrypt the backup: %w", err)
		}
		buffered = bufio.NewReader(opened)
	}
	unpacked, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, damaged("%v", err)
	}
	r := &Reader{lines: bufio.NewScanner(unpacked), hash: sha256.New(), stop: unpacked.Close}
	r.lines.Buffer(nil, maxLine)
	first, err := r.line()
	switch {
	case errors.Is(err, io.EOF):
		err = damaged("it is empty")
	case err == nil && first.Header == nil:
		err = damaged("it has no header")
	case err == nil && first.Header.Format != Format:
		err = fmt.Errorf("the backup has the form %d, and this program reads only %d: use the program that made it (%s) or a newer one", first.Header.Format, Format, first.Header.Program)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	r.Header = *first.Header
	return r, nil
}

// Close frees the memory of a reader.
func (r *Reader) Close() { r.stop() }

// Next returns the next row of a table or the next event; one of them is nil. The error is io.EOF
// after the whole file was read and its checksum was compared.
func (r *Reader) Next() (*Kept, *postgres.Row, error) {
	before := r.hash.Sum(nil)
	l, err := r.line()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, damaged("it ends after %d events", r.events)
	case err != nil:
		return nil, nil, err
	case l.Event != nil:
		if l.Event.Position != r.last+1 {
			return nil, nil, damaged("event %d comes after event %d", l.Event.Position, r.last)
		}
		r.events, r.last = r.events+1, l.Event.Position
		return nil, l.Event, nil
	case l.Kept != nil:
		return l.Kept, nil, nil
	case l.End == nil:
		return nil, nil, damaged("a line has nothing that this program knows")
	case l.End.SHA256 != hex.EncodeToString(before) || l.End.Events != r.events || r.last != r.Header.Position:
		return nil, nil, damaged("its checksum is wrong")
	}
	if _, err := r.line(); !errors.Is(err, io.EOF) {
		return nil, nil, damaged("something comes after its end")
	}
	return nil, nil, io.EOF
}

func (r *Reader) line() (l line, err error) {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return l, damaged("%v", err)
		}
		return l, io.EOF
	}
	text := r.lines.Bytes()
	_, _ = r.hash.Write(text) // it never fails
	_, _ = r.hash.Write([]byte{'\n'})
	if err := json.Unmarshal(bytes.Clone(text), &l); err != nil {
		return l, damaged("%v", err)
	}
	return l, nil
}
