package commands

import (
	"context"

	"daybook/commands/aggregate"
	"daybook/domain/staff"
)

// Staff carries out commands on the people who sign in, all or none.
func (s *Service) Staff(ctx context.Context, call Call, commands ...staff.Command) (aggregate.Result[staff.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[staff.Event]{}, err
	}
	return s.staff.Handle(ctx, request(call, staff.Stream(), commands))
}

// ViewStaff calls read with the state of all people; see ViewProduct.
func (s *Service) ViewStaff(ctx context.Context, read func(staff.State, int64)) error {
	return s.staff.View(ctx, staff.Stream(), read)
}
