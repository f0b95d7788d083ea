package embeddedpg

import (
	"os"
	"path/filepath"
	"strconv"
)

// serversAreKnown: serversOn sees every server, so that a pid file naming any
// other process is stale.
const serversAreKnown = true

// serversOn lists the processes of servers that run on a cluster: all of them
// have it as their working directory, also those whose postmaster is gone. A
// user's shell may stand there too, so the name counts as well.
func serversOn(cluster string, _ int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		process := filepath.Join("/proc", entry.Name())
		if name, err := os.ReadFile(filepath.Join(process, "comm")); err != nil || string(name) != "postgres\n" {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join(process, "cwd")); err == nil && cwd == cluster {
			pids = append(pids, pid)
		}
	}
	return pids
}
