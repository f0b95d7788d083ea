//go:build !linux

package embeddedpg

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// seesAllServers: serversOn finds only the postmaster. So no pid file is ever taken for stale.
const seesAllServers = false

// serversOn is the postmaster, if the process with that number is one on this cluster: its
// command line contains the folder.
func serversOn(cluster string, postmaster int) []int {
	if postmaster <= 0 || !alive(postmaster) {
		return nil
	}
	text, err := output(exec.CommandContext(context.Background(), "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(postmaster)))
	if err != nil || !strings.Contains(text, "postgres") || !strings.Contains(text, cluster) {
		return nil
	}
	return []int{postmaster}
}
