package cart

import "slices"

// mergeInto ends a cart. It refuses a cart that is being checked out, because that cart may
// become an order at any moment.
func mergeInto(cmd MergeInto, s State) ([]Event, error) {
	switch {
	case cmd.Target == s.CartID:
		return nil, ErrMergeSelf
	case s.MergeTarget() == cmd.Target && cmd.Target != "":
		return nil, nil
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case len(s.Lines) == 0:
		return nil, ErrEmpty
	}
	return []Event{MergedInto{Target: cmd.Target, Attempt: s.Merge.Attempt + 1, IfRevision: cmd.IfRevision}}, nil
}

// mergeFrom adds each line by the rules of AddLine, all or none. There is at least one line,
// because an empty cart cannot be merged. So a cart that is not open refuses the merge at the first
// line. Discounts that persons gave, and the tax status, stay with the cart that they were given
// to.
func mergeFrom(cmd MergeFrom, s State) ([]Event, error) {
	events := []Event{MergedFrom{Source: cmd.Source, Attempt: cmd.Attempt}}
	filled := s
	filled.Lines = slices.Clone(s.Lines) // Evolve changes them in place
	for _, l := range cmd.Lines {
		added, err := addLine(AddLine{
			SKU: l.SKU, SKUText: l.SKUText, Quantity: l.Quantity, Join: true,
			Offer: Offer{Title: l.Title, Kind: l.Kind, Price: l.Price, Overridden: l.Overridden, BelowZero: true},
		}, filled)
		if err != nil {
			return nil, err
		}
		filled = Evolve(filled, added[0])
		events = append(events, added...)
	}
	return append(events, s.taken(cmd.Details, cmd.Customer)...), nil
}

func refuseMerge(cmd RefuseMerge, s State) ([]Event, error) {
	if s.Phase != PhaseMerged || s.Merge.Attempt != cmd.Attempt {
		return nil, nil
	}
	return []Event{MergeRefused{Target: s.Merge.Target, Attempt: cmd.Attempt, Reason: cmd.Reason}}, nil
}
