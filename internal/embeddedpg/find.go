package embeddedpg

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// minMajor is the oldest PostgreSQL that is supported.
const minMajor = 14

// installation is a folder with a server's programs.
type installation struct {
	bin   string // absolute
	major int
}

// NotInstalledError means that no usable PostgreSQL server was found on this
// machine. Its text says how to get one.
type NotInstalledError struct {
	Rejected []string // what was found and why it cannot be used
}

func (e *NotInstalledError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "no PostgreSQL server (version %d or newer) found on this machine\n", minMajor)
	for _, r := range e.Rejected {
		fmt.Fprintf(&text, "  not usable: %s\n", r)
	}
	text.WriteString("Install one:\n")
	for _, line := range installAdvice(runtime.GOOS) {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	text.WriteString("or name the folder of its programs in PG_BIN, or use a running server by DATABASE_URL")
	return text.String()
}

func installAdvice(goos string) []string {
	switch goos {
	case "darwin":
		return []string{"brew install postgresql@17", "or Postgres.app, https://postgresapp.com"}
	case "linux":
		return []string{
			"Debian, Ubuntu   apt-get install postgresql",
			"Fedora, RHEL     dnf install postgresql-server",
			"Alpine           apk add postgresql",
			"Arch             pacman -S postgresql",
			"openSUSE         zypper install postgresql-server",
		}
	}
	return []string{"see https://www.postgresql.org/download/"}
}

// VersionError means that another major version wrote the data, and that version is not
// installed. Nothing was changed.
type VersionError struct {
	DataDir   string
	Data      int   // major version that wrote the data
	Installed []int // major versions found, best first
}

func (e *VersionError) Error() string {
	found := make([]string, len(e.Installed))
	for i, major := range e.Installed {
		found[i] = strconv.Itoa(major)
	}
	return fmt.Sprintf(`the data in %[1]s was written by PostgreSQL %[2]d, but only PostgreSQL %[3]s is installed; nothing was changed.
Either install PostgreSQL %[2]d beside it (on Debian: apt-get install postgresql-%[2]d); it is then chosen by itself.
Or move the data: where PostgreSQL %[2]d is installed, start on this data directory and run
  pg_dump --format=custom --file=daybook.dump DATABASE_URL
then start on a new, empty data directory with the other version and run
  pg_restore --clean --if-exists --dbname=DATABASE_URL daybook.dump`,
		e.DataDir, e.Data, strings.Join(found, ", "))
}

// finder looks for installations. Its fields are everything that it uses of the machine, so
// tests can give it another machine.
type finder struct {
	getenv   func(string) string
	lookPath func(string) (string, error)
	root     string // of the file system that is searched; "/" outside tests
}

func newFinder(getenv func(string) string) finder {
	lookPath := func(name string) (string, error) { return searchPath(getenv("PATH"), name) }
	return finder{getenv: getenv, lookPath: lookPath, root: "/"}
}

// searchPath finds a program in the folders of a search path. It ignores relative folders, as
// exec.LookPath does.
func searchPath(path, name string) (string, error) {
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		if program, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return program, nil
		}
	}
	return "", exec.ErrNotFound
}

// find chooses the server for a data directory. It takes one of the major version that wrote
// the data. For a new data directory (major 0) it takes the first in order of preference.
func (f finder) find(ctx context.Context, cluster string, major int) (installation, error) {
	var usable []installation
	missing := &NotInstalledError{}
	bins := f.folders(ctx)
	if named := f.getenv("PG_BIN"); named != "" {
		// PG_BIN is a choice of the user. If it cannot be used, that is an error.
		bin, err := filepath.Abs(named)
		if err != nil {
			return installation{}, fmt.Errorf("PG_BIN: %w", err)
		}
		if _, err := inspect(ctx, bin); err != nil {
			return installation{}, fmt.Errorf("PG_BIN: %w", err)
		}
		bins = slices.Insert(bins, 0, bin)
	}
	for _, bin := range bins {
		got, err := inspect(ctx, bin)
		if ctx.Err() != nil {
			return installation{}, fmt.Errorf("look for a PostgreSQL server: %w", ctx.Err())
		}
		if err != nil {
			missing.Rejected = append(missing.Rejected, err.Error())
			continue
		}
		if major == 0 || got.major == major {
			return got, nil
		}
		usable = append(usable, got)
	}
	if len(usable) == 0 {
		return installation{}, missing
	}
	found := make([]int, len(usable))
	for i, u := range usable {
		found[i] = u.major
	}
	return installation{}, &VersionError{DataDir: cluster, Data: major, Installed: slices.Compact(found)}
}

