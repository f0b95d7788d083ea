package customer

import (
	"slices"

	"daybook/domain/contact"
	"daybook/domain/unit"
)

// merged is the refusal of everything that would change an account which was merged.
func merged(into unit.CustomerID) error {
	return ErrMerged.With("The account was merged into the account "+string(into)+", and changes no more.", map[string]any{"merged_into": into})
}

// Merged returns ErrMerged with the other account if the account was merged, and nil otherwise.
func (s State) Merged() error {
	if s.MergedInto == "" {
		return nil
	}
	return merged(s.MergedInto)
}

// decideMerged decides a command on an account that was merged.
func decideMerged(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) { //nolint:gochecksumtype // all others are refused
	case MergeInto:
		if cmd.Into == s.MergedInto {
			return nil, nil
		}
	case RemoveWishLists: // the customer was erased
		return decideWishes(cmd, s)
	case WithdrawTaxStatus: // the customer was erased
		return withdrawTaxStatus(s)
	case RefuseMerge:
		if cmd.Attempt != s.Merges {
			return nil, nil
		}
		return []Event{MergeRefused{Into: s.MergedInto, Attempt: cmd.Attempt, Reason: cmd.Reason}}, nil
	}
	return nil, merged(s.MergedInto)
}

func mergeInto(cmd MergeInto, s State) ([]Event, error) {
	if cmd.Into == s.CustomerID {
		return nil, ErrMergeSelf
	}
	return []Event{Merged{Into: cmd.Into, Attempt: s.Merges + 1}}, nil
}

// absorb takes an account. The profile of this account stays, and members that it lacks come from
// the other one. Addresses, groups and wish lists are added as far as the limits allow. Wish lists
// are not shared here, because their tokens name the other account. For each purpose the later
// answer counts. The tax status of the other account counts if this one has none. The customer is
// blocked if one of the two was. Notes, and what is left over, stay in the other account, where the
// staff can read them.
//
// Which events are recorded does not depend on the texts of this account. So a profile is recorded
// again even if nothing of it changes.
func absorb(cmd Absorb, s State) ([]Event, error) {
	from := cmd.Source
	if slices.Contains(s.Absorbed, from.CustomerID) {
		return nil, nil
	}
	if len(s.absorbing(from.CustomerID, from.Absorbed)) > MaxAbsorbed {
		return nil, ErrLimit
	}
	decided := []Event{Absorbed{CustomerID: from.CustomerID, Attempt: cmd.Attempt, Before: from.Absorbed}}
	if from.Profile != (Profile{}) {
		decided = append(decided, ProfileChanged{Profile: s.Profile.filledFrom(from.Profile)})
	}
	decided = append(decided, takenAddresses(from, s)...)
	if groups := unitedGroups(s.Groups, from.Groups); len(groups) > len(s.Groups) {
		decided = append(decided, GroupsSet{Groups: groups})
	}
	for _, answer := range from.Consents {
		now := s.consent(answer.Purpose)
		switch {
		case !answer.At.After(now.At) || answer.Given == now.Given && answer.Version == now.Version:
		case answer.Given:
			decided = append(decided, ConsentGiven{Purpose: answer.Purpose, Version: answer.Version, At: answer.At})
		case now.Given:
			decided = append(decided, ConsentWithdrawn{Purpose: answer.Purpose, At: answer.At})
		}
	}
	decided = append(decided, takenWishLists(from, s)...)
	if from.TaxStatus != nil && s.TaxStatus == nil {
		decided = append(decided, TaxStatusSet{Status: *from.TaxStatus})
	}
	if from.Blocked && !s.Blocked {
		decided = append(decided, Blocked{Reason: from.BlockReason})
	}
	return decided, nil
}

// filledFrom is a profile with the members of another one where it has none.
func (p Profile) filledFrom(other Profile) Profile {
	for _, member := range []struct{ own, other *string }{
		{&p.Name, &other.Name}, {&p.Email, &other.Email}, {&p.Phone, &other.Phone}, {&p.Locale, &other.Locale},
	} {
		if *member.own == "" {
			*member.own = *member.other
		}
	}
	return p
}

// takenAddresses are the events that add the addresses of another account. Its defaults count if
// there are none here.
func takenAddresses(from, s State) (decided []Event) {
	next := DefaultsSet{Billing: s.Billing, Shipping: s.Shipping}
	for _, a := range from.Addresses[:max(min(len(from.Addresses), MaxAddresses-len(s.Addresses)), 0)] {
		if s.address(a.AddressID) >= 0 {
			continue
		}
		decided = append(decided, AddressAdded(a))
		if next.Billing == "" && a.AddressID == from.Billing {
			next.Billing = a.AddressID
		}
		if next.Shipping == "" && a.AddressID == from.Shipping {
			next.Shipping = a.AddressID
		}
	}
	if next.Billing != s.Billing || next.Shipping != s.Shipping {
		decided = append(decided, next)
	}
	return decided
}

// maxTaken bounds how many wishes an account takes over from another one, so that all events of a
// merge fit into one append.
const maxTaken = 500

// takenWishLists are the events that add the wish lists of another account.
func takenWishLists(from, s State) (decided []Event) {
	wishes := 0
	for _, list := range from.WishLists[:max(min(len(from.WishLists), MaxWishLists-len(s.WishLists)), 0)] {
		if s.wishList(list.ListID) >= 0 {
			continue
		}
		if wishes += len(list.Wishes); wishes > maxTaken {
			break
		}
		decided = append(decided, WishListMade{ListID: list.ListID, Name: list.Name})
		for _, wish := range list.Wishes {
			decided = append(decided, WishSet{ListID: list.ListID, SKU: wish.SKU, Quantity: wish.Quantity})
		}
	}
	return decided
}

// unitedGroups are the groups of two accounts, sorted. If there would be too many, the last ones of
// the other account are left out.
func unitedGroups(own, other []Group) []Group {
	united := slices.Clone(own)
	for _, group := range other {
		if len(united) < MaxGroups && !slices.Contains(united, group) {
			united = append(united, group)
		}
	}
	slices.Sort(united)
	return united
}

// absorbing are the accounts for which the account answers after it has absorbed one more, which
// had absorbed others before.
func (s State) absorbing(source unit.CustomerID, before []unit.CustomerID) []unit.CustomerID {
	all := slices.Clip(s.Absorbed)
	for _, id := range append([]unit.CustomerID{source}, before...) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// StandsFor tells whether the account is that of a customer, or has absorbed theirs.
func (s State) StandsFor(id unit.CustomerID) bool {
	return id != "" && (s.CustomerID == id || slices.Contains(s.Absorbed, id))
}

// Merging is a copy of the account for Absorb, without notes.
func (s State) Merging() State {
	if s.TaxStatus != nil {
		s.TaxStatus = new(*s.TaxStatus)
	}
	s.Addresses, s.Groups, s.Consents, s.Notes = slices.Clone(s.Addresses), slices.Clone(s.Groups), slices.Clone(s.Consents), nil
	s.Absorbed, s.WishLists = slices.Clone(s.Absorbed), slices.Clone(s.WishLists)
	for i := range s.WishLists {
		s.WishLists[i].Wishes = slices.Clone(s.WishLists[i].Wishes)
	}
	for i := range s.Addresses {
		s.Addresses[i].Address = cloned(s.Addresses[i].Address)
	}
	return s
}

func cloned(a contact.Address) contact.Address {
	a.Lines = slices.Clone(a.Lines)
	return a
}
