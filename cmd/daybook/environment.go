package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"daybook/commands/signin"
)

// environment is what the program has of the process around it. Only main takes it from
// the process; everything else is given it, so that a test can give another one.
type environment struct {
	getenv func(string) string // "" if the variable is not set
	stdin  io.Reader
	stdout io.Writer        // results
	stderr io.Writer        // everything else
	now    func() time.Time // the shop's clock; durations are not measured with it
	// environ returns all variables as name=value, for a command that the program starts. If it is
	// nil, there are none.
	environ func() []string
	// smallBench lets benchmarks have few products and buyers, for tests.
	smallBench bool
	// passwordCost is the cost of a hash of a password. The zero value stands for the program's
	// own.
	passwordCost signin.Cost
}

// temporaryData names a data directory that is not kept: remove takes it away. It is in
// $TMPDIR, or in /tmp.
func (e environment) temporaryData(purpose string) (dir string, remove func() error, err error) {
	root, err := os.MkdirTemp(cmp.Or(e.getenv("TMPDIR"), "/tmp"), "daybook-"+purpose+"-")
	if err != nil {
		return "", nil, fmt.Errorf("make a temporary data directory: %w", err)
	}
	remove = func() error { return os.RemoveAll(root) }
	// If root runs the program, PostgreSQL runs as another user. That user must be able to pass
	// through this folder.
	if err := os.Chmod(root, 0o711); err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a temporary data directory: %w", err), remove())
	}
	return filepath.Join(root, "data"), remove, nil
}
