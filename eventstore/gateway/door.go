package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

const refusedLogEvery = 10 * time.Second // between two lines of the log

// connectionLimits lets connections in, up to the limits. Who is one too many is closed at
// once: its client tries again, or another node.
type connectionLimits struct {
	limits Limits
	users  bool // callers authenticate
	logger *slog.Logger

	mu          sync.Mutex
	closed      bool
	connections map[*connection]struct{}
	handshakes  int // guests whose handshake is not over
	// byAddress counts the guests, and those whose handshake is not over.
	byAddress map[netip.Prefix]*atAddress
	// turnedAway counts connections since the log was told of them, at told.
	refused  int
	loggedAt time.Time
}

type atAddress struct{ connections, handshakes int }

func newConnectionLimits(limits Limits, users bool, logger *slog.Logger) *connectionLimits {
	return &connectionLimits{
		limits: limits, users: users, logger: logger,
		connections: make(map[*connection]struct{}), byAddress: make(map[netip.Prefix]*atAddress),
	}
}

// of is a listener that yields those connections that are let in.
func (d *connectionLimits) of(listener net.Listener) net.Listener {
	return &limitedListener{listener, d}
}

type limitedListener struct {
	net.Listener
	door *connectionLimits
}

// Accept implements net.Listener.
func (w *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &connection{Conn: conn, door: w.door, address: addressed(conn.RemoteAddr()), since: time.Now(), inHandshake: true}
		if w.door.admit(g) {
			return g, nil
		}
		conn.Close()
	}
}

// addressed is what the connections of one client have in common.
func addressed(from net.Addr) netip.Prefix {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// admit counts a guest in, unless there are too many.
func (d *connectionLimits) admit(g *connection) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	at := d.byAddress[g.address]
	if at == nil {
		at = &atAddress{}
	}
	g.proven.Store(!d.users)
	full := len(d.connections) >= d.limits.MaxConnections
	fullThere := at.connections >= d.limits.MaxConnectionsPerAddress
	if d.handshakes >= d.limits.MaxHandshakes || at.handshakes >= d.limits.MaxHandshakesPerAddress ||
		(full || fullThere) && !d.closeOldest(g.address, fullThere) {
		d.logRefused(g)
		return false
	}
	d.byAddress[g.address] = at
	d.connections[g] = struct{}{}
	at.connections, at.handshakes, d.handshakes = at.connections+1, at.handshakes+1, d.handshakes+1
	return true
}

// closeOldest closes the oldest unauthenticated connection that is older than
// HandshakeTime, and tells whether there was one. With thereOnly it looks only at this
// address. The lock is held.
func (d *connectionLimits) closeOldest(address netip.Prefix, thereOnly bool) bool {
	var longest *connection
	for g := range d.connections {
		if g.proven.Load() || thereOnly && g.address != address || longest != nil && longest.since.Before(g.since) {
			continue
		}
		longest = g
	}
	if longest == nil || time.Since(longest.since) < d.limits.HandshakeTime {
		return false
	}
	d.leave(longest)
	go longest.Conn.Close() // its reader then ends
	return true
}

// logRefused tells the log, now and then. The lock is held.
func (d *connectionLimits) logRefused(g *connection) {
	d.refused++
	if time.Since(d.loggedAt) < refusedLogEvery {
		return
	}
	d.logger.Warn("gateway: connections were turned away, there are too many", "turned_away", d.refused,
		"connections", len(d.connections), "handshakes", d.handshakes, "last_from", g.address.Addr())
	d.refused, d.loggedAt = 0, time.Now()
}

// leave counts a guest out, once. The lock is held.
func (d *connectionLimits) leave(g *connection) {
	if _, there := d.connections[g]; !there {
		return
	}
	d.handshakeOver(g)
	delete(d.connections, g)
	at := d.byAddress[g.address]
	if at.connections--; at.connections == 0 {
		delete(d.byAddress, g.address)
	}
}

// handshakeOver counts a guest's handshake as over, once. The lock is held.
func (d *connectionLimits) handshakeOver(g *connection) {
	if _, there := d.connections[g]; there && g.inHandshake {
		g.inHandshake = false
		d.handshakes--
		d.byAddress[g.address].handshakes--
	}
}

// shut lets nobody in any more, and ends handshakes, which closing would wait for.
func (d *connectionLimits) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for g := range d.connections {
		if g.inHandshake {
			go g.Conn.Close()
		}
	}
}

// connection is a connection that was let in.
type connection struct {
	net.Conn
	door        *connectionLimits
	address     netip.Prefix
	since       time.Time
	inHandshake bool        // the handshake is not over; guarded by the door
	proven      atomic.Bool // a caller has authenticated
}

// SetDeadline implements net.Conn. gRPC takes the deadline away when the
// handshake is over.
func (g *connection) SetDeadline(t time.Time) error {
	if t.IsZero() {
		g.door.mu.Lock()
		g.door.handshakeOver(g)
		g.door.mu.Unlock()
	}
	return g.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (g *connection) Close() error {
	g.door.mu.Lock()
	g.door.leave(g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (g *connection) RemoteAddr() net.Addr { return connectionAddr{g.Conn.RemoteAddr(), g} }

// connectionAddr is an address by which a call finds its connection.
type connectionAddr struct {
	net.Addr
	guest *connection
}

// proven remembers that a caller has authenticated on the connection of ctx.
func proven(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if at, ok := p.Addr.(connectionAddr); ok && !at.guest.proven.Load() {
		at.guest.proven.Store(true)
	}
}

// staged bounds the TLS handshake, and then what follows it, each by a time of its
// own.
type staged struct {
	credentials.TransportCredentials
	each time.Duration
}

// ServerHandshake implements credentials.TransportCredentials.
func (s staged) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if err := conn.SetDeadline(time.Now().Add(s.each)); err != nil {
		return nil, nil, err
	}
	secure, info, err := s.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		return nil, nil, err
	}
	return secure, info, conn.SetDeadline(time.Now().Add(s.each))
}

// Clone implements credentials.TransportCredentials.
func (s staged) Clone() credentials.TransportCredentials {
	return staged{s.TransportCredentials.Clone(), s.each}
}
