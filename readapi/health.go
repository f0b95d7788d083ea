package readapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

type nothing struct{}

// Health is what probes read.
type Health struct {
	Status      string             `json:"status" enum:"alive,ready,not_ready"`
	Reason      string             `json:"reason,omitempty" doc:"In plain words, why the node is not ready. On one that is ready: what could not be found out the last time."`
	Components  []Component        `json:"components,omitempty" doc:"The parts, such as the log, that must deliver what is new so that answers are up to date."`
	Parked      int64              `json:"parked,omitzero" doc:"How much work could not be finished and is parked: see /v1/processes. Left out where there is none, and where it is not known. It does not make the node unready."`
	AgeSeconds  float64            `json:"age_seconds,omitzero" doc:"How long ago it was found out how the read models stand. The node looks each second, and a probe waits for less than a second. If it is more than 5 s ago, the node is not ready. -1: it is not known yet."`
	Projections []ProjectionStatus `json:"projections,omitempty" doc:"As they were age_seconds ago. Left out while a component is silent, because they are asked from it."`
}

// Component is a part of the system that the program listens to.
type Component struct {
	Component  string  `json:"component" enum:"log"`
	State      string  `json:"state" enum:"heard,silent,diverged" doc:"silent: nothing has come from it for 10 s, or ever, so new events do not arrive here. diverged: it is not the log that was followed so far (log-diverged), so nothing is taken and nothing is answered."`
	AgeSeconds float64 `json:"age_seconds" doc:"Everything that was recorded up to so many seconds ago is known to have arrived. -1: not known yet."`
	Error      string  `json:"error,omitempty" doc:"Why the last attempt to hear it failed."`
}

const (
	silent, diverged       = "silent", "diverged"
	alive, ready, notReady = "alive", "ready", "not_ready"
)

type healthOutput struct {
	Status int
	Body   Health
}

