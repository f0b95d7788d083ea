package customer

import (
	"slices"

	"daybook/domain/unit"
)

// The bounds of wish lists.
const (
	MaxWishLists = 20  // of one customer
	MaxWishes    = 200 // of one list
)

// WishListID names one wish list of a customer. The server makes it.
type WishListID string

// ParseWishListID reads the id of a wish list.
func ParseWishListID(text string) (WishListID, error) {
	id, err := parsePlain("wish list id", text)
	return WishListID(id), err
}

// WishList is a list of goods that a customer wants.
type WishList struct {
	ListID WishListID `json:"list_id"`
	Name   string     `json:"name"`
	Wishes []Wish     `json:"wishes,omitempty"` // in the order in which they were added
	// Shares counts how often the list was shared. A token names the number of its share, so it
	// ends when the list is no longer shared.
	Shares int  `json:"shares,omitzero"`
	Shared bool `json:"shared,omitzero"`
}

// Wish is some units of a product.
type Wish struct {
	SKU      unit.SKU      `json:"sku"`
	Quantity unit.Quantity `json:"quantity"` // > 0
}

// WishList finds a wish list.
func (s State) WishList(id WishListID) (WishList, bool) {
	if i := s.wishList(id); i >= 0 {
		return s.WishLists[i], true
	}
	return WishList{}, false
}

func (s State) wishList(id WishListID) int {
	return slices.IndexFunc(s.WishLists, func(l WishList) bool { return l.ListID == id })
}

func (l WishList) wish(sku unit.SKU) int {
	return slices.IndexFunc(l.Wishes, func(w Wish) bool { return w.SKU == sku })
}

// withWishList is the state after a change of a wish list.
func (s State) withWishList(id WishListID, change func(*WishList)) State {
	i := s.wishList(id)
	if i < 0 {
		return s
	}
	s.WishLists = slices.Clone(s.WishLists)
	s.WishLists[i].Wishes = slices.Clone(s.WishLists[i].Wishes)
	change(&s.WishLists[i])
	return s
}

// evolveWishes is Evolve for the events of wish lists.
func evolveWishes(s State, e Event) State {
	switch e := e.(type) { //nolint:gochecksumtype // Evolve has the others
	case WishListMade:
		s.WishLists = append(slices.Clip(s.WishLists), WishList{ListID: e.ListID, Name: e.Name})
	case WishListRenamed:
		return s.withWishList(e.ListID, func(l *WishList) { l.Name = e.Name })
	case WishListRemoved:
		s.WishLists = slices.DeleteFunc(slices.Clone(s.WishLists), func(l WishList) bool { return l.ListID == e.ListID })
	case WishSet:
		return s.withWishList(e.ListID, func(l *WishList) {
			if i := l.wish(e.SKU); i >= 0 {
				l.Wishes[i].Quantity = e.Quantity
				return
			}
			l.Wishes = append(l.Wishes, Wish{SKU: e.SKU, Quantity: e.Quantity})
		})
	case WishRemoved:
		return s.withWishList(e.ListID, func(l *WishList) {
			l.Wishes = slices.DeleteFunc(l.Wishes, func(w Wish) bool { return w.SKU == e.SKU })
		})
	case WishListShared:
		return s.withWishList(e.ListID, func(l *WishList) { l.Shared, l.Shares = true, e.Share })
	case WishListUnshared:
		return s.withWishList(e.ListID, func(l *WishList) { l.Shared = false })
	}
	return s
}

// decideWishes is Decide for the commands on wish lists.
func decideWishes(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) { //nolint:gochecksumtype // Decide has the others
	case MakeWishList:
		if len(s.WishLists) >= MaxWishLists {
			return nil, ErrLimit
		}
		return events(nameFault(cmd.Name), WishListMade(cmd))
	case RenameWishList:
		return s.ofList(cmd.ListID, func(WishList) ([]Event, error) { return events(nameFault(cmd.Name), WishListRenamed(cmd)) })
	case RemoveWishList:
		return s.ofList(cmd.ListID, func(WishList) ([]Event, error) { return []Event{WishListRemoved(cmd)}, nil })
	case RemoveWishLists:
		var removed []Event
		for _, l := range s.WishLists {
			removed = append(removed, WishListRemoved{ListID: l.ListID})
		}
		return removed, nil
	case SetWish:
		return s.ofList(cmd.ListID, func(l WishList) ([]Event, error) { return setWish(cmd, l) })
	case ShareWishList:
		return s.ofList(cmd.ListID, func(l WishList) ([]Event, error) {
			if l.Shared {
				return nil, nil
			}
			return []Event{WishListShared{ListID: l.ListID, Share: l.Shares + 1}}, nil
		})
	case UnshareWishList:
		return s.ofList(cmd.ListID, func(l WishList) ([]Event, error) {
			if !l.Shared {
				return nil, nil
			}
			return []Event{WishListUnshared(cmd)}, nil
		})
	}
	panic("customer: unknown command")
}

func (s State) ofList(id WishListID, decide func(WishList) ([]Event, error)) ([]Event, error) {
	list, found := s.WishList(id)
	if !found {
		return nil, ErrWishListUnknown
	}
	return decide(list)
}

func nameFault(name string) error {
	if name == "" {
		return refused("name", "a wish list has a name")
	}
	return refused("name", unit.LineFault(name, unit.MaxTitle))
}

func setWish(cmd SetWish, l WishList) ([]Event, error) {
	i := l.wish(cmd.SKU)
	switch {
	case cmd.Quantity == 0 && i < 0:
		return nil, nil
	case cmd.Quantity == 0:
		return []Event{WishRemoved{ListID: cmd.ListID, SKU: cmd.SKU}}, nil
	case !cmd.Quantity.Valid():
		return nil, ErrQuantityInvalid
	case i >= 0 && l.Wishes[i].Quantity == cmd.Quantity:
		return nil, nil
	case i < 0 && len(l.Wishes) >= MaxWishes:
		return nil, ErrLimit
	}
	return []Event{WishSet(cmd)}, nil
}
