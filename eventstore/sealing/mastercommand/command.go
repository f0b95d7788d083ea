// Package mastercommand lets a command of the operator wrap and unwrap data keys, for example by a
// service that manages keys. So the master key is never on this machine.
//
// The command is started once and answers requests until its standard input ends. Each request is
// one line of JSON, and so is each answer; they take turns:
//
//	{"op":"list"}                                                      {"master_keys":["k1"]}
//	{"op":"wrap","master_key":"k1","data":"…","context":"…"}           {"master_key":"k1","data":"…"}
//	{"op":"unwrap","master_key":"k1","data":"…","context":"…"}         {"master_key":"k1","data":"…"}
//
// data and context are in base64. context must be the same for wrap and unwrap. An answer may be
// {"error":"why"} in place of the result. Lines of standard error go to the program's log.
package mastercommand

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/eventstore"
)

const (
	// requestMax bounds how long the command may take for an answer, and how long a caller waits
	// for its turn. Both together are less than callers of package sealing wait.
	requestMax = 4 * time.Second
	// The command is started again at once, and then after pauses that double, while it fails.
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	// keySize is how many bytes a data key has.
	keySize = 32
	// mostIDs bounds how many master keys a command may have.
	mostIDs = 100
)

// goodID is the form of the id of a master key.
var goodID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,199}$`)

// IsID tells whether a text can be the id of a master key of a command: up to 200 letters, digits
// and characters of ._:/@+=- without a space.
func IsID(text string) bool { return goodID.MatchString(text) }

// Command is a command with master keys. It implements sealing.Master. Each error of the command is
// an *eventstore.UnavailableError, because nobody knows whether it passes.
type Command struct {
	args    []string
	environ []string
	log     *slog.Logger
	limit   time.Duration

	mu     sync.Mutex
	listed []string // the master keys of the last List

	turn chan struct{} // held by who asks; it guards what follows

	child   *child
	checked map[string]bool // the master keys that the child has shown to work
	failed  int             // how often it has failed since its last answer
	pause   time.Time       // it is not started before this time
	cause   error           // why it has failed
	closed  bool
}

// New makes a Command of a program and its arguments. environ is its whole environment. The command
// is started when it is needed.
func New(args, environ []string, log *slog.Logger) *Command {
	if environ == nil {
		environ = []string{} // nil would mean that of this process
	}
	return &Command{args: args, environ: environ, log: log, limit: requestMax, turn: make(chan struct{}, 1)}
}

// Program is the name of the program.
func (c *Command) Program() string { return c.args[0] }

// request is a line to the command.
type request struct {
	Op        string `json:"op"`
	MasterKey string `json:"master_key,omitempty"`
	Data      []byte `json:"data,omitempty"`
	Context   []byte `json:"context,omitempty"`
}

// answer is a line of the command.
type answer struct {
	MasterKeys []string `json:"master_keys"`
	MasterKey  string   `json:"master_key"`
	Data       []byte   `json:"data"`
	Error      string   `json:"error"`
}

// List returns the ids of the master keys. The first one is for a table that has no keys yet.
func (c *Command) List(ctx context.Context) ([]string, error) {
	got, err := c.ask(ctx, request{Op: "list"}, func(a answer) error {
		if len(a.MasterKeys) == 0 || len(a.MasterKeys) > mostIDs || slices.ContainsFunc(a.MasterKeys, func(id string) bool { return !IsID(id) }) {
			return errNonsense
		}
		return nil
	})
	if err == nil {
		c.mu.Lock()
		c.listed = got.MasterKeys
		c.mu.Unlock()
	}
	return got.MasterKeys, err
}

// Has tells whether the last List had a master key.
func (c *Command) Has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.listed, id)
}

// First implements sealing.Master.
func (c *Command) First(ctx context.Context) (string, error) {
	ids, err := c.List(ctx)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// Wrap implements sealing.Master.
func (c *Command) Wrap(ctx context.Context, id string, key, about []byte) ([]byte, error) {
	got, err := c.ask(ctx, request{Op: "wrap", MasterKey: id, Data: key, Context: about}, func(a answer) error {
		return a.isOf(id, len(a.Data) > 0)
	})
	return got.Data, err
}

// Unwrap implements sealing.Master.
func (c *Command) Unwrap(ctx context.Context, id string, wrapped, about []byte) ([]byte, error) {
	got, err := c.ask(ctx, request{Op: "unwrap", MasterKey: id, Data: wrapped, Context: about}, func(a answer) error {
		return a.isOf(id, len(a.Data) == keySize)
	})
	return got.Data, err
}

// errNonsense means that an answer has not the form of one.
var errNonsense = errors.New("its answer makes no sense")

// isOf checks an answer about a master key. sized tells whether its data has a possible length.
func (a answer) isOf(id string, sized bool) error {
	if !sized || a.MasterKey != "" && a.MasterKey != id {
		return errNonsense
	}
	return nil
}

// refusedError is what the command itself says about a request. It goes on working.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// ask sends a request and returns the answer, if fits accepts it. If ctx ends first, the command
// goes on with the request, so that its answers stay in step.
func (c *Command) ask(ctx context.Context, r request, fits func(answer) error) (answer, error) {
	waiting, stop := context.WithTimeout(ctx, c.limit)
	defer stop()
	select {
	case c.turn <- struct{}{}:
	case <-waiting.Done():
		return answer{}, c.away(errors.New("others wait for it, too"))
	}
	type outcome struct {
		answer answer
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-c.turn }()
		got, err := c.exchange(r, fits)
		done <- outcome{got, err}
	}()
	select {
	case got := <-done:
		if got.err != nil {
			return answer{}, c.away(got.err)
		}
		return got.answer, nil
	case <-ctx.Done():
		return answer{}, c.away(ctx.Err())
	}
}

// away is the error for a request that the command has not answered.
func (c *Command) away(err error) error {
	return &eventstore.UnavailableError{Cause: fmt.Errorf("the command of the master key, %s: %w", c.args[0], err)}
}

// exchange needs the turn. If a command that has worked is found dead, another one is asked at
// once.
func (c *Command) exchange(r request, fits func(answer) error) (got answer, err error) {
	for {
		worked := c.child != nil
		if got, err = c.try(r, fits); err == nil || !worked || !errors.Is(err, errEnded) {
			return got, err
		}
		c.pause = time.Time{} // it may have been ended on purpose
	}
}

// try asks the command once. After an error other than a refusal the command is ended.
func (c *Command) try(r request, fits func(answer) error) (answer, error) {
	if err := c.begin(); err != nil {
		return answer{}, err
	}
	err := c.check(r)
	var got answer
	if err == nil {
		got, err = c.send(r, fits)
	}
	if refused, is := errors.AsType[*refusedError](err); is {
		c.failed = 0
		return answer{}, refused
	}
	if err != nil {
		c.fail(err)
		return answer{}, err
	}
	c.failed = 0
	return got, nil
}

// begin starts the command if it does not run.
func (c *Command) begin() error {
	switch {
	case c.closed:
		return errors.New("this program ends")
	case c.child != nil:
		return nil
	case time.Now().Before(c.pause):
		return fmt.Errorf("it is started again in a moment, because %w", c.cause)
	}
	started, err := start(c.args, c.environ, c.log)
	if err != nil {
		c.fail(err)
		return err
	}
	c.child, c.checked = started, map[string]bool{}
	return nil
}

// fail ends the command and says when it may be started again.
func (c *Command) fail(err error) {
	if c.child != nil {
		c.child.kill()
		c.child = nil
	}
	c.pause = time.Now().Add(min(firstPause<<min(c.failed, 10), lastPause)) //nolint:mnd // it is far beyond lastPause then
	c.failed, c.cause = c.failed+1, err
	c.log.Warn("the command of the master key has failed, and is started again when it is needed", "program", c.args[0], "error", err)
}

// check makes sure that the command can unwrap what it wraps, before the first key is wrapped by a
// master key. Otherwise a broken command would make texts that nobody can read.
func (c *Command) check(r request) error {
	if r.Op != "wrap" || c.checked[r.MasterKey] {
		return nil
	}
	probe := make([]byte, keySize)
	for i := range probe {
		probe[i] = byte(i)
	}
	wrapped, err := c.send(request{Op: "wrap", MasterKey: r.MasterKey, Data: probe, Context: r.Context}, func(a answer) error {
		return a.isOf(r.MasterKey, len(a.Data) > 0)
	})
	if err != nil {
		return err
	}
	if _, err := c.send(request{Op: "unwrap", MasterKey: r.MasterKey, Data: wrapped.Data, Context: r.Context}, func(a answer) error {
		return a.isOf(r.MasterKey, slices.Equal(a.Data, probe))
	}); err != nil {
		return err
	}
	c.checked[r.MasterKey] = true
	return nil
}

// send sends one line and reads one.
func (c *Command) send(r request, fits func(answer) error) (got answer, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return got, err
	}
	text, err := c.child.ask(append(line, '\n'), c.limit)
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return answer{}, errNonsense // the error could show what the answer has
	}
	if got.Error != "" {
		return answer{}, &refusedError{harmless(got.Error)}
	}
	return got, fits(got)
}

// Close ends the command. Later requests get an error.
func (c *Command) Close() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = true
	if c.child != nil {
		c.child.close()
		c.child = nil
	}
	return nil
}
