package readapi

import (
	"context"
	"errors"
	"slices"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/query"
)

// People lists the people who sign in.
type People interface {
	// Staff returns all people, sorted by id.
	Staff(ctx context.Context) ([]resource.StaffMember, error)
	// Sessions returns the sessions of a principal that are good now, the oldest first. A principal
	// who is not a person has none.
	Sessions(ctx context.Context, who access.Principal) ([]resource.Session, error)
	// SessionsOf returns those of the person with an id.
	//
	// Errors: ErrNoPerson, and those of the log and the database.
	SessionsOf(ctx context.Context, person string) ([]resource.Session, error)
	// Logins returns the logins of a customer, sorted by id.
	Logins(ctx context.Context, customer unit.CustomerID) ([]Login, error)
}

// Login is how a customer signs in, and the stream with its events.
type Login struct {
	Shown  resource.Login
	Stream string
}

// ErrNoPerson means that there is no person with an id.
var ErrNoPerson = errors.New("there is no such person")

type listStaffInput struct {
	Paging
	Counting
	Status []string `query:"person_status" maxItems:"3" enum:"invited,active,disabled"`
}

type staffOutput struct {
	Body query.List[resource.StaffMember]
}

// staff lists people by id.
func (a *api) staff(ctx context.Context, in *listStaffInput) (*staffOutput, error) {
	seal, err := openCursor("list-staff", in)
	if err != nil {
		return nil, err
	}
	var all []resource.StaffMember
	if a.People != nil {
		if all, err = a.People.Staff(ctx); err != nil {
			return nil, problem.From(ctx, err)
		}
	}
	all = slices.DeleteFunc(all, func(m resource.StaffMember) bool {
		return len(in.Status) > 0 && !slices.Contains(in.Status, string(m.Status))
	})
	out := &staffOutput{}
	if in.Count {
		out.Body.Count = &query.Count{Value: int64(len(all)), Exact: true}
	}
	all = slices.DeleteFunc(all, func(m resource.StaffMember) bool { return string(m.PersonID) <= in.Cursor })
	out.Body.Items = all
	if len(all) > in.Limit {
		out.Body.Items = all[:in.Limit]
		out.Body.Next = seal(string(all[in.Limit-1].PersonID))
	}
	return out, nil
}

type sessionsOutput struct{ Body resource.SessionList }

const maxSessions = 100

// sessions lists the caller's sessions.
func (a *api) sessions(ctx context.Context, _ *nothing) (*sessionsOutput, error) {
	out := &sessionsOutput{Body: resource.SessionList{Items: []resource.Session{}}}
	if a.People == nil {
		return out, nil
	}
	all, err := a.People.Sessions(ctx, problem.RequestOf(ctx).Who)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	out.Body.Items = append(out.Body.Items, all[max(0, len(all)-maxSessions):]...)
	return out, nil
}

type staffSessionsInput struct {
	PersonID string `path:"person_id" maxLength:"40" doc:"As GET /v1/staff lists it."`
}

// staffSessions lists the sessions of another person.
func (a *api) staffSessions(ctx context.Context, in *staffSessionsInput) (*sessionsOutput, error) {
	out := &sessionsOutput{Body: resource.SessionList{Items: []resource.Session{}}}
	if a.People == nil {
		return out, nil
	}
	all, err := a.People.SessionsOf(ctx, in.PersonID)
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	out.Body.Items = append(out.Body.Items, all[max(0, len(all)-maxSessions):]...)
	return out, nil
}

type loginInput struct {
	CustomerID string `path:"customer_id" class:"customer" maxLength:"64"`
}

type loginOutput struct{ Body resource.Login }

// login shows whether and how a customer signs in.
func (a *api) login(ctx context.Context, in *loginInput) (*loginOutput, error) {
	id, err := unit.ParseCustomerID(in.CustomerID)
	if err != nil || a.People == nil {
		return nil, problem.From(ctx, typedProblem(ErrNoPerson))
	}
	if !seesPersonal(ctx, access.ReadCustomers) { // the response tells whether there is such a customer
		return nil, problem.From(ctx, problem.Forbidden(access.ReadPersonal))
	}
	err = a.mayRead(ctx, access.ReadCustomers, in.CustomerID, "")
	var all []Login
	if err == nil {
		all, err = a.People.Logins(ctx, id)
	}
	if err == nil && len(all) == 0 {
		err = ErrNoPerson
	}
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	shown := all[len(all)-1].Shown
	for _, one := range all {
		if one.Shown.Status == "active" { // of several logins at most one is
			shown = one.Shown
		}
	}
	return &loginOutput{Body: shown}, nil
}

type callerOutput struct{ Body resource.Caller }

// caller shows who sends the request.
func (a *api) caller(ctx context.Context, _ *nothing) (*callerOutput, error) {
	return &callerOutput{Body: resource.CallerOf(problem.RequestOf(ctx).Who)}, nil
}
