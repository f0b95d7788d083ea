package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/eventstore"
)

const (
	gatewayCallers = 64
	liveCallers    = 8
	logEvents      = 200_000 // read by gateway-read, at least
	logBatch       = 1000
)

// gatewayClient connects as any client of EventStoreDB does.
func gatewayClient(env Env) (*esdb.Client, error) {
	config, err := esdb.ParseConnectionString(env.Gateway)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	config.Logger = func(level esdb.LogLevel, format string, args ...any) {
		if level == esdb.LogError {
			slog.Error("gateway client: " + fmt.Sprintf(format, args...))
		}
	}
	client, err := esdb.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return client, nil
}

// gatewayAppends measures appends of one event through the gateway, each to its
// caller's stream at an exact revision, against the same appends without it.
func gatewayAppends(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	client, err := gatewayClient(env)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	start, err := env.Store.Head(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("head: %w", err)
	}
	prefix := "bench-" + uuid.NewString() + "-"
	expected := make([]esdb.ExpectedRevision, gatewayCallers)
	for i := range expected {
		expected[i] = esdb.NoStream{}
	}
	row, err := daybook(ctx, env, "gateway-append", load{callers: gatewayCallers, seconds: env.Seconds, operate: func(ctx context.Context, caller int, _ int64) error {
		result, err := client.AppendToStream(ctx, fmt.Sprint(prefix, caller), esdb.AppendToStreamOptions{ExpectedRevision: expected[caller]}, proposed())
		if err == nil {
			expected[caller] = esdb.Revision(result.NextExpectedVersion)
		}
		return err
	}})
	if err != nil {
		return nil, nil, err
	}
	found, err := countEvents(ctx, env, start, eventstore.Filter{StreamPrefixes: []string{prefix}})
	if err != nil {
		return nil, nil, err
	}
	if found != row.done {
		return nil, nil, fmt.Errorf("%d appends were acknowledged, %d events are recorded", row.done, found)
	}
	direct, err := appendLoad(env, "bench-"+uuid.NewString()+"-", gatewayCallers).measure(ctx, env)
	direct.Variant = "the same appends, without the gateway"
	return []Row{row}, []Row{direct}, err
}

func proposed() esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: "bench.appended.v1", ContentType: esdb.ContentTypeJson, Data: eventBody, Metadata: []byte(`{}`),
	}
}

// gatewayRead measures one reader of the whole log through the gateway, against
// one without it.
func gatewayRead(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	client, err := gatewayClient(env)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	start, err := fill(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	row, err := measureReadings(ctx, env, func(ctx context.Context) (int64, error) { return readByClient(ctx, client, start) })
	if err != nil {
		return nil, nil, err
	}
	direct, err := measureReadings(ctx, env, func(ctx context.Context) (int64, error) { return countEvents(ctx, env, start, eventstore.Filter{}) })
	row.Variant, direct.Variant = "daybook", "the same reading, without the gateway"
	return []Row{row}, []Row{direct}, err
}

// fill makes sure that there is enough to read, and returns where to begin.
func fill(ctx context.Context, env Env) (start eventstore.Position, err error) {
	start, err = env.Store.Head(ctx)
	if err != nil {
		return start, fmt.Errorf("head: %w", err)
	}
	stream := "bench-" + uuid.NewString()
	for n := 0; n < logEvents; n += logBatch {
		events := make([]eventstore.Event, logBatch)
		for i := range events {
			events[i] = eventstore.Event{ID: uuid.New(), Type: "bench.appended.v1", Data: eventBody, Meta: []byte(`{}`)}
		}
		if _, err := env.Store.Append(ctx, stream, eventstore.AtRevision(int64(n)-1), events); err != nil {
			return start, fmt.Errorf("fill the log: %w", err)
		}
	}
	return start, env.Settle(ctx)
}

// measureReadings repeats a reading for the time of a measurement. An operation is an
// event; the latency is a whole reading's.
func measureReadings(ctx context.Context, env Env, read func(context.Context) (int64, error)) (Row, error) {
	var events, first int64
	row, err := load{callers: 1, seconds: env.Seconds, operate: func(ctx context.Context, _ int, n int64) error {
		got, err := read(ctx)
		if n == 0 {
			first = got
		}
		if err == nil && (got != first || got < logEvents) {
			err = fmt.Errorf("%d events are read, of %d", got, max(first, logEvents))
		}
		events += got
		return err
	}}.measure(ctx, env)
	if err != nil {
		return Row{}, err
	}
	each := float64(events) / float64(row.done)
	row.PerSecond *= each
	row.CPUMicros /= each
	row.Operations = int64(float64(row.Operations) * each)
	row.Note = "events a second; latency is of reading them all"
	return row, nil
}

func readByClient(ctx context.Context, client *esdb.Client, after eventstore.Position) (events int64, err error) {
	commit, prepare := after.Pair()
	stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{
		Direction: esdb.Forwards, From: esdb.Position{Commit: commit, Prepare: prepare},
	}, 1<<62)
	if err != nil {
		return 0, fmt.Errorf("read all: %w", err)
	}
	defer stream.Close()
	for {
		e, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return events, fmt.Errorf("read all: %w", err)
		case e.OriginalEvent().Position.Commit > commit: // reading begins with the position itself
			events++
		}
	}
}

