package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/streams"
	"daybook/eventstore/gateway"
	gatewaypg "daybook/eventstore/gateway/postgres"
	"daybook/internal/certs"
)

// gatewayFlags say whether the gateway is open to clients of EventStoreDB, and to which of them.
type gatewayFlags struct {
	Address   string `name:"gateway" placeholder:"HOST:PORT" from:"DAYBOOK_GATEWAY" help:"Also serve the log to clients of EventStoreDB and KurrentDB here. They sign in with an API key (its id is the user name, its secret the password), as a person who has signed in, or with a token of an identity provider. Without --gateway-cert it must be a loopback address."`
	Open      bool   `name:"gateway-open" from:"DAYBOOK_GATEWAY_OPEN" help:"Let clients of the gateway write the shop's own streams too. No rule checks what they write. Use this only if another Daybook keeps its log here; needs --access off."`
	Cert      string `name:"gateway-cert" placeholder:"FILE" from:"DAYBOOK_GATEWAY_CERT" help:"Certificate (PEM, with its chain) for TLS; needs --gateway-key. If the files change, the new certificate is used within a second. By default the program makes one for this machine and keeps it in the data directory."`
	Key       string `name:"gateway-key" placeholder:"FILE" from:"DAYBOOK_GATEWAY_KEY" help:"Private key (PEM) of the certificate."`
	Users     string `name:"gateway-users" placeholder:"FILE" from:"DAYBOOK_GATEWAY_USERS" help:"File of users who may call besides those who may use the HTTP API. Its lines are those of htpasswd -B; groups can follow after another colon (name:hash:$$admins). Needs TLS."`
	Advertise string `name:"gateway-advertise" placeholder:"HOST:PORT" from:"DAYBOOK_GATEWAY_ADVERTISE" help:"Address at which clients reach this node. Default: the address where it listens."`

	MaxMessage     int   `name:"gateway-max-message" placeholder:"BYTES" from:"DAYBOOK_GATEWAY_MAX_MESSAGE" help:"Largest message that is received. Default: 4 MiB; Node.js clients send up to 3 MiB."`
	MaxReceived    int64 `name:"gateway-max-received" placeholder:"BYTES" from:"DAYBOOK_GATEWAY_MAX_RECEIVED" help:"Memory for events that were received and are not recorded yet. Further calls wait. Default: 64 MiB."`
	MaxConnections int   `name:"gateway-max-connections" placeholder:"N" from:"DAYBOOK_GATEWAY_MAX_CONNECTIONS" help:"Connections of all clients together. Default: 1000."`
	MaxPerAddress  int   `name:"gateway-max-connections-per-address" placeholder:"N" from:"DAYBOOK_GATEWAY_MAX_CONNECTIONS_PER_ADDRESS" help:"Connections of one IP address. Default: 250; without --gateway-users the same as --gateway-max-connections."`
}

// gatewayConfig is what a server needs to open its gateway.
type gatewayConfig struct {
	address   string // empty: no gateway
	advertise string
	tls       *tls.Config
	users     gateway.Users // of the file, nil if there is none
	keyed     bool          // the holders of API keys are users, too
	dir       string        // where a certificate is kept that the program makes itself
	anyStream bool          // the shop's own streams may be written too
	limits    gateway.Limits
}

