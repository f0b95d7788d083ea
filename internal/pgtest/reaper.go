package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// dataName is the server's data directory in the temporary one.
const dataName = "data"

// reap waits for its input to end, which happens when the test process has
// ended, in whatever way; then it ends the server and removes the folder. It
// waits for the server's pid file to go for at most ten seconds.
const reap = `
cat >/dev/null
pidfile="$1/` + dataName + `/postgres/postmaster.pid"
if pid=$(head -n 1 "$pidfile" 2>/dev/null); then kill -INT "$pid" 2>/dev/null; fi
tries=0
while [ -e "$pidfile" ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries+1)); done
rm -rf "$1"
`

// startReaper starts a process that outlives this one by a moment and removes
// dir. A test binary has no end of its own at which that could be done: it may
// panic, run into its time limit or be killed, and TestMain sees none of these.
// The file returned is to be held: that the kernel closes it is the signal.
func startReaper(dir string) (held *os.File, err error) {
	input, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	// No context: it has to outlive all of them.
	cmd := exec.Command("/bin/sh", "-c", reap, "sh", dir) //nolint:noctx // see above
	cmd.Stdin = input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the tests, not for it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", errors.Join(err, input.Close(), held.Close()))
	}
	return held, input.Close()
}
