package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"daybook/internal/pgpool"
)

const (
	databaseName = "daybook"
	userName     = "daybook" // the superuser of the cluster
	socketPort   = "5432"    // names the socket file; nothing listens on a network

	pollInterval   = 5 * time.Millisecond
	noticeInterval = 5 * time.Second

	// statementMax is how long a statement may take: making the database copies
	// some megabytes, on a disk that may be busy.
	statementMax = time.Minute

	// maxSocketPath is what fits into a Unix socket address on all systems.
	maxSocketPath = 103
)

// SQLSTATE codes of the errors that are normal while the server starts.
const (
	codeInvalidCatalogName = "3D000" // no such database
	codeCannotConnectNow   = "57P03" // starting up or recovering
)

// connectionURL is the connection string of a database. It sets all parameters that an environment
// variable such as PGHOST could change otherwise.
func connectionURL(socketDir, database string) string {
	host := strings.ReplaceAll(url.QueryEscape(socketDir), "+", "%20") // libpq does not read + as a blank
	return fmt.Sprintf("postgres:///%s?host=%s&port=%s&user=%s&sslmode=disable", database, host, socketPort, userName)
}

// awaitReady makes the database if it is missing, and returns when it answers.
func (s *Server) awaitReady(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	notice := time.NewTicker(noticeInterval)
	defer notice.Stop()
	for {
		err := s.tryDatabase(ctx)
		if err == nil {
			return nil
		}
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code != codeCannotConnectNow {
			return fmt.Errorf("open the database: %w", err)
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("PostgreSQL did not start: %w", s.process.failure())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not answer in time: %w", errors.Join(ctx.Err(), err))
		case <-notice.C:
			s.logger.Info("waiting for PostgreSQL, which may be recovering after a crash", "answer", err)
		case <-poll.C:
		}
	}
}

func (s *Server) tryDatabase(ctx context.Context) error {
	err := execute(ctx, s.url, "")
	if missing, ok := errors.AsType[*pgconn.PgError](err); ok && missing.Code == codeInvalidCatalogName {
		return execute(ctx, connectionURL(s.socket.path, "postgres"), "CREATE DATABASE "+databaseName)
	}
	return err
}

// execute runs one statement on a connection of its own. An empty statement only proves that
// the server accepts statements.
func execute(ctx context.Context, url, statement string) error {
	conn, err := pgpool.Dial(ctx, url, pgpool.Options{ResponseMax: statementMax})
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// socketDir is the folder of the server's socket.
type socketDir struct {
	path      string
	temporary bool // outside the data directory, removed at the end
}

// makeSocketDir makes the private folder of the socket. It is in the data directory, where a
// user finds it, unless that path is too long for a socket address.
func makeSocketDir(root string, who identity) (socketDir, error) {
	dir := socketDir{path: filepath.Join(root, socketDirName)}
	err := os.Mkdir(dir.path, 0o700)
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	if len(filepath.Join(dir.path, ".s.PGSQL."+socketPort)) > maxSocketPath {
		dir.temporary = true
		dir.path, err = os.MkdirTemp("/tmp", "daybook-")
	}
	if err != nil {
		return socketDir{}, fmt.Errorf("make the folder of the database's socket: %w", err)
	}
	if err := who.own(dir.path); err != nil {
		return dir, err
	}
	if err := os.Chmod(dir.path, 0o700); err != nil {
		return dir, fmt.Errorf("the folder of the database's socket: %w", err)
	}
	return dir, nil
}

// remove deletes a temporary folder. A folder in the data directory stays, because it is a
// part of that directory.
func (d socketDir) remove() {
	if d.temporary {
		os.RemoveAll(d.path) // an empty folder left in /tmp does no harm
	}
}
