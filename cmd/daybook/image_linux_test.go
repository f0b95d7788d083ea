package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/internal/pgtest"
)

// The tests in this file need no container engine. They carry out the Dockerfile's instructions
// themselves: they build what its first stage builds, put the files of each image into a folder,
// and run the entrypoint in there (chroot) as the image's user. What a base image has is taken from
// this machine: its shell, its PostgreSQL, and the libraries that these need. `make image-check`
// runs them.

// image is the file system of an image, in a folder.
type image struct {
	t    *testing.T
	root string
	of   stage
}

// openImages skips a test that cannot be run here.
func openImages(t *testing.T) (stages map[string]stage, built string) {
	t.Helper()
	if os.Getenv("DAYBOOK_IMAGES") == "" {
		t.Skip("make image-check runs it, because it builds the program once more")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can enter the image's file system as another user: run make image-check as root")
	}
	stages = map[string]stage{}
	for _, one := range stagesOf(t) {
		stages[one.name] = one
	}
	return stages, buildStage(t, stages["build"])
}

// absolute matches the paths in a command of the stage build.
var absolute = regexp.MustCompile(`(^|\s)/`)

// buildStage carries out the stage build in the repository. What it writes to / comes into a
// folder.
func buildStage(t *testing.T, build stage) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, one := range build.steps {
		switch one.word {
		case "RUN":
			if one.rest == "go mod download" {
				continue // the modules of this machine are used
			}
			command := absolute.ReplaceAllString(one.rest, "${1}"+root+"/")
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
			cmd.Dir, cmd.Env = "../..", append(os.Environ(), "VERSION=image-check")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", one.rest, err, out)
			}
		case "COPY":
			for _, source := range strings.Fields(one.rest)[:len(strings.Fields(one.rest))-1] {
				if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
					t.Errorf("COPY %s: %v", one.rest, err)
				}
			}
		}
	}
	return root
}

// layOut makes the file system of an image.
func layOut(t *testing.T, of stage, built string) *image {
	t.Helper()
	i := &image{t: t, root: t.TempDir(), of: of}
	for _, folder := range []string{filepath.Dir(i.root), i.root} {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // as / is in an image
			t.Fatal(err)
		}
	}
	i.base()
	for _, one := range of.steps {
		switch one.word {
		case "COPY":
			if one.flags["from"] != "build" {
				t.Fatalf("COPY %s: from where?", one.rest)
			}
			source, target, _ := strings.Cut(one.rest, " ")
			i.copyTree(filepath.Join(built, source), target, one.flags["chown"])
		case "RUN":
			i.do(one.rest)
		case "WORKDIR":
			i.must(os.MkdirAll(i.at(one.rest), 0o755)) //nolint:gosec // as an engine does it
		}
	}
	return i
}

func (i *image) at(path string) string { return filepath.Join(i.root, path) }

func (i *image) must(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

// base puts in what the base image has, and what an engine adds.
func (i *image) base() {
	i.t.Helper()
	for path, mode := range map[string]os.FileMode{"tmp": 0o777 | fs.ModeSticky, "dev": 0o755, "dev/shm": 0o777 | fs.ModeSticky, "etc": 0o755, "usr/bin": 0o755, "proc": 0o555} {
		i.must(os.MkdirAll(i.at(path), 0o755)) //nolint:gosec // as in an image
		i.must(os.Chmod(i.at(path), mode))
	}
	null := i.at("dev/null")
	if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		i.must(os.WriteFile(null, nil, 0o666)) //nolint:gosec // this machine lets nobody make devices
	}
	i.must(os.Chmod(null, 0o666)) //nolint:gosec // as everywhere
	passwd := "root:x:0:0:root:/root:/sbin/nologin\n"
	switch {
	case strings.Contains(i.of.base, "distroless/static"):
		passwd += "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	case strings.HasPrefix(i.of.base, "debian:"):
		i.fromHost("/bin/sh", "/bin/true", "/bin/cat")
	default:
		i.t.Fatalf("the test does not know what the image %s has", i.of.base)
	}
	i.must(os.WriteFile(i.at("etc/passwd"), []byte(passwd), 0o644)) //nolint:gosec // as in an image
}

