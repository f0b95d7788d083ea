package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
)

// The tests in this file do what an operator does who follows a page of the documentation: they run
// the page's commands from its beginning to its end, in one folder, with the real program. Only
// names and addresses that no test has are replaced, such as those of other machines.

// pageCommand matches a command in an indented block with its further lines, and a call of the
// program in backticks.
var pageCommand = regexp.MustCompile("(?m)^    ((?:[A-Z_]+=\\S+ )*(?:daybook|curl) (?:.*\\\\\n)*.*)$|`(daybook [^`]+)`")

// runsAlone are the calls in backticks that are whole though they have no arguments.
var runsAlone = []string{"daybook verify", "daybook migrate", "daybook check-wal"}

// notRun are calls in backticks that are not run, with the reason.
var notRun = map[string]string{
	"daybook bench growth":     "it measures for minutes",
	"daybook keys":             "it names all subcommands of keys",
	"daybook backup":           "it names the subcommand",
	"daybook bench":            "it names the subcommand",
	"daybook staff":            "it names all subcommands of staff",
	"daybook serve --help":     "another test reads the help",
	"daybook accept-log":       "docs/restore.md has its story",
	"daybook restore --help":   "another test reads the help",
	"daybook backup --help":    "another test reads the help",
	"daybook check-wal --help": "another test reads the help",
	"daybook rebuild":          "it names the subcommand",
}

// page is a page whose commands are run.
type page struct {
	t        *testing.T
	folder   string
	env      map[string]string
	replaces *strings.Replacer
	// served is called with each server that a command starts, while it runs. number is 1 for the
	// first.
	served func(number int, s *pageServer)
	// ran is called with the output of each other command.
	ran func(command, output string, code int)

	// other is a database of one's own. Calls in backticks and check-wal use it. If it is empty,
	// they use what the other commands use.
	other string

	server *pageServer
	// provider is the simulated provider of payments, once a command has started it.
	provider *pageServer
	number   int
	runs     int
}

// pageServer is a server that a command of a page has started.
type pageServer struct {
	cmd   *exec.Cmd
	out   *logBuffer
	log   *logBuffer
	url   string
	ended chan error // gets the result when the process has ended
}

// newPage is a page whose commands find the program by its name, in an empty folder.
func newPage(t *testing.T, replaces ...string) *page {
	t.Helper()
	folder := filepath.Dir(dataDir(t))
	tools := filepath.Dir(build(t))
	return &page{t: t, folder: folder, replaces: strings.NewReplacer(append([]string{"\\\n", " "}, replaces...)...), env: map[string]string{
		"PATH": tools + ":" + os.Getenv("PATH"), "HOME": folder, "TMPDIR": os.TempDir(), "PG_BIN": os.Getenv("PG_BIN"), "DAYBOOK_LISTEN": "127.0.0.1:0",
	}}
}

// write makes a file in the page's folder.
func (p *page) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// follow runs all commands of a page in their order.
func (p *page) follow(name string) {
	p.t.Helper()
	seen := map[string]bool{}
	for _, found := range pageCommand.FindAllStringSubmatch(document(p.t, name), -1) {
		command, inline := found[1], found[2]
		if inline != "" {
			whole := slices.Contains(runsAlone, inline) || len(strings.Fields(inline)) > 2
			if seen[inline] || notRun[inline] != "" || strings.Contains(inline, "FILE") {
				continue
			}
			if !whole {
				p.t.Errorf("%s: %s is not run, and no list says why", name, inline)
				continue
			}
			seen[inline], command = true, inline
		}
		p.run(p.replaces.Replace(command), inline != "" || command == "daybook check-wal")
	}
	p.stop()
}

