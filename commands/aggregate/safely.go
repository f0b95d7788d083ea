package aggregate

import (
	"fmt"
	"runtime/debug"
)

// Safely runs code that folds, decides or follows facts. Facts that no program of ours
// can have recorded may make it panic. The panic becomes an error of this one piece of
// work, and does not end the program.
func Safely(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &PanicError{Cause: cause, Stack: debug.Stack()}
		}
	}()
	return do()
}

// PanicError is a panic over facts that make no sense.
type PanicError struct {
	Cause any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("it broke off: %v", e.Cause) }
