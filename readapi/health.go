package readapi

import (
	"context"
	"net/http"

	"daybook/internal/problem"
)

type nothing struct{}

// Health is what probes read.
type Health struct {
	Status      string             `json:"status" enum:"alive,ready,not_ready"`
	Projections []ProjectionStatus `json:"projections,omitempty"`
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

// ready says that reads can be answered: the database is there, and every read
// model in use is posted to. One that lags is ready; the lag is told.
func (a *api) ready(ctx context.Context, _ *nothing) (*healthOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	all, err := a.Progress.Status(ctx)
	if err != nil {
		return nil, problem.From(ctx, problem.Unavailable(err))
	}
	out := &healthOutput{Status: http.StatusOK, Body: Health{Status: "ready", Projections: all}}
	inUse := 0
	for _, p := range all {
		if !p.InUse {
			continue
		}
		inUse++
		if p.State == "failed" || p.State == "unowned" {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
		}
	}
	if inUse == 0 {
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	return out, nil
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