// config reads the files that the flags name, so that a fault in them is known before anything is
// started. who is the value of --access.
func (f gatewayFlags) config(p *program, who string) (gatewayConfig, error) {
	if f.Address == "" {
		if given := f.given(); len(given) > 0 {
			return gatewayConfig{}, usagef("--gateway HOST:PORT is missing: without it, %s would do nothing", strings.Join(given, ", "))
		}
		return gatewayConfig{}, nil
	}
	if p.Store == storeKurrentDB {
		return gatewayConfig{}, usagef("--gateway with --store %s: the log is in a KurrentDB, to which its clients speak directly", p.Store)
	}
	cfg := gatewayConfig{address: f.Address, advertise: f.Advertise, anyStream: f.Open, keyed: who != accessOff, dir: p.Data}
	if err := f.checkAddresses(); err != nil {
		return gatewayConfig{}, err
	}
	if err := f.checkLimits(); err != nil {
		return gatewayConfig{}, err
	}
	cfg.limits = gateway.Limits{
		MaxMessage: f.MaxMessage, MaxReceived: f.MaxReceived,
		MaxConnections: f.MaxConnections, MaxConnectionsPerAddress: f.MaxPerAddress,
	}
	if (f.Cert == "") != (f.Key == "") {
		return gatewayConfig{}, usagef("--gateway-cert and --gateway-key go together")
	}
	if f.Cert != "" {
		files, err := certs.Open(f.Cert, f.Key, p.log)
		if err != nil {
			return gatewayConfig{}, usagef("--gateway-cert and --gateway-key: %v", err)
		}
		cfg.tls = files.Config()
	}
	if cfg.keyed && cfg.anyStream {
		return gatewayConfig{}, usagef("--gateway-open needs --access off, because its clients could write API keys of their own into the log")
	}
	if cfg.keyed && cfg.tls == nil && p.DatabaseURL != "" {
		return gatewayConfig{}, usagef("--gateway needs --gateway-cert and --gateway-key: clients send API keys over TLS only")
	}
	if f.Users == "" {
		return cfg, nil
	}
	if cfg.tls == nil {
		return gatewayConfig{}, usagef("--gateway-users needs --gateway-cert: clients send passwords over TLS only")
	}
	users, err := readUsers(f.Users)
	if err != nil {
		return gatewayConfig{}, usagef("--gateway-users %s: %v", f.Users, err)
	}
	cfg.users = users
	return cfg, nil
}

// given lists the flags that are given besides the address.
func (f gatewayFlags) given() (flags []string) {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"--gateway-open", f.Open},
		{"--gateway-cert", f.Cert != ""},
		{"--gateway-key", f.Key != ""},
		{"--gateway-users", f.Users != ""},
		{"--gateway-advertise", f.Advertise != ""},
		{"--gateway-max-message", f.MaxMessage != 0},
		{"--gateway-max-received", f.MaxReceived != 0},
		{"--gateway-max-connections", f.MaxConnections != 0},
		{"--gateway-max-connections-per-address", f.MaxPerAddress != 0},
	} {
		if flag.given {
			flags = append(flags, flag.name)
		}
	}
	return flags
}

// checkLimits refuses limits with which nothing would work. Zero is the default.
func (f gatewayFlags) checkLimits() error {
	const least = 64 << 10 // bytes
	for _, limit := range []struct {
		flag         string
		value, least int64
	}{
		{"--gateway-max-message", int64(f.MaxMessage), least},
		{"--gateway-max-received", f.MaxReceived, least},
		{"--gateway-max-connections", int64(f.MaxConnections), 1},
		{"--gateway-max-connections-per-address", int64(f.MaxPerAddress), 1},
	} {
		if limit.value != 0 && limit.value < limit.least {
			return usagef("%s %d: want at least %d", limit.flag, limit.value, limit.least)
		}
	}
	if f.MaxMessage > math.MaxInt32 {
		return usagef("--gateway-max-message %d: want at most %d", f.MaxMessage, math.MaxInt32)
	}
	return nil
}

// checkAddresses makes sure that clients are told an address that they can reach.
func (f gatewayFlags) checkAddresses() error {
	if f.Advertise != "" {
		if host, _, err := splitPort(f.Advertise); err != nil || host == "" {
			return usagef("--gateway-advertise %s: %v", f.Advertise, errHostPort)
		}
		return nil
	}
	host, _, err := splitPort(f.Address)
	if err != nil {
		return usagef("--gateway %s: %v", f.Address, err)
	}
	if ip := net.ParseIP(host); f.Users != "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return usagef("--gateway %s listens on every address, so it needs --gateway-advertise HOST:PORT: the one that clients are told", f.Address)
	}
	return nil
}

func readUsers(path string) (*gateway.PasswordFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return gateway.ReadPasswordFile(file)
}

// openGateway is the gateway of a server. If it is nil, there is no gateway, and its methods do
// nothing.
type openGateway struct {
	gatewayConfig
	listener net.Listener
	pool     *pgxpool.Pool // of the state of persistent subscriptions
	server   *gateway.Server
	leave    func() // ends this node's part among the nodes
	ownCert  string // the file of the certificate that the program made itself, if it did
}

