//go:build !linux

package pgpool

import "syscall"

// control does nothing, because only Linux has this timeout. The bounds of reads and writes work
// without it.
func control(string, string, syscall.RawConn) error { return nil }
