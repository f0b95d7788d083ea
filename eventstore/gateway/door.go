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

const turnedAwayLog = 10 * time.Second // between two lines of the log

// door lets connections in, up to the limits. Who is one too many is closed at
// once: its client tries again, or another node.
type door struct {
	limits Limits
	users  bool // callers authenticate
	logger *slog.Logger

	mu     sync.Mutex
	closed bool
	guests map[*guest]struct{}
	shakes int // guests whose handshake is not over
	// byAddress counts the guests, and those whose handshake is not over.
	byAddress map[netip.Prefix]*atAddress
	// turnedAway counts connections since the log was told of them, at told.
	turnedAway int
	told       time.Time
}

type atAddress struct{ guests, shakes int }

func newDoor(limits Limits, users bool, logger *slog.Logger) *door {
	return &door{
		limits: limits, users: users, logger: logger,
		guests: make(map[*guest]struct{}), byAddress: make(map[netip.Prefix]*atAddress),
	}
}

// of is a listener that yields those connections that are let in.
func (d *door) of(listener net.Listener) net.Listener { return &doorway{listener, d} }

type doorway struct {
	net.Listener
	door *door
}

// Accept implements net.Listener.
func (w *doorway) Accept() (net.Conn, error) {
	for {
		conn, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &guest{Conn: conn, door: w.door, address: addressed(conn.RemoteAddr()), since: time.Now(), shaking: true}
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
func (d *door) admit(g *guest) bool {
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
	full := len(d.guests) >= d.limits.MaxConnections
	fullThere := at.guests >= d.limits.MaxConnectionsPerAddress
	if d.shakes >= d.limits.MaxHandshakes || at.shakes >= d.limits.MaxHandshakesPerAddress ||
		(full || fullThere) && !d.makeRoom(g.address, fullThere) {
		d.turnAway(g)
		return false
	}
	d.byAddress[g.address] = at
	d.guests[g] = struct{}{}
	at.guests, at.shakes, d.shakes = at.guests+1, at.shakes+1, d.shakes+1
	return true
}

// makeRoom closes the oldest unauthenticated connection that is older than
// HandshakeTime, and tells whether there was one. With thereOnly it looks only at this
// address. The lock is held.
func (d *door) makeRoom(address netip.Prefix, thereOnly bool) bool {
	var longest *guest
	for g := range d.guests {
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

// turnAway tells the log, now and then. The lock is held.
func (d *door) turnAway(g *guest) {
	d.turnedAway++
	if time.Since(d.told) < turnedAwayLog {
		return
	}
	d.logger.Warn("gateway: connections were turned away, there are too many", "turned_away", d.turnedAway,
		"connections", len(d.guests), "handshakes", d.shakes, "last_from", g.address.Addr())
	d.turnedAway, d.told = 0, time.Now()
}

// leave counts a guest out, once. The lock is held.
func (d *door) leave(g *guest) {
	if _, there := d.guests[g]; !there {
		return
	}
	d.settle(g)
	delete(d.guests, g)
	at := d.byAddress[g.address]
	if at.guests--; at.guests == 0 {
		delete(d.byAddress, g.address)
	}
}

// settle counts a guest's handshake as over, once. The lock is held.
func (d *door) settle(g *guest) {
	if _, there := d.guests[g]; there && g.shaking {
		g.shaking = false
		d.shakes--
		d.byAddress[g.address].shakes--
	}
}

// shut lets nobody in any more, and ends handshakes, which closing would wait for.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for g := range d.guests {
		if g.shaking {
			go g.Conn.Close()
		}
	}
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	door    *door
	address netip.Prefix
	since   time.Time
	shaking bool        // the handshake is not over; guarded by the door
	proven  atomic.Bool // a caller has authenticated
}

// SetDeadline implements net.Conn. gRPC takes the deadline away when the
// handshake is over.
func (g *guest) SetDeadline(t time.Time) error {
	if t.IsZero() {
		g.door.mu.Lock()
		g.door.settle(g)
		g.door.mu.Unlock()
	}
	return g.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.door.mu.Lock()
	g.door.leave(g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (g *guest) RemoteAddr() net.Addr { return guestAddr{g.Conn.RemoteAddr(), g} }

// guestAddr is an address by which a call finds its connection.
type guestAddr struct {
	net.Addr
	guest *guest
}

// proven remembers that a caller has authenticated on the connection of ctx.
func proven(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if at, ok := p.Addr.(guestAddr); ok && !at.guest.proven.Load() {
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
