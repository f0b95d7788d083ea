package main

import (
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

	"daybook/internal/httpapi"
)

type serveCommand struct {
	Listen  string       `default:"127.0.0.1:8080" placeholder:"HOST:PORT" from:"DAYBOOK_LISTEN" help:"Where to listen: a loopback address; port 0 takes a free one. Default: ${default}."`
	Policy  policyFlags  `embed:""`
	Gateway gatewayFlags `embed:""`
	Web     webFlags     `embed:""`
}

// ready is what serve prints once it answers.
type ready struct {
	URL     string  `json:"url"`
	Gateway string  `json:"gateway,omitempty"` // connection string for clients of EventStoreDB
	PID     int     `json:"pid"`
	Seconds float64 `json:"seconds"` // from the start of the program until it was ready
}

func (c *serveCommand) check(ctx context.Context, p *program) error {
	if _, err := c.Policy.policy(p.now()); err != nil {
		return err
	}
	if err := c.Web.check(); err != nil {
		return err
	}
	gateway, err := c.Gateway.config(p.Store)
	if err != nil {
		return err
	}
	if _, err := ownAddress(ctx, "--listen", c.Listen); err != nil {
		return err
	}
	return gateway.check(ctx)
}

// Run serves until ctx ends or a vital part of the node dies.
func (c *serveCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	policy, err := c.Policy.policy(p.now())
	if err != nil {
		return err
	}
	gateway, err := c.Gateway.config(p.Store)
	if err != nil {
		return err
	}
	cfg := p.nodeConfig(policy)
	cfg.Web, cfg.Serving = c.Web, true
	s, err := p.openServer(ctx, c.Listen, gateway, cfg)
	if err != nil && ctx.Err() != nil {
		p.log.InfoContext(ctx, "stopped before the node was open", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	announcement := ready{URL: s.url, Gateway: s.gateway.url(), PID: os.Getpid(), Seconds: time.Since(started).Seconds()}
	p.log.InfoContext(ctx, "ready", "url", s.url, "gateway", announcement.Gateway, "seconds", announcement.Seconds)
	if err := p.print(announcement, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("Daybook answers at %s (API: %s/docs). Ctrl-C stops it.\n", s.url, s.url)
		if announcement.Gateway != "" {
			w.printf("Clients of EventStoreDB connect to %s\n", announcement.Gateway)
		}
		return w.err
	}); err != nil {
		return err
	}
	return s.wait(ctx)
}

// server is a node with its ways in: the HTTP API and, with --gateway, the gateway.
type server struct {
	node     *node
	url      string
	listener net.Listener // of http
	http     *http.Server
	gateway  *openGateway // nil: none
	served   chan error   // why one of these two stopped accepting clients
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
	listener, err := listen(ctx, "--listen", address)
	if err != nil {
		return nil, err
	}
	way, stop := new(entrance), make(chan struct{})
	s := &server{url: "http://" + listener.Addr().String(), listener: listener, http: httpapi.NewServer(way, p.log), served: make(chan error, 2)}
	s.http.RegisterOnShutdown(func() { close(stop) })
	defer func() {
		if err != nil {
			// The HTTP server closes the listener only if it has begun to serve. So the listener is
			// closed here, too.
			err = errors.Join(err, s.http.Close(), s.gateway.abandon())
			_ = listener.Close()
		}
	}()
	if s.gateway, err = door.listen(ctx); err != nil {
		return nil, err
	}
	cfg.Start = &start{log: p.log, waits: cfg.Serving}
	starting, err := cfg.Start.handler(cfg.Web)
	if err != nil {
		return nil, err
	}
	way.set(starting)
	s.serve(ctx, s.ways()[0]) // probes, until the node is open
	p.log.InfoContext(ctx, "starting; probes are answered", "url", s.url)
	if s.node, err = openNode(ctx, cfg, p.log); err != nil {
		return nil, err
	}
	handler, err := s.node.handler(stop)
	if err == nil {
		err = s.gateway.open(ctx, s.node)
	}
	if err != nil {
		return nil, errors.Join(err, s.node.closeInTime(ctx))
	}
	s.node.start(ctx)
	way.set(handler)
	for _, other := range s.ways()[1:] {
		s.serve(ctx, other)
	}
	return s, nil
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

// close accepts no more requests, lets those under way finish, and closes the node. The end of ctx
// asked for this, so it does not cut it short.
func (s *server) close(ctx context.Context) error {
	s.node.log.InfoContext(ctx, "stopping")
	began := time.Now()
	times := s.node.stopTimes(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), times.all)
	defer cancel()
	s.closeWays(ctx, times.ways)
	err := s.node.close(ctx)
	s.node.log.InfoContext(ctx, "stopped", "seconds", time.Since(began).Seconds())
	return err
}

// ways are the HTTP API and the gateway in the form of parts: run serves clients, and stop ends
// that, at the latest when its ctx ends.
func (s *server) ways() []part {
	ways := []part{{
		name: "requests",
		run:  func(context.Context) error { return s.http.Serve(s.listener) },
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

// listen opens a loopback address. It refuses other addresses, because everybody who reaches the
// server may do anything.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	own, err := ownAddress(ctx, flag, address)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", own)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// ownAddress is a loopback address, with an IP address in place of a name.
func ownAddress(ctx context.Context, flag, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", usagef("%s %s: want HOST:PORT, such as 127.0.0.1:8080", flag, address)
	}
	if _, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil {
		return "", usagef("%s %s: %q is no port", flag, address, port)
	}
	ip, err := loopback(ctx, flag, host)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// loopback is the IP address of a host, if it is a loopback address.
func loopback(ctx context.Context, flag, host string) (net.IP, error) {
	refused := usagef("%s: will not listen on %q: everybody who reaches the server may do anything, so it serves only its own machine (127.0.0.1, ::1 or localhost)", flag, host)
	if host == "" {
		return nil, refused
	}
	if ip := net.ParseIP(host); ip != nil {
		if !ip.IsLoopback() {
			return nil, refused
		}
		return ip, nil
	}
	found, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	for _, ip := range found {
		if !ip.IsLoopback() {
			return nil, refused
		}
	}
	return found[0], nil
}
