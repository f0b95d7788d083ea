package embeddedpg

import (
	"os/user"
	"strconv"
	"syscall"
)

// childAttr puts a child into a process group of its own, so that a Ctrl-C for this program
// does not stop its database. If this process ends without a shutdown of the child, the
// kernel signals the child to shut down.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}

// renamedRoot is root in a user namespace, where root has the number of an ordinary account.
// The files stay root's, and PostgreSQL does not see that it is root.
func renamedRoot() []identity {
	for _, name := range []string{"nobody", "postgres", "daemon"} {
		account, err := user.Lookup(name) // the inner number must have a name, PostgreSQL looks it up
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(account.Uid)
		gid, gidErr := strconv.Atoi(account.Gid)
		if uidErr != nil || gidErr != nil || uid <= 0 || gid < 0 {
			continue
		}
		return []identity{{name: "root in a user namespace", attr: func() *syscall.SysProcAttr {
			attr := childAttr()
			attr.Cloneflags = syscall.CLONE_NEWUSER
			attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: 0, Size: 1}}
			attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: 0, Size: 1}}
			attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
			return attr
		}}}
	}
	return nil
}