var packagesOf = regexp.MustCompile(`^apt-get update && apt-get install -y --no-install-recommends (.*) && rm -rf /var/lib/apt/lists/\*$`)

// do carries out a RUN. Packages are not installed: their files are those of this machine.
func (i *image) do(command string) {
	i.t.Helper()
	found := packagesOf.FindStringSubmatch(command)
	if found == nil {
		cmd := exec.CommandContext(i.t.Context(), "/bin/sh", "-euc", command)
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: i.root}, "/"
		if out, err := cmd.CombinedOutput(); err != nil {
			i.t.Fatalf("RUN %s: %v\n%s", command, err, out)
		}
		return
	}
	for name := range strings.FieldsSeq(found[1]) {
		switch {
		case strings.HasPrefix(name, "postgresql-"):
			i.installPostgreSQL()
		case name == "ca-certificates": // nothing in these tests asks another machine
		default:
			i.t.Fatalf("the test does not know the package %s", name)
		}
	}
}

// installPostgreSQL copies the newest PostgreSQL of this machine, to where Debian has it.
func (i *image) installPostgreSQL() {
	i.t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		i.t.Skip("this machine has no PostgreSQL where Debian puts it")
	}
	version := strings.Split(found[len(found)-1], "/")[4]
	for _, name := range []string{"postgres", "initdb", "pg_config"} {
		i.fromHost("/usr/lib/postgresql/" + version + "/bin/" + name)
	}
	libraries, err := filepath.Glob("/usr/lib/postgresql/" + version + "/lib/*.so")
	i.must(err)
	for _, library := range libraries {
		if !strings.Contains(library, "llvmjit") { // it is large, and Daybook turns it off
			i.fromHost(library)
		}
	}
	for _, folder := range []string{"/usr/share/postgresql/" + version, "/usr/share/zoneinfo"} {
		i.copyTree(folder, folder, "")
	}
}

var libraryPath = regexp.MustCompile(`(/\S+) \(0x`)

// fromHost copies programs or libraries of this machine, and the libraries that they need.
func (i *image) fromHost(paths ...string) {
	i.t.Helper()
	for _, path := range paths {
		needs := []string{path}
		out, err := exec.CommandContext(i.t.Context(), "ldd", path).Output() //nolint:gosec // programs of this machine
		if err == nil {
			for _, library := range libraryPath.FindAllStringSubmatch(string(out), -1) {
				needs = append(needs, library[1])
			}
		}
		for _, one := range needs {
			if _, err := os.Stat(i.at(one)); err == nil {
				continue
			}
			data, err := os.ReadFile(one)
			i.must(err)
			i.must(os.MkdirAll(filepath.Dir(i.at(one)), 0o755)) //nolint:gosec // as in an image
			i.must(os.WriteFile(i.at(one), data, 0o755))        //nolint:gosec // as in an image
		}
	}
}

// copyTree copies a file or a folder into the image.
func (i *image) copyTree(source, target, owner string) {
	i.t.Helper()
	uid, gid := 0, 0
	if owner != "" {
		_, err := fmt.Sscanf(owner, "%d:%d", &uid, &gid)
		i.must(err)
	}
	i.must(os.MkdirAll(filepath.Dir(i.at(target)), 0o755)) //nolint:gosec // as an engine does it
	i.must(filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		to := i.at(filepath.Join(target, inside))
		info, err := os.Stat(path) // links become files
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // a link to something that is not installed
		case err != nil:
			return err
		case entry.IsDir():
			err = os.MkdirAll(to, info.Mode().Perm())
		case info.Mode().IsRegular():
			var data []byte
			if data, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(to, data, info.Mode().Perm())
			}
		default:
			return nil
		}
		return errors.Join(err, ignoreMissing(os.Lchown(to, uid, gid)))
	}))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// command is the image's entrypoint with arguments, as the image's user. Without arguments it is
