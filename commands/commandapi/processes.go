package commandapi

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type retryProcessInput struct {
	ProcessHeaders
	ProcessID string `path:"process_id" maxLength:"36" doc:"As GET /v1/processes lists it."`
}

// RetriedProcess is what a retry did.
type RetriedProcess struct {
	ID      string            `json:"id" format:"uuid"`
	Outcome string            `json:"outcome" enum:"finished,parked" doc:"finished: nothing is left to do, and it is no longer parked. parked: it failed again."`
	Process *resource.Process `json:"process,omitempty" doc:"The work after the try. Left out if it is finished."`
}

func (a *api) retryProcess(ctx context.Context, _ call, in *retryProcessInput) (*response[RetriedProcess], error) {
	id, err := uuid.Parse(in.ProcessID)
	if err != nil {
		return nil, problem.NotValid(problem.InParameter("path", "process_id", "want a UUID"))
	}
	if a.parked == nil {
		return nil, notParked(id)
	}
	now, finished, err := a.parked.Retry(ctx, id)
	if errors.Is(err, reactor.ErrNotParked) {
		return nil, notParked(id)
	}
	if err != nil {
		return nil, err
	}
	body := RetriedProcess{ID: id.String(), Outcome: "finished"}
	if !finished {
		process := ProcessOf(now)
		body.Outcome, body.Process = "parked", &process
	}
	return &response[RetriedProcess]{Body: &body}, nil
}

type dismissProcessInput struct {
	ProcessHeaders
	Actor     string `header:"Daybook-Actor" maxLength:"128" default:"anonymous" example:"operator:eve" doc:"Who asks. The process names it in dismissed_by."`
	ProcessID string `path:"process_id" maxLength:"36" doc:"As GET /v1/processes lists it."`
	Body      struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why nothing more is done about it."`
	}
}

func (in *dismissProcessInput) common() *Headers {
	headers := in.ProcessHeaders.common()
	headers.Actor = in.Actor
	return headers
}

func (a *api) dismissProcess(ctx context.Context, c call, in *dismissProcessInput) (*response[resource.Process], error) {
	id, err := uuid.Parse(in.ProcessID)
	if err != nil {
		return nil, problem.NotValid(problem.InParameter("path", "process_id", "want a UUID"))
	}
	if strings.TrimSpace(in.Body.Reason) == "" {
		return nil, problem.NotValid(problem.InBody("/reason", "must not be blank"))
	}
	if a.parked == nil {
		return nil, notParked(id)
	}
	now, err := a.parked.Dismiss(ctx, id, c.Meta.Actor, in.Body.Reason)
	if errors.Is(err, reactor.ErrNotParked) {
		return nil, notParked(id)
	}
	if err != nil {
		return nil, err
	}
	body := ProcessOf(now)
	return &response[resource.Process]{Body: &body}, nil
}

// ProcessOf is unfinished work as both APIs show it.
func ProcessOf(p reactor.UnfinishedWork) resource.Process {
	state := "open"
	if p.Tries > 0 {
		state = "parked"
	}
	if !p.Dismissed.IsZero() {
		state = "dismissed"
	}
	return resource.Process{
		ID: p.ID.String(), Kind: p.Kind, State: state, Subject: eventstore.Visible(p.Subject), Step: eventstore.Visible(p.Step), Stream: eventstore.Visible(p.Stream),
		Revision: p.Revision, Position: p.Position.String(), Since: resource.Moment(p.Since), Reason: eventstore.Visible(p.Reason), Tries: p.Tries,
		FirstTried: resource.Moment(p.FirstTried), LastTried: resource.Moment(p.LastTried),
		Dismissed: resource.Moment(p.Dismissed), DismissedBy: eventstore.Visible(p.DismissedBy), DismissedReason: eventstore.Visible(p.DismissedReason),
	}
}

func notParked(id uuid.UUID) error {
	return problem.NotFound("There is no parked process " + id.String() + ": it was finished, or it never existed.")
}
