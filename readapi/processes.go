package readapi

import (
	"context"

	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/query"
)

// ProcessList is a page of processes.
type ProcessList struct {
	query.List[resource.Process]
	Leading bool `json:"leading" doc:"true: this node knows the open work. false: another node knows it, and this one lists only parked work."`
}

type processesInput struct {
	Paging
	Counting
	State []string `query:"state" maxItems:"2" enum:"open,parked" doc:"Only processes in these states. parked includes dismissed ones."`
}

type processesOutput struct{ Body ProcessList }

// processes lists unfinished work by ascending id.
func (a *api) processes(ctx context.Context, in *processesInput) (*processesOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	seal, err := openCursor("list-processes", in)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	out := &processesOutput{Body: ProcessList{List: query.List[resource.Process]{Items: []resource.Process{}}}}
	if in.Count {
		if out.Body.Count, err = a.countProcesses(ctx, in.State); err != nil {
			return nil, problem.From(ctx, typedProblem(err))
		}
	}
	if a.Processes == nil {
		return out, nil
	}
	all, leading, err := a.Processes.List(ctx, in.Cursor, in.State, in.Limit+1)
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	out.Body.Leading = leading
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.Body.Next = seal(all[in.Limit-1].ID)
	}
	out.Body.Items = append(out.Body.Items, all...)
	return out, nil
}

// countProcesses lists the processes and counts them, because a process that is both open and
// parked counts once.
func (a *api) countProcesses(ctx context.Context, states []string) (*query.Count, error) {
	if a.Processes == nil {
		return &query.Count{Exact: true}, nil
	}
	all, _, err := a.Processes.List(ctx, "", states, query.MaxCount+1)
	return &query.Count{Value: int64(min(len(all), query.MaxCount)), Exact: len(all) <= query.MaxCount}, err
}
