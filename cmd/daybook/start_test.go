package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/internal/proxytest"
	"daybook/readapi"
)

// probeMax is how long a probe may take in these tests: the second that is configured, and some
// more time for a busy machine.
const probeMax = time.Second + slack/2

var startingAt = regexp.MustCompile(`starting; probes are answered" url=(\S+)`)

// launched is a server that may still be starting. It asks for no keys, because a node that is not
// open cannot check any, and then its probes tell no reasons.
func launched(t *testing.T, args ...string) (running, <-chan ready) {
	t.Helper()
	if !slices.Contains(args, accessOff) {
		args = append(slices.Clone(args), "--access", accessOff)
	}
	server, announced := launch(t, args...)
	eventually(t, patience, "the server listens", func() bool {
		found := startingAt.FindStringSubmatch(server.log.String())
		if found != nil {
			server.url = found[1]
		}
		return found != nil
	})
	return server, announced
}

// probe calls /livez or /readyz, which must answer in time and in the form of their schema.
func probe(t *testing.T, url string) (status int, h readapi.Health) {
	t.Helper()
	began := time.Now()
	status, text, _ := asked(t, http.MethodGet, url, "")
	if took := time.Since(began); took > probeMax {
		t.Errorf("%s: answered after %s", url, took)
	}
	if err := json.Unmarshal([]byte(text), &h, json.RejectUnknownMembers(true)); err != nil || h.Status == "" || (status == http.StatusOK) != (h.Status != "not_ready") || h.Status == "not_ready" && h.Reason == "" {
		t.Errorf("%s: %d %s, error %v", url, status, text, err)
	}
	return status, h
}

func asked(t *testing.T, method, url, body string) (status int, text string, headers http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := contract.Client(t).Do(request)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(all), answer.Header
}

// outage is a log, or a database, that is away when a node starts.
type outage struct {
	args   []string
	end    func()
	waits  string // what the node waits for
	reason string // why it is not there
}

var outages = map[string]func(t *testing.T) outage{
	"KurrentDB refuses connections": func(t *testing.T) outage {
		served := openServedLog(t, pgtest.URL(t))
		served.stop()
		return outage{
			args:  []string{"--database-url", pgtest.URL(t), "--store", storeKurrentDB, "--kurrentdb-url", "esdb://" + served.address + "?tls=false"},
			end:   served.start,
			waits: "for the log", reason: "connection refused",
		}
	},
	"KurrentDB says nothing": func(t *testing.T) outage {
		served := openServedLog(t, pgtest.URL(t))
		proxy := proxytest.New(t, "tcp", served.address)
		proxy.SilenceAll()
		return outage{
			args: []string{"--database-url", pgtest.URL(t), "--store", storeKurrentDB, "--kurrentdb-url", "esdb://" + proxy.Address() + "?tls=false"},
			end:  proxy.Restore, waits: "for the log", reason: "no server answers",
		}
	},
	"PostgreSQL says nothing": func(t *testing.T) outage {
		proxy, over := proxytest.ToPostgres(t, pgtest.URL(t))
		proxy.SilenceAll()
		return outage{args: []string{"--database-url", over}, end: proxy.Restore, waits: "for the database", reason: "reach the database"}
	},
}

