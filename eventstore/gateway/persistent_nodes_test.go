package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	groupstore "daybook/eventstore/gateway/postgres"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

// testLease is long, so that no node loses its lease only because the machine stands still for a
// while. A node that ends in these tests gives its lease up.
const testLease = 20 * time.Second

// cluster is a log and a database that several gateways share.
type cluster struct {
	*testing.T
	ctx  context.Context
	log  eventstore.Store
	pool *pgxpool.Pool
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := &cluster{T: t, ctx: ctx, log: memory.New(), pool: pgtest.New(t)}
	mustDo(t, "migrate", groupstore.Migrate(ctx, c.pool))
	return c
}

// gatewayNode is one gateway of a cluster.
type gatewayNode struct {
	*cluster
	*groupstore.Node
	host   string
	port   int
	server *gateway.Server
	stop   context.CancelFunc // ends the node
	ended  chan struct{}
	closed bool
}

func (c *cluster) start() *gatewayNode {
	c.Helper()
	listener, err := (&net.ListenConfig{}).Listen(c.ctx, "tcp", "127.0.0.1:0")
	mustDo(c.T, "listen", err)
	host, port, err := net.SplitHostPort(listener.Addr().String())
	mustDo(c.T, "address", err)
	n := &gatewayNode{cluster: c, host: host, ended: make(chan struct{})}
	if n.port, err = strconv.Atoi(port); err != nil {
		c.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	n.Node = groupstore.NewNode(c.pool, host, n.port, testLease, logger)
	n.server, err = gateway.New(c.log, gateway.Options{Groups: groupstore.Open(c.pool), Node: n.Node, Cluster: n.Node, Logger: logger})
	mustDo(c.T, "make a gateway", err)
	ctx, stop := context.WithCancel(context.WithoutCancel(c.ctx))
	n.stop = stop
	go func() { defer close(n.ended); n.Run(ctx) }()
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(listener) }()
	c.Cleanup(func() {
		n.close()
		mustDo(c.T, "serve", <-served)
	})
	return n
}

// close ends the gateway and then the node, in order.
func (n *gatewayNode) close() {
	if n.closed {
		return
	}
	n.closed = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), patience)
	defer cancel()
	if err := n.server.Close(ctx); err != nil {
		n.Errorf("close the gateway: %v", err)
	}
	n.stop()
	<-n.ended
}

// crash ends the node so that nothing more is saved: for the database, another node has taken over
// before.
func (n *gatewayNode) crash() {
	n.Helper()
	_, err := n.pool.Exec(n.ctx, `UPDATE gateway.lease SET epoch = epoch + 1, node_id = NULL, expires_at = 'infinity'`)
	mustDo(n.T, "overtake the node", err)
	n.close()
	_, err = n.pool.Exec(n.ctx, `UPDATE gateway.lease SET expires_at = '-infinity'`)
	mustDo(n.T, "free the lease", err)
}

func (n *gatewayNode) dial() *esdb.Client {
	n.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + net.JoinHostPort(n.host, strconv.Itoa(n.port)) + "?tls=false")
	mustDo(n.T, "connection string", err)
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	mustDo(n.T, "client", err)
	n.Cleanup(func() { client.Close() })
	return client
}

