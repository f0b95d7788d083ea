package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
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

// goldenFolder has raw calls and the answers of a real server to them. It is beside the project and
// not part of it.
const goldenFolder = "../../../../shared/golden"

// acceptedFile has each golden case whose outcome differs here on purpose. For each it has the
// outcome and the names of its reasons, with spaces between them. The reasons are in reasonsFile.
const (
	acceptedFile = "golden/accepted.json"
	reasonsFile  = "golden/reasons.json"
)

// goldenMax is how long the golden cases may take. They take long, because some wait to see that
// something does not come.
const goldenMax = 10 * time.Minute

// The gateway answers as a real server does, except where it differs on purpose. A case fails if it
// differs in another way than was accepted. An accepted case also fails if it no longer differs.
//
// The test does not run in parallel, because the cases record what comes within some hundred
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
	open := gateway.Options{Protected: func(string, string) bool { return false }} // as serve --gateway-open
	address := startNode(t, inPostgres(t), open)
	only := os.Getenv("DAYBOOK_GOLDEN_ONLY") // a regular expression on the names of cases
	out := filepath.Join(t.TempDir(), "out.json")
	report := runGolden(t, folder, address, accepted, out, only)
	compared, err := runNodeScript(t, folder, "diff.mjs", "golden.json", out, "--accepted", accepted, "--only", only)
	goldenSummary = report.summary(compared)
	t.Logf("%s\n%s", compared, goldenSummary)
	if err != nil {
		t.Errorf("cases differ, or agree again: %v", err)
	}
	for _, fault := range report.faults() {
		t.Error(fault)
	}
}

// goldenSummary is the summary of the golden cases. TestMain prints it last.
var goldenSummary = "the golden cases were not run\n"

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if testing.Verbose() {
		fmt.Print(goldenSummary)
	}
	os.Exit(code)
}

// goldenReport has what the outcomes of the cases do not show.
type goldenReport struct {
	Cases int                 `json:"cases"`
	Again map[string][]string `json:"again"` // for each case that was run more than once: the outcome of each run
	Other []string            `json:"other"` // cases with two allowed outcomes that had the less usual one
	// Reworded are accepted cases with another text of an error, and what differs.
	Reworded map[string]string `json:"reworded"`
}

// lateMax is how many cases may be right only when they are run again. A busy machine delays a few
// cases. If a fault occurred in half of all runs, there would be more such cases.
const lateMax = 3

// faults are the faults of a run that are not differing outcomes.
func (r goldenReport) faults() (faults []string) {
	if late, _ := r.late(); len(late) > lateMax {
		faults = append(faults, fmt.Sprintf("%d cases are right only when run again, and %d may be: %s", len(late), lateMax, strings.Join(late, ", ")))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Reworded)) {
		faults = append(faults, fmt.Sprintf("%s: the text of an error is not the accepted one: look at it, and at its reason: %s", name, r.Reworded[name]))
	}
	return faults
}

// late returns the cases that were right only when they were run again, each with the number of the
// run, and in never the cases that were right in no run.
func (r goldenReport) late() (late, never []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Again)) {
		runs := r.Again[name]
		if last := runs[len(runs)-1]; strings.HasPrefix(last, "right") {
			late = append(late, fmt.Sprintf("%s (run %d)", name, len(runs)))
		} else {
			never = append(never, name)
		}
	}
	return late, never
}

// runGolden runs the cases of a folder.
func runGolden(t *testing.T, folder, address, accepted, out, only string) (report goldenReport) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	printed, err := runNodeScript(t, "node", "golden.mjs", folder, address, accepted, out, file, only)
	if err != nil {
		t.Fatalf("run the cases: %v\n%s", err, printed)
	}
	if printed != "" {
		t.Log(printed)
	}
	readJSON(t, file, &report)
	return report
}

// summary counts the cases by outcome, and lists those that were run more than once, because such a
// case may have a fault and not only a slow machine as its reason.
func (r goldenReport) summary(compared string) string {
	counts := strings.Split(strings.TrimSpace(compared), "\n")
	var text strings.Builder
	fmt.Fprintf(&text, "golden cases: %d, of which %s\n", r.Cases, counts[len(counts)-1])
	late, never := r.late()
	for _, name := range slices.Sorted(maps.Keys(r.Again)) {
		for n, how := range r.Again[name] {
			fmt.Fprintf(&text, "  %s, run %d: %s\n", name, n+1, how)
		}
	}
	list := func(what string, names []string) {
		fmt.Fprintf(&text, "%s: %d", what, len(names))
		if len(names) > 0 {
			fmt.Fprintf(&text, ": %s", strings.Join(names, ", "))
		}
		text.WriteByte('\n')
	}
	list("right only when run again", late)
	list("run again and never right", never)
	list("in the other of their two ways", r.Other)
	list("accepted with another text", slices.Sorted(maps.Keys(r.Reworded)))
	return text.String()
}

// runNodeScript runs a script in a folder, and returns what it printed.
func runNodeScript(t *testing.T, folder string, arguments ...string) (printed string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), goldenMax)
	defer cancel()
	command := exec.CommandContext(ctx, "node", arguments...)
	command.Dir, command.WaitDelay = folder, 5*time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

