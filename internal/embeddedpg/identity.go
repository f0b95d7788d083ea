package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// identity is the user that runs the server. PostgreSQL refuses to run as root, so a process of
// root needs another user for the server.
type identity struct {
	name     string
	uid, gid int // owner of the server's files, as this process sees it
	attr     func() *syscall.SysProcAttr
	getenv   func(string) string // nil: the program gets no environment variables
}

// chooseIdentity finds a user that can run the server on the data directory. It tries each
// candidate with a harmless call, because that is easier than to predict all obstacles
// (parent folders, capabilities, kernel settings).
func chooseIdentity(ctx context.Context, install installation, dir dataDir, getenv func(string) string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{name: "this user", uid: os.Geteuid(), gid: os.Getegid(), attr: childAttr, getenv: getenv}, nil
	}
	var failures []string
	for _, who := range rootCandidates(dir.cluster) {
		who.getenv = getenv
		err := who.try(ctx, install, dir)
		if err == nil {
			return who, nil
		}
		if ctx.Err() != nil {
			return identity{}, fmt.Errorf("look for a user to run PostgreSQL: %w", ctx.Err())
		}
		failures = append(failures, fmt.Sprintf("  as %s: %v", who.name, err))
	}
	return identity{}, fmt.Errorf(`PostgreSQL does not run as root, and no other user could run it on %s:
%s
Run as an ordinary user, give a data directory that the user postgres can reach (such as /var/lib/daybook), or use a running server by DATABASE_URL`,
		dir.root, strings.Join(failures, "\n"))
}

// rootCandidates are the identities that root can use, best first: the present owner of the data,
// then the accounts postgres, _postgres and nobody, then root under another number in a user
// namespace. The last one also works in folders that no other user may enter, such as a home folder
// with mode 0700.
func rootCandidates(cluster string) []identity {
	var dropped []identity
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		if account, err := user.Lookup(name); err == nil {
			dropped = append(dropped, dropTo(account)...)
		}
	}
	renamed := renamedRoot()
	owner, err := ownerOf(cluster)
	if err != nil { // no data yet
		return append(dropped, renamed...)
	}
	if owner == 0 {
		return append(renamed, dropped...)
	}
	if account, err := user.LookupId(strconv.Itoa(owner)); err == nil {
		dropped = append(dropTo(account), dropped...)
	}
	return append(dropped, renamed...)
}

// dropTo is the identity of an account, if root can use it.
func dropTo(account *user.User) []identity {
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	if uidErr != nil || gidErr != nil || uid <= 0 || gid < 0 {
		return nil
	}
	return []identity{{name: "user " + account.Username, uid: uid, gid: gid, attr: func() *syscall.SysProcAttr {
		attr := childAttr()
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attr
	}}}
}

// command is a program of the installation, run under this identity. It gets only the
// environment variables that it needs: others may be secrets, or PG* variables that lead the
// program to another server.
func (id identity) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = id.attr()
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	if id.getenv == nil {
		return cmd
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value := id.getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// try proves that the process can use the identity, run the programs and enter the data
// directory.
func (id identity) try(ctx context.Context, install installation, dir dataDir) error {
	cmd := id.command(ctx, filepath.Join(install.bin, "postgres"), "--version")
	cmd.Dir = dir.root
	_, err := output(cmd)
	return err
}

// own makes the identity the owner of all files below a folder. It changes the folder itself last.
// So if it is interrupted, the folder still has the old owner, and the next call changes all files
// again.
func (id identity) own(path string) error {
	owner, err := ownerOf(path)
	if err != nil {
		return fmt.Errorf("owner of the data: %w", err)
	}
	if owner == id.uid {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s belongs to user %s; run as that user or give another data directory", path, userLabel(owner))
	}
	err = filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == path {
			return err
		}
		return os.Lchown(name, id.uid, id.gid)
	})
	if err = errors.Join(err, os.Lchown(path, id.uid, id.gid)); err != nil {
		return fmt.Errorf("give the data to %s: %w", id.name, err)
	}
	return nil
}

func ownerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s: the system does not tell its owner", path)
	}
	return int(stat.Uid), nil
}

func userLabel(uid int) string {
	if account, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return account.Username
	}
	return strconv.Itoa(uid)
}
