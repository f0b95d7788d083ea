package shipping

import (
	"slices"
	"strings"

	"daybook/domain/money/faults"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Limits of a method.
const (
	MaxRates = 500
	MaxSteps = 50          // of a rate
	MaxGrams = 100_000_000 // 100 tons
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Define:
		return define(cmd, s)
	case End:
		return end(cmd, s)
	}
	panic("shipping: unknown command")
}

func define(cmd Define, s State) (events []Event, err error) {
	if s.Ended {
		return nil, ErrEnded
	}
	if err := cmd.Faults().Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch {
	case s.ID == "":
		events = append(events, Created{ID: cmd.ID, Terms: cmd.Terms})
	case !sameTerms(cmd.Terms, s.Terms):
		events = append(events, Changed{cmd.Terms})
	}
	switch {
	case cmd.Active && !s.Active:
		events = append(events, Activated{})
	case !cmd.Active && s.Active:
		events = append(events, Deactivated{})
	}
	return events, nil
}

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

// Faults are what is wrong with a definition.
func (cmd Define) Faults() (found faults.List) {
	found.If(cmd.ID == "", "/method_id", "it is missing")
	found.Code("/method_id", cmd.ID)
	found.Line("/title", cmd.Title, unit.MaxTitle, true)
	found.Line("/carrier", cmd.Carrier, unit.MaxReference, false)
	found.Mode("/price_mode", cmd.Mode)
	found.Code("/tax_class", cmd.TaxClass)
	found.Channels("/channels", cmd.Channels)
	found.If(cmd.Measure != "" && cmd.Measure != pricing.OfList && cmd.Measure != pricing.AfterOrder, "/measure", "want list or after_order")
	found.If(cmd.MaxGrams < 0 || cmd.MaxGrams > MaxGrams, "/max_weight_grams", "want 0 to %d", MaxGrams)
	found.If(len(cmd.Rates) == 0, "/rates", "a method needs a rate")
	found.If(len(cmd.Rates) > MaxRates, "/rates", "there are %d rates, and at most %d are allowed", len(cmd.Rates), MaxRates)
	type key struct {
		zone     pricing.Zone
		currency unit.Currency
	}
	seen := make(map[key]bool, len(cmd.Rates))
	for i, rate := range cmd.Rates {
		at := faults.At("/rates", i)
		found.Zone(at+"/zone", rate.Zone)
		of := key{rate.Zone, rate.Currency}
		of.zone.Postcode = strings.ReplaceAll(of.zone.Postcode, " ", "") // blanks do not tell postcodes apart
		found.If(seen[of], at+"/zone", "there is another rate for this zone and currency")
		seen[of] = true
		rateFaults(&found, at, rate)
	}
	return found
}

func rateFaults(found *faults.List, at string, rate pricing.RateTable) {
	found.Currency(at+"/currency", rate.Currency)
	basis := slices.Contains([]pricing.Basis{pricing.Flat, pricing.ByWeight, pricing.ByAmount, pricing.ByQuantity}, rate.Basis)
	found.If(!basis, at+"/basis", "want flat, by_weight, by_amount or by_quantity")
	if rate.FreeAbove != nil {
		found.Price(at+"/free_above", *rate.FreeAbove, rate.Currency)
	}
	found.If(len(rate.Steps) == 0, at+"/steps", "a rate needs a step")
	found.If(rate.Basis == pricing.Flat && len(rate.Steps) > 1, at+"/steps", "a flat rate has one step")
	found.If(len(rate.Steps) > MaxSteps, at+"/steps", "there are %d steps, and at most %d are allowed", len(rate.Steps), MaxSteps)
	var before unit.Money
	for i, step := range rate.Steps {
		path := faults.At(at+"/steps", i)
		found.Price(path+"/price", step.Price, rate.Currency)
		found.If(step.Price.TooFine(), path+"/price", "it has more digits than the currency")
		if step.PerExtra != (unit.Money{}) {
			found.Price(path+"/per_extra", step.PerExtra, rate.Currency)
			found.If(rate.Basis == pricing.Flat && step.PerExtra.Sign() > 0, path+"/per_extra", "a flat rate has none")
		}
		amount, err := unit.ParseAmount(step.From)
		from := unit.Money{Amount: amount}
		switch whole := from.Amount.IsInteger(); {
		case err != nil:
			found.Add(path+"/from", "%s", err)
			continue
		case from.Sign() < 0:
			found.Add(path+"/from", "it is below zero")
		case i == 0 && rate.Basis == pricing.Flat && from.Sign() != 0:
			found.Add(path+"/from", "the step of a flat rate begins at 0")
		case i > 0 && from.Compare(before) <= 0:
			found.Add(path+"/from", "the step from %s does not come after the step from %s", step.From, before.Amount)
		case rate.Basis != pricing.ByAmount && !whole:
			found.Add(path+"/from", "grams and units are whole numbers")
		}
		before = from
	}
}

func sameTerms(a, b Terms) bool {
	return a.Title == b.Title && a.Carrier == b.Carrier && a.Mode == b.Mode && a.TaxClass == b.TaxClass && slices.Equal(a.Channels, b.Channels) &&
		a.Measure == b.Measure && a.MaxGrams == b.MaxGrams && slices.EqualFunc(a.Rates, b.Rates, sameRate)
}

func sameRate(a, b pricing.RateTable) bool {
	free := (a.FreeAbove == nil) == (b.FreeAbove == nil) && (a.FreeAbove == nil || a.FreeAbove.Equal(*b.FreeAbove))
	return free && a.Zone == b.Zone && a.Currency == b.Currency && a.Basis == b.Basis && slices.EqualFunc(a.Steps, b.Steps, func(a, b pricing.Step) bool {
		return a.From == b.From && a.Price.Equal(b.Price) && a.PerExtra.Equal(b.PerExtra)
	})
}
