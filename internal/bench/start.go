package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// startsEach is how many starts a measurement has.
const startsEach = 3

// starts measures how long a node takes from the beginning of its start until it has answered a
// read. The baseline is the start of its database alone, until it has answered a statement. If the
// database is not the program's own, it runs all the time. The baseline is then the opening of a
// connection to it.
func starts(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	s, err := filled(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	var nodes, databases []time.Duration
	for range startsEach {
		again, err := restart(ctx, env, s)
		if err != nil {
			return nil, nil, err
		}
		env = again.Env
		nodes, databases = append(nodes, again.Node), append(databases, again.Database)
	}
	node, database := rowOfTimes(nodes), rowOfTimes(databases)
	node.Variant, node.Note = "daybook", fmt.Sprintf("starts a second, until a read was answered; the log has %d events", s.events)
	database.Variant, database.Note = "its database alone, SELECT 1", "starts a second"
	if env.Flush == FlushFast {
		node.Target = &Target{P99Ms: 1000}
	}
	return []Row{node}, []Row{database}, nil
}

// restart starts the node again. The time of the start ends when the node has answered a read. The
// node must have the log as it was.
func restart(ctx context.Context, env Env, s sample) (Restarted, error) {
	before, err := countAll(ctx, env)
	if err != nil {
		return Restarted{}, err
	}
	again, err := env.Restart(ctx)
	if err != nil {
		return Restarted{}, fmt.Errorf("start again: %w", err)
	}
	asked := time.Now()
	if err := readOne(ctx, again.Env, s.orders[0]); err != nil {
		return Restarted{}, fmt.Errorf("the node does not answer after its start: %w", err)
	}
	again.Node += time.Since(asked)
	after, err := countAll(ctx, again.Env)
	if err != nil {
		return Restarted{}, err
	}
	if after < before {
		return Restarted{}, fmt.Errorf("the log had %d events, and has %d after the start", before, after)
	}
	return again, nil
}

func readOne(ctx context.Context, env Env, order string) error {
	one, err := dial(ctx, env.BaseURL, env.Key, 1)
	if err != nil {
		return err
	}
	_, err = one[0].get(ctx, "/v1/orders/"+url.PathEscape(order), "")
	return errors.Join(err, closeAll(one))
}

// rowOfTimes is a row about things that were done one after the other.
func rowOfTimes(all []time.Duration) Row {
	slices.Sort(all)
	var sum time.Duration
	for _, one := range all {
		sum += one
	}
	return Row{
		Callers: 1, Operations: int64(len(all)), Seconds: sum.Seconds(), PerSecond: float64(len(all)) / sum.Seconds(),
		P50Ms: percentile(all, 0.50), P99Ms: percentile(all, 0.99), done: int64(len(all)),
	}
}
