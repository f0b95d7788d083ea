// Package telemetry measures a node: it has the metrics that Prometheus reads, and it sends metrics
// and traces by OpenTelemetry's protocol. Other packages do not import this one. They call hooks,
// which are nil if nothing is measured. So measuring costs nothing while it is off.
//
// Metrics and traces name no customer, no cart, no order, and no other thing or person. A trace has
// the correlation id of the events that it shows, so that they can be found in the log.
package telemetry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/rule"
	"daybook/eventstore"
	"daybook/internal/httpapi"
	"daybook/projections"
)

// Telemetry measures a node. It has metrics, traces or both. A nil Telemetry has neither, and its
// hooks are nil.
type Telemetry struct {
	Metrics *Metrics
	Traces  *Traces
	Sender  *Sender // sends Metrics; nil: only Prometheus reads them
	// Own tells whether the shop wrote an event.
	Own func(stream string, id uuid.UUID) bool
}

// Close sends what is not sent yet.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.Sender.Close(ctx), t.Traces.Close(ctx))
}

func (t *Telemetry) off() bool { return t == nil || t.Metrics == nil && t.Traces == nil }

// Requests observes the requests of the HTTP API.
func (t *Telemetry) Requests() httpapi.Observer {
	if t.off() {
		return nil
	}
	return requests{t}
}

type requests struct{ *Telemetry }

// Begin implements httpapi.Observer.
func (r requests) Begin(ctx context.Context, header http.Header) context.Context {
	r.Metrics.requestBegins()
	return r.Traces.requestBegins(ctx, header)
}

// End implements httpapi.Observer.
func (r requests) End(ctx context.Context, e httpapi.Exchange) {
	if e.Status == 0 {
		e.Status = http.StatusOK // net/http sends it if the handler has written nothing
	}
	if e.Status < http.StatusBadRequest {
		e.Code = ""
	}
	if e.Route == "" {
		e.Route = "none"
	}
	e.Method = methodOf(e.Method)
	r.Metrics.requestEnds(e)
	r.Traces.requestEnds(ctx, e)
}

// methodOf makes the value of a label from a method. It replaces unknown methods, because a client
// may send any word.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// Commands is the hook for aggregate.Options.Observe.
func (t *Telemetry) Commands() func(aggregate.Handled) {
	if t.off() {
		return nil
	}
	return func(h aggregate.Handled) {
		done := command{Handled: h, kind: kindOf(h.Command), outcome: outcomeOf(h)}
		if refusal, is := errors.AsType[*rule.Rejection](h.Err); is {
			done.code = refusal.Code
		}
		t.Metrics.command(done)
		t.Traces.command(done)
	}
}

// command is a request that a handler has carried out or refused, with its labels.
type command struct {
	aggregate.Handled

	kind, outcome string
	code          string // of the refusal by a rule
}

// What became of a request for a command.
const (
	recorded  = "recorded"  // events were recorded
	unchanged = "unchanged" // it was already so
	replayed  = "replayed"  // it was carried out before
	refused   = "refused"   // by a rule
	stale     = "stale"     // the caller's condition does not hold
	reused    = "reused"    // another request used the command id
	failed    = "failed"
)

func outcomeOf(h aggregate.Handled) string {
	_, byRule := errors.AsType[*rule.Rejection](h.Err)
	_, isStale := errors.AsType[*aggregate.StaleError](h.Err)
	switch {
	case byRule:
		return refused
	case isStale:
		return stale
	case errors.Is(h.Err, aggregate.ErrCommandReused):
		return reused
	case h.Err != nil:
		return failed
	case h.Replayed:
		return replayed
	case h.Events == 0:
		return unchanged
	}
	return recorded
}

// Appends is the hook for guard.Options.Observe.
func (t *Telemetry) Appends() func(writes []eventstore.Write, began time.Time, err error) {
	if t.off() {
		return nil
	}
	return func(writes []eventstore.Write, began time.Time, err error) {
		t.Metrics.appended(writes, began, err, t.Own)
		t.Traces.appended(writes, began, err)
	}
}

// appendOutcome says in one word how an append ended.
func appendOutcome(err error) string {
	_, conflict := errors.AsType[*eventstore.ConflictError](err)
	_, duplicate := errors.AsType[*eventstore.DuplicateEventError](err)
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	switch {
	case err == nil:
		return recorded
	case unknown:
		return "unknown"
	case conflict:
		return "conflict"
	case duplicate:
		return "duplicate"
	}
	return failed
}

// Posted is the hook for projections.Config.Observe.
func (t *Telemetry) Posted() func(view string, posted []projections.Event, began time.Time) {
	if t.off() {
		return nil
	}
	return func(view string, posted []projections.Event, began time.Time) {
		t.Metrics.posted(view, posted, began)
		t.Traces.posted(view, posted, began)
	}
}
