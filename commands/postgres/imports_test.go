package postgres

import (
	"errors"
	"testing"
)

func TestTheRecordOfAnImportGoesForward(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	imports, err := LockImports(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	defer imports.Close(t.Context())
	want := func(name string, done int64, counts string) {
		t.Helper()
		gotName, gotDone, gotCounts, err := imports.Load(t.Context())
		if err != nil || gotName != name || gotDone != done || string(gotCounts) != counts {
			t.Errorf("got %q, %d, %s, %v; want %q, %d, %s", gotName, gotDone, gotCounts, err, name, done, counts)
		}
	}
	want("", 0, "")
	save := func(name string, done int64, counts string) error {
		return imports.Save(t.Context(), name, done, []byte(counts))
	}
	for _, record := range []struct {
		done   int64
		counts string
	}{{0, `{}`}, {7, `{"a":1}`}, {7, `{"a":2}`}} {
		if err := save("a file", record.done, record.counts); err != nil {
			t.Fatal(err)
		}
		want("a file", record.done, record.counts)
	}
	if err := save("a file", 6, `{}`); err == nil {
		t.Error("it went back")
	}
	if err := save("another file", 9, `{}`); err == nil {
		t.Error("it became another import")
	}
	want("a file", 7, `{"a":2}`)
}

func TestOneProcessImportsAtATime(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	first, err := LockImports(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockImports(t.Context(), pool); !errors.Is(err, ErrImportRunning) {
		t.Errorf("got %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := LockImports(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if imports := pool.Stat().AcquiredConns(); imports != 0 {
		t.Errorf("%d connections are still taken", imports)
	}
}

func TestALostConnectionLosesNoImport(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	imports, err := LockImports(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	lose := func() {
		t.Helper()
		if err := imports.held.Conn().PgConn().Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	if err := imports.Save(t.Context(), "a file", 1, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := LockImports(t.Context(), pool); !errors.Is(err, ErrImportRunning) {
		t.Errorf("after the save, another import may start: %v", err)
	}
	lose()
	if _, done, _, err := imports.Load(t.Context()); done != 1 || err != nil {
		t.Errorf("got %d, %v", done, err)
	}
	lose()
	other, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	// Unlike LockImports, this waits until the server has noticed the loss.
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock(hashtextextended('daybook import', 0))`); err != nil {
		t.Fatal(err)
	}
	if err := imports.Save(t.Context(), "a file", 2, []byte(`{}`)); !errors.Is(err, ErrImportRunning) {
		t.Errorf("another process has the record, and the save said %v", err)
	}
	if err := imports.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
