package gateway_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"

	"daybook/eventstore"
)

// consumer is a consumer of a group that uses the generated stubs. So it sees things that the
// official clients hide.
type consumer struct {
	t    *testing.T
	call persistent.PersistentSubscriptions_ReadClient
}

func (g *grouped) consume(t *testing.T, stream string, slots int32) *consumer {
	t.Helper()
	call, err := g.stubs.Read(g.ctx)
	mustDo(t, "join", err)
	options := &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: group, BufferSize: slots,
	}
	mustDo(t, "join", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: options}}))
	first, err := call.Recv()
	mustDo(t, "join", err)
	if first.GetSubscriptionConfirmation() == nil {
		t.Fatalf("the first message is %v", first)
	}
	return &consumer{t, call}
}

// takes receives the event of a revision and returns it.
func (c *consumer) takes(revision uint64) *persistent.ReadResp_ReadEvent_RecordedEvent {
	c.t.Helper()
	message, err := c.call.Recv()
	mustDo(c.t, "receive", err)
	e := message.GetEvent().GetEvent()
	if e.GetStreamRevision() != revision {
		c.t.Fatalf("got revision %d, want %d", e.GetStreamRevision(), revision)
	}
	return e
}

func (c *consumer) ack(e *persistent.ReadResp_ReadEvent_RecordedEvent) {
	c.t.Helper()
	mustDo(c.t, "acknowledge", c.call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{e.GetId()}}}}))
}

// isDropped waits for the end of the consumer.
func (c *consumer) isDropped(stream string) {
	c.t.Helper()
	message, err := c.call.Recv()
	if err == nil {
		c.t.Fatalf("got %v, want the end", message)
	}
	checkRefused(c.t, err, c.call.Trailer(), refusal{codes.Canceled, map[string]string{
		"exception": "persistent-subscription-dropped", "stream-name": stream, "group-name": group,
	}})
}

// A group does not get the old events of a deleted stream, even after somebody has written the
// stream's metadata.
func TestAGroupOfADeletedStreamWhoseMetadataIsWritten(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		g := serveGroupsOf(t, store)
		g.write("s", several(3, "t")...)
		g.create(t, "s", fromStart(nil))
		g.mustDelete("s")
		g.setMetadata("s", `{"color":"red"}`)
		c := g.consume(t, "s", 5)
		g.mustAppend("s", exact(2), event())
		c.takes(3)
	})
}

// If a stream was ended before, its group drops each consumer after the confirmation, because no
// event will ever come.
func TestAGroupOfAnEndedStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		g := serveGroupsOf(t, store)
		g.write("s", several(3, "t")...)
		g.create(t, "s", fromStart(nil))
		g.create(t, "$$s", fromStart(nil))
		g.setMetadata("s", `{}`)
		g.mustTombstone("s")
		for range 3 {
			g.consume(t, "s", 5).isDropped("s")
			g.consume(t, "$$s", 5).isDropped("$$s")
		}
		_, err := g.stubs.RestartSubsystem(g.ctx, empty)
		mustDo(t, "restart", err)
		g.consume(t, "s", 1).isDropped("s")
		g.mustTombstone("never")
		g.create(t, "never", fromStart(nil))
		g.consume(t, "never", 1).isDropped("never")
	})
}

// If a stream is ended while a group follows it, the consumers get the events that were read, then
// the tombstone, and are dropped when they have handled it.
func TestAStreamThatEndsUnderAGroup(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		g := serveGroupsOf(t, store)
		g.write("s", several(2, "t")...)
		g.create(t, "s", fromStart(nil))
		one, other := g.consume(t, "s", 1), g.consume(t, "s", 1)
		first, second := one.takes(0), other.takes(1)
		until(t, func() bool { return g.info(t, "s").Status == "Live" })
		g.mustTombstone("s")
		one.ack(first)
		end := one.takes(1<<63 - 1)
		if end.GetMetadata()["type"] != "$streamDeleted" {
			t.Errorf("the tombstone is %v", end)
		}
		one.ack(end)
		other.ack(second)
		one.isDropped("s")
		other.isDropped("s")
		g.consume(t, "s", 1).isDropped("s")
		if i := g.info(t, "s"); len(i.Connections) != 0 || i.TotalInFlightMessages != 0 {
			t.Errorf("info %v", i)
		}
	})
}

// If a stream has ended, its parked events cannot be read any more. A replay passes over them, and
// nobody waits for them.
func TestAReplayOfAnEndedStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		g := serveGroupsOf(t, store)
		g.write("s", several(2, "t")...)
		g.create(t, "s", fromStart(nil))
		c := g.consume(t, "s", 5)
		for n := range uint64(2) {
			parked := &persistent.ReadReq_Nack{Ids: []*shared.UUID{c.takes(n).GetId()}, Action: persistent.ReadReq_Nack_Park}
			mustDo(t, "park", c.call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Nack_{Nack: parked}}))
		}
		until(t, func() bool { return g.info(t, "s").ParkedMessageCount == 2 })
		g.mustTombstone("s")
		c.ack(c.takes(1<<63 - 1))
		c.isDropped("s")
		_, err := g.stubs.ReplayParked(g.ctx, &persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
			GroupName: group, StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: named("s")},
			StopAtOption: &persistent.ReplayParkedReq_Options_NoLimit{NoLimit: empty},
		}})
		mustDo(t, "replay", err)
		g.consume(t, "s", 5).isDropped("s")
		until(t, func() bool { i := g.info(t, "s"); return i.ParkedMessageCount == 0 && i.OutstandingMessagesCount == 0 })
	})
}
