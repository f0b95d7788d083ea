// Package linetest lays a line between a program and its server, of which a test
// can let the connections fall silent: nothing comes through them any more in
// either direction, and nothing is closed. New connections work, or do not, as
// the test says.
package linetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Line passes bytes from its own address on to a server.
type Line struct {
	network, server string
	listener        net.Listener

	mu     sync.Mutex
	ended  bool
	silent bool          // new flows, too
	frozen chan struct{} // closed when the flows there are fall silent
	conns  []net.Conn
	opened int
	flows  sync.WaitGroup
}

// New lays a line to a server, such as "tcp", "127.0.0.1:2113". It ends with the
// test.
func New(tb testing.TB, network, server string) *Line {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Line{network: network, server: server, listener: listener, frozen: make(chan struct{})}
	l.flows.Go(l.accept)
	tb.Cleanup(l.cut)
	return l
}

// ToPostgres lays a line to a PostgreSQL and returns the connection string that
// leads over it. The server may listen on a Unix socket only.
func ToPostgres(tb testing.TB, connection string) (line *Line, over string) {
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
	line = New(tb, network, server)
	led := url.URL{Scheme: "postgres", User: user, Host: line.Address(), Path: direct.Path, RawQuery: "sslmode=disable"}
	return line, led.String()
}

// Address is where clients connect to.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Opened is how many connections have been made over the line.
func (l *Line) Opened() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// Silence lets all connections there are fall silent for good. New ones work.
func (l *Line) Silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.frozen)
	l.frozen = make(chan struct{})
}

// SilenceAll lets all connections fall silent, also those that are made from now
// on.
func (l *Line) SilenceAll() {
	l.mu.Lock()
	l.silent = true
	l.mu.Unlock()
	l.Silence()
}

// Restore lets new connections work again after SilenceAll.
func (l *Line) Restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = false
}

// cut ends the line with all that runs over it.
func (l *Line) cut() {
	l.mu.Lock()
	l.ended = true
	_ = l.listener.Close()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	close(l.frozen)
	l.frozen = make(chan struct{})
	l.mu.Unlock()
	l.flows.Wait()
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.begin(client)
	}
}

func (l *Line) begin(client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(context.Background(), l.network, l.server)
	if err != nil {
		_ = client.Close()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		_, _ = client.Close(), server.Close()
		return
	}
	l.opened++
	l.conns = append(l.conns, client, server)
	if l.silent {
		return
	}
	frozen := l.frozen
	l.flows.Go(func() { pass(server, client, frozen) })
	l.flows.Go(func() { pass(client, server, frozen) })
}

// pass copies one direction until it ends or is frozen. The end of a frozen flow
// is not passed on.
func pass(to, from net.Conn, frozen <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-frozen:
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

// closeWrite passes on that one side has nothing more to say.
func closeWrite(conn net.Conn) bool {
	half, ok := conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
