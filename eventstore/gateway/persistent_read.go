package gateway

import (
	"context"
	"errors"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/peer"

	"daybook/eventstore/gateway/groups"
)

type persistentStream = persistent.PersistentSubscriptions_ReadServer

// Read serves one consumer of a group: it sends events and takes the consumer's
// acknowledgements.
func (p persistentServer) Read(stream persistentStream) error {
	req, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	options := req.GetOptions()
	if options == nil {
		return invalid("the first message of a read must be its options")
	}
	ctx, stop := p.server.untilClosing(stream.Context())
	defer stop()
	consumer, key, err := p.connect(ctx, options)
	if err != nil {
		return groupFailure(err)
	}
	defer consumer.Close()
	ctx, unwatch := p.server.whileReadable(ctx, key.Source)
	defer unwatch()
	p.server.served.consumers.Add(1)
	defer p.server.served.consumers.Add(-1)
	confirmation := &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: key.String()}
	if err := stream.Send(&persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{SubscriptionConfirmation: confirmation}}); err != nil {
		return err
	}
	ctx, broken := context.WithCancelCause(ctx)
	defer broken(nil)
	shown := &shownIDs{}
	go func() {
		if err := answers(stream, consumer, shown); err != nil {
			broken(err)
		}
	}()
	form := idStructured
	if options.GetUuidOption().GetString_() != nil {
		form = idText
	}
	return groupFailure(causeOr(ctx, p.deliveries(ctx, stream, consumer, form, shown)))
}

// connect makes the caller a consumer of the group that it names.
func (p persistentServer) connect(ctx context.Context, options *persistent.ReadReq_Options) (*groups.Consumer, groups.Key, error) {
	from, err := source(options)
	if err != nil {
		return nil, groups.Key{}, err
	}
	if options.GetBufferSize() <= 0 {
		return nil, groups.Key{}, invalid("a consumer's buffer size of %d is not positive", options.GetBufferSize())
	}
	if err := p.server.authorize(ctx, from, toRead); err != nil {
		return nil, groups.Key{}, err
	}
	if user, known := userOf(ctx); known && user.ReadOnly && !user.isOf([]string{administrators}) {
		return nil, groups.Key{}, denied("group %s of %s: %s may only read, and a consumer changes the place of its group", options.GetGroupName(), from, user.Name)
	}
	key := groups.Key{Source: from, Name: options.GetGroupName()}
	consumer, err := p.server.groups.Connect(ctx, key, connectionOf(ctx), int(options.GetBufferSize()))
	return consumer, key, err
}

// connectionOf describes the caller for those who look at the group's state.
func connectionOf(ctx context.Context) groups.Connection {
	who := groups.Connection{Username: "anonymous", Name: header(ctx, "connection-name")}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		who.From = p.Addr.String()
	}
	if user, known := userOf(ctx); known {
		who.Username = user.Name
	}
	if who.Name == "" {
		who.Name = "<unknown>"
	}
	return who
}

// deliveries sends the consumer's events until the consumer ends.
func (p persistentServer) deliveries(ctx context.Context, stream persistentStream, consumer *groups.Consumer, form idForm, shown *shownIDs) error {
	for {
		batch, err := consumer.Next(ctx)
		if err != nil {
			return err
		}
		for i := range batch {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := p.hide(ctx, &batch[i]); err != nil {
				return err
			}
			user, _ := userOf(ctx)
			original := batch[i].Original
			batch[i].Original, batch[i].Resolved = user.sees(original), user.sees(batch[i].Resolved)
			shown.note(original, batch[i].Original)
			if err := stream.Send(&persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: form.delivery(&batch[i])}}); err != nil {
				return err
			}
		}
	}
}

// hide removes the target of a link if the consumer could not read the target itself.
func (p persistentServer) hide(ctx context.Context, d *groups.Delivery) error {
	if d.Resolved == nil {
		return nil
	}
	err := p.server.authorize(ctx, d.Resolved.Stream, toRead)
	if _, refused := errors.AsType[*failure](err); refused {
		d.Resolved, err = nil, nil
	}
	return err
}

// delivery is an event for a consumer, in the wire form. If a link points to nothing, it is
// the link only.
func (form idForm) delivery(d *groups.Delivery) *persistent.ReadResp_ReadEvent {
	event := &persistent.ReadResp_ReadEvent{Count: &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: int32(d.Retries)}}
	if d.IsLink {
		event.Link, event.Event = form.persistentEvent(d.Original), form.persistentEvent(d.Resolved)
	} else {
		event.Event = form.persistentEvent(d.Original)
	}
	commit, _ := d.Original.Position.Pair()
	if d.IsLink && d.Resolved != nil { // as a real server does, here but not in Streams
		commit, _ = d.Resolved.Position.Pair()
	}
	event.Position = &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: commit}
	return event
}

// answers takes the consumer's answers until there are no more. It returns an error if an
// answer cannot be understood.
func answers(stream persistentStream, consumer *groups.Consumer, shown *shownIDs) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil // the goroutine that sends notices the broken stream, too
		}
		switch content := req.GetContent().(type) {
		case *persistent.ReadReq_Ack_:
			ids, err := parseIDs(content.Ack)
			if err != nil {
				return err
			}
			shown.replace(ids)
			consumer.Ack(ids)
		case *persistent.ReadReq_Nack_:
			ids, err := parseIDs(content.Nack)
			if err != nil {
				return err
			}
			shown.replace(ids)
			consumer.Nack(ids, action(content.Nack.GetAction()), content.Nack.GetReason())
		default:
			return invalid("after its options, a read may send only acks and nacks")
		}
	}
}

// parseIDs reads the event ids of one answer. There may be at most as many as a consumer can
// have.
func parseIDs(from interface{ GetIds() []*shared.UUID }) ([]uuid.UUID, error) {
	if n := len(from.GetIds()); n > groups.MaxSlots {
		return nil, invalid("an answer names %d events, and may name at most %d", n, groups.MaxSlots)
	}
	ids := make([]uuid.UUID, len(from.GetIds()))
	for i, id := range from.GetIds() {
		var err error
		if ids[i], err = parseID(id); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// action is what a consumer wants to be done with an event that it could not handle. If the
// action is not known, the group decides.
func action(on persistent.ReadReq_Nack_Action) groups.Action {
	switch on {
	case persistent.ReadReq_Nack_Park:
		return groups.Park
	case persistent.ReadReq_Nack_Retry:
		return groups.Retry
	case persistent.ReadReq_Nack_Skip:
		return groups.Skip
	case persistent.ReadReq_Nack_Stop:
		return groups.Stop
	default:
		return groups.Unknown
	}
}
