package pricing_test

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

func TestWhatAManualDiscountTakesOff(t *testing.T) {
	t.Parallel()
	euros := func(amount string) *unit.Money { return new(money(amount, "EUR")) }
	exclusive := func(class pricing.Class, how pricing.Exclusivity) pricing.Book {
		p := off("p", class, pricing.Action{Type: pricing.PercentOff, Percent: percent("10")})
		p.Exclusive = how
		return pricing.Book{Promotions: []pricing.Promotion{p}}
	}
	for name, test := range map[string]struct {
		book   pricing.Book
		lines  []string
		manual []pricing.Manual
		total  string
		why    string // of each discount
	}{
		"a percentage of a line":                    {pricing.Book{}, []string{"A 3 9.99", "B 1 5"}, []pricing.Manual{{ID: "m", Line: 1, Percent: percent("10")}}, "31.97", "m applied"},
		"a percentage of the order":                 {pricing.Book{}, []string{"A 3 9.99", "B 1 5"}, []pricing.Manual{{ID: "m", Percent: percent("10")}}, "31.47", "m applied"},
		"all of a line, and no cent more":           {pricing.Book{}, []string{"A 1 9.99"}, []pricing.Manual{{ID: "m", Line: 1, Percent: percent("100")}, {ID: "n", Amount: euros("5")}}, "0.00", "m applied, n nothing-to-take-off"},
		"a bound":                                   {pricing.Book{}, []string{"A 1 100"}, []pricing.Manual{{ID: "m", Percent: percent("50"), Most: euros("20")}}, "80.00", "m applied"},
		"a bound that is not reached":               {pricing.Book{}, []string{"A 1 100"}, []pricing.Manual{{ID: "m", Percent: percent("10"), Most: euros("20")}}, "90.00", "m applied"},
		"each sees what the other left":             {pricing.Book{}, []string{"A 1 100"}, []pricing.Manual{{ID: "m", Percent: percent("50")}, {ID: "n", Percent: percent("50")}}, "25.00", "m applied, n applied"},
		"a line that is not there":                  {pricing.Book{}, []string{"A 1 100"}, []pricing.Manual{{ID: "m", Line: 2, Amount: euros("5")}}, "100.00", "m nothing-to-take-off"},
		"after a promotion of its class":            {exclusive(pricing.ItemClass, pricing.Combines), []string{"A 1 100"}, []pricing.Manual{{ID: "m", Line: 1, Amount: euros("5")}}, "85.00", "m applied"},
		"an exclusive promotion of its class":       {exclusive(pricing.ItemClass, pricing.EndsItsClass), []string{"A 1 100"}, []pricing.Manual{{ID: "m", Line: 1, Amount: euros("5")}}, "90.00", "m excluded-by-p"},
		"an exclusive promotion of another class":   {exclusive(pricing.ItemClass, pricing.EndsItsClass), []string{"A 1 100"}, []pricing.Manual{{ID: "m", Amount: euros("5")}}, "85.00", "m applied"},
		"a promotion that excludes everything else": {exclusive(pricing.ItemClass, pricing.EndsEverything), []string{"A 1 100"}, []pricing.Manual{{ID: "m", Amount: euros("5")}}, "90.00", "m excluded-by-p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quote, considered, err := pricing.Compile(test.book).Explain(pricing.Cart{Currency: "EUR", Lines: items("EUR", test.lines...), Manual: test.manual}, noon)
			if err != nil {
				t.Fatal(err)
			}
			var why []string
			for _, c := range considered {
				if c.What == "discount" {
					why = append(why, c.ID+" "+c.Reason)
				}
			}
			if got := strings.Join(why, ", "); text(quote.Total) != test.total || got != test.why {
				t.Errorf("%s, %s; want %s, %s", text(quote.Total), got, test.total, test.why)
			}
			if err := quote.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A gift card is money, so no discount lowers it.
func TestAManualDiscountLeavesGiftCardsAlone(t *testing.T) {
	t.Parallel()
	lines := items("EUR", "CARD 1 50", "A 1 10")
	lines[0].GiftCard = true
	quote, err := pricing.Compile(pricing.Book{}).Price(pricing.Cart{Currency: "EUR", Lines: lines, Manual: []pricing.Manual{
		{ID: "m", Line: 1, Percent: percent("50")}, {ID: "n", Percent: percent("50")},
	}}, noon)
	if err != nil || text(quote.Total) != "55.00" || len(quote.Lines[0].Adjustments) != 0 {
		t.Errorf("%s, %+v, %v", quote.Total, quote.Lines[0].Adjustments, err)
	}
}

// Whoever asks why tax is charged, or why it is not, is told.
func TestAQuoteSaysWhatTheTaxStatusDid(t *testing.T) {
	t.Parallel()
	checked := noon.AddDate(-1, 0, 0)
	for name, test := range map[string]struct {
		to     string
		status pricing.TaxStatus
		why    string
		legal  bool
	}{
		"nothing is said":             {"NL", pricing.TaxStatus{}, "", false},
		"reverse charge":              {"NL", pricing.TaxStatus{Kind: pricing.Business, Country: "NL", CheckedAt: checked}, "reverse-charge", true},
		"an id that nobody checked":   {"NL", pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL1"}, "unchecked", false},
		"an id of the shop's country": {"NL", pricing.TaxStatus{Kind: pricing.Business, Country: "DE", CheckedAt: checked}, "id-of-home", false},
		"goods that stay":             {"DE", pricing.TaxStatus{Kind: pricing.Business, Country: "NL", CheckedAt: checked}, "goods-stay-home", false},
		"goods that leave the union":  {"US", pricing.TaxStatus{Kind: pricing.Business, Country: "NL", CheckedAt: checked}, "outside-the-union", false},
		"exempt":                      {"DE", pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: checked, Until: noon.Add(time.Second)}, "exempt", true},
		"a certificate that ended":    {"DE", pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: checked, Until: noon}, "certificate-expired", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := taxed(nil, row("DE", "", "DE VAT", "19", ""), row("NL", "", "NL VAT", "21", ""), row("", "", "export", "0", pricing.Export))
			quote, considered, err := rules.Explain(pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 119"), ShipTo: pricing.Zone{Country: test.to}, Status: test.status}, noon)
			if err != nil {
				t.Fatal(err)
			}
			var why string
			for _, c := range considered {
				if c.What == "tax" {
					why = c.Reason
				}
			}
			if quote.StatusUsed != test.why || why != test.why || (quote.Legal != "") != test.legal || (quote.Status != nil) != test.status.Given() {
				t.Errorf("%q, %q, %q, %+v", quote.StatusUsed, why, quote.Legal, quote.Status)
			}
		})
	}
}
