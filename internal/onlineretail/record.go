package onlineretail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxLineBytes   = 64 << 10 // of the file; a real row has about 90
	maxRecordLines = 100      // a quote that is open for more lines is an error
)

// record is one CSV record (RFC 4180).
type record struct {
	row    int
	text   string // without its line end
	fields []string
}

// records cuts a file into records. Unlike encoding/csv it can go on after a broken record: a
// quote that is never closed breaks only its line, and not the rest of the file.
type records struct {
	lines  *bufio.Reader
	ahead  []string // lines that were read while a quote was open, and are to be read again
	row    int      // of the last line taken
	fields []string // reused
}

func newRecords(r io.Reader) *records {
	return &records{lines: bufio.NewReaderSize(r, maxLineBytes)}
}

// next returns the next record. If the record is broken, it returns its text and a *Problem.
// At the end it returns io.EOF. If the file cannot be read on, it returns a *FileError.
func (s *records) next() (record, error) {
	line, err := s.line()
	for err == nil && line == "" { // as encoding/csv: a blank line is no record
		line, err = s.line()
	}
	if err != nil {
		return record{}, err
	}
	rec := record{row: s.row, text: line}
	if strings.Count(line, `"`)%2 == 1 {
		if rec.text, err = s.untilClosed(line); err != nil {
			return rec, err
		}
	}
	fields, broken, reason := split(rec.text, s.fields[:0])
	s.fields = fields
	switch {
	case reason != "":
		s.keepFirstLine(&rec)
		return rec, &Problem{Row: rec.row, Column: broken, Reason: reason}
	case len(fields) != len(Columns):
		s.keepFirstLine(&rec)
		return rec, &Problem{Row: rec.row, Column: min(len(fields), len(Columns)+1), Reason: fmt.Sprintf("the row has %d columns, not %d", len(fields), len(Columns))}
	}
	for i, field := range fields {
		if !utf8.ValidString(field) {
			return rec, &Problem{Row: rec.row, Column: i + 1, Reason: fmt.Sprintf("%q is not valid UTF-8; is the file in Latin-1?", field)}
		}
	}
	rec.fields = fields
	return rec, nil
}

// untilClosed adds lines to a record while a quote is open. If the quote is never closed, the
// record is its first line, which is then broken.
func (s *records) untilClosed(first string) (string, error) {
	text := first
	for range maxRecordLines - 1 {
		line, err := s.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return first, err
		}
		text += "\n" + line
		if strings.Count(line, `"`)%2 == 1 {
			return text, nil
		}
	}
	rec := record{text: text}
	s.keepFirstLine(&rec)
	return rec.text, nil
}

// keepFirstLine reduces a broken record to its first line, because the other lines may be
// records without faults.
func (s *records) keepFirstLine(rec *record) {
	lines := strings.Split(rec.text, "\n")
	rec.text = lines[0]
	s.row -= len(lines) - 1
	s.ahead = append(lines[1:], s.ahead...)
}

func (s *records) line() (string, error) {
	if len(s.ahead) > 0 {
		line := s.ahead[0]
		s.ahead = s.ahead[1:]
		s.row++
		return line, nil
	}
	line, err := s.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) > 0: // the last line may lack its end
	case errors.Is(err, io.EOF):
		return "", io.EOF
	case errors.Is(err, bufio.ErrBufferFull):
		return "", &FileError{Row: s.row, Cause: fmt.Errorf("the next line is longer than %d bytes; is this a CSV file?", maxLineBytes)}
	case err != nil:
		return "", &FileError{Row: s.row, Cause: err}
	}
	s.row++
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

// split cuts a record into fields. If the record is broken, it returns the column, from 1,
// and the reason.
func split(text string, fields []string) (all []string, broken int, reason string) {
	for {
		if !strings.HasPrefix(text, `"`) {
			field, rest, more := strings.Cut(text, ",")
			if strings.Contains(field, `"`) {
				return fields, len(fields) + 1, "a quote stands inside a field that is not quoted"
			}
			fields = append(fields, field)
			if !more {
				return fields, 0, ""
			}
			text = rest
			continue
		}
		field, rest, closed := quoted(text[1:])
		if !closed {
			return fields, len(fields) + 1, "a quote is opened and never closed"
		}
		fields = append(fields, field)
		if rest == "" {
			return fields, 0, ""
		}
		if rest[0] != ',' {
			return fields, len(fields), "something follows the closing quote"
		}
		text = rest[1:]
	}
}

// quoted reads up to the closing quote. Two quotes in a row stand for one.
func quoted(text string) (field, rest string, closed bool) {
	for at := 0; ; {
		quote := strings.IndexByte(text[at:], '"')
		if quote < 0 {
			return "", "", false
		}
		at += quote
		if !strings.HasPrefix(text[at+1:], `"`) {
			return strings.ReplaceAll(text[:at], `""`, `"`), text[at+1:], true
		}
		at += 2
	}
}
