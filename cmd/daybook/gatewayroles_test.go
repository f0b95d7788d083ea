package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/domain/access"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// openGatewayCalls are calls of the methods that answer callers without credentials.
var openGatewayCalls = map[string]gatewayAttack{
	"/event_store.client.gossip.Gossip/Read": func(ctx context.Context, line *grpc.ClientConn, _ string) error {
		_, err := gossip.NewGossipClient(line).Read(ctx, &shared.Empty{})
		return err
	},
	"/event_store.client.server_features.ServerFeatures/GetSupportedMethods": func(ctx context.Context, line *grpc.ClientConn, _ string) error {
		_, err := serverfeatures.NewServerFeaturesClient(line).GetSupportedMethods(ctx, &shared.Empty{})
		return err
	},
}

// ofNoStream are methods that are about no stream.
var ofNoStream = []string{"/List", "/RestartSubsystem", "Gossip/Read", "/GetSupportedMethods"}

// Each row is a method of the gateway, on a stream of the shop or on one of another program. Each
// role calls it. A role may use the method if the gateway does not refuse the caller.
func (g *keyedGateway) addGatewayMethods(t *testing.T, table *strings.Builder) {
	t.Helper()
	served, err := gateway.New(memory.New(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close(t.Context())
	const ofShop = "product-MUG"
	g.must(g.admin, "PUT", "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	admin := g.with(g.admin)
	if err := admin.CreatePersistentSubscription(t.Context(), ofShop, "group", esdb.PersistentStreamSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	line := dialRaw(t, g.gateway)
	fmt.Fprintf(table, "\n%-40s %-6s %s\n", "method of the gateway", "stream", strings.Join(roleNames(), " "))
	methods, anonymous := served.Methods()
	for _, method := range methods {
		call := gatewayAttacks[method]
		if anonymous(method) {
			call = openGatewayCalls[method]
		}
		if call == nil {
			t.Errorf("the table cannot call %s: add an attack", method)
			continue
		}
		streams := []string{"shop", "other"}
		if slices.ContainsFunc(ofNoStream, func(end string) bool { return strings.HasSuffix(method, end) }) {
			streams = []string{"-"}
		}
		for _, of := range streams {
			name := method[strings.LastIndexByte(method, '.')+1:]
			fmt.Fprintf(table, "%-40s %-6s", name, of)
			for _, role := range roleNames() {
				stream := ofShop
				if of == "other" { // one for each call, because some end the stream
					stream = strings.ToLower("notes-" + strings.ReplaceAll(name, "/", "-") + "-" + role)
				}
				fmt.Fprintf(table, " %-*s", len(role), inTable[g.reachInGateway(t, line, call, role, stream)])
			}
			table.WriteString("\n")
		}
	}
}

// reachInGateway is All if the gateway does not refuse the holder of a role's key who makes a call.
func (g *keyedGateway) reachInGateway(t *testing.T, line *grpc.ClientConn, call gatewayAttack, role, stream string) access.Reach {
	t.Helper()
	key := g.keys[role]
	if role == string(access.Customer) {
		key = g.keys["customer alice"]
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := call(signedBy(ctx, strings.Split(key, "_")[1], key), line, stream)
	switch code := status.Code(err); code {
	case codes.PermissionDenied, codes.Unauthenticated:
		return access.None
	case codes.OK, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists:
		return access.All // there is no such group or stream, or there is one already
	default:
		t.Errorf("%s on %s: %v", role, stream, err)
	}
	return access.None
}
