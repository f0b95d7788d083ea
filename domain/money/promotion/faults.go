package promotion

import (
	"slices"

	"daybook/domain/money/faults"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Limits of a definition.
const (
	MaxPriority   = 1_000_000
	MaxUses       = 1_000_000_000
	MaxTargets    = 1000 // SKUs that a promotion names
	MaxCurrencies = 50
)

// Faults are what is wrong with a definition.
func (cmd Define) Faults() (found faults.List) {
	found.If(cmd.ID == "", "/promotion_id", "it is missing")
	found.Code("/promotion_id", cmd.ID)
	found.If(cmd.Kind != pricing.Automatic && cmd.Kind != pricing.Coupon, "/kind", "want automatic or coupon")
	classKnown := slices.Contains([]pricing.Class{pricing.ItemClass, pricing.OrderClass, pricing.ShippingClass}, cmd.Class)
	found.If(!classKnown, "/class", "want item, order or shipping")
	found.Line("/title", cmd.Title, unit.MaxTitle, true)
	if classKnown {
		found = append(found, actionFaults(cmd.Class, cmd.Action)...)
		found = append(found, conditionFaults(cmd.Class, cmd.Conditions)...)
	}
	found.If(max(cmd.Priority, -cmd.Priority) > MaxPriority, "/priority", "want at most %d, and at least -%d", MaxPriority, MaxPriority)
	exclusive := []pricing.Exclusivity{"", pricing.Combines, pricing.EndsItsClass, pricing.EndsEverything}
	found.If(!slices.Contains(exclusive, cmd.Exclusive), "/exclusive", "want none, class or all")
	found.Window("/window", cmd.Window)
	return append(found, limitFaults(cmd.Limits)...)
}

// actionsOf are the actions that each class has.
var actionsOf = map[pricing.Class][]pricing.ActionType{
	pricing.ItemClass:     {pricing.PercentOff, pricing.FixedOff, pricing.BuyXGetY, pricing.FixedPrice},
	pricing.OrderClass:    {pricing.PercentOff, pricing.FixedOff},
	pricing.ShippingClass: {pricing.PercentOff, pricing.FixedOff, pricing.FreeShipping},
}

// actionFaults checks the numbers of an action. A number that the action does not use is refused,
// because whoever gave it expects it to count.
func actionFaults(class pricing.Class, a pricing.Action) (found faults.List) {
	if !slices.Contains(actionsOf[class], a.Type) {
		found.Add("/action/type", "a promotion of the class %s has one of the actions %v", class, actionsOf[class])
		return found
	}
	sets := a.Type == pricing.BuyXGetY
	percent := a.Type == pricing.PercentOff || sets
	amounts := a.Type == pricing.FixedOff || a.Type == pricing.FixedPrice
	unused := func(given bool, path string) { found.If(given, path, "%s does not use it", a.Type) }

	found.If(a.Type == pricing.PercentOff && a.Percent.Sign() == 0, "/action/percent", "it is missing")
	found.If(percent && (a.Percent.Sign() < 0 || a.Percent.Compare(hundred) > 0), "/action/percent", "want more than 0 and at most 100")
	unused(!percent && a.Percent.Sign() != 0, "/action/percent")

	found.If(amounts && len(a.Amounts) == 0, "/action/amounts", "it needs an amount in each currency that it is for")
	unused(!amounts && len(a.Amounts) > 0, "/action/amounts")
	found = append(found, amountFaults("/action/amounts", a.Amounts, a.Type == pricing.FixedPrice)...)

	found.If(sets && !a.Buy.Valid(), "/action/buy", "want 1 to %d units", unit.MaxQuantity)
	found.If(sets && !a.Get.Valid(), "/action/get", "want 1 to %d units", unit.MaxQuantity)
	found.If(sets && (a.MaxSets < 0 || a.MaxSets > unit.MaxQuantity), "/action/max_sets", "want 0 to %d sets", unit.MaxQuantity)
	unused(!sets && a.Buy != 0, "/action/buy")
	unused(!sets && a.Get != 0, "/action/get")
	unused(!sets && a.MaxSets != 0, "/action/max_sets")
	unused(!sets && a.OnFreeUnits, "/action/on_free_units")

	found.If(class != pricing.ItemClass && a.IncludeOverridden, "/action/include_overridden", "only a promotion of items looks at single prices")
	return append(found, targetFaults("/action/target", a.Target, class == pricing.ShippingClass)...)
}

var hundred = mustPercent("100")

func mustPercent(text string) unit.Percent {
	p, err := unit.ParsePercent(text)
	if err != nil {
		panic(err)
	}
	return p
}

// amountFaults checks amounts that somebody pays or gets: one for each currency, whole minor units.
func amountFaults(path string, amounts []unit.Money, mayBeZero bool) (found faults.List) {
	found.If(len(amounts) > MaxCurrencies, path, "there are %d, and at most %d are allowed", len(amounts), MaxCurrencies)
	named := map[unit.Currency]bool{}
	for i, amount := range amounts {
		at := faults.At(path, i)
		if !found.Currency(at+"/currency", amount.Currency) {
			continue
		}
		found.If(named[amount.Currency], at+"/currency", "%s is named twice", amount.Currency)
		named[amount.Currency] = true
		found.If(amount.Sign() < 0, at+"/amount", "it is below zero")
		found.If(amount.Sign() == 0 && !mayBeZero, at+"/amount", "it is zero")
		found.If(amount.TooFine(), at+"/amount", "%s is finer than the currency", amount)
		found.If(!amount.WithinLimit(), at+"/amount", "want at most 18 digits before the point")
	}
	return found
}

// targetFaults checks what an action or a condition is about: lines, or shipping methods.
func targetFaults(path string, t pricing.Target, shipping bool) (found faults.List) {
	found.If(shipping && len(t.SKUs) > 0, path+"/skus", "a promotion of shipping is about methods")
	found.If(shipping && len(t.Categories) > 0, path+"/categories", "a promotion of shipping is about methods")
	found.If(!shipping && len(t.Methods) > 0, path+"/methods", "it is about lines, and not about shipping methods")
	found.If(len(t.SKUs) > MaxTargets, path+"/skus", "there are %d, and at most %d are allowed", len(t.SKUs), MaxTargets)
	named := make(map[unit.SKU]bool, len(t.SKUs))
	for i, sku := range t.SKUs {
		if folded, err := unit.ParseSKU(string(sku)); err != nil {
			found.Add(faults.At(path+"/skus", i), "%s", err)
		} else if folded != sku {
			found.Add(faults.At(path+"/skus", i), "want %q", folded)
		}
		found.If(named[sku], faults.At(path+"/skus", i), "%s is named twice", sku)
		named[sku] = true
	}
	found.Codes(path+"/categories", t.Categories)
	found.Codes(path+"/methods", t.Methods)
	return found
}

// measuresOf are what each class can measure: only what was worked out before it.
var measuresOf = map[pricing.Class][]pricing.Measure{
	pricing.ItemClass:     {"", pricing.OfList},
	pricing.OrderClass:    {"", pricing.OfList, pricing.AfterItems},
	pricing.ShippingClass: {"", pricing.OfList, pricing.AfterItems, pricing.AfterOrder},
}

func conditionFaults(class pricing.Class, c pricing.Conditions) (found faults.List) {
	found = append(found, amountFaults("/conditions/min_subtotal", c.MinSubtotal, false)...)
	found.If(!slices.Contains(measuresOf[class], c.Measure), "/conditions/measure", "a promotion of the class %s can measure %v", class, measuresOf[class][1:])
	found.If(c.Measure != "" && len(c.MinSubtotal) == 0, "/conditions/measure", "it counts only with min_subtotal")
	found.If(c.MinQuantity != 0 && !c.MinQuantity.Valid(), "/conditions/min_quantity", "want 1 to %d units", unit.MaxQuantity)
	found = append(found, targetFaults("/conditions/of", c.Of, false)...)
	found.Groups("/conditions/groups", c.Groups)
	found.Countries("/conditions/countries", c.Countries)
	found.Channels("/conditions/channels", c.Channels)
	for i, day := range c.Days {
		found.If(day < 1 || day > 7, faults.At("/conditions/days", i), "want 1 (Monday) to 7 (Sunday)")
		found.If(slices.Index(c.Days, day) < i, faults.At("/conditions/days", i), "day %d is named twice", day)
	}
	found.If(c.FromHour < 0 || c.FromHour > 23, "/conditions/from_hour", "want 0 to 23")
	found.If(c.UntilHour < 0 || c.UntilHour > 24, "/conditions/until_hour", "want 1 to 24, or 0 for no bound")
	found.If(c.UntilHour > 0 && c.UntilHour <= c.FromHour, "/conditions/until_hour", "the end is not after the beginning")
	return found
}

func limitFaults(l pricing.Limits) (found faults.List) {
	found.If(l.Uses < 0 || l.Uses > MaxUses, "/limits/uses", "want 0 to %d", MaxUses)
	found.If(l.UsesPerCustomer < 0 || l.UsesPerCustomer > MaxUses, "/limits/uses_per_customer", "want 0 to %d", MaxUses)
	found.If(len(l.Budget) > 1, "/limits/budget", "there are %d, and at most one is allowed", len(l.Budget))
	return append(found, amountFaults("/limits/budget", l.Budget, false)...)
}
