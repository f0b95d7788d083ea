package embeddedpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// InUseError means that another process runs a server on the data directory.
type InUseError struct {
	DataDir string
	PID     int // of the process that has the lock; 0 if it has not written its number
}

func (e *InUseError) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the data directory %s is in use by %s; stop it first, or give another data directory", e.DataDir, holder)
}

// dirLock is an exclusive lock on a data directory. The kernel releases it when the process
// ends, for any reason. So it is never stale.
type dirLock struct {
	file *os.File
	once sync.Once
}

// lockMode keeps other users from opening the file. A user who can open it can lock it, and
// so keep the program from starting.
const lockMode = 0o600

func lockDataDir(root string) (*dirLock, error) {
	file, err := os.OpenFile(filepath.Join(root, lockName), os.O_RDWR|os.O_CREATE, lockMode)
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be written: %w", err)
	}
	// An earlier version made the file readable for others.
	if err := file.Chmod(lockMode); err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", errors.Join(err, file.Close()))
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid := readPID(file)
		return nil, errors.Join(&InUseError{DataDir: root, PID: pid}, file.Close())
	}
	if err == nil {
		err = errors.Join(writePID(file), shareWithOwner(file, root))
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", errors.Join(err, file.Close()))
	}
	return &dirLock{file: file}, nil
}

// shareWithOwner lets the owner of the data directory take the lock later, if root makes the
// file now.
func shareWithOwner(file *os.File, root string) error {
	owner, err := ownerOf(root)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	return file.Chown(owner, -1)
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID is 0 while the holder has not written its number yet.
func readPID(file *os.File) int {
	text := make([]byte, 32)
	n, err := file.ReadAt(text, 0)
	if n == 0 && err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// release unlocks explicitly. Closing the file would not unlock it while a child that is just
// being started has it open. The file stays, because a waiting process may already have
// opened it.
func (l *dirLock) release() {
	l.once.Do(func() {
		syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) //nolint:errcheck // it fails only on a closed file
		l.file.Close()
	})
}
