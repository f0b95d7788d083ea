package main

import (
	"errors"
	"strings"
)

// origins tells where the values of flags came from. Errors name only flags ("--listen 8080: want
// HOST:PORT"), and complete adds the variables.
type origins struct {
	variables map[string]string // by flag: the environment variable that its value came from
	files     map[string]string // by flag: the flag that names the file that its value came from
}

func (o *origins) fromVariable(flag, variable string) {
	if o.variables == nil {
		o.variables = make(map[string]string)
	}
	o.variables[flag] = variable
}

func (o *origins) fromFile(flag, file string) {
	if o.files == nil {
		o.files = make(map[string]string)
	}
	o.files[flag] = file
}

// of is the flag that an error about a value has to name. It is the flag itself, or the one that
// names the file of the value.
func (o *origins) of(flag string) string {
	if file, is := o.files[flag]; is {
		return "--" + file
	}
	return "--" + flag
}

// complete completes an error that names flags. If a flag's value came from an environment
// variable, it adds the variable's name: "--listen ($DAYBOOK_LISTEN) 8080: want HOST:PORT".
func (o *origins) complete(err error) error {
	if err == nil {
		return nil
	}
	usage, wrong := errors.AsType[*usageError](err)
	message := err.Error()
	if wrong {
		message = usage.message
	}
	completed := message
	for flag, variable := range o.variables {
		if at := endOfFlag(completed, flag); at >= 0 {
			completed = completed[:at] + " ($" + variable + ")" + completed[at:]
		}
	}
	switch {
	case completed == message:
		return err
	case wrong:
		return &usageError{completed}
	}
	return &completedError{completed, err}
}

// completedError is an error with a more complete text.
type completedError struct {
	text  string
	cause error
}

func (e *completedError) Error() string { return e.text }

func (e *completedError) Unwrap() error { return e.cause }

// endOfFlag is the index at which the first mention of a flag ends in a text, or -1. A longer flag
// that begins in the same way does not count.
func endOfFlag(text, flag string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], "--"+flag)
		if at < 0 {
			return -1
		}
		end := from + at + len("--"+flag)
		if end == len(text) || !strings.ContainsAny(text[end:end+1], "-abcdefghijklmnopqrstuvwxyz0123456789") {
			return end
		}
		from = end
	}
}