// If a node starts while its log is away, it answers probes, says what it waits for, and refuses
// every other request. It becomes ready by itself when the log is back.
func TestANodeStartsWhileItsLogIsAway(t *testing.T) {
	t.Parallel()
	for name, open := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t)
			server, announced := launched(t, o.args...)
			var others sync.WaitGroup
			// These commands do not wait for the log.
			for _, command := range []string{"verify", "rebuild orders"} {
				others.Go(func() {
					began := time.Now()
					got := call(t, nil, append(strings.Fields(command), o.args...)...)
					if took := time.Since(began); got.code != exitFailure || !strings.Contains(got.stderr, o.reason) || took > noticeMax+slack {
						t.Errorf("%s: exit code %d after %s, want it to say %q: %s", command, got.code, took, o.reason, got.stderr)
					}
				})
			}
			// The node learns the reasons one after the other.
			for _, reason := range []string{"the node is starting", o.waits, o.reason} {
				eventually(t, patience, reason, func() bool {
					if status, h := probe(t, server.url+"/livez"); status != http.StatusOK || h.Status != "alive" {
						t.Errorf("/livez: %d %+v", status, h)
					}
					status, h := probe(t, server.url+"/readyz")
					if status != http.StatusServiceUnavailable {
						t.Errorf("/readyz: %d %+v", status, h)
					}
					return strings.Contains(h.Reason, reason)
				})
			}
			for method, path := range map[string]string{http.MethodPost: "/v1/carts", http.MethodGet: "/v1/orders", http.MethodPut: "/nowhere"} {
				status, text, headers := asked(t, method, server.url+path, `{"currency":"GBP"}`)
				if status != http.StatusServiceUnavailable || headers.Get("Retry-After") == "" || !strings.Contains(text, `"/problems/unavailable"`) || !strings.Contains(text, o.waits) {
					t.Errorf("%s: %d %s, Retry-After %q", path, status, text, headers.Get("Retry-After"))
				}
			}

			others.Wait()
			o.end()
			select {
			case said := <-announced:
				if said.URL != server.url {
					t.Fatalf("it said %+v, want that %s is ready", said, server.url)
				}
			case <-time.After(patience):
				t.Fatal("the node does not get ready")
			}
			if status, text, _ := asked(t, http.MethodPost, server.url+"/v1/carts", `{"currency":"GBP"}`); status != http.StatusCreated {
				t.Errorf("a command: %d %s", status, text)
			}
			eventually(t, patience, "ready", func() bool { status, _ := probe(t, server.url+"/readyz"); return status == http.StatusOK })
			if tries := strings.Count(server.log.String(), "tries again"); tries == 0 || tries > 3 {
				t.Errorf("it was logged %d times that the node tries again, want each cause once", tries)
			}
		})
	}
}

func TestASignalEndsAStartThatWaits(t *testing.T) {
	t.Parallel()
	for name, open := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, announced := launched(t, open(t).args...)
			began := time.Now()
			server.stop()
			if code := server.exit(t); code != exitOK {
				t.Errorf("exit code %d, want %d", code, exitOK)
			}
			if took := time.Since(began); took > silentStopTest+slack/4 {
				t.Errorf("it took %s", took)
			}
			if said, was := <-announced; was {
				t.Errorf("it was ready: %+v", said)
			}
		})
	}
}

// A reason that does not go away by itself ends the start, and the error says it.
func TestAStartThatIsHopelessEnds(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	secure := serveTLS(t, cert, key)
	plain := openServedLog(t, pgtest.URL(t)).address
	for name, c := range map[string]struct{ kurrentdb, want string }{
		"plain text, asked for TLS": {"esdb://" + plain, "tls=false turns it off"},
		"TLS, asked for plain text": {"esdb://" + secure + "?tls=false", "the server speaks TLS"},
		"an authority not known":    {"esdb://" + secure, "tlsCaFile"},
		"a wrong password":          {"esdb://ann:s3cret@" + secure + "?tlsCaFile=" + cert, "does not take these credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, announced := launch(t, "--database-url", pgtest.URL(t), "--store", storeKurrentDB, "--kurrentdb-url", c.kurrentdb)
			if code := server.exit(t); code != exitFailure || !strings.Contains(server.log.String(), c.want) || strings.Contains(server.log.String(), "s3cret") {
				t.Errorf("exit code %d; want %d, and %q", code, exitFailure, c.want)
			}
			if said, was := <-announced; was {
				t.Errorf("it was ready: %+v", said)
			}
		})
	}
}

// serveTLS serves a log over TLS with an empty list of users, so that every password is wrong.
func serveTLS(t *testing.T, cert, key string) (address string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server, err := gateway.New(memory.New(), gateway.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, Users: nobody{},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener) //nolint:errcheck // its clients tell
	t.Cleanup(func() {
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Close(cut)
	})
	return listener.Addr().String()
}

type nobody struct{}

func (nobody) Authenticate(context.Context, string, string) (gateway.User, error) {
	return gateway.User{}, errors.New("no such user")
}

