package mastercommand

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// lineMax bounds a line of the command, in bytes.
	lineMax = 64 << 10
	// closeMax is how long the command may take to end when its standard input has ended.
	closeMax = time.Second
)

var (
	errEnded = errors.New("it has ended")
	errSlow  = errors.New("it takes too long")
)

// child is a command that runs.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan []byte   // of standard output
	ended chan struct{} // closed when it runs no longer

	mu     sync.Mutex
	reaped bool // its process id may be that of another process
}

// start starts a command. It has a process group of its own, so that a Ctrl-C for this program does
// not end it while requests still need it.
func start(args, environ []string, log *slog.Logger) (*child, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the operator chose it, and it has many callers
	cmd.Env, cmd.Stderr = environ, &lineLog{log: log, program: args[0]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = closeMax
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("it cannot be started: %w", err)
	}
	c := &child{cmd: cmd, in: in, lines: make(chan []byte, 1), ended: make(chan struct{})}
	go c.read(out)
	return c, nil
}

// read reads lines until standard output ends. Without it the command is of no use, so it is
// killed.
func (c *child) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 4<<10), lineMax) //nolint:mnd // it grows
	for lines.Scan() {
		select {
		case c.lines <- bytes.Clone(lines.Bytes()):
		default: // it says more than it was asked, so its answers are out of step
			c.kill()
		}
	}
	c.kill()
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	_ = c.cmd.Wait() // who asks learns that it has ended
	close(c.ended)
}

// ask sends a line and returns the next one.
func (c *child) ask(line []byte, limit time.Duration) ([]byte, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.lines:
		return nil, errNonsense // nobody has asked
	default:
	}
	// A command that does not read could keep the writer for ever. It is killed then.
	wrote := make(chan error, 1)
	go func() {
		_, err := c.in.Write(line)
		wrote <- err
	}()
	select {
	case err := <-wrote:
		if err != nil {
			return nil, errEnded
		}
	case <-timer.C:
		return nil, errSlow
	}
	select {
	case text := <-c.lines:
		return text, nil
	case <-c.ended:
		select {
		case text := <-c.lines: // its last one
			return text, nil
		default:
			return nil, errEnded
		}
	case <-timer.C:
		return nil, errSlow
	}
}

// kill ends the command and everything that it has started.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	}
}

// close lets the command end by itself, and kills it if it does not.
func (c *child) close() {
	_ = c.in.Close() // it may have ended
	timer := time.NewTimer(closeMax)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		c.kill()
		<-c.ended
	}
}

// A command may write what it likes to standard error, so the log takes little of it.
const (
	logged      = 300 // characters of a line
	loggedLines = 20  // in a minute
)

// secretLike finds what could be a key or a token.
var secretLike = regexp.MustCompile(`[A-Za-z0-9+/_=.-]{20,}`)

// harmless is a text of the command without what could be a secret, and not too long.
func harmless(text string) string {
	text = secretLike.ReplaceAllString(strings.ToValidUTF8(text, "?"), "[removed]")
	if runes := []rune(text); len(runes) > logged {
		text = string(runes[:logged]) + "…"
	}
	return text
}

// lineLog writes lines of the command into the program's log.
type lineLog struct {
	log     *slog.Logger
	program string

	line   []byte
	minute time.Time
	count  int
}

// Write implements io.Writer. Only one goroutine calls it.
func (l *lineLog) Write(text []byte) (int, error) {
	for _, b := range text {
		if b != '\n' {
			if len(l.line) < lineMax {
				l.line = append(l.line, b)
			}
			continue
		}
		l.say(string(bytes.TrimSpace(l.line)))
		l.line = l.line[:0]
	}
	return len(text), nil
}

func (l *lineLog) say(line string) {
	if now := time.Now(); now.Sub(l.minute) > time.Minute {
		l.minute, l.count = now, 0
	}
	if l.count++; line != "" && l.count <= loggedLines {
		l.log.Warn("the command of the master key says", "program", l.program, "line", harmless(line))
	}
}
