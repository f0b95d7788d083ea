package embeddedpg

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
)

// defaults are for a machine of two cores that the program shares with its database.
// Durability is complete, as is PostgreSQL's default: an acknowledged commit is on disk.
var defaults = map[string]string{
	"fsync":              "on",
	"full_page_writes":   "on",
	"synchronous_commit": "on",

	"max_connections":      "100",
	"shared_buffers":       "256MB",
	"effective_cache_size": "1GB",
	"work_mem":             "8MB",
	"maintenance_work_mem": "128MB",
	"random_page_cost":     "1.1", // solid state disks

	// Checkpoints are few and spread out, because after each one the first write of every
	// page puts the whole page into the log. Recovery after a crash reads at most
	// max_wal_size.
	"checkpoint_timeout":           "15min",
	"checkpoint_completion_target": "0.9",
	"max_wal_size":                 "4GB",
	"min_wal_size":                 "512MB",

	"jit":      "off", // compiling costs more than these short statements
	"timezone": "UTC",

	"log_timezone":     "UTC",
	"log_checkpoints":  "off",
	"log_min_messages": "warning",
	"lc_messages":      "C", // the log is read by a program, see logs.go
}

// fixed settings cannot be changed. They keep the server private and its log readable for
// this program.
func fixed(socketDir string) map[string]string {
	return map[string]string{
		"listen_addresses":        "",
		"port":                    socketPort,
		"unix_socket_directories": socketDir,
		"unix_socket_permissions": "0700",
		"external_pid_file":       "",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		"log_line_prefix":         logLinePrefix,
	}
}

// settingArgs are the server's command line settings, in a stable order.
func settingArgs(ctx context.Context, dir dataDir, install installation, who identity, socketDir string, over map[string]string) []string {
	all := maps.Clone(defaults)
	all["wal_compression"] = walCompression(ctx, dir, install, who)
	maps.Copy(all, over)
	maps.Copy(all, fixed(socketDir))
	var args []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

// walCompression uses lz4 if the server was built with it, because it needs a fraction of the
// time of the built-in method.
func walCompression(ctx context.Context, dir dataDir, install installation, who identity) string {
	cmd := who.command(ctx, filepath.Join(install.bin, "postgres"),
		"-D", dir.cluster, "-C", "wal_compression", "-c", "wal_compression=lz4")
	cmd.Dir = dir.root
	if _, err := output(cmd); err != nil {
		return "on"
	}
	return "lz4"
}
