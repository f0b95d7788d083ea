package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/unit"
)

// Customer carries out commands on a customer's account, all or none. Groups, notes and blocks need
// access.HandleCustomers, the tax status access.SetTaxStatus, and everything else
// access.WriteCustomers.
func (s *Service) Customer(ctx context.Context, call Call, id unit.CustomerID, commands ...customer.Command) (aggregate.Result[customer.Event], error) {
	if err := s.admit(call, access.WriteCustomers, access.HandleCustomers, access.SetTaxStatus); err != nil {
		return aggregate.Result[customer.Event]{}, err
	}
	if err := refuseSteps(commands); err != nil {
		return aggregate.Result[customer.Event]{}, err
	}
	for _, command := range commands {
		if err := s.admit(call, permissionFor(command)); err != nil {
			return aggregate.Result[customer.Event]{}, err
		}
	}
	if err := s.ownsCustomer(ctx, call, id); err != nil {
		return aggregate.Result[customer.Event]{}, err
	}
	result, err := s.customers.Handle(ctx, request(call, customer.Stream(id), commands))
	return result, hideTarget(call, err)
}

// hideTarget takes the other account out of the refusal of an account that was merged. Only callers
// who may handle all customers learn it.
func hideTarget(call Call, err error) error {
	if call.Owner() != "" && errors.Is(err, customer.ErrMerged) {
		return customer.ErrMerged
	}
	return err
}

// permissionFor is the permission that a command on an account needs.
func permissionFor(command customer.Command) access.Permission {
	switch command.(type) {
	case customer.SetGroups, customer.AddNote, customer.Block, customer.Unblock,
		customer.MergeInto, customer.Absorb, customer.DeclineMerge, customer.RefuseMerge:
		return access.HandleCustomers
	case customer.SetTaxStatus, customer.WithdrawTaxStatus:
		return access.SetTaxStatus
	case customer.Register, customer.ChangeProfile, customer.AddAddress, customer.ChangeAddress, customer.RemoveAddress, customer.Consent,
		customer.MakeWishList, customer.RenameWishList, customer.RemoveWishList, customer.RemoveWishLists, customer.SetWish, customer.ShareWishList, customer.UnshareWishList:
		return access.WriteCustomers
	}
	panic("commands: unknown command on a customer")
}

// ViewCustomer calls read with the state of a customer's account; see ViewProduct.
func (s *Service) ViewCustomer(ctx context.Context, id unit.CustomerID, read func(customer.State, int64)) error {
	return s.customers.View(ctx, customer.Stream(id), read)
}

// ownsCustomer is ownsCart for a customer's account. The id says whose it is.
func (s *Service) ownsCustomer(ctx context.Context, call Call, id unit.CustomerID) (err error) {
	if owner := call.Owner(); owner == "" || owner == id.Owner() || slices.Contains(call.Absorbed, id) {
		return nil
	}
	viewed := s.ViewCustomer(ctx, id, func(_ customer.State, revision int64) {
		err = hidden(revision, customer.ErrNotFound)
	})
	return cmp.Or(viewed, err)
}

// blockAge is for how long a node may go on with checkouts of a customer whom another node has
// blocked.
const blockAge = 5 * time.Second

// checkoutAccount returns the account of the customer of an open cart, as far as a checkout needs
// it. It returns customer.ErrBlocked if the customer is blocked. A checkout that has begun goes on,
// because it may have reserved stock. A guest has no account, and who is then empty.
func (s *Service) checkoutAccount(ctx context.Context, who unit.CustomerID) (defaults *contact.Details, err error) {
	if who == "" {
		return nil, nil
	}
	var into unit.CustomerID
	blocked := false
	read := func(state customer.State, _ int64) {
		// Until the other account has taken this one, a block of this one counts.
		into, blocked = state.MergedInto, state.Blocked || blocked && !state.StandsFor(who)
	}
	viewed := s.customers.ViewAged(ctx, customer.Stream(who), blockAge, func(state customer.State, revision int64) {
		read(state, revision)
		if d := state.Defaults(); !d.Empty() {
			defaults = &d
		}
	})
	// A cart of an account that was merged keeps the addresses of that account. But the account
	// that answers for it can be blocked. No account of this chain is merged into an earlier one.
	for range maxChain {
		if viewed != nil || into == "" {
			break
		}
		viewed = s.customers.ViewAged(ctx, customer.Stream(into), blockAge, read)
	}
	if blocked {
		err = customer.ErrBlocked
	}
	return defaults, cmp.Or(viewed, err)
}

// maxChain bounds how many merges after one another a checkout follows.
const maxChain = customer.MaxAbsorbed

// AbsorbedBy returns the accounts that were merged into the caller's own account. There are none
// for a guest, and none for a caller who may reach everything. A merge on another node shows up
// after at most blockAge.
func (s *Service) AbsorbedBy(ctx context.Context, who access.Principal, needs access.Permission) (absorbed []unit.CustomerID, err error) {
	id, limited := who.Owner(needs)
	if !limited || id == "" || who.Cart != "" {
		return nil, nil
	}
	err = s.customers.ViewAged(ctx, customer.Stream(id), blockAge, func(state customer.State, _ int64) {
		absorbed = slices.Clone(state.Absorbed)
	})
	return absorbed, err
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
