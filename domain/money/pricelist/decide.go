package pricelist

import (
	"fmt"
	"slices"
	"strings"

	"daybook/domain/money/faults"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Limits of a list.
const (
	MaxPrices   = 20_000 // SKUs of a list
	MaxTiers    = 20     // of a SKU
	MaxEntries  = 500    // SKUs of one event
	MaxPriority = 1_000_000
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Define:
		return define(cmd, s)
	case SetPrices:
		return setPrices(cmd, s)
	case End:
		return end(cmd, s)
	}
	panic("pricelist: unknown command")
}

// Faults are what is wrong with a definition.
func (cmd Define) Faults() (found faults.List) {
	if cmd.ID == "" {
		found.Add("/price_list_id", "it is missing")
	}
	found.Code("/price_list_id", cmd.ID)
	found.If(cmd.Kind != pricing.Regular && cmd.Kind != pricing.Sale, "/kind", "want regular or sale")
	found.Currency("/currency", cmd.Currency)
	found.Mode("/price_mode", cmd.Mode)
	found.Line("/title", cmd.Title, unit.MaxTitle, false)
	found.If(max(cmd.Priority, -cmd.Priority) > MaxPriority, "/priority", "want at most %d, and at least -%d", MaxPriority, MaxPriority)
	found.Window("/window", cmd.Window)
	found.Channels("/channels", cmd.Channels)
	found.Groups("/groups", cmd.Groups)
	found.Customers("/customers", cmd.Customers)
	found.Countries("/countries", cmd.Countries)
	return found
}

func define(cmd Define, s State) (events []Event, err error) {
	if s.Ended {
		return nil, ErrEnded
	}
	cmd.Window.From, cmd.Window.Until = cmd.Window.From.UTC(), cmd.Window.Until.UTC()
	if err := cmd.Faults().Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	if s.ID == "" {
		events = append(events, Created{ID: cmd.ID, Kind: cmd.Kind, Currency: cmd.Currency, Mode: cmd.Mode, Terms: cmd.Terms})
	} else {
		fixed := map[string]bool{"kind": cmd.Kind != s.Kind, "currency": cmd.Currency != s.Currency, "price_mode": cmd.Mode != s.Mode}
		for _, field := range []string{"kind", "currency", "price_mode"} {
			if fixed[field] {
				return nil, ErrFixed.With("/"+field+": "+ErrFixed.Detail, map[string]any{"field": "/" + field})
			}
		}
		if !sameTerms(cmd.Terms, s.Terms) {
			events = append(events, Changed{cmd.Terms})
		}
	}
	switch {
	case cmd.Active && !s.Active:
		events = append(events, Activated{})
	case !cmd.Active && s.Active:
		events = append(events, Deactivated{})
	}
	return events, nil
}

func sameTerms(a, b Terms) bool {
	return a.Title == b.Title && a.Priority == b.Priority && a.Window.From.Equal(b.Window.From) && a.Window.Until.Equal(b.Window.Until) &&
		slices.Equal(a.Channels, b.Channels) && slices.Equal(a.Groups, b.Groups) && slices.Equal(a.Customers, b.Customers) && slices.Equal(a.Countries, b.Countries)
}

// Faults are what is wrong with the tiers of a SKU. path says where the entry is.
func (e Entry) Faults(path string, currency unit.Currency) (found faults.List) {
	if sku, err := unit.ParseSKU(string(e.SKU)); err != nil {
		found.Add(path+"/sku", "%s", err)
	} else if sku != e.SKU {
		found.Add(path+"/sku", "its usual form is %q", sku)
	}
	found.If(len(e.Tiers) > MaxTiers, path+"/tiers", "there are %d tiers, and at most %d are allowed", len(e.Tiers), MaxTiers)
	before := unit.Quantity(0)
	for i, tier := range e.Tiers {
		at := faults.At(path+"/tiers", i)
		switch {
		case !tier.From.Valid():
			found.Add(at+"/from", "want a quantity from 1 to %d", unit.MaxQuantity)
		case tier.From <= before:
			found.Add(at+"/from", "the tier from %d does not come after the tier from %d", tier.From, before)
		}
		before = tier.From
		found.Price(at+"/price", tier.Price, currency)
	}
	return found
}

// setPrices records only what differs, at most MaxEntries SKUs in each event.
func setPrices(cmd SetPrices, s State) ([]Event, error) {
	switch {
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended:
		return nil, ErrEnded
	}
	var found faults.List
	named := make(map[unit.SKU]bool, len(cmd.Prices))
	after := len(s.Prices)
	var changed []Entry
	for i, entry := range cmd.Prices {
		path := faults.At("/prices", i)
		found = append(found, entry.Faults(path, s.Currency)...)
		found.If(named[entry.SKU], path+"/sku", "%s is named twice", entry.SKU)
		named[entry.SKU] = true
		had, has := s.Prices[entry.SKU]
		switch {
		case has && len(entry.Tiers) == 0:
			after--
		case !has && len(entry.Tiers) > 0:
			after++
		}
		if !slices.EqualFunc(had, entry.Tiers, sameTier) {
			changed = append(changed, entry)
		}
	}
	if err := found.Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	if after > MaxPrices {
		return nil, ErrLimit.With(fmt.Sprintf("The list would have %d SKUs, and at most %d are allowed.", after, MaxPrices), nil)
	}
	slices.SortFunc(changed, func(a, b Entry) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	var events []Event
	for part := range slices.Chunk(changed, MaxEntries) {
		events = append(events, PricesSet{Prices: part})
	}
	return events, nil
}

func sameTier(a, b pricing.Tier) bool { return a.From == b.From && a.Price.Equal(b.Price) }

func end(cmd End, s State) ([]Event, error) {
	switch {
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended:
		return nil, nil
	}
	if err := faults.OfReason(cmd.Reason, ErrInvalid); err != nil {
		return nil, err
	}
	return []Event{Ended{Reason: cmd.Reason}}, nil
}