// run runs a command. A server goes on while backups are made, while clients ask, and while
// commands use another database.
func (p *page) run(command string, elsewhere bool) {
	p.t.Helper()
	p.runs++
	if strings.HasPrefix(command, "daybook simulated-provider") { // runs beside the shop
		p.provider = p.launch(command + " --listen 127.0.0.1:0")
		return
	}
	if p.provider != nil {
		command = strings.ReplaceAll(command, "http://127.0.0.1:8090", p.provider.url)
	}
	if strings.Contains(command, "daybook serve") {
		p.stop()
		p.start(command)
		return
	}
	if elsewhere = elsewhere && p.other != ""; elsewhere {
		before := p.env["DATABASE_URL"]
		p.env["DATABASE_URL"] = p.other
		defer func() { p.env["DATABASE_URL"] = before }()
	}
	if !strings.HasPrefix(command, "curl") && !strings.HasPrefix(command, "daybook backup") && !elsewhere && p.env["DATABASE_URL"] == "" {
		p.stop()
	}
	if kind, _, is := strings.Cut(command, " ID"); is {
		id, token := p.freshID(strings.Fields(kind)[1])
		command = strings.Replace(command, " ID", " "+id, 1)
		if before, after, is := strings.Cut(command, " SESSION"); is {
			command = before + " " + p.freshSession(token) + after
		}
	}
	if p.server != nil {
		command = strings.ReplaceAll(command, "http://127.0.0.1:8080", p.server.url)
	}
	output, code := p.sh(command)
	p.ran(command, output, code)
}

// sh runs a command with a shell, and returns its output and its exit code.
func (p *page) sh(command string) (output string, code int) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "sh", "-euc", command)
	cmd.Dir, cmd.Env = p.folder, p.environ()
	out, err := cmd.CombinedOutput()
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		p.t.Fatalf("%s: %v", command, err)
	}
	return string(out), 0
}

