package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/peer"
)

// version is the version of the server whose protocol this is. Clients derive from it which
// requests they may send. v4 accepts three numbers only.
const version = "24.10.6"

// features are the features of methods that clients ask for.
var features = map[string][]string{
	"event_store.client.streams.streams/read":        {"position", "events"},
	"event_store.client.streams.streams/batchappend": {"deadline_duration"},
}

// persistentService has the same features on each of its methods.
const persistentService = "event_store.client.persistent_subscriptions.persistentsubscriptions"

// GetSupportedMethods tells clients what they may call.
func (s *Server) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	supported := &serverfeatures.SupportedMethods{EventStoreServerVersion: version}
	for name, service := range s.grpc.GetServiceInfo() {
		name = strings.ToLower(name)
		for _, m := range service.Methods {
			method := &serverfeatures.SupportedMethod{ServiceName: name, MethodName: strings.ToLower(m.Name)}
			method.Features = features[name+"/"+method.MethodName]
			if name == persistentService {
				method.Features = []string{"stream", "all"}
			}
			supported.Methods = append(supported.Methods, method)
		}
	}
	slices.SortFunc(supported.Methods, func(a, b *serverfeatures.SupportedMethod) int {
		return cmp.Or(cmp.Compare(a.ServiceName, b.ServiceName), cmp.Compare(a.MethodName, b.MethodName))
	})
	return supported, nil
}

// gossipServer is a type of its own because of its method Read: Streams has one with the same
// name.
type gossipServer struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read tells clients which nodes there are.
func (g gossipServer) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	members, err := g.server.members(ctx)
	if err != nil {
		return nil, err
	}
	info := &gossip.ClusterInfo{}
	for _, m := range members {
		state := gossip.MemberInfo_Follower
		if m.Leader {
			state = gossip.MemberInfo_Leader
		}
		info.Members = append(info.Members, &gossip.MemberInfo{
			InstanceId:   idStructured.wire(m.ID),
			TimeStamp:    ticks(m.SeenAt),
			State:        state,
			IsAlive:      m.Alive,
			HttpEndPoint: &gossip.EndPoint{Address: m.Host, Port: uint32(m.Port)},
		})
	}
	return info, nil
}

func (s *Server) members(ctx context.Context) ([]Member, error) {
	if s.options.Cluster != nil {
		members, err := s.options.Cluster.Members(ctx)
		if err != nil {
			return nil, fmt.Errorf("members of the cluster: %w", err)
		}
		return members, nil
	}
	host, port, err := addressOf(ctx)
	if err != nil {
		return nil, err
	}
	return []Member{{ID: s.id, Host: host, Port: port, Leader: true, Alive: true, SeenAt: s.now()}}, nil
}

// addressOf is the address at which the caller has reached this node. It is the name that the
// client used, because that name fits the certificate. Otherwise it is the address of the
// connection.
func addressOf(ctx context.Context) (host string, port int, err error) {
	if host, port, err = hostPort(header(ctx, ":authority")); err == nil {
		return host, port, nil
	}
	if p, ok := peer.FromContext(ctx); ok && p.LocalAddr != nil {
		return hostPort(p.LocalAddr.String())
	}
	return "", 0, err
}

func hostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("address %q of this node: %w", address, err)
	}
	return host, port, nil
}
