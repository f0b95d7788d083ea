package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// ErrNobody means that a call does not say who asks. This is a fault of the program.
var ErrNobody = errors.New("the call has no principal")

// ErrPermission means that a call does not use one of the permissions that its commands need. This
// is a fault of the program: a route has the wrong permission, or a caller names none.
var ErrPermission = errors.New("the call uses no permission for its commands")

// ErrActorDiffers means that the events of a call would name somebody else than its principal as
// their actor. This is a fault of the program, so it is an error. To write the principal's name
// over the other one would hide the fault.
var ErrActorDiffers = errors.New("the actor of the call is not its principal")

// checkActor compares the actor, and the customer for whom the actor acts, with the principal.
// Without access control, a caller names its actor itself, but not one that looks as if it was
// authenticated.
func (c Call) checkActor() error {
	meta, differs := c.Meta, false
	switch {
	case meta.OnBehalfOf != "" && access.AuthenticatedPrefix(c.Who.ID) != access.SystemPrefix:
		differs = true // only a part of the program finishes the work of somebody else
	case c.Who.ID == access.Everyone.ID:
		differs = access.AuthenticatedPrefix(meta.Actor) != "" || meta.ActingFor != ""
	default:
		differs = meta.Actor != c.Who.ID || meta.ActingFor != string(c.Who.ActsFor)
	}
	if differs {
		return fmt.Errorf("%w: %q (for %q, on behalf of %q) and %q", ErrActorDiffers, meta.Actor, meta.ActingFor, meta.OnBehalfOf, c.Who.ID)
	}
	return nil
}

// checkPermission refuses a call that uses none of these permissions, and a call whose sender lacks
// the one that it uses. So a fault in a route gives nobody a right that they lack.
func (c Call) checkPermission(of []access.Permission) error {
	if c.Needs == "" && (access.AuthenticatedPrefix(c.Who.ID) == access.SystemPrefix || c.Who.ID == access.Everyone.ID) {
		return nil
	}
	if !slices.Contains(of, c.Needs) {
		return fmt.Errorf("%w: %q, want one of %q", ErrPermission, c.Needs, of)
	}
	if owner, limited := c.Who.Owned(c.Needs); limited && owner == "" {
		return &access.LacksError{Permission: c.Needs}
	}
	return nil
}

// The parts of the program that carry out work by themselves.
var (
	theReactor = access.System("reactor") // finishes processes that were cut off
	theTimer   = access.System("timer")   // acts on deadlines
	theRemedy  = access.System("remedy")  // gives back the money of lost stock, or that came too late
	// theExecutor sends refunds to the providers of payments.
	theExecutor = access.System("refunds")
	// theProvider is a provider of payments that reports by itself.
	theProvider = access.System("payment-provider")
)

// by returns the metadata of work that a part of the program carries out by itself. The actor is
// the part. Whoever began the work is in OnBehalfOf. The causation and the correlation stay as they
// are, so they lead to the request that began the work.
func by(part access.Principal, meta eventstore.Metadata) eventstore.Metadata {
	began := cmp.Or(meta.OnBehalfOf, meta.Actor)
	if began == part.ID {
		began = ""
	}
	meta.Actor, meta.OnBehalfOf = part.ID, began
	return meta
}

// Access carries out commands on the shop's API keys and roles, all or none. Nobody can give,
// change or end a right that they do not have themself (*access.LacksError).
func (s *Service) Access(ctx context.Context, call Call, commands ...access.Command) (aggregate.Result[access.Event], error) {
	if err := cmp.Or(s.admit(call, access.WriteAccess), s.hasRights(ctx, call, commands)); err != nil {
		return aggregate.Result[access.Event]{}, err
	}
	commands, err := s.withPeople(ctx, commands)
	if err != nil {
		return aggregate.Result[access.Event]{}, err
	}
	return s.access.Handle(ctx, request(call, access.Stream(), commands))
}

// withPeople completes commands on roles: it notes whether a person has the role. People are in a
// stream of their own. So if a person gets the role at the same moment in which it is removed, both
// may be recorded. The person then has a role without grants, and may do nothing.
func (s *Service) withPeople(ctx context.Context, commands []access.Command) ([]access.Command, error) {
	completed := slices.Clone(commands)
	for i, command := range completed {
		var err error
		if define, is := command.(access.DefineRole); is {
			define.OfPeople, err = s.ofPeople(ctx, define.Role)
			completed[i] = define
		}
		if remove, is := command.(access.RemoveRole); is {
			remove.OfPeople, err = s.ofPeople(ctx, remove.Role)
			completed[i] = remove
		}
		if err != nil {
			return nil, err
		}
	}
	return completed, nil
}

// ofPeople tells whether a person whose access has not ended has a role.
func (s *Service) ofPeople(ctx context.Context, role access.Role) (found bool, err error) {
	err = s.ViewStaff(ctx, func(state staff.State, _ int64) {
		for _, person := range state.People {
			found = found || person.Role == role && person.Status != staff.Ended
		}
	})
	return found, err
}

// ViewAccess calls read with the state of all keys and roles; see ViewProduct.
func (s *Service) ViewAccess(ctx context.Context, read func(access.State, int64)) error {
	return s.access.View(ctx, access.Stream(), read)
}

