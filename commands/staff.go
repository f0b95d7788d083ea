package commands

import (
	"cmp"
	"context"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/staff"
)

// Staff carries out commands on the people who sign in, all or none. Nobody can give, change or end
// a right that they do not have themself (*access.LacksError).
func (s *Service) Staff(ctx context.Context, call Call, commands ...staff.Command) (aggregate.Result[staff.Event], error) {
	if err := cmp.Or(s.admit(call, access.WriteAccess), s.hasRoles(ctx, call, commands)); err != nil {
		return aggregate.Result[staff.Event]{}, err
	}
	return s.staff.Handle(ctx, request(call, staff.Stream(), commands))
}

// ViewStaff calls read with the state of all people; see ViewProduct.
func (s *Service) ViewStaff(ctx context.Context, read func(staff.State, int64)) error {
	return s.staff.View(ctx, staff.Stream(), read)
}