// The report names the cases that were run again, with the outcome of each run. The cases of this
// test need no server: each has a given outcome for each run.
func TestTheGoldenRunReportsRepeatedCases(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "node", "--version").Run(); err != nil {
		missing(t, "Node.js")
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"lib.mjs": `export const load = () => ({});
export class Server {}
export class Case {
  constructor(server, name, number) { Object.assign(this, { name, run: Math.floor((number - 1) / 2000), outcome: [] }); }
  string(text) { return text; }
  finish() {}
}`,
		"cases.mjs": `const runs = {
  "form/at once": ["a"], "form/late": ["b", "a"], "form/later": ["b", "c", "a"], "form/never": ["b"], "form/meant": ["m"],
  "append form/cancelled": ["g"], "form/unknown": ["a"], "form/reworded": ["m"], "form/moved": ["m"],
};
const details = { "form/reworded": "new words", "form/moved": "proto:\u00a0position 7 is beyond" };
export const cases = Object.fromEntries(Object.entries(runs).map(([name, each]) =>
  [name, async (t) => { t.outcome.push({ step: "1", code: "OK" }, { step: "2", value: each[Math.min(t.run, each.length - 1)], details: details[name] }); }]));`,
		"golden.json": `{"form/at once":[{"step":"1","code":"OK"},{"step":"2","value":"a"}],"form/late":[{"step":"1","code":"OK"},{"step":"2","value":"a"}],
"form/later":[{"step":"1","code":"OK"},{"step":"2","value":"a"}],"form/never":[{"step":"1","code":"OK"},{"step":"2","value":"a"}],
"form/meant":[{"step":"1","code":"OK"},{"step":"2","value":"a"}],"append form/cancelled":[{"step":"1","code":"OK"},{"step":"2","value":"g"}],"form/reworded":[],"form/moved":[]}`,
		"accepted.json": `{"form/meant":{"why":"w","outcome":[{"step":"1","code":"OK"},{"step":"2","value":"m"}]},
"append form/cancelled":{"why":"w","outcome":[{"step":"1","code":"OK"},{"step":"2","value":"m"}]},
"form/reworded":{"why":"w","outcome":[{"step":"1","code":"OK"},{"details":"old words","step":"2","value":"m"}]},
"form/moved":{"why":"w","outcome":[{"step":"1","code":"OK"},{"details":"proto: position 5 is beyond","step":"2","value":"m"}]}}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report := runGolden(t, folder, "127.0.0.1:1", filepath.Join(folder, "accepted.json"), filepath.Join(folder, "out.json"), "")
	got := report.summary("== form/never\n3 equal, 0 differ in the text of an error only, 4 differ as meant, 1 differ\n")
	const wrong = `wrong from the step "2" on`
	want := strings.Join([]string{
		"golden cases: 8, of which 3 equal, 0 differ in the text of an error only, 4 differ as meant, 1 differ",
		"  form/late, run 1: " + wrong, "  form/late, run 2: right",
		"  form/later, run 1: " + wrong, "  form/later, run 2: " + wrong, "  form/later, run 3: right",
		"  form/never, run 1: " + wrong, "  form/never, run 2: " + wrong, "  form/never, run 3: " + wrong, "  form/never, run 4: " + wrong,
		"right only when run again: 2: form/late (run 2), form/later (run 3)",
		"run again and never right: 1: form/never",
		"in the other of their two ways: 1: append form/cancelled",
		"accepted with another text: 1: form/reworded", "",
	}, "\n")
	if got != want {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
	if faults := report.faults(); len(faults) != 1 || !strings.HasPrefix(faults[0], "form/reworded: ") ||
		!strings.Contains(faults[0], "new words") || !strings.Contains(faults[0], "old words") {
		t.Errorf("faults %q, want one: the words of form/reworded, now and as accepted", faults)
	}
}

// If many cases are right only when they are run again, timing is not the reason, and the run
// fails.
func TestManyGoldenCasesThatAreRightOnlyAgainAreAFault(t *testing.T) {
	t.Parallel()
	report := goldenReport{Again: map[string][]string{"never": {"wrong", "wrong", "wrong", "wrong"}}}
	for n := range lateMax + 1 {
		if faults := report.faults(); len(faults) != 0 {
			t.Errorf("%d cases were run again: faults %q, want none", n, faults)
		}
		report.Again[fmt.Sprintf("late %d", n)] = []string{"wrong", "right"}
	}
	faults := report.faults()
	if len(faults) != 1 || !strings.Contains(faults[0], "late 0 (run 2)") || !strings.Contains(faults[0], fmt.Sprintf("late %d (run 2)", lateMax)) {
		t.Errorf("faults %q, want one that names each case", faults)
	}
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
		whys := strings.Fields(difference.Why) // some cases differ for more than one reason
		if len(whys) == 0 || len(difference.Outcome) == 0 {
			t.Errorf("case %q has no reason, or no outcome", name)
		}
		for _, why := range whys {
			if reasons[why] == "" {
				t.Errorf("case %q: reason %q, which is none", name, why)
			}
			used[why]++
			if code := codeOf(reasons[why]); code != "" && !slices.ContainsFunc(difference.Outcome, func(step json.RawMessage) bool {
				return bytes.Contains(step, []byte(code)) || bytes.Contains(step, []byte(`"code":`+batchCodes[code]))
			}) {
				t.Errorf("case %q: its reason %q says %s, and its outcome does not", name, why, code)
			}
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

// batchCodes are the numbers of gRPC codes in the answers of BatchAppend.
var batchCodes = map[string]string{"INVALID_ARGUMENT": "3", "UNIMPLEMENTED": "12"}

// codeOf is the gRPC code of the gateway's answer, as a reason names it: at the beginning of the
// second column, or in brackets there. It is empty if the reason names none.
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
