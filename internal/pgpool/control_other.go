//go:build !linux

package pgpool

import "syscall"

// control does nothing: other systems have no timeout of this kind, and the
// bounds of reads and writes do without.
func control(string, string, syscall.RawConn) error { return nil }
