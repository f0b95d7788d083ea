package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/uuid"

	"daybook/internal/pgtest"
)

// openTerminal makes a terminal. Text that is written to keys counts as typed at this terminal.
func openTerminal(t *testing.T) (keys, terminal *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	var number, unlocked int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlocked} {
		if _, _, refused := syscall.Syscall(syscall.SYS_IOCTL, keys.Fd(), request, uintptr(unsafe.Pointer(value))); refused != 0 {
			t.Skipf("no terminal can be made here: %v", refused)
		}
	}
	terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be opened here: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keys, terminal
}

// On a terminal the command asks, and only the word yes counts as yes.
func TestALogIsAcceptedOnATerminalByYes(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	if got := call(t, nil, "migrate", "--database-url", database); got.code != exitOK {
		t.Fatal(got.stderr)
	}
	pool := poolOf(t, database)
	execute(t, pool, `INSERT INTO commands.checkpoints (reader, position, anchor) VALUES ('seen', '5', '5 0 `+uuid.NewString()+` 0 order-lost')`)
	before := everything(t, pool)
	for typed, code := range map[string]int{"y\n": exitFailure, "no\n": exitFailure, "\n": exitFailure} {
		keys, terminal := openTerminal(t)
		if _, err := keys.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		stdout, stderr := &logBuffer{}, &logBuffer{}
		got := run(t.Context(), []string{"accept-log", "--database-url", database}, testEnvironment(nil, terminal, stdout, stderr))
		if got != code || !strings.Contains(stderr.String(), "Only yes means yes") || !strings.Contains(stderr.String(), "nothing was changed") || !strings.Contains(stdout.String(), "The log has 0 events") {
			t.Errorf("typed %q: exit code %d: %s%s", typed, got, stdout, stderr)
		}
	}
	if after := everything(t, pool); after != before {
		t.Errorf("something was changed without a yes:\n%s\nwas\n%s", after, before)
	}
	keys, terminal := openTerminal(t)
	if _, err := keys.WriteString("Yes\n"); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := &logBuffer{}, &logBuffer{}
	got := run(t.Context(), []string{"accept-log", "--json", "--database-url", database}, testEnvironment(nil, terminal, stdout, stderr))
	if got != exitOK || !strings.Contains(stdout.String(), `"accepted": true`) || !strings.Contains(stderr.String(), "The log has 0 events") {
		t.Errorf("typed yes: exit code %d: %s%s", got, stdout, stderr)
	}
}
