package kurrentdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
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

// hosts are those to ask which node leads; none if the one host named is meant.
func hosts(config *esdb.Configuration) []string {
	if config.DnsDiscover {
		return []string{config.Address}
	}
	seeds := make([]string, len(config.GossipSeeds))
	for i, seed := range config.GossipSeeds {
		seeds[i] = seed.String()
	}
	return seeds
}

func gossipTimeout(config *esdb.Configuration) time.Duration {
	return time.Duration(config.GossipTimeout) * time.Second
}

// locate asks the hosts of a connection string which node leads, and makes a
// connection string of that one. A single host is asked nothing: it is meant.
//
// The client would ask one host after the other, so that one that hangs holds up
// what cannot be broken off; would take a node that does not lead; and ends the
// process if a node's address cannot be read.
func locate(ctx context.Context, config *esdb.Configuration) error {
	asked := hosts(config)
	if len(asked) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, gossipTimeout(config))
	defer cancel()
	type answer struct {
		leader string
		err    error
	}
	answers := make(chan answer, len(asked))
	for _, host := range asked {
		go func() {
			leader, err := askForLeader(ctx, config, host)
			answers <- answer{leader, err}
		}()
	}
	var errs []error
	for range asked {
		a := <-answers
		if a.err == nil {
			config.Address, config.GossipSeeds, config.DnsDiscover = a.leader, nil, false
			return nil
		}
		errs = append(errs, a.err)
	}
	return errors.Join(errs...)
}

func askForLeader(ctx context.Context, config *esdb.Configuration, host string) (string, error) {
	conn, err := newConn(config, host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	cluster, err := gossip.NewGossipClient(conn).Read(ctx, &shared.Empty{})
	if err != nil {
		return "", fmt.Errorf("ask %s for the cluster's members: %w", host, err)
	}
	for _, member := range cluster.GetMembers() {
		if member.GetState() != gossip.MemberInfo_Leader || !member.GetIsAlive() {
			continue
		}
		at := member.GetHttpEndPoint()
		leader := net.JoinHostPort(at.GetAddress(), strconv.FormatUint(uint64(at.GetPort()), 10))
		unused, err := newConn(config, leader)
		if err != nil {
			return "", fmt.Errorf("the leader that %s names: %w", host, err)
		}
		return leader, unused.Close()
	}
	return "", fmt.Errorf("ask %s for the cluster's members: %w", host, errNoLeader)
}

// newConn is a connection as the client makes it. It is opened when it is used.
func newConn(config *esdb.Configuration, host string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if !config.DisableTLS {
		settings := &tls.Config{
			InsecureSkipVerify: config.SkipCertificateVerification, //nolint:gosec // tlsVerifyCert=false asks for it
			RootCAs:            config.RootCAs,
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