// RegisterHealth adds the routes of probes. How the node stands is asked for each
// probe, and must be told within a second.
func RegisterHealth(to huma.API, stands func() Health) {
	huma.Register(to, healthOperation("is-alive", "/livez", "Tell whether the process answers", "It asks nothing of others, because a restart would not mend them."), func(context.Context, *nothing) (*healthOutput, error) {
		// It asks nothing of others, because a restart would not mend them.
		return &healthOutput{Status: http.StatusOK, Body: Health{Status: alive}}, nil
	})
	readiness := healthOperation("is-ready", "/readyz", "Tell whether reads can be answered", "Answers within a second. A read model that only lags is ready.")
	readiness.Responses = map[string]*huma.Response{"503": {
		Description: "Reads cannot be answered; reason, components and projections tell why.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: to.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Health](), true, "")}},
	}}
	huma.Register(to, readiness, func(context.Context, *nothing) (*healthOutput, error) {
		out := &healthOutput{Status: http.StatusOK, Body: stands()}
		if out.Body.Status != ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

func healthOperation(id, path, summary, about string, codes ...string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Description: about, Tags: []string{apidoc.TagHealth},
		Metadata: problem.Listing(codes...),
	}
}

// Starting is how a node stands that is not open yet. components are those it can already
// ask; one that has diverged is the reason before any other.
func Starting(reason string, components []Component) Health {
	for _, c := range components {
		if c.State == diverged {
			return missing(c, components)
		}
	}
	return Health{Status: notReady, Reason: reason, AgeSeconds: -1}
}

const (
	// healthEvery is the pause between two looks of a Watch.
	healthEvery = time.Second
	// healthAsk bounds one look. It is shorter than healthKnown, so that a node which is
	// not ready any more can say what did not answer.
	healthAsk = 3 * time.Second
	// healthKnown is how old what is known may be for a node to be ready.
	healthKnown = 5 * time.Second
	// healthWait is how long a probe waits for what is asked for it; then it is told
	// what was known before. With its way to and fro, it is answered within a second.
	healthWait = 700 * time.Millisecond
)

// Watch knows how a node stands, so that no probe has to wait for the log or the
// database.
type Watch struct {
	log       Log
	processes Processes // nil: this program does none

	status lastKnown[[]ProjectionStatus]
	parked lastKnown[int64]
}

// NewWatch makes a watch.
func NewWatch(progress Progress, log Log, processes Processes) *Watch {
	w := &Watch{log: log, processes: processes}
	w.status.ask = func(ctx context.Context) ([]ProjectionStatus, error) { return progress.Status(ctx) }
	w.parked.ask = func(ctx context.Context) (int64, error) { return processes.Parked(ctx) }
	return w
}

// Run looks again and again, until ctx ends. Without it, only probes look. It returns
// the error of ctx.
func (w *Watch) Run(ctx context.Context) error {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		w.status.refresh(ctx)
		if w.processes != nil {
			w.parked.refresh(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Health tells how the node stands, within a second. It is ready if reads can be
// answered: the log is heard and is the one that was followed, the database is there,
// and every read model in use is posted to and complete. One that only lags is ready;
// the lag is told.
func (w *Watch) Health() Health {
	if h, without := w.without(); without {
		return h
	}
	began := time.Now()
	status := w.status.get(healthWait)
	if h, without := w.without(); without { // meanwhile
		return h
	}
	h := Health{Status: ready, Components: w.log.Components(), AgeSeconds: -1, Projections: status.value}
	age := time.Since(status.at)
	if !status.at.IsZero() {
		h.AgeSeconds = max(0, age.Seconds())
	}
	if w.processes != nil {
		parked := w.parked.get(healthWait - time.Since(began))
		h.Parked = parked.value // as it was last known: it takes the node out of nothing
	}
	switch {
	case status.at.IsZero():
		h.Reason = "it is not known yet how the read models stand"
	case age > healthKnown:
		h.Reason = fmt.Sprintf("how the read models stand was last found out %.0f s ago", age.Seconds())
	default:
		h.Reason = amiss(status.value)
	}
	if h.Reason != "" {
		h.Status = notReady
	}
	if status.err != nil {
		h.Reason = strings.TrimPrefix(h.Reason+"; the last look failed: "+status.err.Error(), "; ")
	}
	return h
}

// amiss says why reads cannot be answered from the read models; empty where they can.
func amiss(all []ProjectionStatus) string {
	inUse := false
	for _, p := range all {
		if !p.InUse {
			continue
		}
		inUse = true
		switch {
		case p.State == "failed":
			return fmt.Sprintf("the read model %s has stopped: %s", p.View, p.Error)
		case !p.Complete:
			return fmt.Sprintf("the read model %s is not complete yet: it has %.0f %% of the log", p.View, 100*p.Share)
		case p.State == "unowned":
			return fmt.Sprintf("no node posts to the read model %s", p.View)
		}
	}
	if !inUse {
		return "no read model is in use yet"
	}
	return ""
}

// without tells of a component that is missing and that all answers need.
func (w *Watch) without() (Health, bool) {
	components := w.log.Components()
	for _, c := range components {
		if c.State == silent || c.State == diverged {
			return missing(c, components), true
		}
	}
	return Health{}, false
}

// missing is how a node stands without one of its components.
func missing(c Component, all []Component) Health {
	h := Health{Status: notReady, Components: all}
	switch {
	case c.State == diverged:
		h.Reason = "the " + c.Component + " is not the one that was followed"
	case c.AgeSeconds < 0:
		h.Reason = fmt.Sprintf("nothing has come from the %s yet", c.Component)
	default:
		h.Reason = fmt.Sprintf("nothing has come from the %s for %.0f s", c.Component, c.AgeSeconds)
	}
	if c.Error != "" {
		h.Reason += ": " + c.Error
	}
	return h
}

// Projections is how all read models stand.
type Projections struct {
	Items []ProjectionStatus `json:"items"`
}

type projectionsOutput struct{ Body Projections }

func (a *api) projections(ctx context.Context, _ *nothing) (*projectionsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, healthAsk)
	defer cancel()
	all, err := a.Progress.Status(ctx)
	if err != nil {
		return nil, problem.From(ctx, known(err))
	}
	return &projectionsOutput{Body: Projections{Items: all}}, nil
}
