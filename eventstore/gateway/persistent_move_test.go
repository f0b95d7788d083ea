package gateway_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"daybook/eventstore"
)

// move updates a group on a stream, or on $all if the stream is empty, to another start:
// a revision, or a position with this number twice.
func move(t *testing.T, on *served, stubs persistent.PersistentSubscriptionsClient, stream string, start uint64) {
	t.Helper()
	options := &persistent.UpdateReq_Options{
		GroupName: group,
		Settings:  &persistent.UpdateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 10, LiveBufferSize: 10, MaxRetryCount: 10},
		StreamOption: &persistent.UpdateReq_Options_Stream{Stream: &persistent.UpdateReq_StreamOptions{
			StreamIdentifier: named(stream), RevisionOption: &persistent.UpdateReq_StreamOptions_Revision{Revision: start},
		}},
	}
	if stream == "" {
		options.StreamOption = &persistent.UpdateReq_Options_All{All: &persistent.UpdateReq_AllOptions{
			AllOption: &persistent.UpdateReq_AllOptions_Position{Position: &persistent.UpdateReq_Position{CommitPosition: start, PreparePosition: start}},
		}}
	}
	_, err := stubs.Update(on.ctx, &persistent.UpdateReq{Options: options})
	mustDo(t, "update", err)
}

// A group is made at the end of its source, and moved before a consumer has handled an event. It
// begins where it was moved to. After a consumer has handled an event, it goes on from its place.
func TestAGroupMadeAtTheEndIsMoved(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		g := serveGroupsOf(t, store)
		first := g.write("s", several(3, "t")...).Position
		mustDo(t, "create", g.CreatePersistentSubscription(g.ctx, "s", group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.End{}}))
		move(t, g.served, g.stubs, "s", 1)
		if i := g.info(t, "s"); i.StartFrom != "1" || i.LastCheckpointedEventPosition != "" {
			t.Errorf("info %v", i)
		}
		sub := g.join(t, "s", 5)
		ack(t, sub, takes(t, sub, "1/0", "2/0")...)
		until(t, func() bool { return g.info(t, "s").OutstandingMessagesCount == 0 })
		move(t, g.served, g.stubs, "s", 0)
		g.write("s", event())
		takes(t, g.join(t, "s", 5), "3/0")

		mustDo(t, "create", g.CreatePersistentSubscriptionToAll(g.ctx, group, esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.End{}}))
		commit, _ := first.Pair()
		move(t, g.served, g.stubs, "", commit)
		all, err := g.SubscribeToPersistentSubscriptionToAll(g.ctx, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 5})
		mustDo(t, "join", err)
		t.Cleanup(func() { all.Close() })
		takes(t, all, "2/0", "3/0")
	})
}

// If no consumer has handled an event yet, the node that leads next knows this, too.
func TestAGroupIsMovedOnAnotherNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.append("s", 3)
	node := c.start()
	mustDo(t, "create", node.dial().CreatePersistentSubscription(c.ctx, "s", group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.End{}}))
	node.crash()
	node = c.start()
	until(t, node.leads)
	move(t, &served{tb: t, ctx: c.ctx}, node.stubs(), "s", 1)
	node.crash()
	node = c.start()
	until(t, node.leads)
	client := node.dial()
	sub := joinBy(c.ctx, t, client, "s", 5)
	ack(t, sub, takes(t, sub, "1/0", "2/0")...)
	until(t, func() bool { return c.infoBy(client).Stats.OutstandingMessagesCount == 0 })
	move(t, &served{tb: t, ctx: c.ctx}, node.stubs(), "s", 0)
	c.append("s", 1)
	takes(t, joinBy(c.ctx, t, client, "s", 5), "3/0")
}
