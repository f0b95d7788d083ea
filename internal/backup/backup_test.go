package backup

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/eventstore/postgres"
)

// file makes a backup of so many events.
func file(t *testing.T, events int, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, Header{Program: "test", Position: int64(events)}, to...)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Keep(Kept{Table: "a", Row: jsontext.Value(`{"b":1}`)})
	for i := range events {
		err = errors.Join(err, w.Event(event(i)))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func event(i int) postgres.Row {
	meta := "{\"a\": \"é\"}"
	return postgres.Row{Position: int64(i + 1), Stream: "s", Revision: int64(i), RecordedAt: time.Unix(int64(i), 123000).UTC(), ID: uuid.UUID{byte(i)}, Type: "t", Data: `{ "spaces": 1 }`, Meta: &meta}
}

// readAll reads a file to its end.
func readAll(data []byte, with ...age.Identity) (rows []postgres.Row, kept []string, err error) {
	r, err := NewReader(bytes.NewReader(data), with...)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for {
		keep, row, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return rows, kept, nil
		case err != nil:
			return rows, kept, err
		case row != nil:
			rows = append(rows, *row)
		default:
			kept = append(kept, keep.Table+string(keep.Row))
		}
	}
}

func TestAFileHasWhatWasWritten(t *testing.T) {
	t.Parallel()
	owner, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed := file(t, 3, owner.Recipient())
	for name, got := range map[string]struct {
		data []byte
		with []age.Identity
	}{"plain": {file(t, 3), nil}, "encrypted": {sealed, []age.Identity{owner}}} {
		rows, kept, err := readAll(got.data, got.with...)
		if err != nil || len(rows) != 3 || !slices.Equal(kept, []string{`a{"b":1}`}) {
			t.Errorf("%s: %d rows, kept %q, %v", name, len(rows), kept, err)
			continue
		}
		want := event(2)
		if rows[2].Data != want.Data || *rows[2].Meta != *want.Meta || !rows[2].RecordedAt.Equal(want.RecordedAt) || rows[2].ID != want.ID {
			t.Errorf("%s: %+v, want %+v", name, rows[2], want)
		}
	}
	if _, _, err := readAll(sealed); !errors.Is(err, ErrEncrypted) {
		t.Errorf("without a key: %v", err)
	}
	if _, _, err := readAll(sealed, other); err == nil {
		t.Error("with another key: no error")
	}
	if bytes.Contains(sealed, []byte("spaces")) {
		t.Error("the encrypted file shows an event")
	}
}

// A file that was cut off or changed anywhere is refused.
func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	whole := file(t, 20)
	for at := range whole {
		if _, _, err := readAll(whole[:at]); err == nil {
			t.Errorf("cut off at byte %d of %d: no error", at, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 0x10
		rows, _, err := readAll(changed)
		if err == nil && !slices.EqualFunc(rows, rowsOf(20), func(a, b postgres.Row) bool { return a.ID == b.ID && a.Data == b.Data }) {
			t.Errorf("byte %d changed: no error, and other rows", at)
		}
	}
	if _, _, err := readAll(append(bytes.Clone(whole), file(t, 1)...)); err == nil {
		t.Error("two files in one: no error")
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, Header{Position: 2})
	if err = errors.Join(err, w.Event(event(1)), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(out.Bytes()); err == nil || !strings.Contains(err.Error(), "event 2 comes after event 0") {
		t.Errorf("an event is missing: %v", err)
	}
	if _, err := NewReader(strings.NewReader("CREATE TABLE x")); err == nil {
		t.Error("a dump in SQL: no error")
	}
}

func rowsOf(n int) (all []postgres.Row) {
	for i := range n {
		all = append(all, event(i))
	}
	return all
}
