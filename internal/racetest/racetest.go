// Package racetest says which tests run under the race detector. The race detector makes a test
// many times slower, and finds something only where goroutines meet. So `make race` runs only some
// tests: it calls go test with -short, which has no other meaning in this project. `make test` runs
// all tests, without the race detector.
//
//   - If most tests of a package should run under it, [Skip] leaves out one of the others.
//   - If only a few tests of a package should, its TestMain names them with [Main].
//   - If a test repeats the same with other data, [Few] gives it less data.
package racetest

import (
	"flag"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// Skip leaves a test out of `make race`. why says why the race detector can find nothing new in it.
func Skip(tb testing.TB, why string) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("make test runs it, without the race detector: " + why)
	}
}

// Few returns few for `make race`, and otherwise all.
func Few[T any](all, few T) T {
	if testing.Short() {
		return few
	}
	return all
}

// Main runs the tests of a package from its TestMain and returns the exit code. For `make race` it
// runs only the given tests, unless -run chooses others.
func Main(m *testing.M, raced ...func(*testing.T)) int {
	flag.Parse()
	if run := flag.Lookup("test.run"); testing.Short() && run.Value.String() == "" {
		if err := run.Value.Set(pattern(raced)); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// pattern returns the value of -run that chooses the given tests.
func pattern(tests []func(*testing.T)) string {
	names := make([]string, len(tests))
	for i, test := range tests {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		names[i] = name[strings.LastIndex(name, ".")+1:]
	}
	return "^(" + strings.Join(names, "|") + ")$"
}
