package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/eventstore/sealing/mastercommand/mastercommandtest"
	"daybook/internal/racetest"
)

// patience is how long a test waits for something that may hang. It is long, because the machine
// may be busy or stand still for some seconds.
const patience = 2 * time.Minute

// slow leaves a test of many seconds to `make prove`, so that `make test` stays short.
func slow(t *testing.T) {
	t.Helper()
	if !proving() {
		t.Skip("it takes many seconds: make prove runs it")
	}
}

// proving tells whether `make prove` runs the tests.
func proving() bool { return os.Getenv("DAYBOOK_PROVE") != "" }

// build returns the path of the program's binary, which all tests share.
func build(t *testing.T) string {
	t.Helper()
	racetest.Skip(t, "the program is in a process of its own, which has no race detector")
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "daybook")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// binaries is the folder of the program's binary.
var binaries string

// TestMain lets as many tests run at a time as there are cores, whatever -parallel says. Many of
// them measure how long a node takes to notice something, and more would disturb that.
func TestMain(m *testing.M) {
	if mastercommandtest.Main(os.Args, os.Stdin, os.Stdout, os.Stderr) {
		return
	}
	os.Exit(func() int {
		flag.Parse()
		err := flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)))
		if err != nil {
			panic(err)
		}
		http.DefaultTransport = withKeys{http.DefaultTransport}
		if binaries, err = os.MkdirTemp("", "daybook-test-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(binaries)
		// The race detector runs only tests in which many clients, nodes, stops and views meet in
		// this process.
		code := racetest.Main(m,
			TestTheLastUnitsAreSoldOnce,
			TestACartExpiresByItself,
			TestParkedWorkIsShownAndRetriedAndVerified,
			TestAnInterruptedImportSaysHowToGoOn,
			TestRebuildSwitchesToANewBuildOfTheSameRows,
			TestALiveStreamEndsWithItsKey,
			TestTheGatewayOfAServer,
			TestANodeLeavesBeforeItsCallsHaveEnded,
			TestANodeWhoseLineFallsSilent,
			TestANodeStartsWhileItsLogIsAway,
			TestADatabaseThatDiesTakesTheServerDown,
			TestADifferenceThatPassesWhileANodeStartsEnds,
			TestANodeIsTakenDownInOneOrder,
			TestPartsAreStoppedInReverse,
			TestPartsThatActOnADivergedLogEnd,
			TestAServerClosesItsWaysBeforeItsNode,
		)
		if err := original.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if _, err := os.Stat(defaultDataDir); err == nil {
			fmt.Fprintf(os.Stderr, "a test has used the default data directory: remove cmd/daybook/%s\n", defaultDataDir)
			return 1
		}
		return code
	}())
}

// child is the real program in a process of its own.
type child struct {
	url     string
	gateway string // connection string
	cmd     *exec.Cmd
	log     *logBuffer
}

// startChild starts a server and waits until it says that it is ready.
func startChild(t *testing.T, path, dir string, flags ...string) *child {
	t.Helper()
	return startChildWith(t, path, append([]string{"--data", dir}, flags...)...)
}

// startChildWith is startChild with all flags, also those that say where the database is.
func startChildWith(t *testing.T, path string, flags ...string) *child {
	t.Helper()
	c := &child{log: &logBuffer{}}
	args := append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, flags...)
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	c.cmd.Stderr = c.log
	// The database keeps the file of the log open for a moment longer.
	c.cmd.WaitDelay = 10 * time.Second
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.kill(t)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", c.log.String())
		}
	})
	var announced ready
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &announced); err != nil {
		t.Fatalf("the server did not get ready: %v\n%s", err, c.log.String())
	}
	c.url, c.gateway = announced.URL, announced.Gateway
	learnKey(t, c.url, args)
	c.gateway = withAdmin(t, c.gateway, c.url)
	return c
}

// kill ends the process as a power cut would. The kernel then tells its database to end.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Errorf("kill: %v", err)
	}
	c.cmd.Wait() //nolint:errcheck // it was killed
}

// terminate asks the process to stop and returns its exit code.
func (c *child) terminate(t *testing.T) int {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.cmd.Wait() //nolint:errcheck // the exit code says it
	return c.cmd.ProcessState.ExitCode()
}

// get reads an answer of the read API.
func get[T any](t *testing.T, url string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(body(t, url)), &out); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return out
}

// body reads an answer as it is.
func body(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", url, response.Status, got)
	}
	return string(got)
}

// list reads all pages of a list.
func list[T any](t *testing.T, url string) []T {
	t.Helper()
	var all []T
	for cursor := ""; ; {
		page := get[struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}](t, url+cursor)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		cursor = "&cursor=" + page.Next
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", within, what)
		case <-ticker.C:
		}
	}
}
