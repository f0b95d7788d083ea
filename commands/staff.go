package commands

import (
	"cmp"
	"context"
	"slices"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/staff"
	"daybook/domain/unit"
)

// Staff carries out commands on one person who signs in, all or none: a person of the staff, or a
// login of a customer. Nobody can give, change or end a right that they do not have themself
// (*access.LacksError).
func (s *Service) Staff(ctx context.Context, call Call, id staff.PersonID, commands ...staff.Command) (aggregate.Result[staff.Event], error) {
	if err := cmp.Or(s.admit(call, access.WriteAccess), s.hasRoles(ctx, call, id, commands)); err != nil {
		return aggregate.Result[staff.Event]{}, err
	}
	return s.people(id).Handle(ctx, request(call, staff.StreamOf(id), commands))
}

// people is the handler of the stream that a person is in.
func (s *Service) people(id staff.PersonID) staffHandler {
	if id.IsLogin() {
		return s.logins
	}
	return s.staff
}

// ViewStaff calls read with the state of all people of the staff; see ViewProduct.
func (s *Service) ViewStaff(ctx context.Context, read func(staff.State, int64)) error {
	return s.staff.View(ctx, staff.Stream(), read)
}

// Person returns a person of the staff, or a login of a customer. Somebody who does not exist has
// no status.
func (s *Service) Person(ctx context.Context, id staff.PersonID) (person staff.Person, err error) {
	err = s.people(id).View(ctx, staff.StreamOf(id), func(state staff.State, _ int64) {
		person = state.People[id]
		person.Recovery = slices.Clone(person.Recovery)
	})
	return person, err
}

// Answering returns the account that answers for a customer: the customer's own, or the one into
// which it was merged. A merge on another node shows up after at most blockAge.
func (s *Service) Answering(ctx context.Context, id unit.CustomerID) (unit.CustomerID, error) {
	for range maxChain {
		var into unit.CustomerID
		if err := s.customers.ViewAged(ctx, customer.Stream(id), blockAge, func(state customer.State, _ int64) { into = state.MergedInto }); err != nil || into == "" {
			return id, err
		}
		taken := false
		if err := s.customers.ViewAged(ctx, customer.Stream(into), blockAge, func(state customer.State, _ int64) { taken = state.StandsFor(id) }); err != nil || !taken {
			return id, err // until the other account has taken this one, this one answers
		}
		id = into
	}
	return id, nil
}
