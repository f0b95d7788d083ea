package readapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

type nothing struct{}

// Health is what probes read.
type Health struct {
	Status      string             `json:"status" enum:"alive,ready,not_ready"`
	Reason      string             `json:"reason,omitempty" doc:"Why the node is not ready, in words. If the node is ready: what the last check could not find out."`
	Components  []Component        `json:"components,omitempty" doc:"The parts, such as the log, that must deliver new events. Without them, answers get old."`
	Parked      int64              `json:"parked,omitzero" doc:"How many pieces of work could not be finished and are parked; see /v1/processes. Left out if there are none, or if the number is not known. Parked work does not make the node unready."`
	AgeSeconds  float64            `json:"age_seconds,omitzero" doc:"How long ago the node checked the read models. It checks them each second, and a probe waits less than a second for a check. If the last check was more than 5 s ago, the node is not ready. -1: no check has succeeded yet."`
	Projections []ProjectionStatus `json:"projections,omitempty" doc:"The read models as they were age_seconds ago. Left out while a component is silent, because the node cannot check them without it."`
}

// Component is a part of the system from which the node gets new events.
type Component struct {
	Component  string  `json:"component" enum:"log,keys" doc:"log: the log. keys: the changes of API keys and roles. While they are silent, this node goes on with the keys that it read last, so it does not know of keys that were revoked since. After a minute it refuses all keys, and is not ready. Listed only then."`
	State      string  `json:"state" enum:"heard,silent,diverged" doc:"silent: nothing has come from it for 10 s, or nothing has ever come, so new events do not arrive here. diverged: it is not the log that the node has read before (log-diverged), so the node takes no commands and answers no reads."`
	AgeSeconds float64 `json:"age_seconds" doc:"Every event that was recorded at least this many seconds ago has arrived. -1: not known yet."`
	Error      string  `json:"error,omitempty" doc:"Why the last attempt to reach it failed."`
}

const (
	silent, diverged       = "silent", "diverged"
	alive, ready, notReady = "alive", "ready", "not_ready"
)

type healthOutput struct {
	Status int
	Body   Health
}

// hideFrom leaves only the status for somebody who may not see how the node is.
func (o *healthOutput) hideFrom(who access.Principal) {
	if !who.May(access.ReadHealth) {
		o.Body = Health{Status: o.Body.Status}
	}
}

