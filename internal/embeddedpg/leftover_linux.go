package embeddedpg

import (
	"os"
	"path/filepath"
	"strconv"
)

// seesAllServers: serversOn finds every server. So a pid file with any other process number
// is stale.
const seesAllServers = true

// serversOn lists the processes of servers that run on a cluster. All of them have it as
// their working directory, even if their postmaster has ended. A user's shell may have it,
// too, so the name of the program must also match.
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
