//go:build !linux

package embeddedpg

import "syscall"

// childAttr puts a child into a process group of its own, so that a Ctrl-C for this program
// does not stop its database. On this system nothing ends the child with this process. The
// next start ends what is left: see leftover.go.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// renamedRoot is empty: user namespaces are Linux's.
func renamedRoot() []identity { return nil }
