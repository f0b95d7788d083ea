//go:build !linux

package pgpool

import "syscall"

// control does nothing, because other systems have no such timeout. The bounds of reads and
// writes work without it.
func control(string, string, syscall.RawConn) error { return nil }
