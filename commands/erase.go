package commands

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Eraser does the part of an erasure that is not in the log.
type Eraser interface {
	// Of returns what belongs to a customer or a guest, as far as it is recorded when Of is called.
	// others are accounts that were merged into the customer's.
	Of(ctx context.Context, owner unit.Owner, others []unit.CustomerID) (Belonging, error)
	// Keep copies what the law wants of the invoices of a subject's orders, before the keys of the
	// subject are destroyed. It returns what is kept of all these orders, also if it was copied
	// before.
	Keep(ctx context.Context, orders []unit.OrderID) ([]subject.Kept, error)
	// Note destroys the keys of an erasure that was recorded. If it fails, a reader of the log does
	// it later.
	Note(ctx context.Context, erased subject.Erased) error
	// Done tells whether the erasure of a subject has nothing left to do.
	Done(ctx context.Context, owner unit.Owner) (bool, error)
}

// Belonging is what belongs to a customer or a guest.
type Belonging struct {
	// Guests are carts that a customer had as a guest and that have keys of their own.
	Guests  []unit.CartID
	Carts   []unit.CartID // all carts
	Past    []unit.CartID // carts that were a customer's before, and are somebody else's now
	Orders  []unit.OrderID
	Returns []unit.ReturnID
	Open    []unit.OrderID // the orders that are not finished
}

// Erase erases the personal texts of a customer or of a guest, for good. When it returns, their
// keys are destroyed, and the customer has no wish lists any more. Copies outside the log are
// removed soon after: each node looks for erasures that are not finished.
//
// What the law wants of the invoices of the orders is copied before, and the event says so. If this
// node dies between the two, a repetition finds the copies and names them.
//
// The accounts that were merged into the customer's are erased with it. An account that was merged
// itself is not erased alone (customer.ErrMerged): it names the account that answers for it.
//
// If the erasure was recorded before, Erase looks for what belongs to the subject since then.
func (s *Service) Erase(ctx context.Context, call Call, asked subject.Erased) (aggregate.Result[subject.Event], error) {
	var none aggregate.Result[subject.Event]
	if err := s.admitErasure(ctx, call, asked); err != nil {
		return none, err
	}
	others, err := s.eraseWith(ctx, asked.CustomerID)
	if err != nil {
		return none, hideTarget(call, err)
	}
	var belonging Belonging
	if s.Eraser != nil {
		if belonging, err = s.Eraser.Of(ctx, asked.Owner(), others); err != nil {
			return none, fmt.Errorf("what belongs to a subject: %w", err)
		}
	}
	if s.Eraser != nil && len(belonging.Open) == 0 { // else nothing is erased
		if asked.Kept, err = s.Eraser.Keep(ctx, belonging.Orders); err != nil {
			return none, fmt.Errorf("keep what the law wants: %w", err)
		}
	}
	asked.Customers, asked.Carts = others, belonging.Guests
	if asked.CartID != "" {
		asked.Orders = belonging.Orders
	}
	has, err := s.hasCustomer(ctx, asked.CartID)
	if err != nil {
		return none, err
	}
	erase := request(call, subject.Stream(asked.Owner()), []subject.Command{subject.Erase{Erased: asked, Open: belonging.Open, HasCustomer: has}})
	erase.Owner, erase.Also = "", nil // admitErasure has compared the owner; a subject belongs to nobody
	result, err := s.subjects.Handle(ctx, erase)
	if err != nil {
		return none, err
	}
	// If this node dies here, whoever finishes the erasure does it (FinishErasure).
	meta := call.Meta
	meta.CommandID, meta.CausationID = uuid.UUID(unit.StepCommand.Of("wish lists", meta.CommandID.String()).UUID()), meta.CommandID.String()
	removed, err := s.emptyAccount(ctx, meta, asked.CustomerID)
	if err != nil {
		return none, err
	}
	if len(removed.Events) > 0 {
		result.Position = removed.Position
	}
	if s.Eraser == nil {
		return result, nil
	}
	state, _, err := s.Subject(ctx, asked.Owner())
	if err == nil {
		err = s.Eraser.Note(ctx, state.Erased)
	}
	return result, err
}

// admitErasure refuses an erasure that the caller may not ask for. With access.LeaveShop a customer
// asks for their own. Whoever has this permission for everybody needs access.ErasePersonal, too.
func (s *Service) admitErasure(ctx context.Context, call Call, asked subject.Erased) error {
	if err := s.admit(call, access.ErasePersonal, access.LeaveShop); err != nil || call.Who.Reach(access.ErasePersonal) == access.All {
		return err
	}
	if call.Who.ActsFor != "" && call.Who.Grants[access.ErasePersonal] != access.All { // it may act for anybody
		return &access.LacksError{Permission: access.ErasePersonal}
	}
	if owner, limited := call.Who.Owned(access.LeaveShop); !limited || owner == "" {
		return &access.LacksError{Permission: access.ErasePersonal}
	} else if owner != asked.Owner() {
		return cmp.Or(s.ownsCustomer(ctx, call, asked.CustomerID), error(customer.ErrNotFound))
	}
	return nil
}

// FinishErasure does the part of an erasure that is in the log after the event Erased: it removes
// the wish lists of a customer, and so ends their shares, and it revokes the API keys that reach
// the customer's things. It does nothing for a guest, and nothing if there are none. command is the
// id of the command, which must be a new one.
func (s *Service) FinishErasure(ctx context.Context, command [16]byte, owner unit.Owner) error {
	id, is := owner.Customer()
	if !is {
		return nil
	}
	meta := ErasureCall(command).Meta
	if _, err := s.emptyAccount(ctx, meta, id); err != nil {
		return err
	}
	meta.CommandID = unit.StepCommand.Of("keys", uuid.UUID(command).String()).UUID()
	return s.revokeKeysOf(ctx, meta, id)
}

