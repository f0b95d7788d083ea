package embeddedpg

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is the server as a child process.
type process struct {
	cmd  *exec.Cmd
	log  *serverLog
	done chan struct{} // closed when the child has ended and err is set
	err  error
}

// startProcess starts the server. Its goroutine stays on one thread until the child has
// ended. On Linux the kernel signals the child when the thread that started it ends, and not
// when the process ends.
func startProcess(cmd *exec.Cmd, logger *slog.Logger) (*process, error) {
	p := &process{cmd: cmd, log: newServerLog(logger), done: make(chan struct{})}
	cmd.Stderr = p.log
	cmd.WaitDelay = time.Second // a backend may outlive the postmaster with the pipe open
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal does nothing when the child has ended.
func (p *process) signal(sig syscall.Signal) {
	p.cmd.Process.Signal(sig) //nolint:errcheck // it fails only when the child has ended
}

// failure says why the child ended. Call it only after the child has ended.
func (p *process) failure() error {
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	if words := p.log.lastLines(); words != "" {
		return fmt.Errorf("%w\n%s", err, words)
	}
	return err
}

// runProcess runs a short-lived program to its end and returns its output. The goroutine
// stays on its thread until then: see startProcess.
func runProcess(cmd *exec.Cmd) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return stdout.String() + stderr.String(), err
}
