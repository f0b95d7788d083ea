package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// dataName is the name of the server's data directory in the temporary folder.
const dataName = "data"

// reap is a shell script. It waits until its input ends, which happens when the test process ends
// for any reason. Then it stops the server, waits at most ten seconds until the server's pid file
// is gone, and removes the folder.
const reap = `
cat >/dev/null
pidfile="$1/` + dataName + `/postgres/postmaster.pid"
if pid=$(head -n 1 "$pidfile" 2>/dev/null); then kill -INT "$pid" 2>/dev/null; fi
tries=0
while [ -e "$pidfile" ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries+1)); done
rm -rf "$1"
`

// startReaper starts a process that removes dir after this process has ended. This process cannot
// do it itself, because it may panic, reach its time limit or be killed, and TestMain does not run
// then. The caller must keep the returned file open. The kernel closes it when this process ends,
// and that is the signal.
func startReaper(dir string) (held *os.File, err error) {
	input, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	// It has no context, because it must outlive all contexts.
	cmd := exec.Command("/bin/sh", "-c", reap, "sh", dir) //nolint:noctx // see above
	cmd.Stdin = input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C ends the tests and not the reaper
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", errors.Join(err, input.Close(), held.Close()))
	}
	return held, input.Close()
}