func (n *gatewayNode) stubs() persistent.PersistentSubscriptionsClient {
	n.Helper()
	conn, err := grpc.NewClient(net.JoinHostPort(n.host, strconv.Itoa(n.port)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	mustDo(n.T, "dial", err)
	n.Cleanup(func() { conn.Close() })
	return persistent.NewPersistentSubscriptionsClient(conn)
}

func (n *gatewayNode) leads() bool { lead, _ := n.Leadership(); return lead.Epoch > 0 }

func (c *cluster) append(stream string, n int) {
	c.Helper()
	_, err := c.log.Append(c.ctx, stream, eventstore.Any, several(n, "t"))
	mustDo(c.T, "append", err)
}

func (c *cluster) infoBy(client *esdb.Client) *esdb.PersistentSubscriptionInfo {
	c.Helper()
	info, err := client.GetPersistentSubscriptionInfo(c.ctx, "s", group, esdb.GetPersistentSubscriptionOptions{})
	mustDo(c.T, "info", err)
	return info
}

func TestAGroupGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("s", 6)
	node := c.start()
	client := node.dial()
	mustDo(t, "create", client.CreatePersistentSubscription(c.ctx, "s", group, fromStart(nil)))
	sub := joinBy(c.ctx, t, client, "s", 4)
	e := takes(t, sub, "0/0", "1/0", "2/0", "3/0")
	ack(t, sub, e[0], e[2])
	nack(t, sub, esdb.NackActionPark, e[1])
	takes(t, sub, "4/0", "5/0")
	until(t, func() bool {
		i := c.infoBy(client).Stats
		return i.ParkedMessagesCount == 1 && i.TotalInFlightMessages == 3
	})
	node.close()
	wantDropped(t, sub, codes.Unavailable)

	node = c.start()
	client = node.dial()
	sub = joinBy(c.ctx, t, client, "s", 10)
	ack(t, sub, takes(t, sub, "3/0", "4/0", "5/0")...)
	info := c.infoBy(client)
	if info.Stats.ParkedMessagesCount != 1 || *info.Stats.LastCheckpointedEventRevision != 2 {
		t.Fatalf("after a restart %+v", info.Stats)
	}
	mustDo(t, "replay", client.ReplayParkedMessages(c.ctx, "s", group, esdb.ReplayParkedMessagesOptions{}))
	ack(t, sub, takes(t, sub, "1/0")...)
	until(t, func() bool {
		i := c.infoBy(client).Stats
		return i.ParkedMessagesCount == 0 && i.OutstandingMessagesCount == 0
	})
}

// A node crashes after an event was parked and before the next checkpoint. Acknowledged events
// after the checkpoint come again, parked events do not, and a replay that had begun goes on.
func TestAGroupLosesNothingInACrash(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("s", 4)
	node := c.start()
	client := node.dial()
	mustDo(t, "create", client.CreatePersistentSubscription(c.ctx, "s", group, fromStart(nil)))
	sub := joinBy(c.ctx, t, client, "s", 10)
	e := takes(t, sub, "0/0", "1/0", "2/0", "3/0")
	ack(t, sub, e[0])
	nack(t, sub, esdb.NackActionPark, e[1], e[2])
	until(t, func() bool {
		i := c.infoBy(client).Stats
		return i.ParkedMessagesCount == 2 && i.OutstandingMessagesCount == 1
	})
	node.crash()

	node = c.start()
	client = node.dial()
	sub = joinBy(c.ctx, t, client, "s", 10)
	e = takes(t, sub, "0/0", "3/0")
	mustDo(t, "replay", client.ReplayParkedMessages(c.ctx, "s", group, esdb.ReplayParkedMessagesOptions{}))
	ack(t, sub, takes(t, sub, "1/0", "2/0")[0])
	ack(t, sub, e...)
	until(t, func() bool { return c.infoBy(client).Stats.OutstandingMessagesCount == 1 })
	until(t, func() bool {
		var left int
		mustDo(t, "count", c.pool.QueryRow(c.ctx, `SELECT count(*) FROM gateway.parked`).Scan(&left))
		return left == 1
	})
	node.crash()

	client = c.start().dial()
	sub = joinBy(c.ctx, t, client, "s", 10)
	comes := map[uint64]int{}
	for range 4 {
		item := sub.Recv()
		if item.EventAppeared == nil {
			t.Fatalf("dropped after %v: %v", comes, item.SubscriptionDropped.Error)
		}
		comes[item.EventAppeared.Event.OriginalEvent().EventNumber]++
		ack(t, sub, item.EventAppeared.Event)
	}
	// Event 2 was replayed and not acknowledged. The others are after the checkpoint.
	if comes[0] != 1 || comes[1] != 1 || comes[2] != 1 || comes[3] != 1 {
		t.Fatalf("after the second crash come %v", comes)
	}
	until(t, func() bool { return c.infoBy(client).Stats.OutstandingMessagesCount == 0 })
}

func TestOnlyTheLeaderServesGroups(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("s", 3)
	first := c.start()
	until(t, first.leads)
	second := c.start()
	until(t, func() bool { lead, _ := second.Leadership(); return lead.Host != "" })
	client := first.dial()
	mustDo(t, "create", client.CreatePersistentSubscription(c.ctx, "s", group, fromStart(nil)))

	var trailers metadata.MD
	_, err := second.stubs().GetInfo(c.ctx, &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		GroupName: group, StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: named("s")},
	}}, grpc.Trailer(&trailers))
	if status.Code(err) != codes.NotFound || trailers.Get("exception")[0] != "not-leader" ||
		trailers.Get("leader-endpoint-host")[0] != first.host || trailers.Get("leader-endpoint-port")[0] != strconv.Itoa(first.port) {
		t.Fatalf("a node that does not lead answers %v with %v", err, trailers)
	}

	// The client is sent to the leader.
	wandering := second.dial()
	_, err = wandering.SubscribeToPersistentSubscription(c.ctx, "s", group, esdb.SubscribeToPersistentSubscriptionOptions{})
	if failed, ok := errors.AsType[*esdb.Error](err); !ok || !failed.IsErrorCode(esdb.ErrorCodeNotLeader) {
		t.Fatalf("join at a node that does not lead: %v", err)
	}
	sub := joinBy(c.ctx, t, wandering, "s", 10)
	e := takes(t, sub, "0/0", "1/0", "2/0")
	ack(t, sub, e[:2]...)
	until(t, func() bool { return c.infoBy(client).Stats.OutstandingMessagesCount == 1 })

	first.close()
	wantDropped(t, sub, codes.Unavailable)
	until(t, second.leads)
	sub = joinBy(c.ctx, t, second.dial(), "s", 10)
	ack(t, sub, takes(t, sub, "2/0")...)
	members, err := second.Members(c.ctx)
	mustDo(t, "members", err)
	if len(members) != 1 || members[0].Port != second.port || !members[0].Leader {
		t.Fatalf("members after the first left: %+v", members)
	}
}
