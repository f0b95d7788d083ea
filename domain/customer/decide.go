package customer

import (
	"slices"

	"daybook/domain/contact"
	"daybook/domain/unit"
)

// The bounds of an account.
const (
	MaxAddresses = 50
	MaxGroups    = 50
	MaxNotes     = 500
	// MaxAbsorbed bounds how many accounts one account answers for.
	MaxAbsorbed = 100
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	if cmd, registers := cmd.(Register); registers {
		return register(cmd, s)
	}
	if decline, declines := cmd.(DeclineMerge); declines {
		return []Event{MergeDeclined(decline)}, nil
	}
	if !s.Registered() {
		return nil, ErrNotFound
	}
	if s.MergedInto != "" {
		return decideMerged(cmd, s)
	}
	switch cmd := cmd.(type) {
	case Register, DeclineMerge: // handled above
	case RefuseMerge: // it was refused before
		return nil, nil
	case MergeInto:
		return mergeInto(cmd, s)
	case Absorb:
		return absorb(cmd, s)
	case ChangeProfile:
		return changeProfile(cmd, s)
	case AddAddress:
		return addAddress(cmd, s)
	case ChangeAddress:
		return changeAddress(cmd, s)
	case RemoveAddress:
		if s.address(cmd.AddressID) < 0 {
			return nil, ErrAddressUnknown
		}
		return []Event{AddressRemoved(cmd)}, nil
	case SetGroups:
		return setGroups(cmd, s)
	case Consent:
		return consent(cmd, s)
	case AddNote:
		return addNote(cmd, s)
	case Block:
		return block(cmd, s)
	case SetTaxStatus:
		return setTaxStatus(cmd)
	case WithdrawTaxStatus:
		return withdrawTaxStatus(s)
	case MakeWishList, RenameWishList, RemoveWishList, RemoveWishLists, SetWish, ShareWishList, UnshareWishList:
		return decideWishes(cmd, s)
	case Unblock:
		if !s.Blocked {
			return nil, nil
		}
		return events(refused("reason", unit.TextFault(cmd.Reason, unit.MaxNote)), Unblocked(cmd))
	}
	panic("customer: unknown command")
}

// refused is the refusal of a text, or nil if nothing is wrong with it.
func refused(field, fault string) error {
	if fault == "" {
		return nil
	}
	return ErrTextInvalid.With("The member "+field+" is refused: "+fault+".", map[string]any{"field": field})
}

// check refuses a profile with a text that is not allowed.
func (p Profile) check() error {
	for _, text := range []struct{ field, fault string }{
		{"name", unit.LineFault(p.Name, unit.MaxTitle)},
		{"email", contact.EmailFault(p.Email)},
		{"phone", contact.PhoneFault(p.Phone)},
		{"locale", contact.LocaleFault(p.Locale)},
	} {
		if err := refused(text.field, text.fault); err != nil {
			return err
		}
	}
	return nil
}

func register(cmd Register, s State) ([]Event, error) {
	if s.Registered() {
		return nil, ErrExists
	}
	return events(cmd.Profile.check(), Registered(cmd))
}

// events returns the events, or the error if there is one.
func events(err error, all ...Event) ([]Event, error) {
	if err != nil {
		return nil, err
	}
	return all, nil
}

func changeProfile(cmd ChangeProfile, s State) ([]Event, error) {
	if cmd == (ChangeProfile{}) {
		return nil, nil
	}
	changed, asked := s.Profile, Profile{}
	for _, member := range []struct {
		given        *string
		now, checked *string
	}{
		{cmd.Name, &changed.Name, &asked.Name},
		{cmd.Email, &changed.Email, &asked.Email},
		{cmd.Phone, &changed.Phone, &asked.Phone},
		{cmd.Locale, &changed.Locale, &asked.Locale},
	} {
		if member.given != nil {
			*member.now, *member.checked = *member.given, *member.given
		}
	}
	// Only what is new is checked. A text that is there may read as erased.
	return events(asked.check(), ProfileChanged{Profile: changed})
}

