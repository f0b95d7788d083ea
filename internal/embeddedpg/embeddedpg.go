// Package embeddedpg runs an installed PostgreSQL server as a child of this process. It
// finds, initializes, starts, watches and stops the server. The user only has to install
// PostgreSQL.
//
// The server listens only on a Unix socket in a private folder. It keeps its data in one data
// directory, and it ends with this process. The package never deletes or converts data. If it
// cannot go on safely, it refuses and says what to do. It does not know the schema or the
// migrations of the database, and it does not touch other servers.
package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Config says where the server keeps its data and how it is set up.
type Config struct {
	// DataDir is the program's data directory. It is made if it is missing. The server uses
	// three names in it: postgres (the data), postgres.lock and run (the socket). A non-empty
	// folder without them is refused. So start the server before anything else is written to
	// a new data directory.
	DataDir string
	// Logger receives the server's own log; nil means slog.Default().
	Logger *slog.Logger
	// Getenv returns an environment variable; "" means that it is not set. PG_BIN names the
	// folder of the server's programs, and PATH is searched for them. PATH, HOME, TMPDIR and
	// the folders of libraries are passed on to the server. If Getenv is nil, no variable is
	// set.
	Getenv func(string) string
	// Settings are server settings, by their names in postgresql.conf. They replace the
	// defaults. Where the server listens cannot be changed.
	Settings map[string]string
}

// Server is a running PostgreSQL.
type Server struct {
	url     string
	logger  *slog.Logger
	lock    *dirLock
	socket  socketDir
	process *process

	mu       sync.Mutex
	stopping bool
}

// How long a server may take to end before the next, stronger signal. A fast shutdown first
// writes all changed pages.
const (
	fastShutdownMax      = 60 * time.Second
	immediateShutdownMax = 10 * time.Second
	// killAfter is how long a child may take for an immediate shutdown when the time for the fast
	// one is over. An immediate shutdown waits for nothing, so a child that takes longer is stuck.
	// The limit is short because the caller of Stop has already waited for long.
	killAfter = time.Second
)

// Start finds an installed server, initializes DataDir if it is new, and starts the server.
// It returns when the database answers. ctx bounds only the start; recovery after a crash may
// take long, and Start waits for it. The server runs until Stop, or until this process ends
// for any reason.
//
// Errors: *NotInstalledError, *InUseError, *VersionError. All other errors say what is wrong
// with the data directory, or quote the server.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	if cfg.Getenv == nil {
		cfg.Getenv = func(string) string { return "" }
	}
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDataDir(dir.root)
	if err != nil {
		return nil, err
	}
	s := &Server{logger: logger, lock: lock}
	defer func() {
		if err != nil {
			s.release()
		}
	}()

	major, err := dir.clusterMajor()
	if err != nil {
		return nil, err
	}
	install, err := newFinder(cfg.Getenv).find(ctx, dir.cluster, major)
	if err != nil {
		return nil, err
	}
	who, err := chooseIdentity(ctx, install, dir, cfg.Getenv)
	if err != nil {
		return nil, err
	}
	if err := endLeftover(ctx, dir.cluster, logger); err != nil {
		return nil, err
	}
	if err := dir.prepareCluster(ctx, install, who, cfg.Settings); err != nil {
		return nil, err
	}
	if s.socket, err = makeSocketDir(dir.root, who); err != nil {
		return nil, err
	}
	s.url = connectionURL(s.socket.path, databaseName)
	if err := s.launch(ctx, dir, install, who, cfg.Settings); err != nil {
		return nil, err
	}
	logger.Debug("PostgreSQL started", "version", install.major, "binaries", install.bin,
		"data", dir.cluster, "pid", s.process.pid(), "as", who.name)
	return s, nil
}

// launch starts the child and waits until the database answers. If it does not answer, launch
// ends the child.
func (s *Server) launch(ctx context.Context, dir dataDir, install installation, who identity, settings map[string]string) error {
	args := []string{"-D", dir.cluster}
	args = append(args, settingArgs(ctx, dir, install, who, s.socket.path, settings)...)
	cmd := who.command(context.WithoutCancel(ctx), filepath.Join(install.bin, "postgres"), args...)
	cmd.Dir = dir.root
	var err error
	if s.process, err = startProcess(cmd, s.logger); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.awaitReady(ctx); err != nil {
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), immediateShutdownMax)
		defer cancel()
		return errors.Join(err, s.end(ended))
	}
	return nil
}

// URL is a connection string for the database "daybook". pgx and psql accept it.
func (s *Server) URL() string { return s.url }

// Done is closed when the server has ended, after Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Err says why the server ended. It is nil while the server runs and after Stop. Otherwise it
// has the last lines of the server's log.
func (s *Server) Err() error {
	select {
	case <-s.process.done:
	default:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	return fmt.Errorf("PostgreSQL ended by itself: %w", s.process.failure())
}

// Stop ends the server with a fast shutdown, which leaves a clean data directory. If ctx ends
// first, it uses an immediate shutdown, and soon after that it kills the server. In both
// cases the next start recovers without loss. Stop returns when the server has ended and
// another process can use the data directory, at most a few seconds after ctx has ended. A
// second Stop does no harm.
func (s *Server) Stop(ctx context.Context) error {
	err := s.end(ctx)
	s.release()
	return err
}

// end stops the child with stronger and stronger signals.
func (s *Server) end(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fastShutdownMax)
	defer cancel()
	s.process.signal(syscall.SIGINT)
	select {
	case <-s.process.done:
		return nil
	case <-ctx.Done():
	}
	s.process.signal(syscall.SIGQUIT)
	killed := time.AfterFunc(killAfter, func() { s.process.signal(syscall.SIGKILL) })
	defer killed.Stop()
	<-s.process.done
	return errors.New("PostgreSQL did not shut down in time and was stopped at once; it will recover at the next start")
}

// release gives up the data directory. It may be called more than once, and also if Start has
// acquired only a part of it, such as the lock without the socket.
func (s *Server) release() {
	s.socket.remove()
	s.lock.release()
}

// output runs a short-lived program of the installation.
func output(cmd *exec.Cmd) (string, error) {
	text, err := runProcess(cmd)
	if err != nil {
		return text, fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	return text, nil
}
