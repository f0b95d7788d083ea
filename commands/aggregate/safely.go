package aggregate

import (
	"fmt"
	"runtime/debug"
)

// Safely runs code that works with recorded events. Events that Daybook cannot have recorded
// may make the code panic. Safely returns such a panic as a *PanicError, so that it ends only
// this piece of work and not the program.
func Safely(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &PanicError{Cause: cause, Stack: debug.Stack()}
		}
	}()
	return do()
}

// PanicError is a panic that events without sense have caused.
type PanicError struct {
	Cause any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("it panicked: %v", e.Cause) }
