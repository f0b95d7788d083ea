// Package logtest stores a log as a file, so that tests can open the logs of earlier versions
// of the program. The file has one line of JSON for each event and is compressed.
//
// Data and metadata are stored byte for byte as the log held them.
// internal/verify/testdata/logs/README.md says how such a file is made.
package logtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// Entry is one event of a log file.
type Entry struct {
	Stream     string    `json:"stream"`
	Revision   int64     `json:"revision"`
	Position   string    `json:"position"` // in the log from which it was read
	ID         uuid.UUID `json:"id"`
	Type       string    `json:"type"`
	RecordedAt time.Time `json:"recorded_at"`
	Data       string    `json:"data"` // the bytes as the log held them
	Meta       string    `json:"meta,omitempty"`
}

func (e Entry) event() eventstore.Event {
	event := eventstore.Event{ID: e.ID, Type: e.Type, Data: []byte(e.Data)}
	if e.Meta != "" {
		event.Meta = []byte(e.Meta)
	}
	return event
}

// Write makes the file of a whole log and returns how many events it holds.
func Write(path string, log iter.Seq2[eventstore.Recorded, error]) (events int, err error) {
	var packed bytes.Buffer
	pack, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	for e, err := range log {
		if err != nil {
			return events, fmt.Errorf("read the log: %w", err)
		}
		line, err := json.Marshal(Entry{
			Stream: e.Stream, Revision: e.Revision, Position: e.Position.String(), ID: e.ID, Type: e.Type,
			RecordedAt: e.RecordedAt, Data: string(e.Data), Meta: string(e.Meta),
		})
		if err != nil {
			return events, fmt.Errorf("write %s@%d: %w", e.Stream, e.Revision, err)
		}
		if _, err := pack.Write(append(line, '\n')); err != nil {
			return events, fmt.Errorf("write %s: %w", path, err)
		}
		events++
	}
	if err := pack.Close(); err != nil {
		return events, fmt.Errorf("write %s: %w", path, err)
	}
	return events, os.WriteFile(path, packed.Bytes(), 0o644) //nolint:gosec // test data, for everybody
}

// Read returns the events of a file, in the order of the log.
func Read(path string) ([]Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a kept log: %w", err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var entries []Entry
	for lines := jsontext.NewDecoder(unpacked); ; {
		var e Entry
		err := json.UnmarshalDecode(lines, &e)
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s, event %d: %w", path, len(entries)+1, err)
		}
		entries = append(entries, e)
	}
}

// Load appends the events to an empty log. recording may be nil. Otherwise it is called with
// each event's recorded time before the event is appended, for an engine whose clock the test
// sets.
func Load(ctx context.Context, log eventstore.Store, entries []Entry, recording func(time.Time)) error {
	for _, e := range entries {
		if recording != nil {
			recording(e.RecordedAt)
		}
		_, err := log.Append(ctx, e.Stream, eventstore.AtRevision(e.Revision-1), []eventstore.Event{e.event()})
		if err != nil {
			return fmt.Errorf("load %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	return nil
}
