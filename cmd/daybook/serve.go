package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"daybook/commands/payments"
	"daybook/internal/httpapi"
	"daybook/internal/telemetry"
)

type serveCommand struct {
	Listen  string       `default:"127.0.0.1:8080" placeholder:"HOST:PORT" from:"DAYBOOK_LISTEN" help:"Where to listen; port 0 takes a free one. An address that other machines can reach needs --access keys, and TLS or --behind-proxy. Default: ${default}."`
	Policy  policyFlags  `embed:""`
	Gateway gatewayFlags `embed:""`
	Web     webFlags     `embed:""`
	Mail    mailFlags    `embed:""`
	Payment paymentFlags `embed:""`
	Admin   adminFlags   `embed:""`
	Backup  backupFlags  `embed:""`
	Retain  retainFlags  `embed:""`
	Keep    keepFlags    `embed:""`
}

// ready is what serve prints once it answers.
type ready struct {
	URL string `json:"url"`
	// AdminKey is the file with the first API key, if it was written now.
	AdminKey string  `json:"admin_key_file,omitempty"`
	Admin    string  `json:"admin,omitempty"`   // address of the admin port
	Gateway  string  `json:"gateway,omitempty"` // connection string for clients of EventStoreDB
	PID      int     `json:"pid"`
	Seconds  float64 `json:"seconds"` // from the start of the program until it was ready
}

func (c *serveCommand) check(ctx context.Context, p *program) error {
	if _, err := c.Policy.policy(p.now()); err != nil {
		return err
	}
	if err := c.Web.check(p.Data); err != nil {
		return err
	}
	gateway, err := c.Gateway.config(p, c.Web.Access)
	if err != nil {
		return err
	}
	if err := c.checkOff(ctx); err != nil {
		return err
	}
	if err := c.Web.checkListen(ctx, "--listen", c.Listen); err != nil {
		return err
	}
	if _, err := c.Web.Open.tls(p.Data, p.log); err != nil {
		return err
	}
	if _, _, err := c.outside(); err != nil {
		return err
	}
	admin, err := c.Admin.config()
	if err != nil {
		return err
	}
	if err := admin.check(ctx); err != nil {
		return err
	}
	if _, err := c.Backup.plan(&p.options); err != nil {
		return err
	}
	if _, _, err := c.personal(); err != nil {
		return err
	}
	return gateway.check(ctx)
}

// outside are the services of others that the server uses.
func (c *serveCommand) outside() (mail mailConfig, providers payments.Providers, err error) {
	if mail, err = c.Mail.config(); err == nil {
		providers, err = c.Payment.providers()
	}
	return mail, providers, err
}

// personal says how long personal data is kept.
func (c *serveCommand) personal() (of retention, keep keeping, err error) {
	if of, err = c.Retain.config(); err == nil {
		keep, err = c.Keep.config()
	}
	return of, keep, err
}

// checkOff refuses --access off at an address that other machines can reach.
func (c *serveCommand) checkOff(ctx context.Context) error {
	if c.Web.Access != accessOff {
		return nil
	}
	if _, err := ownAddress(ctx, "--listen", c.Listen, ""); err != nil {
		return usagef("--access off is only for a loopback address such as 127.0.0.1:8080, not for %s: everybody who reaches the server may then do everything; an address that other machines can reach needs --access keys", c.Listen)
	}
	return nil
}