// what the image starts by itself.
func (i *image) command(env []string, args ...string) *exec.Cmd {
	i.t.Helper()
	uid, gid, found := strings.Cut(i.of.find(i.t, "USER").rest, ":")
	user, userErr := strconv.ParseUint(uid, 10, 32)
	group, groupErr := strconv.ParseUint(gid, 10, 32)
	if !found || userErr != nil || groupErr != nil || user == 0 || group == 0 {
		i.t.Fatalf("the image %s has the user %s:%s", i.of.name, uid, gid)
	}
	words := i.of.find(i.t, "ENTRYPOINT").list(i.t)
	if len(args) == 0 {
		args = i.of.find(i.t, "CMD").list(i.t)
	}
	words = append(words, args...)
	cmd := exec.CommandContext(context.WithoutCancel(i.t.Context()), words[0], words[1:]...) //nolint:gosec // the image's program
	cmd.Path, cmd.Err = words[0], nil                                                        // it is looked for in the image, and not on this machine
	cmd.Dir, cmd.Env = i.of.find(i.t, "WORKDIR").rest, append(i.of.environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(group)}}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// serves starts the image with no arguments, waits until it is ready, asks its probes, and stops
// it.
func (i *image) serves(env ...string) {
	t := i.t
	t.Helper()
	cmd, out, log := i.command(append(env, "DAYBOOK_LISTEN=127.0.0.1:0")), &logBuffer{}, &logBuffer{}
	cmd.Stdout, cmd.Stderr = out, log
	i.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var address string
	eventually(t, patience, "the image answers", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the image %s ended: %v\n%s", i.of.name, err, log)
		default:
		}
		if found := answersAt.FindStringSubmatch(out.String()); found != nil {
			address = found[1]
		}
		return address != ""
	})
	for _, path := range []string{"/livez", "/readyz"} {
		eventually(t, patience, path+" is good", func() bool {
			response, text, err := getBy(t.Context(), http.DefaultClient, address+path)
			return err == nil && response.StatusCode == http.StatusOK && strings.Contains(text, `"status"`)
		})
	}
	i.must(cmd.Process.Signal(syscall.SIGTERM))
	if err := <-ended; err != nil {
		t.Errorf("the image %s ended with %v\n%s", i.of.name, err, log)
	}
}

// overTCP makes a database of the tests, which has only a socket, reachable at a port. It returns
// the database's address there.
func overTCP(t *testing.T) string {
	t.Helper()
	parsed, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(parsed.Query().Get("host"), ".s.PGSQL."+firstOf(parsed.Query().Get("port"), "5432"))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			server, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "unix", socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		}
	}()
	return "postgres://" + parsed.Query().Get("user") + "@" + listener.Addr().String() + parsed.Path + "?sslmode=disable"
}

func firstOf(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Both images start as a user that is not root, and become ready: the small one on a database that
// it is given, the other one on the PostgreSQL that is in it.
func TestTheImagesRun(t *testing.T) {
	t.Parallel()
	stages, built := openImages(t)
	for name, env := range map[string]func(*testing.T) []string{
		"small":      func(t *testing.T) []string { return []string{"DATABASE_URL=" + overTCP(t)} },
		"standalone": func(*testing.T) []string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			i := layOut(t, stages[name], built)
			if out, err := exec.CommandContext(t.Context(), "ldd", i.at("usr/local/bin/daybook")).CombinedOutput(); err == nil { //nolint:gosec // the built program
				t.Errorf("the program needs libraries: %s", out)
			}
			out, err := i.command(nil, "version").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "image-check") {
				t.Fatalf("version: %v\n%s", err, out)
			}
			i.serves(env(t)...)
			i.serves(env(t)...) // also on a volume that has data already
		})
	}
}