func TestWhichFailuresOfAStartPass(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: &os.SyscallError{Syscall: "connect", Err: errors.New("connection refused")}}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"a refused connection":                {fmt.Errorf("reach the database: %w", refused), true},
		"no answer":                           {fmt.Errorf("reach the database: %w", context.DeadlineExceeded), true},
		"a closed connection":                 {io.ErrUnexpectedEOF, true},
		"a server that starts":                {&pgconn.PgError{Code: "57P03"}, true},
		"too many connections":                {&pgconn.PgError{Code: "53300"}, true},
		"a host name that does not exist yet": {&net.DNSError{IsNotFound: true}, true},
		"a log that is away":                  {&eventstore.UnavailableError{Cause: errors.New("no server answers")}, true},

		"a wrong password":        {&pgconn.PgError{Code: "28P01"}, false},
		"no such database":        {&pgconn.PgError{Code: "3D000"}, false},
		"no right to the log":     {&eventstore.DeniedError{Cause: errors.New("no")}, false},
		"an unknown authority":    {x509.UnknownAuthorityError{}, false},
		"a certificate not taken": {&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, false},
		"a newer database":        {errors.New("brought to version 9 by a newer program"), false},
		"a usage error":           {usagef("no"), false},
	} {
		if got := passes(c.err); got != c.want {
			t.Errorf("%s: passes %t, want %t", name, got, c.want)
		}
	}
}

// A node whose log hangs is soon not ready, and says why. See
// TestANodeWhoseLineFallsSilent for a log in PostgreSQL.
func TestANodeWhoseKurrentDBHangsIsSoonNotReady(t *testing.T) {
	t.Parallel()
	proxy := proxytest.New(t, "tcp", openServedLog(t, pgtest.URL(t)).address)
	server := serve(t, "--database-url", pgtest.URL(t), "--store", storeKurrentDB, "--kurrentdb-url", "esdb://"+proxy.Address()+"?tls=false")
	eventually(t, patience, "ready", func() bool { status, _ := probe(t, server.url+"/readyz"); return status == http.StatusOK })
	proxy.SilenceAll()
	hangs(t, server, map[string]string{"/v1/projections": "The log cannot be reached"})
	if status, text, _ := asked(t, http.MethodGet, server.url+"/v1/processes?state=parked", ""); status != http.StatusOK {
		t.Errorf("what is parked, which is in PostgreSQL: %d %s", status, text)
	}
	eventually(t, patience, "the log's trouble is known", func() bool {
		_, h := probe(t, server.url+"/readyz")
		return len(h.Components) == 1 && h.Components[0].Error != ""
	})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	command, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url+"/v1/carts", strings.NewReader(`{"currency":"GBP"}`))
	if err != nil {
		t.Fatal(err)
	}
	command.Header.Set("Content-Type", "application/json")
	written, answered := make(chan struct{}), make(chan struct{})
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(written) }}
	go func() { // this command hangs, too, and is cut off
		defer close(answered)
		if answer, err := http.DefaultClient.Do(command.WithContext(httptrace.WithClientTrace(ctx, trace))); err == nil {
			answer.Body.Close()
		}
	}()
	<-written
	began := time.Now()
	server.stop()
	server.exit(t)
	<-answered
	// The stop must not wait for a command that hangs.
	if took := time.Since(began); took >= stopMax.ways {
		t.Errorf("the stop took %s", took)
	}
}

// hangs is called just after something that the node needs began to hang. It fails unless the node
// is soon not ready, and unless requests for these paths end in bounded time with answers that say
// what is missing. What an answer must say is a regular expression.
func hangs(t *testing.T, server running, paths map[string]string) {
	t.Helper()
	began := time.Now()
	var asking sync.WaitGroup
	for path, missing := range paths {
		asking.Go(func() {
			status, text, headers := asked(t, http.MethodGet, server.url+path, "")
			if took := time.Since(began); status != http.StatusServiceUnavailable || headers.Get("Retry-After") == "" || !regexp.MustCompile(missing).MatchString(text) || took > noticeMax+slack {
				t.Errorf("%s: after %s %d %s, want it to match %q", path, took, status, text, missing)
			}
		})
	}
	var seen readapi.Health
	eventually(t, patience, "not ready", func() bool {
		if status, _ := probe(t, server.url+"/livez"); status != http.StatusOK {
			t.Errorf("/livez: %d", status)
		}
		var status int
		status, seen = probe(t, server.url+"/readyz")
		return status != http.StatusOK
	})
	took := time.Since(began)
	if took > 6*time.Second+slack/2 || seen.AgeSeconds < 5 || !strings.Contains(seen.Reason, "no answer within") {
		t.Errorf("not ready after %s: %+v", took, seen)
	}
	t.Logf("not ready after %s: %s", took, seen.Reason)
	asking.Wait()
}
