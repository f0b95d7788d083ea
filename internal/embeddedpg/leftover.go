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
	// stalePIDFileName keeps a pid file that was set aside.
	stalePIDFileName = "postmaster.pid.stale"

	leftoverPoll = 20 * time.Millisecond
)

// endLeftover waits until no server runs on the cluster. The caller holds the
// lock, so one that does has lost its parent: usually it is shutting down
// already; if not, it is told to.
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
	return setStalePIDFileAside(cluster, logger)
}

// awaitGone is bounded: a server that does not end by a fast shutdown is told
// to end at once, and one that does not do that either is an error.
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

// signalServer tells the postmaster; its children follow it. Without one, the
// children notice by themselves.
func signalServer(running []int, postmaster int, sig syscall.Signal) {
	if slices.Contains(running, postmaster) {
		syscall.Kill(postmaster, sig) //nolint:errcheck // it fails only if the server is gone, which is what is wanted
	}
}

// setStalePIDFileAside helps after a restart of the machine or container, when
// the number in the file may by now belong to an unrelated process of the same
// user; PostgreSQL then takes that for a running server and refuses to start.
func setStalePIDFileAside(cluster string, logger *slog.Logger) error {
	pid := postmasterPID(cluster)
	if pid <= 0 || !serversAreKnown || !alive(pid) {
		return nil // PostgreSQL removes the file itself
	}
	logger.Warn("setting aside a stale pid file of the database", "pid", pid)
	err := os.Rename(filepath.Join(cluster, pidFileName), filepath.Join(cluster, stalePIDFileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set aside a stale pid file: %w", err)
	}
	return nil
}

// postmasterPID is the server's process as its pid file has it, 0 if none.
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
