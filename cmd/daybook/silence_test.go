package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
	"daybook/internal/proxytest"
	"daybook/readapi"
)

// The bounds for a node whose connection falls silent, with some more time for a busy machine.
const (
	noticeMax      = 15 * time.Second
	silentStopTest = 5 * time.Second
	slack          = 10 * time.Second
)

// health is what /readyz says, whatever its status.
func health(t *testing.T, url string) (status int, h readapi.Health) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_ = json.UnmarshalRead(response.Body, &h) // it is a problem while the database cannot be asked
	return response.StatusCode, h
}

// There are two nodes. The connections of one of them to the database fall silent: existing ones
// hang, new ones work. Within 15 s that node says so, and a subscriber of its gateway has every
// event of both nodes once. A stream that is deleted meanwhile is gone on that node, too. When
// nothing comes through at all, /readyz says so, and a stop takes less than 5 s.
func TestANodeWhoseLineFallsSilent(t *testing.T) {
	t.Parallel()
	direct := pgtest.URL(t)
	proxy, over := proxytest.ToPostgres(t, direct)
	there := serve(t, "--database-url", direct, "--gateway", "127.0.0.1:0", "--access", accessOff)
	here := serve(t, "--database-url", over, "--gateway", "127.0.0.1:0", "--access", accessOff)
	thereClient, hereClient := dialGateway(t, there.gateway), dialGateway(t, here.gateway)
	write := func(client *esdb.Client, stream string, n byte) error {
		_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, note(n))
		return err
	}
	for _, stream := range []string{"notes", "deleted"} {
		if err := write(thereClient, stream, 0); err != nil {
			t.Fatal(err)
		}
	}
	sub, err := hereClient.SubscribeToStream(t.Context(), "notes", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	events := make(chan *esdb.RecordedEvent, 100)
	live := make(chan struct{}, 100)
	go func() {
		for {
			switch e := sub.Recv(); {
			case e.SubscriptionDropped != nil:
				return
			case e.EventAppeared != nil:
				events <- e.EventAppeared.Event
			case e.CaughtUp != nil:
				live <- struct{}{}
			}
		}
	}()
	next := uint64(0)
	want := func(n int) {
		t.Helper()
		timeout := time.After(noticeMax + slack)
		for range n {
			select {
			case e := <-events:
				if e.EventNumber != next {
					t.Fatalf("event %d where %d should come", e.EventNumber, next)
				}
				next++
			case <-timeout:
				t.Fatalf("no event %d in time", next)
			}
		}
	}
	want(1)
	<-live
	// This puts the stream into the cache.
	if _, err := hereClient.ReadStream(t.Context(), "deleted", esdb.ReadStreamOptions{}, 1); err != nil {
		t.Fatal(err)
	}

	// A connection that the node opens after Silence is not silent. If the node happens to open
	// one for its next read, it is served at once and notices nothing. Then it is tried again.
	noticed := func() bool {
		return strings.Contains(here.log.String(), "does not answer") && strings.Contains(here.log.String(), "silent_since=")
	}
	for try := 1; !noticed(); try++ {
		if try > 5 {
			t.Fatal("the node was served each time and did not log that the log does not answer")
		}
		proxy.Silence()
		silent := time.Now()
		for n := range byte(3) {
			if err := write(thereClient, "notes", 1+n); err != nil {
				t.Fatal(err)
			}
		}
		if try == 1 {
			if _, err := thereClient.DeleteStream(t.Context(), "deleted", esdb.DeleteStreamOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		want(3)
		t.Logf("served again after %s", time.Since(silent))
	}
	eventually(t, noticeMax+slack, "an append through the node", func() bool { return write(hereClient, "notes", 9) == nil })
	want(1)
	read, err := hereClient.ReadStream(t.Context(), "deleted", esdb.ReadStreamOptions{}, 1)
	if err == nil {
		_, err = read.Recv()
		read.Close()
	}
	wantCode(t, "reading a stream that was deleted meanwhile", err, esdb.ErrorCodeResourceNotFound)
	eventually(t, noticeMax+slack, "ready again", func() bool { status, _ := health(t, here.url); return status == http.StatusOK })

	proxy.SilenceAll()
	// The last request finds an open connection that hangs. Or it finds no open connection, and a
	// new one cannot be opened.
	hangs(t, here, map[string]string{"/v1/projections": "The log cannot be reached", "/v1/events": "The log cannot be reached", "/v1/processes?state=parked": "The database (did not answer in time|cannot be reached)"})
	eventually(t, noticeMax+slack, "/readyz tells of the log", func() bool {
		status, h := health(t, here.url)
		return status == http.StatusServiceUnavailable && len(h.Components) == 1 && h.Components[0].Component == "log" &&
			h.Components[0].State == "silent" && h.Components[0].AgeSeconds > 5 && h.Components[0].Error != ""
	})
	began := time.Now()
	here.stop()
	<-here.code
	if took := time.Since(began); took > silentStopTest+slack/4 {
		t.Errorf("the stop took %s", took)
	} else {
		t.Logf("stopped after %s", took)
	}
}

// If the program's own database is frozen, a stop does not wait for it either.
func TestAFrozenDatabaseHoldsUpNoStop(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := startChild(t, build(t), dir, "--gateway", "127.0.0.1:0")
	pid := postmaster(t, dir)
	backends := childrenOf(t, pid)
	for _, process := range append([]int{pid}, backends...) {
		if err := syscall.Kill(process, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // ends the processes that are still there
		for _, process := range backends {
			_ = syscall.Kill(process, syscall.SIGCONT)
		}
	})
	began := time.Now()
	server.terminate(t)
	if took := time.Since(began); took > silentStopTest+slack/2 {
		t.Errorf("the stop took %s", took)
	} else {
		t.Logf("stopped after %s", took)
	}
}

// childrenOf lists the processes that one has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var children []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("this system does not list its processes in /proc")
	}
	for _, entry := range entries {
		if child, parent, ok := parentOf(entry.Name()); ok && parent == pid {
			children = append(children, child)
		}
	}
	return children
}

// parentOf reads a process's parent from /proc.
func parentOf(name string) (pid, parent int, ok bool) {
	status, err := os.ReadFile("/proc/" + name + "/status")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch number, err := strconv.Atoi(fields[1]); {
		case err != nil:
		case fields[0] == "Pid:":
			pid = number
		case fields[0] == "PPid:":
			parent = number
		}
	}
	return pid, parent, pid > 0
}

// The tests above allow more time for a busy machine. This test adds up the configured times, and
// they must be less than 5 s.
func TestAStopOfASilentNodeIsConfiguredToTakeLessThan5s(t *testing.T) {
	t.Parallel()
	const frozenDatabase = 2 * time.Second // see stopTimes
	if longest := answerMax + silentStopMax.all + frozenDatabase; longest >= silentStopTest {
		t.Errorf("a stop may take %s", longest)
	}
	for name, times := range map[string]stopTimes{"silent": silentStopMax, "usual": stopMax} {
		if times.ways*2 > times.all {
			t.Errorf("%s: the ways may take %s, which leaves too little of %s", name, times.ways, times.all)
		}
	}
}