// folders lists the existing folders that hold a server, best first, each once.
func (f finder) folders(ctx context.Context) []string {
	var bins []string
	add := func(bin string) {
		if !slices.Contains(bins, bin) {
			bins = append(bins, bin)
		}
	}
	if tool, err := f.lookPath("pg_config"); err == nil {
		text, err := output(exec.CommandContext(ctx, tool, "--bindir"))
		// The client library also brings pg_config, so pg_config counts only if a server is
		// there.
		if bin := strings.TrimSpace(text); err == nil && hasServer(bin) {
			add(bin)
		}
	}
	for _, pattern := range []string{
		"usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
		"usr/libexec/postgresql*",                           // Alpine
		"usr/pgsql-*/bin",                                   // packages of postgresql.org for Fedora and RHEL
		"opt/homebrew/opt/postgresql@*/bin",                 // Homebrew, Apple silicon
		"usr/local/opt/postgresql@*/bin",                    // Homebrew, Intel
		"home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew, Linux
		"Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
		"usr/local/pgsql/bin",                               // built from source
	} {
		matches, err := filepath.Glob(filepath.Join(f.root, pattern))
		if err != nil {
			continue // the only error is a malformed pattern, and these patterns are correct
		}
		slices.SortFunc(matches, func(a, b string) int { return cmp.Compare(numberIn(b), numberIn(a)) })
		for _, bin := range matches {
			if hasServer(bin) {
				add(bin)
			}
		}
	}
	if server, err := f.lookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(server); err == nil && hasServer(filepath.Dir(real)) {
			add(filepath.Dir(real))
		}
	}
	return bins
}

func hasServer(bin string) bool {
	for _, program := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(filepath.Join(bin, program)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// numberIn is the last number in a path. It is the version in all places where several
// versions are installed side by side.
func numberIn(path string) int {
	end := strings.LastIndexAny(path, "0123456789") + 1
	start := end
	for start > 0 && path[start-1] >= '0' && path[start-1] <= '9' {
		start--
	}
	number, err := strconv.Atoi(path[start:end])
	if err != nil {
		return 0 // no digits
	}
	return number
}

// inspect asks a folder's server for its version.
func inspect(ctx context.Context, bin string) (installation, error) {
	if !hasServer(bin) {
		return installation{}, fmt.Errorf("%s: no postgres and initdb in it", bin)
	}
	text, err := output(exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version"))
	if err != nil {
		return installation{}, fmt.Errorf("%s: %w", bin, err)
	}
	major, err := parseVersion(text)
	if err != nil {
		return installation{}, fmt.Errorf("%s: %w", bin, err)
	}
	if major < minMajor {
		return installation{}, fmt.Errorf("%s: version %d is too old", bin, major)
	}
	return installation{bin: bin, major: major}, nil
}

// parseVersion reads the major version from what "postgres --version" prints,
// such as "postgres (PostgreSQL) 18beta1".
func parseVersion(text string) (int, error) {
	_, version, ok := strings.Cut(text, "(PostgreSQL) ")
	if !ok {
		return 0, fmt.Errorf("unexpected answer to --version: %q", text)
	}
	return leadingNumber(version)
}

func leadingNumber(text string) (int, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	number, err := strconv.Atoi(text[:end])
	if err != nil {
		return 0, fmt.Errorf("not a version: %q", text)
	}
	return number, nil
}