// RegisterHealth adds the routes of probes. A readiness probe calls health, which must return
// within a second.
func RegisterHealth(to huma.API, health func() Health) {
	huma.Register(to, healthOperation(access.Open, "is-alive", "/livez", "Tell whether the process answers", "It asks no other part of the system, because a restart of this process would not mend those parts."), func(context.Context, *nothing) (*healthOutput, error) {
		// It asks no other part, because a restart of this process would not mend those parts.
		return &healthOutput{Status: http.StatusOK, Body: Health{Status: alive}}, nil
	})
	readiness := healthOperation(access.Open, "is-ready", "/readyz", "Tell whether reads can be answered", "Answers within a second. A read model that only lags is ready.")
	readiness.Responses = map[string]*huma.Response{"503": {
		Description: "Reads cannot be answered; reason, components and projections tell why.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: to.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Health](), true, "")}},
	}}
	huma.Register(to, readiness, func(ctx context.Context, _ *nothing) (*healthOutput, error) {
		out := &healthOutput{Status: http.StatusOK, Body: health()}
		defer out.hideFrom(problem.RequestOf(ctx).Who)
		if out.Body.Status != ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

func healthOperation(needs access.Permission, id, path, summary, about string, codes ...string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Description: about, Tags: []string{apidoc.TagHealth},
		Metadata: problem.Listing(needs, codes...),
	}
}

// Starting is the health of a node that is not open yet. components are the parts that it can
// already ask. If one of them has diverged, that is the reason that is given.
func Starting(reason string, components []Component) Health {
	for _, c := range components {
		if c.State == diverged {
			return missing(c, components)
		}
	}
	return Health{Status: notReady, Reason: reason, AgeSeconds: -1}
}

const (
	// healthEvery is the pause between two checks of a Watch.
	healthEvery = time.Second
	// healthAsk bounds one check. It is shorter than healthKnown. So when the node stops being
	// ready, a check has ended and says what did not answer.
	healthAsk = 3 * time.Second
	// healthKnown is how old the last check of a ready node may be.
	healthKnown = 5 * time.Second
	// healthWait is how long a probe waits for a new check. After that, it gets the result of
	// the last one. So a probe has its answer within a second, with the time on the network.
	healthWait = 700 * time.Millisecond
)

// Watch checks a node's health each second, so that no probe has to wait for the log or the
// database.
type Watch struct {
	log       Log
	processes Processes // nil: this program has no processes
	// Keys may be nil. It tells whether the node hears of changes of API keys.
	Keys func() KeysHeard

	status lastKnown[[]ProjectionStatus]
	parked lastKnown[int64]
}

// KeysHeard tells whether a node hears of changes of API keys and roles.
type KeysHeard struct {
	Deaf    time.Duration // for how long it has not heard of any; 0: it hears of them
	Trouble error         // why; nil: the log is silent, or there is no trouble
	Refuses bool          // whether it refuses all keys, because it has been deaf for too long
}

// NewWatch makes a watch.
func NewWatch(progress Progress, log Log, processes Processes) *Watch {
	w := &Watch{log: log, processes: processes}
	w.status.ask = func(ctx context.Context) ([]ProjectionStatus, error) { return progress.Status(ctx) }
	w.parked.ask = func(ctx context.Context) (int64, error) { return processes.Parked(ctx) }
	return w
}

// Run checks each second until ctx ends, and returns the error of ctx. If Run is not called,
// only probes cause checks.
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

// Health returns the node's health, within a second. The node is ready if reads can be
// answered: events come from the log, the log has not diverged, the database can be reached,
// and every read model in use is complete and posted to. A read model that only lags does not
// make the node unready; its lag is in the result.
func (w *Watch) Health() Health {
	if h, without := w.without(); without {
		return h
	}
	began := time.Now()
	status := w.status.get(healthWait)
	if h, without := w.without(); without { // a component may have fallen silent in the meantime
		return h
	}
	h := Health{Status: ready, Components: w.log.Components(), AgeSeconds: -1, Projections: status.value}
	age := time.Since(status.at)
	if !status.at.IsZero() {
		h.AgeSeconds = max(0, age.Seconds())
	}
	if w.processes != nil {
		parked := w.parked.get(healthWait - time.Since(began))
		// This is the last known number, even if it is old, because it does not decide whether the
		// node is ready.
		h.Parked = parked.value
	}
	switch {
	case status.at.IsZero():
		h.Reason = "the read models have not been checked yet"
	case age > healthKnown:
		h.Reason = fmt.Sprintf("the read models were last checked %.0f s ago", age.Seconds())
	default:
		h.Reason = amiss(status.value)
	}
	if h.Reason != "" {
		h.Status = notReady
	}
	h.tellKeys(w.Keys)
	if status.err != nil {
		h.Reason = strings.TrimPrefix(h.Reason+"; the last check failed: "+status.err.Error(), "; ")
	}
	return h
}

// Last returns the read models and the number of parked pieces of work as the last check found
// them. known is false if no check has succeeded yet. It asks nothing.
func (w *Watch) Last() (all []ProjectionStatus, parked int64, known bool) {
	status := w.status.latest()
	return status.value, w.parked.latest().value, !status.at.IsZero()
}

// tellKeys adds that the node does not hear of changes of API keys. If it refuses all keys because
// of that, it is not ready.
func (h *Health) tellKeys(heard func() KeysHeard) {
	if heard == nil {
		return
	}
	now := heard()
	if now.Deaf == 0 && now.Trouble == nil {
		return
	}
	c := Component{Component: "keys", State: silent, AgeSeconds: now.Deaf.Seconds()}
	if now.Trouble != nil {
		c.Error = now.Trouble.Error()
	}
	h.Components = append(h.Components, c)
	if now.Refuses && h.Status == ready {
		h.Status = notReady
		h.Reason = fmt.Sprintf("changes of API keys have not been heard of for %.0f s, so no key is accepted", now.Deaf.Seconds())
	}
}

// amiss says why reads cannot be answered from the read models. It is empty if they can.
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

// without returns the node's health if a component that all answers need is silent or has
// diverged.
func (w *Watch) without() (Health, bool) {
	components := w.log.Components()
	for _, c := range components {
		if c.State == silent || c.State == diverged {
			return missing(c, components), true
		}
	}
	return Health{}, false
}

// missing is the health of a node without one of its components.
func missing(c Component, all []Component) Health {
	h := Health{Status: notReady, Components: all}
	switch {
	case c.State == diverged:
		h.Reason = "the " + c.Component + " is not the one that the node has read before"
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

// Projections is the state of all read models.
type Projections struct {
	Items []ProjectionStatus `json:"items"`
}

type projectionsOutput struct{ Body Projections }

func (a *api) projections(ctx context.Context, _ *nothing) (*projectionsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, healthAsk)
	defer cancel()
	all, err := a.Progress.Status(ctx)
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	return &projectionsOutput{Body: Projections{Items: all}}, nil
}
