// Package proxytest has a TCP proxy between a program and its server, for tests. A test can make
// the proxy's connections silent: then no byte comes through in either direction, but no connection
// is closed. New connections work or are silent too, as the test chooses.
package proxytest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy copies bytes between its clients and a server.
type Proxy struct {
	network, server string
	listener        net.Listener

	mu       sync.Mutex
	ended    bool
	silent   bool          // new connections are silent too
	silenced chan struct{} // closed when the present connections become silent
	conns    []net.Conn
	opened   int
	flows    sync.WaitGroup
}

// New starts a proxy to a server, such as "tcp", "127.0.0.1:2113". It stops at the end of the test.
func New(tb testing.TB, network, server string) *Proxy {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{network: network, server: server, listener: listener, silenced: make(chan struct{})}
	p.flows.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// ToPostgres starts a proxy to a PostgreSQL server. It returns the connection string that goes
// through the proxy. The server may listen only on a Unix socket.
func ToPostgres(tb testing.TB, connection string) (proxy *Proxy, over string) {
	tb.Helper()
	direct, err := url.Parse(connection)
	if err != nil {
		tb.Fatal(err)
	}
	network, server, user := "tcp", direct.Host, direct.User
	query := direct.Query()
	if folder := query.Get("host"); folder != "" {
		network, server, user = "unix", folder+"/.s.PGSQL."+query.Get("port"), url.User(query.Get("user"))
	}
	proxy = New(tb, network, server)
	led := url.URL{Scheme: "postgres", User: user, Host: proxy.Address(), Path: direct.Path, RawQuery: "sslmode=disable"}
	return proxy, led.String()
}

// Address is the address that clients connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Opened is how many connections have been opened through the proxy.
func (p *Proxy) Opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// Silence makes all present connections silent for good. New connections work.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.silenced)
	p.silenced = make(chan struct{})
}

// SilenceAll makes all connections silent, also those that are opened from now on.
func (p *Proxy) SilenceAll() {
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
	p.Silence()
}

// Restore makes new connections work again after SilenceAll.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
}

// close stops the proxy and closes its connections.
func (p *Proxy) close() {
	p.mu.Lock()
	p.ended = true
	_ = p.listener.Close()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	close(p.silenced)
	p.silenced = make(chan struct{})
	p.mu.Unlock()
	p.flows.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.begin(client)
	}
}

func (p *Proxy) begin(client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(context.Background(), p.network, p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		_, _ = client.Close(), server.Close()
		return
	}
	p.opened++
	p.conns = append(p.conns, client, server)
	if p.silent {
		return
	}
	silenced := p.silenced
	p.flows.Go(func() { copyUntil(server, client, silenced) })
	p.flows.Go(func() { copyUntil(client, server, silenced) })
}

// copyUntil copies one direction of a connection until it ends or becomes silent. If a silent
// connection ends, the other side does not learn of it.
func copyUntil(to, from net.Conn, silenced <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-silenced:
			return
		default:
		}
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = errors.Join(err, failed)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) || !closeWrite(to) {
				_ = to.Close()
			}
			return
		}
	}
}

// closeWrite tells the other side that no more bytes come.
func closeWrite(conn net.Conn) bool {
	half, ok := conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
