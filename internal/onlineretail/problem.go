package onlineretail

import "fmt"

// Problem is why a row cannot be imported. Row is the line of the file on which its record
// begins; the header is row 1. Column counts from 1.
type Problem struct {
	Row    int
	Column int // 0: the row as a whole
	Reason string
}

func (p *Problem) Error() string {
	if p.Column == 0 {
		return fmt.Sprintf("row %d: %s", p.Row, p.Reason)
	}
	if p.Column > len(Columns) {
		return fmt.Sprintf("row %d, column %d: %s", p.Row, p.Column, p.Reason)
	}
	return fmt.Sprintf("row %d, column %d (%s): %s", p.Row, p.Column, Columns[p.Column-1], p.Reason)
}

// FileError means that the rest of the file cannot be read, in either mode. Row is the last
// row that was read.
type FileError struct {
	Row   int
	Cause error
}

func (e *FileError) Error() string { return fmt.Sprintf("after row %d: %v", e.Row, e.Cause) }

func (e *FileError) Unwrap() error { return e.Cause }

// ExcludedRow is a row kept out of the import.
type ExcludedRow struct {
	Row     int
	Column  int
	Reason  string
	Invoice string // empty if the row does not name it
	Text    string // the record's text in the file
}
