package commandapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands/reactor"
	"daybook/internal/problem"
)

type retryProcessInput struct {
	Headers
	ProcessID string `path:"process_id" maxLength:"36" doc:"As GET /v1/processes lists it."`
}

// RetriedProcess is what a retry did.
type RetriedProcess struct {
	ID      string    `json:"id" format:"uuid"`
	Outcome string    `json:"outcome" enum:"finished,parked" doc:"finished: nothing is left to do, and it is no longer parked. parked: it failed again."`
	Reason  string    `json:"reason,omitempty" doc:"Why it failed."`
	Tries   int64     `json:"tries" doc:"So far."`
	Tried   time.Time `json:"last_tried_at,omitzero"`
}

func (a *api) retryProcess(ctx context.Context, _ call, in *retryProcessInput) (*answer[RetriedProcess], error) {
	id, err := uuid.Parse(in.ProcessID)
	if err != nil {
		return nil, problem.NotValid(problem.InParameter("path", "process_id", "want a UUID"))
	}
	if a.processes == nil {
		return nil, notParked(id)
	}
	now, finished, err := a.processes.Retry(ctx, id)
	if errors.Is(err, reactor.ErrNotParked) {
		return nil, notParked(id)
	}
	if err != nil {
		return nil, err
	}
	body := RetriedProcess{ID: id.String(), Outcome: "finished", Tries: now.Tries}
	if !finished {
		body.Outcome, body.Reason, body.Tried = "parked", now.Reason, now.LastTried.UTC()
	}
	return &answer[RetriedProcess]{Body: body}, nil
}

type dismissProcessInput struct {
	Headers
	ProcessID string `path:"process_id" maxLength:"36" doc:"As GET /v1/processes lists it."`
	Body      struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why it is left as it is."`
	}
}

// DismissedProcess is parked work that is left as it is.
type DismissedProcess struct {
	ID     string    `json:"id" format:"uuid"`
	State  string    `json:"state" enum:"dismissed"`
	At     time.Time `json:"dismissed_at" doc:"When it was dismissed first."`
	By     string    `json:"dismissed_by"`
	Reason string    `json:"dismissed_reason"`
}

func (a *api) dismissProcess(ctx context.Context, c call, in *dismissProcessInput) (*answer[DismissedProcess], error) {
	id, err := uuid.Parse(in.ProcessID)
	if err != nil {
		return nil, problem.NotValid(problem.InParameter("path", "process_id", "want a UUID"))
	}
	if strings.TrimSpace(in.Body.Reason) == "" {
		return nil, problem.NotValid(problem.InBody("/reason", "must not be blank"))
	}
	if a.processes == nil {
		return nil, notParked(id)
	}
	now, err := a.processes.Dismiss(ctx, id, c.Meta.Actor, in.Body.Reason)
	if errors.Is(err, reactor.ErrNotParked) {
		return nil, notParked(id)
	}
	if err != nil {
		return nil, err
	}
	return &answer[DismissedProcess]{Body: DismissedProcess{
		ID: id.String(), State: "dismissed", At: now.Dismissed.UTC(), By: now.DismissedBy, Reason: now.DismissedReason,
	}}, nil
}

func notParked(id uuid.UUID) error {
	return problem.NotFound("No process " + id.String() + " is parked: it was finished, or it never existed.")
}
