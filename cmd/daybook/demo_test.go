package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// The test does not run in parallel, because it loads the whole machine.
func TestTheDemoEndsByItselfWithItsBooksInOrderAndLeavesNothing(t *testing.T) {
	temporary := dataDir(t)
	if err := os.Mkdir(temporary, 0o711); err != nil {
		t.Fatal(err)
	}
	got := call(t, map[string]string{"TMPDIR": temporary}, "demo", "--for", "1s", "--shoppers", "4", "--json")
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result demoResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%q: %v", got.stdout, err)
	}
	if result.Flash.Orders != 200 || result.Flash.Attempts != flashAttempts {
		t.Errorf("flash sale of 200 units: %d orders, %d attempts", result.Flash.Orders, result.Flash.Attempts)
	}
	if result.Orders < 200 || result.Oversold != 0 || result.Faults != 0 {
		t.Errorf("%d orders, %d oversold, %d faults (%s)", result.Orders, result.Oversold, result.Faults, result.Fault)
	}
	if v := result.Verified; v == nil || v.Events == 0 || v.Differences != 0 {
		t.Errorf("verified: %+v", v)
	}
	for _, want := range []string{"Data: " + temporary, "curl -s -H \"$admin\" 'http://127.0.0.1:"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%q is missing in the output: %s", want, got.stderr)
		}
	}
	left, err := filepath.Glob(filepath.Join(temporary, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
