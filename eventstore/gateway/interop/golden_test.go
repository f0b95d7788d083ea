package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/eventstore/gateway"
)

// goldenFolder has raw calls and what a real server answers them. It is not part of
// the project, and lies beside it.
const goldenFolder = "../../../../shared/golden"

// acceptedFile holds each golden case whose outcome here is meant to be another: that
// outcome, and why, by the name of a reason in reasonsFile.
const (
	acceptedFile = "golden/accepted.json"
	reasonsFile  = "golden/reasons.json"
)

// goldenMax is how long the golden cases may take. They wait for what must not come.
const goldenMax = 10 * time.Minute

// The gateway answers as a real server does, but where it is meant to differ. A case
// that no longer differs, or differs in another way than was accepted, fails.
//
// It is not run beside others: the cases tell what comes within some hundred
// milliseconds.
func TestGoldenCases(t *testing.T) {
	folder, named := goldenFolder, os.Getenv("DAYBOOK_GOLDEN")
	if named != "" {
		folder = named
	} else if os.Getenv("DAYBOOK_INTEROP") != "all" {
		t.Skip("the golden cases take minutes: make interop runs them")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "golden.json")); err != nil {
		t.Skipf("no golden cases in %s: what a real server answers is not compared. DAYBOOK_GOLDEN names their folder", folder)
	}
	if err := exec.CommandContext(t.Context(), "node", "--version").Run(); err != nil {
		missing(t, "Node.js")
	}
	if _, err := os.Stat("node/node_modules/protobufjs"); err != nil {
		missing(t, "the npm packages of the golden cases")
	}
	accepted, err := filepath.Abs(acceptedFile)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.json")
	open := gateway.Options{Protected: func(string, string) bool { return false }} // as serve --gateway-open
	address := startNode(t, inPostgres(t), open)
	only := os.Getenv("DAYBOOK_GOLDEN_ONLY") // a regular expression on the names of cases
	ran := runNodeScript(t, "node", "golden.mjs", folder, address, accepted, out, only)
	t.Logf("ran the cases:\n%s", ran)
	t.Logf("compared them:\n%s", runNodeScript(t, folder, "diff.mjs", "golden.json", out, "--accepted", accepted, "--only", only))
}

// runNodeScript runs a script in a folder, which must succeed, and returns what it printed.
func runNodeScript(t *testing.T, folder string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), goldenMax)
	defer cancel()
	command := exec.CommandContext(ctx, "node", arguments...)
	command.Dir, command.WaitDelay = folder, 5*time.Second
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// Each accepted difference has a reason that a user can read, and no reason is left
// over. It needs neither the golden cases nor Node.js.
func TestEachAcceptedDifferenceHasItsReason(t *testing.T) {
	t.Parallel()
	var accepted map[string]struct {
		Why     string            `json:"why"`
		Outcome []json.RawMessage `json:"outcome"`
	}
	readJSON(t, acceptedFile, &accepted)
	var reasons map[string]string
	readJSON(t, reasonsFile, &reasons)
	page, err := os.ReadFile("../../../docs/kurrentdb.md")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]int)
	for name, difference := range accepted {
		if reasons[difference.Why] == "" || len(difference.Outcome) == 0 {
			t.Errorf("case %q: reason %q, which is none, or no outcome", name, difference.Why)
		}
		used[difference.Why]++
		if code := codeOf(reasons[difference.Why]); code != "" && !slices.ContainsFunc(difference.Outcome, func(step json.RawMessage) bool {
			return bytes.Contains(step, []byte(code)) || bytes.Contains(step, []byte(`"code":`+batchCodes[code]))
		}) {
			t.Errorf("case %q: its reason %q says %s, and its outcome does not", name, difference.Why, code)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if used[name] == 0 {
			t.Errorf("reason %q explains nothing", name)
		}
		if !bytes.Contains(page, []byte(reasons[name])) {
			t.Errorf("docs/kurrentdb.md does not say of reason %q: %s", name, reasons[name])
		}
	}
}

// batchCodes are the numbers by which an answer of a batch tells its code.
var batchCodes = map[string]string{"INVALID_ARGUMENT": "3", "UNIMPLEMENTED": "12"}

// codeOf is the gRPC code with which the gateway answers by a reason: what its second
// column begins with, or has in brackets. It is empty if the reason names none.
func codeOf(reason string) string {
	columns := strings.Split(reason, " | ")
	if len(columns) < 2 {
		return ""
	}
	here := strings.TrimPrefix(columns[1], "refused (")
	for code := range batchCodes {
		if strings.HasPrefix(here, code) {
			return code
		}
	}
	return ""
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
