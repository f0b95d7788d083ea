package commands

import (
	"cmp"
	"context"
	"slices"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/staff"
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
