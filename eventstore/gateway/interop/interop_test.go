// Package interop_test lets the official clients of EventStoreDB and KurrentDB work with the
// gateway in the way in which their users use them.
//
// Each client runs the same scenarios, told apart by name: the EventStoreDB client for Go in this
// process, the KurrentDB client for Go from the module in kurrentdb (see sharedFiles), and the two
// for Node.js from node. A test is skipped if its client is not installed. make interop installs
// the clients. With DAYBOOK_INTEROP=all a missing client is a failure. The package gateway has the
// tests of everything that clients cannot see.
package interop_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantedOfAll are the scenarios that each client must pass. The list is written
// out so that none can be lost unnoticed, in any of the programs.
var wantedOfAll = strings.Fields(`
	append-any append-no-stream append-stream-exists append-exact-revision append-wrong-revision
	append-repeated append-json-and-binary append-many append-at-once append-too-large append-too-many append-long-names
	read-forwards read-backwards read-missing read-all-forwards read-all-backwards read-links
	delete-and-append-again delete-wrong-revision tombstone
	metadata metadata-max-count metadata-max-age metadata-truncate-before
	subscribe-from-start subscribe-from-revision subscribe-from-end subscribe-missing subscribe-links
	subscribe-deleted subscribe-all subscribe-all-type-prefix subscribe-all-type-regex
	subscribe-all-stream-prefix subscribe-all-stream-regex
	persistent-ack persistent-retry-and-skip persistent-park-and-replay persistent-consumers
	persistent-links persistent-all persistent-manage persistent-errors
	connect-seeds connect-discover credentials credentials-of-a-call credentials-wrong credentials-none
	access-by-list access-denied
`)

// wanted adds the scenarios that only a cluster has, and those that only newer clients can pass.
func wanted(at addresses, more ...string) []string {
	names := slices.Clone(wantedOfAll)
	if at.Follower != "" {
		names = append(names, "not-leader")
	}
	return append(names, more...)
}

const ofKurrentDB = "caught-up-says-where"

// clientMax is how long one client may take for all its scenarios. Each program
// has a limit for each scenario, and names the one that goes over it.
const clientMax = 2 * time.Minute

func TestOfficialClients(t *testing.T) {
	t.Parallel()
	clients := map[string]func(*testing.T, addresses){
		"go-v4":           runHere,
		"go-kurrentdb":    runGoKurrentDB,
		"node-eventstore": func(t *testing.T, at addresses) { runNode(t, at, "eventstore", wanted(at)) },
		"node-kurrentdb":  func(t *testing.T, at addresses) { runNode(t, at, "kurrentdb", wanted(at, ofKurrentDB)) },
	}
	engines := map[string]func(*testing.T) engine{"memory": inMemory, "postgres": inPostgres}
	for engine, open := range engines {
		for client, run := range clients {
			t.Run(engine+"/"+client, func(t *testing.T) {
				t.Parallel()
				run(t, serve(t, open(t)))
			})
		}
	}
}

// runHere runs the client that is linked into this test.
func runHere(t *testing.T, at addresses) {
	if passed, want := runScenarios(t, at, scenarios(at)), wanted(at); !slices.Equal(passed, want) {
		t.Errorf("passed %q, want %q", passed, want)
	}
}

func runGoKurrentDB(t *testing.T, at addresses) {
	program := filepath.Join(t.TempDir(), "kurrentdb.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay(t), "-o", program, ".")
	build.Dir = "kurrentdb"
	build.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off") // installing is for make interop
	if out, err := build.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("GOPROXY=off")) {
			missing(t, "the Go modules of the KurrentDB client")
		}
		t.Fatalf("build the scenarios: %v\n%s", err, out)
	}
	runProgram(t, at, wanted(at, ofKurrentDB), exec.CommandContext(t.Context(), program, "-test.v", "-test.run", "^TestScenarios$"))
}

func runNode(t *testing.T, at addresses, client string, want []string) {
	if err := exec.CommandContext(t.Context(), "node", "--test-force-exit", "--version").Run(); err != nil {
		missing(t, "Node.js 20.14 or newer")
	}
	if _, err := os.Stat("node/node_modules/.package-lock.json"); err != nil {
		missing(t, "the npm packages of the clients")
	}
	run := exec.CommandContext(t.Context(), "node", "--test-reporter=tap", "--test-force-exit", "run.js")
	run.Dir = "node"
	run.Env = append(os.Environ(), "CLIENT="+client)
	runProgram(t, at, want, run)
}

// missing ends the test of a client that is not installed.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DAYBOOK_INTEROP") == "all" {
		t.Fatalf("not installed: %s; DAYBOOK_INTEROP=all wants every client", what)
	}
	t.Skipf("not installed: %s; make interop installs it and runs this test", what)
}

// runProgram runs another process with a client. The process must print a line of success for each
// scenario.
func runProgram(t *testing.T, at addresses, want []string, program *exec.Cmd) {
	t.Helper()
	if program.Env == nil {
		program.Env = os.Environ()
	}
	program.Env = append(program.Env,
		"GATEWAY="+at.Plain, "GATEWAY_FOLLOWER="+at.Follower, "GATEWAY_SEEDS="+at.Seeds,
		"GATEWAY_DISCOVER="+at.Discover, "GATEWAY_SECURE="+at.Secure,
	)
	var out bytes.Buffer
	program.Stdout, program.Stderr = &out, &out
	program.WaitDelay = 5 * time.Second
	if err := program.Start(); err != nil {
		t.Fatalf("start the client: %v", err)
	}
	overdue := time.AfterFunc(clientMax, func() { _ = program.Process.Kill() })
	ended := program.Wait()
	overdue.Stop()

	passed := passedIn(out.String())
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(passed, name) {
				t.Error("not passed, or not run; see what the client printed")
			}
		})
	}
	for _, name := range passed {
		if !slices.Contains(want, name) {
			t.Errorf("scenario %s is not in the list", name)
		}
	}
	if ended != nil || t.Failed() {
		t.Errorf("the client ended with %v and printed:\n%s", ended, out.String())
	}
}

// passLine is the line of a scenario that has passed. A skipped scenario has no such line.
var passLine = regexp.MustCompile(`(?m)^ok \d+ - (\S+)$`)

func passedIn(output string) []string {
	var names []string
	for _, match := range passLine.FindAllStringSubmatch(output, -1) {
		names = append(names, match[1])
	}
	return names
}

func TestOnlyPassedTestsCountAsPassed(t *testing.T) {
	t.Parallel()
	got := passedIn(`TAP version 13
# Subtest: a
ok 1 - a
not ok 2 - b
ok 3 - c # SKIP
# ok 4 - d
    ok 5 - e
--- PASS: TestScenarios/f (0.01s)
ok 6 - g
`)
	if want := []string{"a", "g"}; !slices.Equal(got, want) {
		t.Errorf("passed %q, want %q", got, want)
	}
}
