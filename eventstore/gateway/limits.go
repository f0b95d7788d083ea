package gateway

import "time"

// Limits bound the resources that callers can use. Zero means the default for each.
type Limits struct {
	// MaxMessage is the largest message that is received, in bytes, compressed and
	// decompressed. Default: 4 MiB.
	// The official Node client packs batches of up to 3 MiB into one message, so a
	// smaller limit turns its batches away.
	MaxMessage int
	// MaxReceived bounds the bytes of messages that are being received, or were received and
	// are not recorded yet, over all calls. If the limit is reached, a call waits for
	// RoomTime and is then refused as UNAVAILABLE. Default: 64 MiB.
	MaxReceived int64
	// RoomTime is how long a call waits until that limit has space for it. Default: 5 s.
	RoomTime time.Duration
	// MaxConnections bounds the connections of all clients. Default: 1,000.
	MaxConnections int
	// MaxConnectionsPerAddress bounds the connections of one IP address (of one /64 network
	// for IPv6). Default: 250. Without users the default is MaxConnections, because then all
	// clients are on this machine.
	MaxConnectionsPerAddress int
	// MaxHandshakes bounds the connections whose TLS or HTTP/2 handshake is not over,
	// and MaxHandshakesPerAddress those of one address. Defaults: 200 and 100.
	MaxHandshakes, MaxHandshakesPerAddress int
	// HandshakeTime bounds the TLS handshake, and then the HTTP/2 handshake. Default:
	// 10 s each, because a .NET process that starts on a slow machine needs several.
	HandshakeTime time.Duration
	// FirstMessageTime bounds the wait for the first message of a call. Default: 10 s.
	FirstMessageTime time.Duration
	// MessageTime bounds the wait for the rest of a message that has begun. Default:
	// 30 s.
	MessageTime time.Duration
}

const (
	defaultMaxMessage        = 4 << 20
	defaultMaxReceived       = 64 << 20
	defaultRoomTime          = 5 * time.Second
	defaultConnections       = 1000
	defaultPerAddress        = 250
	defaultHandshakes        = 200
	defaultHandshakesPerAddr = 100
	defaultHandshakeTime     = 10 * time.Second
	defaultFirstMessage      = 10 * time.Second
	defaultMessageTime       = 30 * time.Second
)

// withDefaults fills in the limits that were not set.
func (l Limits) withDefaults(users bool) Limits {
	orDefault(&l.MaxMessage, defaultMaxMessage)
	orDefault(&l.MaxReceived, defaultMaxReceived)
	// A message that is larger than the budget could never be received. A compressed message
	// counts in both forms.
	l.MaxReceived = max(l.MaxReceived, 2*int64(l.MaxMessage)+messageCost+unpackCost)
	orDefault(&l.RoomTime, defaultRoomTime)
	orDefault(&l.MaxConnections, defaultConnections)
	perAddress := defaultPerAddress
	if !users {
		perAddress = l.MaxConnections
	}
	orDefault(&l.MaxConnectionsPerAddress, perAddress)
	orDefault(&l.MaxHandshakes, defaultHandshakes)
	orDefault(&l.MaxHandshakesPerAddress, defaultHandshakesPerAddr)
	orDefault(&l.HandshakeTime, defaultHandshakeTime)
	orDefault(&l.FirstMessageTime, defaultFirstMessage)
	orDefault(&l.MessageTime, defaultMessageTime)
	return l
}

func orDefault[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}
