package main

import (
	"bufio"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// hang begins a request and does not end it.
func hang(t *testing.T, url string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte("POST /v1/carts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + keyOf(url) + "\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	// The server asks for the body once it has begun with the request.
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v; want to be asked for the body", line, err)
	}
}

// If a client of one way in hangs, the clients of the other way in still have their full time.
func TestASignalStopsTheServerInTimeThoughAClientHangs(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := startChild(t, build(t), dir, "--gateway", "127.0.0.1:0")
	hang(t, server.url)
	sub, err := dialGateway(t, server.gateway).SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	logged := make(chan string, 1) // when the subscription ended
	go func() {
		for sub.Recv().SubscriptionDropped == nil {
		}
		logged <- server.log.String()
	}()
	began := time.Now()
	if code := server.terminate(t); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
	// A machine does not stand still for so long.
	if took := time.Since(began); took > stopMax.all+10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if text := <-logged; strings.Contains(text, "cut off") {
		t.Errorf("when the gateway's subscription ended, this was logged:\n%s", text)
	}
	if pid := postmaster(t, dir); pid != 0 {
		t.Errorf("the database still runs, as process %d", pid)
	}
}

func TestASecondSignalEndsTheServerAtOnce(t *testing.T) {
	t.Parallel()
	dir, path := dataDir(t), build(t)
	ended := signaledTwice(t, path, dir)
	for try := 1; !endedBy(ended, syscall.SIGTERM) && try < 3; try++ {
		// It is tried once more, because the server may have stopped in order while the machine
		// stood still.
		ended = signaledTwice(t, path, dir)
	}
	if !endedBy(ended, syscall.SIGTERM) {
		t.Errorf("the process ended by %s, want by the second signal", ended)
	}
	// The database notices the end of its parent process and stops too. The next start waits for
	// that.
	if code := startChild(t, path, dir).terminate(t); code != exitOK {
		t.Errorf("exit code %d after the next start, want %d", code, exitOK)
	}
}

// signaledTwice gives a server whose client hangs a second signal while it stops.
func signaledTwice(t *testing.T, path, dir string) *os.ProcessState {
	t.Helper()
	server := startChild(t, path, dir)
	hang(t, server.url)
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the server begins to stop", func() bool { return strings.Contains(server.log.String(), "stopping") })
	server.terminate(t)
	return server.cmd.ProcessState
}

func endedBy(state *os.ProcessState, signal syscall.Signal) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}
