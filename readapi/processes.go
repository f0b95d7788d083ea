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
	State string `query:"state" enum:"open,parked" doc:"Only these. parked: dismissed ones, too."`
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
	if a.Processes == nil {
		return &processesOutput{Body: ProcessList{List: query.List[resource.Process]{Items: []resource.Process{}}}}, nil
	}
	all, leading, err := a.Processes.List(ctx, in.Cursor, in.State, in.Limit+1)
	if err != nil {
		return nil, problem.From(ctx, known(err))
	}
	out := &processesOutput{Body: ProcessList{Leading: leading}}
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.Body.Next = seal(all[in.Limit-1].ID)
	}
	out.Body.Items = append([]resource.Process{}, all...)
	return out, nil
}