// gatewayLive measures the time from an append to its arrival at a subscriber,
// both by clients of the gateway, against the same without it.
func gatewayLive(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	client, err := gatewayClient(env)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	row, err := measureDeliveries(ctx, env, follower{
		follow: func(ctx context.Context, begun func(), arrived func(uuid.UUID)) error {
			return followByClient(ctx, client, begun, arrived)
		},
		append: func(ctx context.Context, stream string, e esdb.EventData) error {
			_, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e)
			return err
		},
	})
	if err != nil {
		return nil, nil, err
	}
	direct, err := measureDeliveries(ctx, env, follower{
		follow: func(ctx context.Context, begun func(), arrived func(uuid.UUID)) error {
			return followDirectly(ctx, env, begun, arrived)
		},
		append: func(ctx context.Context, stream string, e esdb.EventData) error {
			_, err := env.Store.Append(ctx, stream, eventstore.Any, []eventstore.Event{{ID: e.EventID, Type: e.EventType, Data: e.Data, Meta: e.Metadata}})
			return err
		},
	})
	row.Variant, direct.Variant = "daybook", "the same, without the gateway"
	return []Row{row}, []Row{direct}, err
}

// follower is a way to append, and a way to see what was appended.
type follower struct {
	follow func(ctx context.Context, begun func(), arrived func(uuid.UUID)) error
	append func(ctx context.Context, stream string, e esdb.EventData) error
}

// measureDeliveries measures from before the append until the subscriber has the event.
func measureDeliveries(ctx context.Context, env Env, f follower) (Row, error) {
	if err := env.Settle(ctx); err != nil {
		return Row{}, err
	}
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	waiting := make(map[uuid.UUID]chan struct{})
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		stop(f.follow(following, func() { close(begun) }, func(id uuid.UUID) {
			mu.Lock()
			defer mu.Unlock()
			if arrived, ours := waiting[id]; ours {
				delete(waiting, id)
				close(arrived)
			}
		}))
	}()
	select {
	case <-begun:
	case <-following.Done():
		return Row{}, context.Cause(following)
	}
	stream := "bench-" + uuid.NewString() + "-"
	row, err := load{callers: liveCallers, seconds: env.Seconds, operate: func(ctx context.Context, caller int, _ int64) error {
		e, arrived := proposed(), make(chan struct{})
		mu.Lock()
		waiting[e.EventID] = arrived
		mu.Unlock()
		if err := f.append(ctx, fmt.Sprint(stream, caller), e); err != nil {
			return err
		}
		select {
		case <-arrived:
			return nil
		case <-following.Done():
			return context.Cause(following)
		case <-time.After(deliveryMax):
			return fmt.Errorf("an event did not arrive in %s", deliveryMax)
		}
	}}.measure(ctx, env)
	stop(nil)
	<-ended
	row.Note = "from the beginning of the append to the event's arrival"
	return row, err
}

// deliveryMax is how long an event may take to arrive. If it takes longer, something is wrong and
// the benchmark fails.
const deliveryMax = 30 * time.Second

func followByClient(ctx context.Context, client *esdb.Client, begun func(), arrived func(uuid.UUID)) error {
	subscription, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.End{}})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer subscription.Close()
	begun()
	for {
		switch message := subscription.Recv(); {
		case message.SubscriptionDropped != nil:
			return fmt.Errorf("subscription dropped: %w", message.SubscriptionDropped.Error)
		case message.EventAppeared != nil:
			arrived(message.EventAppeared.OriginalEvent().EventID)
		}
	}
}

func followDirectly(ctx context.Context, env Env, begun func(), arrived func(uuid.UUID)) error {
	head, err := env.Store.Head(ctx)
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	begun()
	for item, err := range env.Store.Subscribe(ctx, head, eventstore.Filter{}) {
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		if item.Event != nil {
			arrived(item.Event.ID)
		}
	}
	return nil
}
