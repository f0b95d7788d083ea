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
	Parked      int64              `json:"parked,omitzero" doc:"How much work could not be finished and is parked: see /v1/processes. Left out where there is none, and where it cannot be told within a second. It does not make the node unready."`
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

type healthOutput struct {
	Status int
	Body   Health
}

// alive says that the process answers; it asks nothing of others, for a restart
// would not mend them.
func (a *api) alive(context.Context, *nothing) (*healthOutput, error) {
	return &healthOutput{Status: http.StatusOK, Body: Health{Status: "alive"}}, nil
}

// ready says that reads can be answered: the log is heard, the database is there,
// and every read model in use is posted to and complete. One that only lags is ready;
// the lag is told. A log that is silent is told at once, without asking it.
func (a *api) ready(ctx context.Context, _ *nothing) (*healthOutput, error) {
	components := a.Log.Components()
	for _, c := range components {
		if c.State == silent || c.State == diverged {
			return &healthOutput{Status: http.StatusServiceUnavailable, Body: Health{Status: "not_ready", Components: components}}, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	all, err := a.Progress.Status(ctx)
	if err != nil {
		return nil, problem.From(ctx, problem.Unavailable(err))
	}
	out := &healthOutput{Status: http.StatusOK, Body: Health{Status: "ready", Components: components, Projections: all}}
	if a.Processes != nil {
		out.Body.Parked = a.parked(ctx)
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

// parkedTimeout is how long a probe waits for the number of parked processes.
const parkedTimeout = time.Second

// parked is 0 where it cannot be told in time: it takes the node out of nothing.
func (a *api) parked(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, parkedTimeout)
	defer cancel()
	parked, err := a.Processes.Parked(ctx)
	if err != nil {
		return 0
	}
	return parked
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