// Run serves until ctx ends or a vital part of the node dies.
func (c *serveCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	policy, err := c.Policy.policy(p.now())
	if err != nil {
		return err
	}
	gateway, err := c.Gateway.config(p, c.Web.Access)
	if err != nil {
		return err
	}
	cfg := p.nodeConfig(policy)
	cfg.Web, cfg.Serving = c.Web, true
	if cfg.Mail, cfg.Payments, err = c.outside(); err != nil {
		return err
	}
	if cfg.Admin, err = c.Admin.config(); err != nil {
		return err
	}
	if cfg.Retention, cfg.Keep, err = c.personal(); err != nil {
		return err
	}
	if cfg.Backups, err = c.Backup.plan(&p.options); err != nil {
		return err
	}
	if cfg.Telemetry, err = cfg.Admin.telemetry(ctx, p); err != nil {
		return err
	}
	if cfg.Telemetry != nil {
		p.log = cfg.Telemetry.Traces.WithTraceIDs(p.log)
		defer func() { err = errors.Join(err, closeTelemetry(ctx, cfg.Telemetry)) }()
	}
	s, err := p.openServer(ctx, c.Listen, gateway, cfg)
	if err != nil && ctx.Err() != nil {
		p.log.InfoContext(ctx, "stopped before the node was open", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	keyFile, err := s.firstKey(ctx, p.Data)
	if err != nil {
		return err
	}
	announcement := ready{AdminKey: keyFile, URL: s.url, Admin: s.admin.url(), Gateway: s.gateway.url(), PID: os.Getpid(), Seconds: time.Since(started).Seconds()}
	p.log.InfoContext(ctx, "ready", "url", s.url, "gateway", announcement.Gateway, "seconds", announcement.Seconds)
	if err := p.print(announcement, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("Daybook answers at %s. Ctrl-C stops it.\n", s.url)
		if announcement.AdminKey != "" {
			w.printf("The first API key is in %s. It may do everything. Send it as Authorization: Bearer dbk_...\n", announcement.AdminKey)
		}
		if s.needsFirstKey() {
			w.printf("There is no API key yet. Make the first one: daybook keys create --role admin --name NAME, with the same DATABASE_URL.\n")
		}
		if c.Web.Access == accessOff {
			w.printf("There is no access control (--access off): everyone who can reach this address may do everything.\n")
		}
		if announcement.Admin != "" {
			w.printf("Metrics are at %s/metrics\n", announcement.Admin)
		}
		if announcement.Gateway != "" {
			w.printf("Clients of EventStoreDB connect to %s\n", announcement.Gateway)
		}
		return w.err
	}); err != nil {
		return err
	}
	return s.wait(ctx)
}

// server is a node, together with the two ways in which clients reach it: the HTTP API and, with
// --gateway, the gateway.
type server struct {
	node     *node
	url      string
	listener net.Listener // the address of the HTTP API
	http     *http.Server
	gateway  *openGateway // nil: none
	admin    *admin       // nil: none
	served   chan error   // why the HTTP API or the gateway stopped accepting clients
}

// Under load, garbage collection took a fifth of a server's processor time. So it is done less
// often, as long as the memory stays below a limit. A server without load is small anyway. Go's own
// variables (GOGC, GOMEMLIMIT) override both.
const (
	serverGCPercent   = 300
	serverMemoryLimit = 384 << 20 // bytes
)

func spendMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(serverGCPercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(serverMemoryLimit)
	}
}

// openServer listens first, so that an occupied port is noticed before anything is started. Then it
// answers probes, opens the node, and after that answers everything.
func (p *program) openServer(ctx context.Context, address string, door gatewayConfig, cfg nodeConfig) (_ *server, err error) {
	spendMemory(p.getenv)
	cfg.Web.Access = cmp.Or(cfg.Web.Access, accessByKeys)
	secured, err := cfg.Web.Open.tls(p.Data, p.log)
	if err != nil {
		return nil, err
	}
	listener, err := cfg.Web.listen(ctx, "--listen", address)
	if err != nil {
		return nil, err
	}
	way, stop := new(entrance), make(chan struct{})
	s := &server{url: cfg.Web.Open.address(listener), listener: listener, http: httpapi.NewServer(way, p.log), served: make(chan error, 2)}
	s.http.TLSConfig = secured
	s.http.RegisterOnShutdown(func() { close(stop) })
	defer func() {
		if err != nil {
			// The HTTP server closes the listener only if it has begun to serve. So the listener is
			// closed here, too.
			err = errors.Join(err, s.http.Close(), s.gateway.abandon(), s.admin.close())
			_ = listener.Close()
		}
	}()
	if s.gateway, err = door.listen(ctx); err != nil {
		return nil, err
	}
	if s.admin, err = cfg.Admin.listen(ctx, cfg.metrics(), p.log); err != nil {
		return nil, err
	}
	cfg.Start = &start{log: p.log, waits: cfg.Serving}
	starting, err := cfg.Start.handler(cfg.Web)
	if err != nil {
		return nil, err
	}
	way.set(starting)
	s.serve(ctx, s.ways()[0]) // probes, until the node is open
	if s.admin != nil {
		s.admin.setHealth(cfg.Start.health)
		s.serve(ctx, s.admin.way())
	}
	p.log.InfoContext(ctx, "starting; probes are answered", "url", s.url)
	if s.node, err = openNode(ctx, cfg, p.log); err != nil {
		return nil, err
	}
	handler, err := s.node.handler(stop, cfg.Web.Access)
	if err == nil {
		err = s.gateway.open(ctx, s.node)
	}
	if err != nil {
		return nil, errors.Join(err, s.node.closeInTime(ctx))
	}
	s.node.start(ctx)
	way.set(handler)
	s.admin.setHealth(s.node.watch.Health)
	if metrics := cfg.metrics(); metrics != nil {
		metrics.Register(nodeState{s})
	}
	for _, other := range s.ways()[1:] {
		s.serve(ctx, other)
	}
	return s, nil
}

