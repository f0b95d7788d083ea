package readapi

import (
	"context"
	"net/http"
	"time"

	"daybook/internal/problem"
)

type nothing struct{}

// Health is what probes read.
type Health struct {
	Status      string             `json:"status" enum:"alive,ready,not_ready"`
	Components  []Component        `json:"components,omitempty" doc:"The parts, such as the log, that must deliver what is new so that answers are up to date."`
	Parked      int64              `json:"parked,omitzero" doc:"How much work could not be finished and is parked: see /v1/processes. Left out where there is none, and where it is not known. It does not make the node unready."`
	AgeSeconds  float64            `json:"age_seconds,omitzero" doc:"How long ago it was found out how the read models stand: a probe waits for less than a second, and is then told what was known before. -1: it is not known yet."`
	Projections []ProjectionStatus `json:"projections,omitempty" doc:"Left out while a component is silent, because they are asked from it."`
}

// Component is a part of the system that the program listens to.
type Component struct {
	Component  string  `json:"component" enum:"log"`
	State      string  `json:"state" enum:"heard,silent,diverged" doc:"silent: nothing has come from it for 10 s, or ever, so new events do not arrive here. diverged: it is not the log that was followed so far (log-diverged), so nothing is taken and nothing is answered."`
	AgeSeconds float64 `json:"age_seconds" doc:"Everything that was recorded up to so many seconds ago is known to have arrived. -1: not known yet."`
	Error      string  `json:"error,omitempty" doc:"Why the last attempt to hear it failed."`
}

const silent, diverged = "silent", "diverged"

// health is what probes were last told.
type health struct {
	status lastKnown[[]ProjectionStatus]
	parked lastKnown[int64]
}

type healthOutput struct {
	Status int
	Body   Health
}

// alive says that the process answers; it asks nothing of others, for a restart
// would not mend them.
func (a *api) alive(context.Context, *nothing) (*healthOutput, error) {
	return &healthOutput{Status: http.StatusOK, Body: Health{Status: "alive"}}, nil
}

const (
	// healthWait is how long a probe waits for what is asked for it; then it is told
	// what was known before. With its way to and fro, it is answered within a second.
	healthWait = 700 * time.Millisecond
	// healthKnown is how old that may be for a node to be ready.
	healthKnown = 10 * time.Second
)

// ready says that reads can be answered: the log is heard and is the one that was
// followed, the database is there, and every read model in use is posted to and
// complete. One that only lags is ready; the lag is told. It waits for no log: what is
// wrong with that is known without asking it, and the rest is told as it was last known.
func (a *api) ready(ctx context.Context, _ *nothing) (*healthOutput, error) {
	if without := a.without(); without != nil {
		return without, nil
	}
	began := time.Now()
	status := a.health.status.get(a.Progress.Status, healthWait)
	if without := a.without(); without != nil { // meanwhile
		return without, nil
	}
	if status.err != nil {
		return nil, problem.From(ctx, problem.Unavailable(status.err))
	}
	all := status.value
	out := &healthOutput{Status: http.StatusOK, Body: Health{Status: "ready", Components: a.Log.Components(), AgeSeconds: -1, Projections: all}}
	if !status.at.IsZero() {
		out.Body.AgeSeconds = max(0, time.Since(status.at).Seconds())
	}
	if status.at.IsZero() || time.Since(status.at) > healthKnown {
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	if a.Processes != nil {
		parked := a.health.parked.get(a.Processes.Parked, healthWait-time.Since(began))
		out.Body.Parked = parked.value // as it was last known: it takes the node out of nothing
	}
	inUse := 0
	for _, p := range all {
		if !p.InUse {
			continue
		}
		inUse++
		if !p.Complete || p.State == "failed" || p.State == "unowned" {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
		}
	}
	if inUse == 0 {
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	return out, nil
}

// without is the answer where a component is missing that all answers need; nil where
// none is.
func (a *api) without() *healthOutput {
	components := a.Log.Components()
	for _, c := range components {
		if c.State == silent || c.State == diverged {
			return &healthOutput{Status: http.StatusServiceUnavailable, Body: Health{Status: "not_ready", Components: components}}
		}
	}
	return nil
}

// Projections is how all read models stand.
type Projections struct {
	Items []ProjectionStatus `json:"items"`
}

type projectionsOutput struct{ Body Projections }

func (a *api) projections(ctx context.Context, _ *nothing) (*projectionsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	all, err := a.Progress.Status(ctx)
	if err != nil {
		return nil, problem.From(ctx, known(err))
	}
	return &projectionsOutput{Body: Projections{Items: all}}, nil
}