// theErasure does what follows from an erasure.
var theErasure = access.System("erasure")

// ErasureCall is a call in the name of the part of the program that finishes erasures. command is
// the id of the command, which must be a new one.
func ErasureCall(command [16]byte) Call {
	return Call{Meta: eventstore.Metadata{CommandID: command, Actor: theErasure.ID}, Who: theErasure}
}

// revokeKeysOf revokes the active API keys that reach the things of a customer.
func (s *Service) revokeKeysOf(ctx context.Context, meta eventstore.Metadata, id unit.CustomerID) error {
	var revoke []access.Command
	err := s.ViewAccess(ctx, func(state access.State, _ int64) {
		for _, key := range slices.Sorted(maps.Keys(state.Keys)) {
			if held := state.Keys[key]; held.Customer == string(id) && held.Status == access.Active {
				revoke = append(revoke, access.RevokeKey{Key: key, Reason: "the customer was erased"})
			}
		}
	})
	if err != nil || len(revoke) == 0 {
		return err
	}
	if _, err = s.access.Handle(ctx, aggregate.Request[access.Command]{Stream: access.Stream(), Meta: meta, Commands: revoke}); err != nil {
		return fmt.Errorf("revoke the API keys of an erased customer: %w", err)
	}
	return nil
}

// eraseWith returns the accounts that are erased with a customer.
func (s *Service) eraseWith(ctx context.Context, id unit.CustomerID) (others []unit.CustomerID, refusal error) {
	if id == "" {
		return nil, nil
	}
	err := s.ViewCustomer(ctx, id, func(state customer.State, _ int64) {
		others = slices.Clone(state.Absorbed)
		refusal = state.Merged()
	})
	return others, cmp.Or(err, refusal)
}

// hasCustomer tells whether a guest's cart, or the order that it became, belongs to a customer.
func (s *Service) hasCustomer(ctx context.Context, id unit.CartID) (has bool, err error) {
	if id == "" {
		return false, nil
	}
	var became unit.OrderID
	err = s.ViewCart(ctx, id, func(state cart.State, _ int64) { has, became = state.CustomerID != "", state.OrderID })
	if err != nil || has || became == "" {
		return has, err
	}
	err = s.ViewOrder(ctx, became, func(state order.State, _ int64) { has = state.CartID == id && state.CustomerID != "" })
	return has, err
}

// EraseLater records the erasure of what came to a customer at the same moment in which the
// customer was erased: accounts that were merged into theirs, or the one into which it was merged,
// and what they took over from a guest. It does nothing for a customer who was not erased, and if
// there is no such thing.
func (s *Service) EraseLater(ctx context.Context, id unit.CustomerID) error {
	state, _, err := s.Subject(ctx, id.Owner())
	if err != nil || !state.IsErased() {
		return err
	}
	last := id
	for range maxChain {
		into := unit.CustomerID("")
		if err := s.ViewCustomer(ctx, last, func(account customer.State, _ int64) { into = account.MergedInto }); err != nil {
			return err
		}
		if into == "" {
			break
		}
		last = into
	}
	if last != id { // it was merged at the moment in which it was erased, so the other account may have its texts
		return s.eraseAlso(ctx, last, state.Erased.Reason)
	}
	others, err := s.eraseWith(ctx, id)
	if err != nil {
		return err
	}
	later := slices.ContainsFunc(others, func(other unit.CustomerID) bool { return !slices.Contains(state.Erased.Customers, other) })
	if !later && s.Eraser != nil {
		belonging, err := s.Eraser.Of(ctx, id.Owner(), others)
		if err != nil {
			return fmt.Errorf("what belongs to a subject: %w", err)
		}
		later = slices.ContainsFunc(belonging.Guests, func(guest unit.CartID) bool { return !slices.Contains(state.Erased.Carts, guest) })
	}
	if !later {
		return nil
	}
	return s.eraseAlso(ctx, id, state.Erased.Reason)
}

// eraseAlso erases a customer in the name of the part that finishes erasures.
func (s *Service) eraseAlso(ctx context.Context, id unit.CustomerID, reason subject.Reason) error {
	command, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = s.Erase(ctx, ErasureCall(command), subject.Erased{CustomerID: id, Reason: reason})
	return err
}

// Subject returns what was erased of a customer or a guest. revision is -1 if nothing was.
func (s *Service) Subject(ctx context.Context, owner unit.Owner) (state subject.State, revision int64, err error) {
	err = s.subjects.View(ctx, subject.Stream(owner), func(now subject.State, at int64) { state, revision = now, at })
	return state, revision, err
}

// ByRetention is the metadata of an erasure that the program does in its own name, because the shop
// keeps such data no longer.
func ByRetention(command [16]byte) Call {
	return Call{Meta: eventstore.Metadata{CommandID: command, Actor: theRetention.ID}, Who: theRetention}
}

// theRetention erases what the shop keeps no longer.
var theRetention = access.System("retention")

// ForgetStates drops what this node has in memory of the log, because texts in it may have been
// erased. It is read again when it is needed.
func (s *Service) ForgetStates() {
	s.news.Forget()
	for _, of := range []any{s.products, s.carts, s.stock, s.orders, s.returns, s.access, s.staff, s.logins, s.customers, s.subjects} {
		if forgetful, can := of.(interface{ Forget() }); can {
			forgetful.Forget()
		}
	}
}
