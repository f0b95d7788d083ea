package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"daybook/commands"
	"daybook/domain/order"
	"daybook/internal/httpapi"
)

type serveCommand struct {
	Listen  string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" from:"DAYBOOK_LISTEN" help:"Where to listen: a loopback address; port 0 takes a free one. Default: ${default}."`
	HoldFor time.Duration `default:"15m" placeholder:"TIME" from:"DAYBOOK_HOLD_FOR" help:"How long stock is held for an order that is not confirmed. Default: ${default}."`
	Remedy  string        `enum:"void_or_refund,backorder" default:"void_or_refund" from:"DAYBOOK_REMEDY" help:"What is done about a confirmed order whose stock was lost: ${enum}. Default: ${default}."`
}

// ready is what serve prints once it answers.
type ready struct {
	URL     string  `json:"url"`
	PID     int     `json:"pid"`
	Seconds float64 `json:"seconds"` // from the start to here
}

// Run serves until ctx ends or a vital part of the node dies.
func (c *serveCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	if c.HoldFor <= 0 {
		return usagef("--hold-for must be more than nothing, not %s", c.HoldFor)
	}
	policy := commands.DefaultPolicy()
	policy.HoldFor, policy.Remedy = c.HoldFor, order.Remedy(c.Remedy)
	s, err := openServer(ctx, c.Listen, nodeConfig{Database: p.database(), Policy: policy, Views: p.views()}, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	announcement := ready{URL: s.url, PID: os.Getpid(), Seconds: time.Since(started).Seconds()}
	p.log.InfoContext(ctx, "ready", "url", s.url, "seconds", announcement.Seconds)
	if err := p.print(announcement, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "Daybook answers at %s (API: %s/docs). Ctrl-C stops it.\n", s.url, s.url)
		return err
	}); err != nil {
		return err
	}
	return s.wait(ctx)
}

// server is a node with its way in: the HTTP API.
type server struct {
	*node
	url    string
	http   *http.Server
	served chan error // why it stopped accepting
}

// A server spends memory on collecting garbage less often, which under load took
// a fifth of its processor time, but not beyond a limit; idle it is small
// anyway. Go's own variables go over both.
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

// openServer listens first, so that a taken port is known before anything is
// started, then opens the node, and then answers.
func openServer(ctx context.Context, address string, cfg nodeConfig, log *slog.Logger) (*server, error) {
	spendMemory(os.Getenv)
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	n, err := openNode(ctx, cfg, log)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	stop := make(chan struct{})
	handler, err := n.handler(stop)
	if err != nil {
		return nil, errors.Join(err, listener.Close(), n.closeInTime(ctx))
	}
	s := &server{
		node: n, url: "http://" + listener.Addr().String(), served: make(chan error, 1), http: httpapi.NewServer(handler, log),
	}
	s.http.RegisterOnShutdown(func() { close(stop) })
	n.start(ctx)
	go func() { s.served <- s.http.Serve(listener) }()
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

// A stop is over within stopMax; requests under way get httpStopMax of it.
const (
	stopMax     = 9 * time.Second
	httpStopMax = 4 * time.Second
)

// close stops accepting, lets requests under way finish, and takes the node
// down. The end of ctx, which asked for it, does not cut it short.
func (s *server) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopMax)
	defer cancel()
	s.log.InfoContext(ctx, "stopping")
	began := time.Now()
	requests, done := context.WithTimeout(ctx, httpStopMax)
	defer done()
	if err := s.http.Shutdown(requests); err != nil {
		// A client that does not come to an end must not keep the others waiting.
		s.log.WarnContext(ctx, "requests still under way are cut off", "error", err)
		s.http.Close()
	}
	err := s.node.close(ctx)
	s.log.InfoContext(ctx, "stopped", "seconds", time.Since(began).Seconds())
	return err
}

// listen opens a loopback address. Others are refused as long as anybody who
// reaches the server may do anything.
func listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usagef("--listen %s: want HOST:PORT, such as 127.0.0.1:8080", address)
	}
	ip, err := loopback(ctx, host)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(ip.String(), port))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// loopback is the address of a host, if it is this machine's own.
func loopback(ctx context.Context, host string) (net.IP, error) {
	refused := usagef("will not listen on %q: whoever reaches the server may do anything, so it serves only its own machine (127.0.0.1, ::1 or localhost)", host)
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
		return nil, usagef("--listen: %v", err)
	}
	for _, ip := range found {
		if !ip.IsLoopback() {
			return nil, refused
		}
	}
	return found[0], nil
}
