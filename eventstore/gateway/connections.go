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

// connectionLimits accepts connections up to the limits. A connection beyond them is closed at
// once; its client tries again, or tries another node.
type connectionLimits struct {
	limits Limits
	users  bool // callers authenticate
	logger *slog.Logger

	mu          sync.Mutex
	closed      bool
	connections map[*connection]struct{}
	handshakes  int // connections whose handshake is not over
	// byAddress counts the connections, and those whose handshake is not over.
	byAddress map[netip.Prefix]*atAddress
	// refused counts the refused connections since the last line in the log, at loggedAt.
	refused  int
	loggedAt time.Time
	// refusedAll counts all refused connections.
	refusedAll uint64
}

type atAddress struct{ connections, handshakes int }

func newConnectionLimits(limits Limits, users bool, logger *slog.Logger) *connectionLimits {
	return &connectionLimits{
		limits: limits, users: users, logger: logger,
		connections: make(map[*connection]struct{}), byAddress: make(map[netip.Prefix]*atAddress),
	}
}

// of is a listener that yields the accepted connections.
func (d *connectionLimits) of(listener net.Listener) net.Listener {
	return &limitedListener{listener, d}
}

type limitedListener struct {
	net.Listener
	limits *connectionLimits
}

// Accept implements net.Listener.
func (w *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &connection{Conn: conn, limits: w.limits, address: addressed(conn.RemoteAddr()), since: time.Now(), inHandshake: true}
		if w.limits.admit(g) {
			return g, nil
		}
		conn.Close()
	}
}

// addressed is the network prefix by which the connections of one client are counted.
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

// admit counts a connection and returns true, unless there are too many.
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
	g.hasCaller.Store(!d.users)
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
// HandshakeTime, and tells whether there was one. If thereOnly is set, it
// considers only connections of this address. The lock is held.
func (d *connectionLimits) closeOldest(address netip.Prefix, thereOnly bool) bool {
	var longest *connection
	for g := range d.connections {
		if g.hasCaller.Load() || thereOnly && g.address != address || longest != nil && longest.since.Before(g.since) {
			continue
		}
		longest = g
	}
	if longest == nil || time.Since(longest.since) < d.limits.HandshakeTime {
		return false
	}
	d.leave(longest)
	go longest.Conn.Close() // the goroutine that reads it then ends
	return true
}

// logRefused counts a refused connection, and logs the count at intervals. The lock is held.
func (d *connectionLimits) logRefused(g *connection) {
	d.refused++
	d.refusedAll++
	if time.Since(d.loggedAt) < refusedLogEvery {
		return
	}
	d.logger.Warn("gateway: connections were closed because there are too many", "turned_away", d.refused,
		"connections", len(d.connections), "handshakes", d.handshakes, "last_from", g.address.Addr())
	d.refused, d.loggedAt = 0, time.Now()
}

// count returns how many connections there are, and how many were refused.
func (d *connectionLimits) count() (connections int, refused uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.connections), d.refusedAll
}

// leave stops counting a connection, once. The lock is held.
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

// handshakeOver notes that a connection's handshake is over, once. The lock is held.
func (d *connectionLimits) handshakeOver(g *connection) {
	if _, there := d.connections[g]; there && g.inHandshake {
		g.inHandshake = false
		d.handshakes--
		d.byAddress[g.address].handshakes--
	}
}

// shut refuses all further connections, and ends handshakes, because closing would wait for
// them.
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

// connection is an accepted connection.
type connection struct {
	net.Conn
	limits      *connectionLimits
	address     netip.Prefix
	since       time.Time
	inHandshake bool        // the handshake is not over; guarded by limits.mu
	hasCaller   atomic.Bool // a caller has authenticated on it, or none has to
}

// SetDeadline implements net.Conn. gRPC takes the deadline away when the
// handshake is over.
func (g *connection) SetDeadline(t time.Time) error {
	if t.IsZero() {
		g.limits.mu.Lock()
		g.limits.handshakeOver(g)
		g.limits.mu.Unlock()
	}
	return g.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (g *connection) Close() error {
	g.limits.mu.Lock()
	g.limits.leave(g)
	g.limits.mu.Unlock()
	return g.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (g *connection) RemoteAddr() net.Addr { return connectionAddr{g.Conn.RemoteAddr(), g} }

// connectionAddr is an address by which a call finds its connection.
type connectionAddr struct {
	net.Addr
	connection *connection
}

// AddressOf returns the IP address from which a call comes. known is false if it has none.
func AddressOf(ctx context.Context) (ip netip.Addr, known bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}, false
	}
	from, err := netip.ParseAddrPort(p.Addr.String())
	return from.Addr(), err == nil
}

// noteCaller notes that a caller has authenticated on the connection of ctx.
func noteCaller(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if at, ok := p.Addr.(connectionAddr); ok && !at.connection.hasCaller.Load() {
		at.connection.hasCaller.Store(true)
	}
}

// boundedHandshakes are TLS credentials that bound the time of the TLS handshake, and then the time
// of the HTTP/2 handshake.
type boundedHandshakes struct {
	credentials.TransportCredentials
	each time.Duration
}

// ServerHandshake implements credentials.TransportCredentials.
func (s boundedHandshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
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
func (s boundedHandshakes) Clone() credentials.TransportCredentials {
	return boundedHandshakes{s.TransportCredentials.Clone(), s.each}
}