func checkAddress(a contact.Address) error {
	if faults := a.Faults(); len(faults) > 0 {
		return refused(faults[0].Name(), faults[0].Text)
	}
	return nil
}

func addAddress(cmd AddAddress, s State) ([]Event, error) {
	if len(s.Addresses) >= MaxAddresses {
		return nil, ErrLimit
	}
	first := len(s.Addresses) == 0
	decided := []Event{AddressAdded{AddressID: cmd.AddressID, Address: cmd.Address}}
	return events(checkAddress(cmd.Address), append(decided, defaults(s, cmd.AddressID, cmd.Billing || first, cmd.Shipping || first)...)...)
}

func changeAddress(cmd ChangeAddress, s State) ([]Event, error) {
	if s.address(cmd.AddressID) < 0 {
		return nil, ErrAddressUnknown
	}
	decided := []Event{AddressChanged{AddressID: cmd.AddressID, Address: cmd.Address}}
	return events(checkAddress(cmd.Address), append(decided, defaults(s, cmd.AddressID, cmd.Billing, cmd.Shipping)...)...)
}

// defaults makes an address a default, if it is not one yet.
func defaults(s State, id AddressID, billing, shipping bool) []Event {
	next := DefaultsSet{Billing: s.Billing, Shipping: s.Shipping}
	if billing {
		next.Billing = id
	}
	if shipping {
		next.Shipping = id
	}
	if next.Billing == s.Billing && next.Shipping == s.Shipping {
		return nil
	}
	return []Event{next}
}

func setGroups(cmd SetGroups, s State) ([]Event, error) {
	groups := slices.Compact(slices.Sorted(slices.Values(cmd.Groups)))
	if len(groups) > MaxGroups {
		return nil, ErrLimit
	}
	for _, group := range groups {
		if _, err := ParseGroup(string(group)); err != nil {
			return nil, refused("groups", err.Error())
		}
	}
	if slices.Equal(groups, s.Groups) {
		return nil, nil
	}
	return []Event{GroupsSet{Groups: groups}}, nil
}

func consent(cmd Consent, s State) ([]Event, error) {
	now := s.consent(cmd.Purpose)
	switch {
	case !slices.Contains(Purposes(), cmd.Purpose):
		return nil, ErrPurposeUnknown
	case !cmd.Given && !now.Given:
		return nil, refused("version", versionFault(cmd.Version))
	case !cmd.Given:
		return events(refused("version", versionFault(cmd.Version)), ConsentWithdrawn{Purpose: cmd.Purpose, At: cmd.At})
	case cmd.Version == "":
		return nil, refused("version", "a consent names the version of the text")
	case versionFault(cmd.Version) != "":
		return nil, refused("version", versionFault(cmd.Version))
	case now.Given && now.Version == cmd.Version:
		return nil, nil
	}
	return []Event{ConsentGiven{Purpose: cmd.Purpose, Version: cmd.Version, At: cmd.At}}, nil
}

// versionFault says what is wrong with the name of a version.
func versionFault(text string) string {
	if text == "" {
		return ""
	}
	if _, err := parsePlain("version", text); err != nil {
		return err.Error()
	}
	return ""
}

func addNote(cmd AddNote, s State) ([]Event, error) {
	if len(s.Notes) >= MaxNotes {
		return nil, ErrLimit
	}
	if cmd.Text == "" {
		return nil, refused("text", "a note has a text")
	}
	return events(refused("text", unit.TextFault(cmd.Text, MaxNoteText)), NoteAdded(cmd))
}

func block(cmd Block, s State) ([]Event, error) {
	switch {
	case s.Blocked:
		return nil, nil
	case cmd.Reason == "":
		return nil, refused("reason", "a block has a reason")
	}
	return events(refused("reason", unit.TextFault(cmd.Reason, unit.MaxNote)), Blocked(cmd))
}
