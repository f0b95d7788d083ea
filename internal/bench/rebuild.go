package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"daybook/eventstore"
	"daybook/internal/pgpool"
	"daybook/projections"
)

// copyMax bounds the copy of a whole log.
const copyMax = time.Hour

// rebuild measures how fast each read model is built again from a filled log. The new build must
// have the same rows as the one before. The baseline is COPY of the events that the view reads.
// No rebuild can read them faster.
func rebuild(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	if _, err := filled(ctx, env); err != nil {
		return nil, nil, err
	}
	if err := env.Settle(ctx); err != nil {
		return nil, nil, err
	}
	for _, view := range env.Views {
		used, err := buildInUse(ctx, env, view.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("view %s: %w", view.Name, err)
		}
		if used.Events == 0 {
			continue // the filled log has no customers with accounts
		}
		row, err := rebuildView(ctx, env, view.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("view %s: %w", view.Name, err)
		}
		baseline, err := copyOut(ctx, env, view, row.Operations)
		if err != nil {
			return nil, nil, fmt.Errorf("view %s: %w", view.Name, err)
		}
		baseline.ours = len(ours)
		ours, baselines = append(ours, row), append(baselines, baseline)
	}
	return ours, baselines, nil
}

// rebuildView builds one view again, and compares the rows of the two builds.
func rebuildView(ctx context.Context, env Env, view string) (Row, error) {
	if err := env.Settle(ctx); err != nil {
		return Row{}, err
	}
	used, err := buildInUse(ctx, env, view)
	if err != nil {
		return Row{}, err
	}
	row, err := daybook(ctx, env, "rebuild-"+view, load{callers: 1, limit: 1, operate: func(ctx context.Context, _ int, _ int64) error {
		return env.Runner.Rebuild(ctx, view)
	}})
	if err != nil {
		return Row{}, err
	}
	built, err := buildInUse(ctx, env, view)
	if err != nil {
		return Row{}, err
	}
	if err := sameRows(ctx, env, used, built); err != nil {
		return Row{}, err
	}
	if built.Events == 0 || built.Events < used.Events {
		return Row{}, fmt.Errorf("build %d has %d events, and build %d had %d", built.Build, built.Events, used.Build, used.Events)
	}
	row.Variant, row.Note = "daybook, "+view, "events of the view a second; latency is of the whole build"
	return perEvent(row, built.Events), env.Runner.DropOld(ctx, view)
}

// perEvent turns a row about one large operation into one about its events.
func perEvent(row Row, events int64) Row {
	row.CPUMicros *= float64(row.Operations) / float64(events)
	row.Operations = events
	row.PerSecond = float64(events) / row.Seconds
	return row
}

func buildInUse(ctx context.Context, env Env, view string) (projections.Status, error) {
	builds, err := env.Runner.Status(ctx)
	if err != nil {
		return projections.Status{}, err
	}
	for _, build := range builds {
		if build.View == view && build.InUse {
			return build, nil
		}
	}
	return projections.Status{}, errors.New("it is not in use")
}

// sameRows checks that a new build has the rows of the one before. No event that the view reads may
// have come in between.
func sameRows(ctx context.Context, env Env, before, now projections.Status) error {
	if now.Build == before.Build {
		return fmt.Errorf("build %d is still in use", now.Build)
	}
	want, _, err := env.Runner.Fingerprint(ctx, before.View, before.Build)
	if err != nil {
		return err
	}
	got, _, err := env.Runner.Fingerprint(ctx, now.View, now.Build)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("build %d has other rows than build %d: %s, want %s", now.Build, before.Build, got, want)
	}
	return nil
}

// copyOut copies the events of a view out of the log. The view has read atLeast of them.
func copyOut(ctx context.Context, env Env, view projections.View, atLeast int64) (Row, error) {
	var events int64
	row, err := load{callers: 1, limit: 1, operate: func(ctx context.Context, _ int, _ int64) (err error) {
		if env.InDatabase {
			events, err = copyEvents(ctx, env, view.Claims)
		} else {
			events, err = countEvents(ctx, env, eventstore.Start, eventstore.Filter{TypePrefixes: view.Claims})
		}
		return err
	}}.measure(ctx, env)
	if err != nil {
		return Row{}, err
	}
	if events < atLeast {
		return Row{}, fmt.Errorf("%d events were copied, and the view has read %d", events, atLeast)
	}
	row.Variant, row.Note = "COPY of the events of "+view.Name, "latency is of the whole copy"
	if !env.InDatabase {
		row.Variant = "the engine's read of the events of " + view.Name
	}
	return perEvent(row, events), nil
}

// copyEvents counts the lines that COPY sends. In the text format, each row is a line.
func copyEvents(ctx context.Context, env Env, claims []string) (int64, error) {
	conn, err := env.Pool.Acquire(pgpool.Within(ctx, copyMax))
	if err != nil {
		return 0, fmt.Errorf("copy the log: %w", err)
	}
	defer conn.Release()
	prefixes := make([]string, len(claims))
	for i, claim := range claims {
		prefixes[i] = "'" + strings.ReplaceAll(claim, "'", "''") + "'"
	}
	var lines lineCounter
	_, err = conn.Conn().PgConn().CopyTo(ctx, &lines, `COPY (SELECT position, stream, revision, recorded_at, event_id, type, data, meta
		FROM eventstore.events WHERE type ^@ ANY (ARRAY[`+strings.Join(prefixes, ", ")+`]) ORDER BY position) TO STDOUT`)
	if err != nil {
		return 0, fmt.Errorf("copy the log: %w", err)
	}
	return int64(lines), nil
}

type lineCounter int64

func (c *lineCounter) Write(text []byte) (int, error) {
	*c += lineCounter(bytes.Count(text, []byte{'\n'}))
	return len(text), nil
}