// hasRights returns an *access.LacksError if the caller lacks a right that the commands give,
// change or end.
func (s *Service) hasRights(ctx context.Context, call Call, commands []access.Command) (missing error) {
	err := s.ViewAccess(ctx, func(state access.State, _ int64) {
		for _, command := range commands {
			missing = cmp.Or(missing, lacking(call, state.Concerns(command)...))
		}
	})
	return cmp.Or(err, missing)
}

// hasRoles is hasRights for commands on people.
func (s *Service) hasRoles(ctx context.Context, call Call, id staff.PersonID, commands []staff.Command) (missing error) {
	var concerned []access.Role
	err := s.people(id).View(ctx, staff.StreamOf(id), func(state staff.State, _ int64) {
		for _, command := range commands {
			concerned = append(concerned, state.Concerns(command)...)
		}
	})
	if err != nil || len(concerned) == 0 {
		return err
	}
	err = s.ViewAccess(ctx, func(state access.State, _ int64) {
		for _, role := range concerned {
			missing = cmp.Or(missing, lacking(call, state.GrantsOf(role)))
		}
	})
	return cmp.Or(err, missing)
}

// lacking returns an *access.LacksError if the caller does not have all grants, and nil otherwise.
func lacking(call Call, concerned ...access.Grants) error {
	for _, grants := range concerned {
		if permission := call.Who.Lacks(grants); permission != "" {
			return &access.LacksError{Permission: permission}
		}
	}
	return nil
}

// The handlers check the owner of a cart, an order or a return when they decide. The functions
// below check it before a call does anything. So the call of somebody else changes no other stream,
// and its caller learns nothing. A call that may be about all of them is not checked.

// admitCart admits a call about a cart.
func (s *Service) admitCart(ctx context.Context, call Call, id unit.CartID, of ...access.Permission) error {
	return cmp.Or(s.admit(call, of...), s.ownsCart(ctx, call, id, false))
}

// ownsCart returns cart.ErrNotFound if the cart belongs to somebody else than the call's owner, and
// also if there is no such cart, so that nobody can tell the two apart. If begins is true, the call
// may begin the cart, so a missing cart is no error.
func (s *Service) ownsCart(ctx context.Context, call Call, id unit.CartID, begins bool) (err error) {
	if call.Owner() == "" {
		return nil
	}
	// A statement of its own: Go does not say whether an argument is read before or after the call
	// of another one, and this call sets err.
	viewed := s.ViewCart(ctx, id, func(state cart.State, revision int64) {
		if (revision >= 0 || !begins) && !call.owns(state) {
			err = hidden(revision, cart.ErrNotFound)
		}
	})
	return cmp.Or(viewed, err)
}

// asTaken returns taken in place of notFound if a call begins something, because somebody else has
// used the id. Other errors stay as they are.
func asTaken(begins bool, err error, notFound, taken *rule.Rejection) error {
	if begins && errors.Is(err, notFound) {
		return taken
	}
	return err
}

// hidden returns the error for a call about a thing that is not its owner's. If revision is
// negative, there is no such thing, and the error is notFound itself.
func hidden(revision int64, notFound error) error {
	if revision < 0 {
		return notFound
	}
	return access.Hide(notFound)
}

// ownsOrder is ownsCart for an order.
func (s *Service) ownsOrder(ctx context.Context, call Call, id unit.OrderID) (err error) {
	if call.Owner() == "" {
		return nil
	}
	viewed := s.ViewOrder(ctx, id, func(state order.State, revision int64) {
		if !call.owns(state) {
			err = hidden(revision, order.ErrNotFound)
		}
	})
	return cmp.Or(viewed, err)
}

// reachesOrder returns an *access.ScopeError if commands on an order reach past the locations of
// the call's sender. The handler checks it again when it decides.
func (s *Service) reachesOrder(ctx context.Context, call Call, id unit.OrderID, commands ...order.Command) (err error) {
	scope := call.Who.Scope
	if len(scope.Locations) == 0 {
		return nil
	}
	viewed := s.ViewOrder(ctx, id, func(state order.State, _ int64) {
		for _, command := range commands {
			err = cmp.Or(err, scope.ReachesLocations(order.Locations(command, state)...))
		}
	})
	return cmp.Or(viewed, err)
}

// ownsReturn is ownsCart for a return, and for the orders of a return that is requested. A request
// for a new return under the id of somebody else's return gets returns.ErrExists, as it does for a
// return of its own owner.
func (s *Service) ownsReturn(ctx context.Context, call Call, id unit.ReturnID, commands []returns.Command) (err error) {
	if call.Owner() == "" {
		return nil
	}
	begins := false
	for _, command := range commands {
		request, requests := command.(returns.Request)
		if !requests {
			continue
		}
		begins = true
		for _, line := range request.Lines {
			for _, link := range line.Links {
				if err := s.ownsOrder(ctx, call, link.OrderID); err != nil {
					return err
				}
			}
		}
	}
	viewed := s.ViewReturn(ctx, id, func(state returns.State, revision int64) {
		if (revision >= 0 || !begins) && !call.owns(state) {
			if err = hidden(revision, returns.ErrNotFound); begins {
				err = returns.ErrExists
			}
		}
	})
	return cmp.Or(viewed, err)
}