// gatewayNeeds is what an address of the gateway needs if other machines can reach it.
const gatewayNeeds = "for other machines it needs TLS (--gateway-cert), and users (--access keys or --gateway-users)"

// check refuses an address at which listen would not listen.
func (c gatewayConfig) check(ctx context.Context) error {
	if c.address == "" {
		return nil
	}
	_, err := c.listenAddress(ctx)
	return err
}

// onlyHere tells whether the address must be a loopback address. Without users, everybody who
// reaches the gateway may do anything. A certificate that the program makes itself is known only on
// this machine.
func (c gatewayConfig) onlyHere() bool { return c.users == nil && !c.keyed || c.tls == nil }

// listenAddress is the address at which the gateway listens.
func (c gatewayConfig) listenAddress(ctx context.Context) (string, error) {
	if c.onlyHere() {
		return ownAddress(ctx, "--gateway", c.address, gatewayNeeds)
	}
	if _, _, err := splitPort(c.address); err != nil {
		return "", usagef("--gateway %s: %v", c.address, err)
	}
	return c.address, nil
}

// listen opens the gateway's address.
func (c gatewayConfig) listen(ctx context.Context) (*openGateway, error) {
	if c.address == "" {
		return nil, nil
	}
	address, err := c.listenAddress(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--gateway: %w", err)
	}
	return &openGateway{gatewayConfig: c, listener: listener}, nil
}

// url is the connection string for clients on this machine.
func (g *openGateway) url() string {
	if g == nil {
		return ""
	}
	url := fmt.Sprintf("esdb://%s?tls=%t", g.advertised(), g.tls != nil)
	if g.ownCert != "" {
		url += "&tlsCAFile=" + g.ownCert
	}
	return url
}

// advertised is the address of this node that clients are given.
func (g *openGateway) advertised() string {
	if g.advertise != "" {
		return g.advertise
	}
	return g.listener.Addr().String()
}

// open makes the gateway over a node that is open.
func (g *openGateway) open(ctx context.Context, n *node) error {
	if g == nil {
		return nil
	}
	host, port, err := splitPort(g.advertised())
	if err != nil {
		return err
	}
	if g.pool, err = openPool(ctx, n.database.url, "gateway", gatewayConns, n.log); err != nil {
		return err
	}
	if g.keyed && g.tls == nil {
		if g.ownCert, g.tls, err = ownCertificate(g.dir, host, n.now()); err != nil {
			return fmt.Errorf("make the gateway's certificate: %w", err)
		}
	}
	node := gatewaypg.NewNode(g.pool, host, port, 0, n.log)
	options := gateway.Options{
		Logger: n.log, TLS: g.tls, Readers: g.readers(), Cluster: node, Groups: gatewaypg.Open(g.pool), Node: node,
		Limits: g.limits,
	}
	g.setUsers(&options, n)
	if !g.anyStream {
		options.Protected, options.ReservedID = streams.Owns, streams.OwnsID
	}
	if g.server, err = gateway.New(n.store, options); err != nil {
		return errors.Join(err, closePool(ctx, g.pool))
	}
	g.leave = n.parts.background(ctx, "the gateway's part among the nodes", func(ctx context.Context) error {
		node.Run(ctx)
		return ctx.Err()
	})
	return nil
}

// gatewayConns is the number of connections for the state of persistent subscriptions. It is small,
// because the state is written seldom and many changes at once.
const gatewayConns = 4

// close lets calls under way finish and ends subscriptions, until ctx ends.
func (g *openGateway) close(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- g.server.Close(ctx) }()
	// The node gives up its lease only after its groups have stopped, because their later writes
	// would be refused. But it does so before its calls have ended, so that another node can serve
	// the groups soon.
	select {
	case <-g.server.Halted():
		inTime(ctx, g.leave)
		return errors.Join(<-closed, closePool(ctx, g.pool))
	case err := <-closed:
		inTime(ctx, g.leave)
		return errors.Join(err, closePool(ctx, g.pool))
	}
}

// abandon gives up a gateway that never served.
func (g *openGateway) abandon() error {
	if g == nil || g.listener == nil {
		return nil
	}
	return g.listener.Close()
}

var errHostPort = errors.New("want HOST:PORT, such as 127.0.0.1:2113")

func splitPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errHostPort
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, errHostPort
	}
	return host, port, nil
}