// closeTelemetry sends the last traces and metrics, but waits for at most two seconds.
func closeTelemetry(ctx context.Context, t *telemetry.Telemetry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return t.Close(ctx)
}

// firstKey makes the first API key if requests need keys and there is none.
func (s *server) firstKey(ctx context.Context, dir string) (file string, err error) {
	if !s.needsFirstKey() {
		return "", nil
	}
	return s.node.firstKey(ctx, dir)
}

// needsFirstKey tells whether requests need API keys and nobody has one that can make others.
func (s *server) needsFirstKey() bool {
	return s.node.web.Access != accessOff && !s.node.diverged() && !s.node.keys.HasAdmin()
}

// wait returns nil when ctx ends, or says which vital part ended by itself.
func (s *server) wait(ctx context.Context) error {
	broken := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { broken <- s.node.wait(ctx) }()
	select {
	case err := <-broken:
		return err
	case err := <-s.served:
		return fmt.Errorf("serve: %w", err)
	}
}

// close accepts no more requests, lets those under way finish, and closes the node. ctx has usually
// ended already, because its end means that the server must stop. So close has a time limit of its
// own.
func (s *server) close(ctx context.Context) error {
	s.node.log.InfoContext(ctx, "stopping")
	began := time.Now()
	times := s.node.stopTimes(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), times.all)
	defer cancel()
	s.closeWays(ctx, times.ways)
	err := errors.Join(s.node.close(ctx), s.admin.close())
	s.node.log.InfoContext(ctx, "stopped", "seconds", time.Since(began).Seconds())
	return err
}

// ways are the HTTP API and the gateway in the form of parts. run serves clients. stop lets
// requests under way finish, and cuts them off when its ctx ends.
func (s *server) ways() []part {
	ways := []part{{
		name: "requests",
		run: func(context.Context) error {
			if s.http.TLSConfig != nil {
				return s.http.ServeTLS(s.listener, "", "") // TLSConfig has the certificate
			}
			return s.http.Serve(s.listener)
		},
		stop: func(ctx context.Context) error {
			err := s.http.Shutdown(ctx)
			if err != nil {
				err = errors.Join(err, s.http.Close())
			}
			return err
		},
	}}
	if s.gateway != nil {
		ways = append(ways, part{
			name: "calls of the gateway",
			run:  func(context.Context) error { return s.gateway.server.Serve(s.gateway.listener) },
			stop: s.gateway.close,
		})
	}
	return ways
}

// serve lets a way in serve clients. When that ends, served gets the reason.
func (s *server) serve(ctx context.Context, way part) {
	go func() { s.served <- way.run(ctx) }()
}

// closeWays closes all ways in at the same time. So if a request on one of them does not end, the
// other one does not wait for it, and its requests have the full time.
func (s *server) closeWays(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var closing sync.WaitGroup
	for _, way := range s.ways() {
		closing.Go(func() {
			if err := way.stop(ctx); err != nil {
				s.node.log.WarnContext(ctx, way.name+" still under way are cut off", "error", err)
			}
		})
	}
	closing.Wait()
}
