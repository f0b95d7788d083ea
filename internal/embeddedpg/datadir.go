package embeddedpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Names in the data directory.
const (
	clusterName    = "postgres"
	lockName       = "postgres.lock"
	unfinishedName = "postgres.unfinished"
	socketDirName  = "run"
)

// dataDir is the layout of a data directory.
type dataDir struct {
	root    string // absolute, no symbolic links
	cluster string // root/postgres: what PostgreSQL calls its data directory
}

// openDataDir makes the data directory if it is missing. It refuses a folder with other
// files.
func openDataDir(path string) (dataDir, error) {
	if path == "" {
		return dataDir{}, errors.New("no data directory given")
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return dataDir{}, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return dataDir{}, fmt.Errorf("make the data directory: %w", err)
	}
	// No other user may list or read it. If root makes it, other users may pass through,
	// because the server then runs as another user.
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(root, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return dataDir{}, fmt.Errorf("make the data directory: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return dataDir{}, fmt.Errorf("data directory %s: %w", path, err)
	}
	d := dataDir{root: root, cluster: filepath.Join(root, clusterName)}
	return d, d.refuseForeign()
}

// refuseForeign returns an error for a folder that is neither empty nor a data directory of
// this program.
func (d dataDir) refuseForeign() error {
	names, err := namesIn(d.root)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", d.root, err)
	}
	if slices.Contains(names, "PG_VERSION") {
		return fmt.Errorf("%s is the data directory of another PostgreSQL server; nothing was changed. Use that server by DATABASE_URL, or give an empty folder", d.root)
	}
	if len(names) > 0 && !slices.Contains(names, lockName) && !slices.Contains(names, clusterName) {
		return fmt.Errorf("%s is not empty and holds no database of this program; nothing was changed. Give an empty or new folder", d.root)
	}
	inside, err := namesIn(d.cluster)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory %s: %w", d.root, err)
	}
	if len(inside) > 0 && !slices.Contains(inside, "PG_VERSION") {
		return fmt.Errorf("%s is not empty and holds no PostgreSQL data; nothing was changed. Move it away, or give another folder", d.cluster)
	}
	return nil
}

// namesIn lists a folder, without the names that file systems and desktops add.
func namesIn(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); name != "lost+found" && name != ".DS_Store" {
			names = append(names, name)
		}
	}
	return names, nil
}

// clusterMajor is the major version that wrote the data, or 0 if there is none.
func (d dataDir) clusterMajor() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.cluster, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return 0, fmt.Errorf("the data in %s belongs to another user; run as that user: %w", d.cluster, err)
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data: %w", err)
	}
	major, err := leadingNumber(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s/PG_VERSION: %w", d.cluster, err)
	}
	return major, nil
}

// prepareCluster makes the cluster if there is none. It makes sure that the cluster belongs to the
// user that runs the server.
func (d dataDir) prepareCluster(ctx context.Context, install installation, who identity, settings map[string]string) error {
	major, err := d.clusterMajor()
	if err != nil {
		return err
	}
	if major > 0 {
		if err := who.own(d.cluster); err != nil {
			return err
		}
		return d.rejectHosts(who)
	}
	return d.initialize(ctx, install, who, settings["fsync"] == "off")
}

// trustedHost is a line that initdb wrote for earlier versions of this program. If the server
// listened on a port, this line would let everybody who reaches the port connect without a
// password.
var trustedHost = regexp.MustCompile(`(?m)^(host +(?:all|replication) +all +(?:127\.0\.0\.1/32|::1/128) +)trust$`)

// rejectHosts changes each trustedHost line of an older cluster into a refusal. It leaves all other
// lines as they are. If there is no such line, it writes nothing.
func (d dataDir) rejectHosts(who identity) error {
	path := filepath.Join(d.cluster, "pg_hba.conf")
	rules, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read who may connect: %w", err)
	}
	rejecting := trustedHost.ReplaceAll(rules, []byte("${1}reject"))
	if bytes.Equal(rules, rejecting) {
		return nil
	}
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, rejecting, 0o600); err != nil {
		return fmt.Errorf("write who may connect: %w", err)
	}
	if os.Geteuid() == 0 { // the server reads it as another user
		if err := os.Lchown(unfinished, who.uid, who.gid); err != nil {
			return fmt.Errorf("write who may connect: %w", err)
		}
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("write who may connect: %w", err)
	}
	return nil
}

// initialize makes the cluster in a folder beside it, and renames that folder when it is
// complete and on disk. So a crash leaves no incomplete cluster.
func (d dataDir) initialize(ctx context.Context, install installation, who identity, unsafe bool) error {
	unfinished := filepath.Join(d.root, unfinishedName)
	// An interrupted attempt never held data of a user.
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("initialize the database: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("initialize the database: %w", err)
	}
	defer os.RemoveAll(unfinished) // after the rename there is nothing to remove; if this fails, the next start removes the folder
	if err := who.own(unfinished); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + unfinished, "--username=" + userName, "--encoding=UTF8", "--locale=C", "--data-checksums",
		"--auth-local=trust", // clients come through a socket in a folder that only its owner may enter
		"--auth-host=reject", // clients never come through a port; if the server listens on one, it refuses them
		"--no-instructions",
	}
	if unsafe {
		args = append(args, "--no-sync")
	}
	// initdb flushes all it wrote before it returns.
	cmd := who.command(ctx, filepath.Join(install.bin, "initdb"), args...)
	cmd.Dir = d.root
	if text, err := output(cmd); err != nil {
		return fmt.Errorf("initialize the database in %s: %w\n%s", d.root, err, lastLines(text, 12))
	}
	if err := os.Remove(d.cluster); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("initialize the database: %w", err) // it is empty: refuseForeign has checked that
	}
	if err := os.Rename(unfinished, d.cluster); err != nil {
		return fmt.Errorf("initialize the database: %w", err)
	}
	if unsafe {
		return nil
	}
	return errors.Join(syncDir(d.root), syncDir(filepath.Dir(d.root)))
}

// syncDir makes the names in a folder durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // a parent folder that we may not read need not be flushed by us
		}
		return fmt.Errorf("flush %s: %w", path, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("flush %s: %w", path, err)
	}
	return nil
}

func lastLines(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
