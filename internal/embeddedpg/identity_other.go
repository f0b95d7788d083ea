//go:build !linux

package embeddedpg

import "syscall"

// childAttr puts a child in a process group of its own, so that a Ctrl-C meant
// for this program does not stop the database under it. Nothing here ends the
// child with this process: the next start ends what is left, see leftover.go.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// renamedRoot is empty: user namespaces are Linux's.
func renamedRoot() []identity { return nil }