func (p *page) environ() (all []string) {
	for name, value := range p.env {
		if value != "" {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// freshSession lets the person with a token sign in at a server on the page's database, and returns
// the id of the session.
func (p *page) freshSession(token string) string {
	p.t.Helper()
	s := &keyedShop{t: p.t, database: p.env["DATABASE_URL"]}
	s.running = serve(p.t, "--database-url", s.database)
	s.redeem(token)
	return member(p.t, s.signIn(p.freshEmail(), goodPassword).text, "session", "session_id")
}

// freshEmail is the address of the person whom the command makes that runs now.
func (p *page) freshEmail() string { return fmt.Sprintf("n%d@shop.example", p.runs) }

// freshID makes a key or a person, for a command that needs the id of one. token is the token of
// the person.
func (p *page) freshID(kind string) (id, token string) {
	p.t.Helper()
	command := "daybook keys create --json --role operator --name fresh"
	if kind == "staff" {
		command = fmt.Sprintf("daybook staff invite --json --email %s --name N --role operator", p.freshEmail())
	}
	output, code := p.sh(command + " 2>/dev/null") // the log is on stderr
	if code != 0 {
		p.t.Fatalf("%s: %s", command, output)
	}
	var made struct {
		Key struct {
			KeyID string `json:"key_id"`
		} `json:"key"`
		Person struct {
			PersonID string `json:"person_id"`
		} `json:"person"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(output), &made); err != nil || made.Key.KeyID+made.Person.PersonID == "" {
		p.t.Fatalf("%s: %v %s", command, err, output)
	}
	return made.Key.KeyID + made.Person.PersonID, made.Token
}

// answersAt is what a server of the shop, or of the simulated provider, prints when it is ready.
var answersAt = regexp.MustCompile(`(?:Daybook|The simulated provider) answers at (\S+)\. `)

// start starts a server of the shop.
func (p *page) start(command string) {
	p.t.Helper()
	p.server = p.launch(command)
	p.number++
	p.served(p.number, p.server)
}

// launch starts a server and waits until it answers.
func (p *page) launch(command string) *pageServer {
	p.t.Helper()
	s := &pageServer{out: &logBuffer{}, log: &logBuffer{}}
	words := strings.Fields(command)
	given := slices.IndexFunc(words, func(word string) bool { return word == "daybook" })
	s.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), build(p.t), words[given+1:]...) //nolint:gosec // it is the program
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = p.folder, append(p.environ(), words[:given]...), s.out, s.log
	s.cmd.WaitDelay = 10 * time.Second
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.cmd.Wait() }()
	p.t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // it has ended, unless the test has failed
	eventually(p.t, patience, command+" answers", func() bool {
		select {
		case err := <-s.ended:
			p.t.Fatalf("%s ended: %v\n%s", command, err, s.log)
		default:
		}
		if found := answersAt.FindStringSubmatch(s.out.String()); found != nil {
			s.url = found[1]
		}
		return s.url != ""
	})
	return s
}

// stop ends the server that runs, if there is one, as systemd would.
func (p *page) stop() {
	p.t.Helper()
	if p.server == nil {
		return
	}
	s := p.server
	p.server = nil
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			p.t.Errorf("%s ended with %v:\n%s", s.cmd, err, s.log)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s does not end:\n%s", s.cmd, s.log)
	}
}

// admin is the address of a server's admin port.
func (s *pageServer) admin(t *testing.T) string {
	t.Helper()
	var found []string
	eventually(t, patience, "the address of the admin port", func() bool {
		found = regexp.MustCompile(`Metrics are at (\S+)/metrics`).FindStringSubmatch(s.out.String())
		return found != nil
	})
	return found[1]
}

// askAs sends a request with a bearer token, and returns the status and the body.
func askAs(t *testing.T, method, url, token, body string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

// mustAsk is askAs for a request that has to succeed.
func mustAsk(t *testing.T, method, url, token, body string) string {
	t.Helper()
	status, text := askAs(t, method, url, token, body)
	if status/100 != 2 {
		t.Errorf("%s %s: %d %s", method, url, status, text)
	}
	return text
}

func (p *page) adminKey(dir string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, dir, adminKeyFile))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// docs/operations.md: metrics, traces, backups, a restore and an upgrade work as the page says.
func TestThePageOnOperationsIsWhatHappens(t *testing.T) {
	t.Parallel()
	received := make(chan string, 1000)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received <- r.URL.Path
	}))
	t.Cleanup(collector.Close)
	p := newPage(t, "127.0.0.1:9090", "127.0.0.1:0", "10.0.0.7:9090", "127.0.0.1:0", "http://127.0.0.1:4318", collector.URL)
	p.env["DAYBOOK_DATA_DIR"] = "./shop"
	p.write("admin.token", strings.Repeat("t", 32))
	p.write("passphrase", "correct horse")
	p.write("provider.secret", strings.Repeat("s", 32)+"\n")
	if err := os.Mkdir(filepath.Join(p.folder, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.other = pgtest.URL(t)
	p.served = func(number int, s *pageServer) {
		key := p.adminKey("shop")
		product := s.url + "/v1/products/MUG"
		switch number {
		case 1:
			mustAsk(t, http.MethodPut, product, key, `{"title":"Enamel mug","kind":"stocked"}`)
			eventually(t, patience, "the metrics say that the node is ready", func() bool {
				return valueOf(mustAsk(t, http.MethodGet, s.admin(t)+"/metrics", "", ""), "daybook_ready") == "1"
			})
			mustAsk(t, http.MethodGet, s.admin(t)+"/readyz", "", "")
			mustAsk(t, http.MethodGet, s.admin(t)+"/debug/pprof/", "", "")
		case 2:
			if status, _ := askAs(t, http.MethodGet, s.admin(t)+"/metrics", "", ""); status != http.StatusUnauthorized {
				t.Errorf("metrics without the token: %d", status)
			}
			mustAsk(t, http.MethodGet, s.admin(t)+"/metrics", strings.Repeat("t", 32), "")
		case 3:
			mustAsk(t, http.MethodGet, product, key, "")
		case 4:
			for _, path := range []string{"/v1/traces", "/v1/metrics"} {
				if !receivedPath(received, path) {
					t.Errorf("the server before sent nothing to %s", path)
				}
			}
			eventually(t, patience, "the server's own backup", func() bool {
				made, _ := filepath.Glob(filepath.Join(p.folder, "backups", "daybook-*.backup"))
				return len(made) == 1
			})
		case 5:
			eventually(t, patience, "the restored shop has the product", func() bool {
				_, text := askAs(t, http.MethodGet, product, key, "")
				return strings.Contains(text, "Enamel mug")
			})
		case 6:
			mustAsk(t, http.MethodGet, s.url+"/v1/products", key, "")
		}
	}
	p.ran = func(command, output string, code int) {
		want := exitOK
		if command == "daybook check-wal" {
			want = exitFailure // the server of the tests archives nothing
		}
		if code != want || want == exitFailure && !strings.Contains(output, "PROBLEM archive-off") && os.Getenv(pgtest.ServerEnv) == "" {
			t.Errorf("%s: exit code %d, %s", command, code, output)
		}
	}
	p.follow("docs/operations.md")
	if p.number != 6 || p.provider == nil || p.runs < 20 {
		t.Errorf("the page has %d commands, and %d of them start servers", p.runs, p.number)
	}
	for _, file := range []string{"shop.backup", "sealed.backup", "locked.backup", "audit.backup"} {
		if _, err := os.Stat(filepath.Join(p.folder, file)); err != nil {
			t.Error(err)
		}
	}
}

// receivedPath tells whether a collector has got something at a path.
func receivedPath(received chan string, path string) bool {
	var others []string
	found := false
	for len(received) > 0 {
		got := <-received
		found = found || got == path
		others = append(others, got)
	}
	for _, other := range others {
		received <- other
	}
	return found
}

// docs/access.md: keys, people and ways to reach a server from other machines work as the page
// says.
func TestThePageOnAccessIsWhatHappens(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the page calls curl, which is not installed")
	}
	authority := newAuthority(t)
	p := newPage(t, "--listen :443", "--listen 127.0.0.1:0", "--listen 10.0.0.5:8080", "--listen 127.0.0.1:0")
	cert, key := newCertificate(t)
	p.write("smtp.url", "smtp://127.0.0.1:1?tls=false")
	p.write("node.crt", string(cert))
	p.write("node.key", string(key))
	p.write("authority.pem", string(certificateOf(t, authority.url)))
	p.served = func(number int, s *pageServer) {
		switch number {
		case 1:
			mustAsk(t, http.MethodGet, s.url+"/v1/orders", p.adminKey(".daybook"), "")
		case 6:
			_, text, err := getBy(t.Context(), trusting(t, cert), s.url+"/livez")
			if err != nil || !strings.Contains(text, "alive") {
				t.Errorf("by HTTPS: %s %v", text, err)
			}
			p.env["DAYBOOK_ACME_DIRECTORY"], p.env["DAYBOOK_ACME_CACHE"] = authority.url+"/directory", filepath.Join(p.folder, "acme")
			p.env["SSL_CERT_FILE"] = filepath.Join(p.folder, "authority.pem")
		case 7:
			_, port, err := net.SplitHostPort(s.url[strings.LastIndex(s.url, "/")+1:])
			if err != nil {
				t.Fatalf("%s: %v", s.url, err)
			}
			address := "127.0.0.1:" + port
			authority.resolve(address)
			client := &http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: authority.roots(), MinVersion: tls.VersionTLS12},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, address)
				},
			}}
			if _, text, err := getBy(t.Context(), client, "https://shop.example/livez"); err != nil || !strings.Contains(text, "alive") {
				t.Errorf("by ACME: %s %v", text, err)
			}
			delete(p.env, "DAYBOOK_ACME_DIRECTORY")
			delete(p.env, "DAYBOOK_ACME_CACHE")
		default:
			mustAsk(t, http.MethodGet, s.url+"/livez", "", "")
		}
	}
	p.ran = func(command, output string, code int) {
		switch {
		case strings.HasPrefix(command, "daybook staff email") && strings.Contains(output, "has not joined yet"):
		case code != exitOK:
			t.Errorf("%s: exit code %d, %s", command, code, output)
		case strings.Contains(command, "admin.key"):
			if !strings.Contains(output, `"dbk_`) {
				t.Errorf("%s: %s", command, output)
			}
			p.env["DATABASE_URL"] = pgtest.URL(t) // from here on the page needs no data directory
		case strings.HasPrefix(command, "daybook staff end-session") && !strings.Contains(output, "1 sessions of "):
			t.Errorf("%s: %s", command, output)
		case strings.Contains(command, "/v1/carts"):
			if !strings.Contains(output, "201 Created") || !strings.Contains(output, "Daybook-Guest-Token: dbg_") {
				t.Errorf("%s: %s", command, output)
			}
		}
	}
	p.follow("docs/access.md")
	if p.number != 9 || p.runs < 17 {
		t.Errorf("the page has %d commands, and %d of them start servers", p.runs, p.number)
	}
}

// certificateOf is the certificate of a server.
func certificateOf(t *testing.T, url string) []byte {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} //nolint:gosec // the certificate is read to be trusted
	connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	secure, ok := connection.(*tls.Conn)
	if !ok {
		t.Fatalf("a %T is no connection by TLS", connection)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.ConnectionState().PeerCertificates[0].Raw})
}
