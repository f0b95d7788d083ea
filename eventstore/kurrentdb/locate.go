package kurrentdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

var (
	errNoLeader = errors.New("no node of the cluster leads") // it is about to elect one
	errAddress  = errors.New("an address that cannot be used")
)

// clustered tells whether the connection string names a cluster, whose nodes are asked which
// one leads. A single host is used without asking.
func clustered(config *esdb.Configuration) bool {
	return config.DnsDiscover || len(config.GossipSeeds) > 0
}

// hosts are the hosts to ask. A name that stands for a cluster is asked at each of its
// addresses, and the certificates there must have that name.
func hosts(ctx context.Context, config *esdb.Configuration, lookup func(context.Context, string) ([]string, error)) (addresses []string, name string, err error) {
	for _, seed := range config.GossipSeeds {
		addresses = append(addresses, seed.String())
	}
	if len(addresses) > 0 {
		return addresses, "", nil
	}
	name, port, err := net.SplitHostPort(config.Address)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %q: %w", errAddress, config.Address, err)
	}
	found, err := lookup(ctx, name)
	if err != nil {
		return nil, "", fmt.Errorf("the cluster's name: %w", err)
	}
	for _, address := range found {
		addresses = append(addresses, net.JoinHostPort(address, port))
	}
	return addresses, name, nil
}

// refusals are the reasons why no host named a leader, one for each host.
type refusals []error

func (r refusals) Error() string   { return errors.Join(r...).Error() }
func (r refusals) Unwrap() []error { return r }

func gossipTimeout(config *esdb.Configuration) time.Duration {
	return time.Duration(config.GossipTimeout) * time.Second
}

// locate asks the hosts of a connection string which node leads, and makes a connection
// string for that node.
//
// The client could do that, too, but it has three faults. It asks one host after the other,
// so a host that hangs blocks a search that cannot be broken off. It accepts a node that does
// not lead. It ends the process if it cannot read a node's address.
func locate(ctx context.Context, config *esdb.Configuration) error {
	if !clustered(config) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, gossipTimeout(config))
	defer cancel()
	asked, name, err := hosts(ctx, config, net.DefaultResolver.LookupHost)
	if err != nil {
		return err
	}
	type answer struct {
		leader string
		err    error
	}
	answers := make(chan answer, len(asked))
	for _, host := range asked {
		go func() {
			leader, err := askForLeader(ctx, config, host, name)
			answers <- answer{leader, err}
		}()
	}
	var errs refusals
	for range asked {
		a := <-answers
		if a.err == nil {
			config.Address, config.GossipSeeds, config.DnsDiscover = a.leader, nil, false
			return nil
		}
		errs = append(errs, a.err)
	}
	return errs
}

func askForLeader(ctx context.Context, config *esdb.Configuration, host, name string) (string, error) {
	conn, err := newConn(config, host, name)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	cluster, err := gossip.NewGossipClient(conn).Read(ctx, &shared.Empty{})
	if err != nil {
		return "", fmt.Errorf("ask %s for the cluster's members: %w", host, unlessTLS(ctx, config, host, err))
	}
	for _, member := range cluster.GetMembers() {
		if member.GetState() != gossip.MemberInfo_Leader || !member.GetIsAlive() {
			continue
		}
		at := member.GetHttpEndPoint()
		leader := net.JoinHostPort(at.GetAddress(), strconv.FormatUint(uint64(at.GetPort()), 10))
		unused, err := newConn(config, leader, "")
		if err != nil {
			return "", fmt.Errorf("the leader that %s names: %w", host, err)
		}
		return leader, unused.Close()
	}
	return "", fmt.Errorf("ask %s for the cluster's members: %w", host, errNoLeader)
}

// errSpeaksTLS is the error for a server that requires TLS when the connection string says
// tls=false.
var errSpeaksTLS = errors.New("the server speaks TLS")

// unlessTLS returns why there was no connection. A server that requires TLS just closes a
// connection without TLS, but a proxy whose server is away does the same. So unlessTLS tries TLS to
// tell them apart.
func unlessTLS(ctx context.Context, config *esdb.Configuration, host string, err error) error {
	if !config.DisableTLS || !strings.Contains(err.Error(), saysNoPreface) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent
		MinVersion:         tls.VersionTLS12, NextProtos: []string{"h2"},
	}}
	conn, failed := dialer.DialContext(ctx, "tcp", host)
	if failed == nil {
		_ = conn.Close() // nothing was sent
		return fmt.Errorf("%w: %w", errSpeaksTLS, err)
	}
	if alert, told := errors.AsType[*net.OpError](failed); told && alert.Op == "remote error" {
		return fmt.Errorf("%w: %w", errSpeaksTLS, err)
	}
	return err
}

// newConn is a connection in the form of the client's own. It is opened at the first use. If
// name is not empty, the certificate must have it instead of the host's name.
func newConn(config *esdb.Configuration, host, name string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if !config.DisableTLS {
		settings := &tls.Config{
			InsecureSkipVerify: config.SkipCertificateVerification, //nolint:gosec // tlsVerifyCert=false asks for it
			RootCAs:            config.RootCAs,
			ServerName:         name,
			MinVersion:         tls.VersionTLS12,
		}
		if config.UserCertFile != "" {
			certificate, err := tls.LoadX509KeyPair(config.UserCertFile, config.UserKeyFile)
			if err != nil {
				return nil, fmt.Errorf("the client's certificate: %w", err)
			}
			settings.Certificates = []tls.Certificate{certificate}
		}
		transport = credentials.NewTLS(settings)
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", errAddress, host, err)
	}
	return conn, nil
}
