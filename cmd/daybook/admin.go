package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands/streams"
	"daybook/internal/problem"
	"daybook/internal/telemetry"
	"daybook/readapi"
)

// adminFlags are the settings of the admin port, which has metrics, profiles and probes.
type adminFlags struct {
	AdminAddress   string `placeholder:"HOST:PORT" from:"DAYBOOK_ADMIN_ADDRESS" help:"Where metrics for Prometheus (/metrics), profiles (/debug/pprof/) and probes with their details are served: a loopback address, or any address with --admin-token-file. By default nowhere, and then nothing is measured, unless OpenTelemetry's variables ask for metrics."`
	AdminTokenFile string `placeholder:"FILE" from:"DAYBOOK_ADMIN_TOKEN_FILE" help:"Everyone who asks the admin port must send the text in this file as a bearer token. It has one line of at least 16 characters. Only /livez and the status in /readyz need none."`
}

// adminTokenMin is the smallest length of the admin port's token, in bytes.
const adminTokenMin = 16

// adminConfig is the admin port as the flags give it.
type adminConfig struct {
	address string // empty: none
	token   string // empty: none is needed
}

func (f adminFlags) config() (adminConfig, error) {
	c := adminConfig{address: f.AdminAddress}
	if f.AdminTokenFile == "" {
		return c, nil
	}
	if f.AdminAddress == "" {
		return adminConfig{}, usagef("--admin-address HOST:PORT is missing: without it, --admin-token-file would do nothing")
	}
	var err error
	if c.token, err = readSecretFile(f.AdminTokenFile); err != nil {
		return adminConfig{}, usagef("--admin-token-file %s: %v", f.AdminTokenFile, err)
	}
	if len(c.token) < adminTokenMin {
		return adminConfig{}, usagef("--admin-token-file %s: the token has fewer than %d characters", f.AdminTokenFile, adminTokenMin)
	}
	return c, nil
}

// check refuses an address at which listen would not listen.
func (c adminConfig) check(ctx context.Context) error {
	if c.address == "" {
		return nil
	}
	_, err := c.at(ctx)
	return err
}

// at is the address at which the admin port listens.
func (c adminConfig) at(ctx context.Context) (string, error) {
	if c.token == "" {
		return ownAddress(ctx, "--admin-address", c.address, "for other machines it needs --admin-token-file")
	}
	if _, _, err := splitPort(c.address); err != nil {
		return "", usagef("--admin-address %s: %v", c.address, err)
	}
	return c.address, nil
}

// telemetry makes what the node measures. It is nil if nothing is measured.
func (c adminConfig) telemetry(ctx context.Context, p *program) (*telemetry.Telemetry, error) {
	traces, err := telemetry.OpenTraces(ctx, thisBuild().Version, p.getenv, p.log)
	if err != nil {
		return nil, usagef("%v", err)
	}
	sends, err := telemetry.MetricsWanted(p.getenv)
	if err != nil {
		return nil, usagef("%v", err)
	}
	t := &telemetry.Telemetry{Traces: traces, Own: streams.Wrote}
	if c.address != "" || sends {
		t.Metrics = telemetry.NewMetrics(thisBuild().Version)
	}
	if sends {
		if t.Sender, err = telemetry.OpenSender(ctx, thisBuild().Version, t.Metrics, p.getenv, p.log); err != nil {
			return nil, usagef("%v", errors.Join(err, t.Close(ctx)))
		}
	}
	if t.Metrics == nil && t.Traces == nil {
		return nil, nil //nolint:nilnil // nil measures nothing
	}
	return t, nil
}

// admin is the admin port of a server. If it is nil, there is none, and its methods do nothing.
type admin struct {
	listener net.Listener
	http     *http.Server
	health   atomic.Pointer[func() readapi.Health]
	token    [sha256.Size]byte
	needs    bool // a token
}

// listen opens the admin port. It answers once serve is called.
func (c adminConfig) listen(ctx context.Context, metrics *telemetry.Metrics, log *slog.Logger) (*admin, error) {
	if c.address == "" {
		return nil, nil //nolint:nilnil // nil is no admin port
	}
	a := &admin{token: sha256.Sum256([]byte(c.token)), needs: c.token != ""}
	at, err := c.at(ctx)
	if err != nil {
		return nil, err
	}
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", at); err != nil {
		return nil, fmt.Errorf("--admin-address: %w", err)
	}
	a.http = &http.Server{
		Handler: a.handler(metrics), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

func (a *admin) url() string {
	if a == nil {
		return ""
	}
	return "http://" + a.listener.Addr().String()
}

func (a *admin) setHealth(health func() readapi.Health) {
	if a != nil {
		a.health.Store(&health)
	}
}

// way is the admin port in the form of a part.
func (a *admin) way() part {
	return part{name: "requests of the admin port", run: func(context.Context) error { return a.http.Serve(a.listener) }}
}

// close does not wait for requests, because a profile may take long and nobody needs it any more.
func (a *admin) close() error {
	if a == nil {
		return nil
	}
	return errors.Join(a.http.Close(), ignoreClosed(a.listener.Close()))
}

// ignoreClosed is nil for the error of a listener that is closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

const adminIndex = `Daybook's admin port

/metrics        metrics for Prometheus
/debug/pprof/   profiles of Go
/livez          whether the process answers
/readyz         whether reads can be answered, with the details
`

func (a *admin) handler(metrics *telemetry.Metrics) http.Handler {
	guarded := http.NewServeMux()
	guarded.Handle("GET /metrics", metrics.Handler())
	guarded.HandleFunc("GET /debug/pprof/", pprof.Index)
	guarded.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	guarded.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	guarded.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	guarded.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, adminIndex) // the client may have gone
	})
	guarded.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.NotFound("There is nothing at this address."))
	})
	all := http.NewServeMux()
	all.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, readapi.Health{Status: "alive"})
	})
	all.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		health := (*a.health.Load())()
		if a.admits(r) != nil {
			health = readapi.Health{Status: health.Status}
		}
		writeHealth(w, health)
	})
	all.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := a.admits(r); err != nil {
			problem.Write(w, r, err)
			return
		}
		guarded.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if host := hostOf(r.Host); !a.needs && host != "localhost" && !net.ParseIP(host).IsLoopback() {
			// A page of another site can make a browser send requests to this port, if a name of
			// that site leads here.
			problem.Write(w, r, problem.Misdirected(r.Host))
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
			// Such a page cannot read the response, but a profile costs this program time.
			problem.Write(w, r, problem.CrossOrigin(errors.New("a page of another site asked the admin port")))
			return
		}
		all.ServeHTTP(w, r)
	})
}

// hostOf is a host without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

// admits refuses a request without the token.
func (a *admin) admits(r *http.Request) error {
	if !a.needs {
		return nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(hash[:], a.token[:]) != 1 {
		return problem.Unauthenticated(nil)
	}
	return nil
}

func writeHealth(w http.ResponseWriter, health readapi.Health) {
	w.Header().Set("Content-Type", "application/json")
	if health.Status == "not_ready" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.MarshalWrite(w, health) // the client may have gone
}
