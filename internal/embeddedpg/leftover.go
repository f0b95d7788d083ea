package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pidFileName = "postmaster.pid"
	// stalePIDFileName is the name that a stale pid file is given.
	stalePIDFileName = "postmaster.pid.stale"

	leftoverPoll = 20 * time.Millisecond
)

// endLeftover waits until no server runs on the cluster. The caller holds the lock, so a
// server that still runs has lost its parent. Usually it is shutting down already. If not,
// endLeftover signals it.
func endLeftover(ctx context.Context, cluster string, logger *slog.Logger) error {
	postmaster := postmasterPID(cluster)
	running := serversOn(cluster, postmaster)
	if len(running) > 0 {
		logger.Warn("waiting for a database server that lost its parent", "pid", postmaster)
		signalServer(running, postmaster, syscall.SIGINT)
		if err := awaitGone(ctx, cluster, postmaster); err != nil {
			return err
		}
	}
	return moveStalePIDFile(cluster, logger)
}

// awaitGone waits for a bounded time. If a server does not end by a fast shutdown, it gets an
// immediate one. If it still does not end, that is an error.
func awaitGone(ctx context.Context, cluster string, postmaster int) error {
	poll := time.NewTicker(leftoverPoll)
	defer poll.Stop()
	firmly := time.After(fastShutdownMax)
	giveUp := time.After(fastShutdownMax + immediateShutdownMax)
	for {
		running := serversOn(cluster, postmaster)
		if len(running) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("an old server (process %v) still runs on %s: %w", running, cluster, ctx.Err())
		case <-firmly:
			signalServer(running, postmaster, syscall.SIGQUIT)
		case <-giveUp:
			return fmt.Errorf("an old server (process %v) still runs on %s and does not stop; end it first", running, cluster)
		case <-poll.C:
		}
	}
}

// signalServer signals the postmaster, whose children end with it. If there is no postmaster,
// the children notice that by themselves.
func signalServer(running []int, postmaster int, sig syscall.Signal) {
	if slices.Contains(running, postmaster) {
		syscall.Kill(postmaster, sig) //nolint:errcheck // it fails only if the server has ended already
	}
}

// moveStalePIDFile renames a stale pid file. After a restart of the machine or container, the
// number in the file may belong to another process of the same user. PostgreSQL would take
// that process for a running server and refuse to start.
func moveStalePIDFile(cluster string, logger *slog.Logger) error {
	pid := postmasterPID(cluster)
	if pid <= 0 || !seesAllServers || !alive(pid) {
		return nil // PostgreSQL removes the file itself
	}
	logger.Warn("setting aside a stale pid file of the database", "pid", pid)
	err := os.Rename(filepath.Join(cluster, pidFileName), filepath.Join(cluster, stalePIDFileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set aside a stale pid file: %w", err)
	}
	return nil
}

// postmasterPID is the process number in the server's pid file; 0 if there is none.
func postmasterPID(cluster string) int {
	text, err := os.ReadFile(filepath.Join(cluster, pidFileName))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
