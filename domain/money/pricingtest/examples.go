// Package pricingtest has the worked examples of prices: carts, the rules of a shop, what each line
// costs, and what each step after the sale takes off. Tests of pricing check them against the pure
// function, and tests of the program check the same ones over HTTP.
package pricingtest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Example is one row of the examples.
type Example struct {
	Name string
	Book pricing.Book
	Cart pricing.Cart
	// Lines are the lines and charges: "A 19.99 - 3.16 TEN = 16.83, tax 2.92 V21".
	Lines  []string
	Totals string
	// Then are steps, each with what it takes off and what is owed afterwards:
	// "return A 1: 16.83 (2.92 V21) -> 32.28".
	Then []string
}

// Percent reads a rate.
func Percent(text string) unit.Percent {
	p, err := unit.ParsePercent(text)
	if err != nil {
		panic(err)
	}
	return p
}

// Money reads an amount of a currency.
func Money(amount string, currency unit.Currency) unit.Money {
	m, err := unit.ParseMoney(amount, string(currency))
	if err != nil {
		panic(err)
	}
	return m
}

// Items are lines, each from a text: SKU, quantity, price of the catalogue, and tax class, such as
// "A 3 9.99 standard".
func Items(currency unit.Currency, texts ...string) []pricing.Item {
	lines := make([]pricing.Item, len(texts))
	for i, text := range texts {
		f := strings.Fields(text)
		q, _ := strconv.ParseInt(f[1], 10, 64)
		price := Money(f[2], currency)
		lines[i] = pricing.Item{
			Number: i + 1, SKU: unit.SKU(f[0]), Quantity: unit.Quantity(q), Catalogue: &price, Kind: unit.Stocked,
			TaxClass: strings.Join(f[3:], " "),
		}
	}
	return lines
}

// Seller is a legal entity in Germany. Each row is a tax class, a component and a rate, such as
// "standard V19 19".
func Seller(mode pricing.Mode, rows ...string) []pricing.LegalEntity {
	e := pricing.LegalEntity{ID: "shop", Version: 1, Mode: mode, DefaultClass: "standard", Home: pricing.Zone{Country: "DE"}}
	for _, text := range rows {
		f := strings.Fields(text)
		row := pricing.TaxRow{Class: f[0], Component: f[1], Rate: Percent(f[2])}
		if row.Rate.IsZero() {
			row.Treatment = pricing.ZeroRate
		}
		e.Rows = append(e.Rows, row)
	}
	return []pricing.LegalEntity{e}
}

// Off is an automatic promotion.
func Off(id string, class pricing.Class, action pricing.Action) pricing.Promotion {
	return pricing.Promotion{ID: id, Version: 1, Kind: pricing.Automatic, Class: class, Action: action, Active: true}
}

// Flat is a shipping method with one price.
func Flat(currency unit.Currency, price, class string, mode pricing.Mode) []pricing.ShippingMethod {
	return []pricing.ShippingMethod{{
		ID: "S", Version: 1, Mode: mode, TaxClass: class, Active: true,
		Rates: []pricing.RateTable{{Currency: currency, Basis: pricing.Flat, Steps: []pricing.Step{{Price: Money(price, currency)}}}},
	}}
}

// PercentOff takes a percentage off.
func PercentOff(p string) pricing.Action {
	return pricing.Action{Type: pricing.PercentOff, Percent: Percent(p)}
}

// FixedOff takes an amount off.
func FixedOff(amount string, currency unit.Currency) pricing.Action {
	return pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{Money(amount, currency)}}
}

// Examples are all examples.
func Examples() []Example {
	return slices.Concat(plainExamples(), mixedExamples(), promotedExamples(), laterExamples(), paidExamples())
}

// plainExamples are 1 to 3: prices that are finer than the currency, and a discount of the order.
func plainExamples() []Example {
	return []Example{
		{
			Name: "1", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V21 21")},
			Cart:   pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 3 9.99")},
			Lines:  []string{"A 29.97, tax 5.20 V21"},
			Totals: "net 24.77, tax 5.20 V21, total 29.97",
			Then: []string{
				"cancel A 1: 9.99 (1.73 V21) -> 19.98", "ship", "return A 1: 9.99 (1.74 V21) -> 9.99", "return A 1: 9.99 (1.73 V21) -> 0.00",
			},
		},
		{
			Name: "2", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V21 21"), Promotions: []pricing.Promotion{{
				ID: "TEN", Version: 1, Kind: pricing.Coupon, Class: pricing.OrderClass, Action: FixedOff("10", "EUR"), Active: true, Codes: []string{"TEN"},
			}}},
			Cart:   pricing.Cart{Currency: "EUR", Codes: []string{"TEN"}, Lines: Items("EUR", "A 1 19.99", "B 2 5.00", "C 1 33.33")},
			Lines:  []string{"A 19.99 - 3.16 TEN = 16.83, tax 2.92 V21", "B 10.00 - 1.58 TEN = 8.42, tax 1.46 V21", "C 33.33 - 5.26 TEN = 28.07, tax 4.87 V21"},
			Totals: "net 44.07, tax 9.25 V21, total 53.32",
			Then: []string{
				"ship", "return B 1: 4.21 (0.73 V21) -> 49.11", "return A 1: 16.83 (2.92 V21) -> 32.28",
				"return C 1: 28.07 (4.87 V21) -> 4.21", "return B 1: 4.21 (0.73 V21) -> 0.00",
			},
		},
		{
			Name: "3a", Cart: pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 3 0.335")},
			Lines: []string{"A 1.01"}, Totals: "net 1.01, total 1.01",
			Then: []string{"ship", "return A 1: 0.34 -> 0.67", "return A 1: 0.33 -> 0.34", "return A 1: 0.34 -> 0.00"},
		},
		{
			Name: "3b", Cart: pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 3 0.334")},
			Lines: []string{"A 1.00"}, Totals: "net 1.00, total 1.00",
			Then: []string{"ship", "return A 1: 0.33 -> 0.67", "return A 1: 0.34 -> 0.33", "return A 1: 0.33 -> 0.00"},
		},
		{
			Name: "3c", Cart: pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 9 13.9563")},
			Lines: []string{"A 125.61"}, Totals: "net 125.61, total 125.61",
			Then: []string{
				"ship", "return A 1: 13.96 -> 111.65", "return A 1: 13.95 -> 97.70", "return A 1: 13.96 -> 83.74", "return A 1: 13.96 -> 69.78",
				"return A 1: 13.95 -> 55.83", "return A 1: 13.96 -> 41.87", "return A 1: 13.96 -> 27.91", "return A 1: 13.95 -> 13.96", "return A 1: 13.96 -> 0.00",
			},
		},
	}
}

// mixedExamples are 4 to 6: several taxes, and shipping.
func mixedExamples() []Example {
	return []Example{
		{
			Name: "4", Book: pricing.Book{
				Entities: Seller(pricing.Exclusive, "standard GST 5", "standard QST 9.975", "basic GST 0"),
				Methods:  Flat("CAD", "9.95", "standard", pricing.Exclusive),
			},
			Cart:   pricing.Cart{Currency: "CAD", Method: "S", Lines: Items("CAD", "A 3 19.99", "B 1 4.50 basic")},
			Lines:  []string{"A 59.97, tax 3.00 GST + 5.98 QST", "B 4.50, tax 0.00 GST", "S 9.95, tax 0.50 GST + 0.99 QST"},
			Totals: "net 74.42, tax 3.50 GST + 6.97 QST + 0.00 GST, total 84.89",
			Then: []string{
				"ship", "return A 1: 22.98 (1.00 GST + 1.99 QST) -> 61.91", "return A 2: 45.97 (2.00 GST + 3.99 QST) -> 15.94",
				"credit S 1: 11.44 (0.50 GST + 0.99 QST) -> 4.50",
			},
		},
		{
			Name: "5", Book: pricing.Book{
				Entities: Seller(pricing.Inclusive, "standard V19 19", "books V7 7"), Methods: Flat("EUR", "4.95", "", pricing.Inclusive),
				Promotions: []pricing.Promotion{{
					ID: "10%", Version: 1, Kind: pricing.Coupon, Class: pricing.OrderClass, Action: PercentOff("10"), Active: true, Codes: []string{"TEN"},
				}},
			},
			Cart:   pricing.Cart{Currency: "EUR", Method: "S", Codes: []string{"TEN"}, Lines: Items("EUR", "BOOK 2 24.90 books", "LAMP 1 39.95")},
			Lines:  []string{"BOOK 49.80 - 4.98 10% = 44.82, tax 2.93 V7", "LAMP 39.95 - 4.00 10% = 35.95, tax 5.74 V19", "S 4.95, tax 0.18 V7 + 0.35 V19"},
			Totals: "net 76.52, tax 3.11 V7 + 6.09 V19, total 85.72",
			Then: []string{
				"ship", "return BOOK 1: 22.41 (1.47 V7) -> 63.31", "return LAMP 1: 35.95 (5.74 V19) -> 27.36",
				"return BOOK 1: 22.41 (1.46 V7) -> 4.95", "credit S 1: 4.95 (0.18 V7 + 0.35 V19) -> 0.00",
			},
		},
		{
			Name: "6a", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V20 20"), Promotions: []pricing.Promotion{Off("20%", pricing.OrderClass, PercentOff("20"))}},
			Cart:   pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 1 150.00", "B 1 60.00")},
			Lines:  []string{"A 150.00 - 30.00 20% = 120.00, tax 20.00 V20", "B 60.00 - 12.00 20% = 48.00, tax 8.00 V20"},
			Totals: "net 140.00, tax 28.00 V20, total 168.00",
			Then:   []string{"ship", "return A 1: 120.00 (20.00 V20) -> 48.00", "return B 1: 48.00 (8.00 V20) -> 0.00"},
		},
		{
			Name: "6b", Book: pricing.Book{Promotions: []pricing.Promotion{Off("off", pricing.OrderClass, FixedOff("15", "EUR"))}, Methods: Flat("EUR", "4.00", "", pricing.Inclusive)},
			Cart:  pricing.Cart{Currency: "EUR", Method: "S", Lines: Items("EUR", "A 2 10.00")},
			Lines: []string{"A 20.00 - 15.00 off = 5.00", "S 4.00"}, Totals: "net 9.00, total 9.00",
			Then: []string{"cancel A 1: 2.50 -> 6.50", "cancel A 1: 2.50 -> 4.00", "credit S 1: 4.00 -> 0.00"},
		},
	}
}

// promotedExamples are 7 to 9: price lists and several promotions.
func promotedExamples() []Example {
	return []Example{
		{
			Name: "7", Book: pricing.Book{
				Entities: Seller(pricing.Inclusive, "standard V21 21"), Methods: FreeAbove(Flat("EUR", "5.95", "standard", pricing.Inclusive), "90"),
				Lists: []pricing.PriceList{
					{ID: "base", Version: 1, Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Active: true, Prices: map[unit.SKU][]pricing.Tier{
						"A": {{From: 1, Price: Money("12.00", "EUR")}, {From: 10, Price: Money("10.50", "EUR")}},
					}},
					{ID: "trade", Version: 1, Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Active: true, Groups: []string{"trade"}, Prices: map[unit.SKU][]pricing.Tier{
						"A": {{From: 1, Price: Money("9.80", "EUR")}},
					}},
				},
				Promotions: []pricing.Promotion{
					Off("15%", pricing.ItemClass, pricing.Action{Type: pricing.PercentOff, Percent: Percent("15"), Target: pricing.Target{SKUs: []unit.SKU{"A"}}}),
					{ID: "code", Version: 1, Kind: pricing.Coupon, Class: pricing.OrderClass, Action: FixedOff("20", "EUR"), Active: true, Codes: []string{"TWENTY"}},
				},
			},
			Cart:   pricing.Cart{Currency: "EUR", Method: "S", Codes: []string{"TWENTY"}, Lines: Items("EUR", "A 7 12.00", "A 5 12.00")},
			Lines:  []string{"A1 73.50 - 11.03 15% - 11.67 code = 50.80, tax 8.82 V21", "A2 52.50 - 7.88 15% - 8.33 code = 36.29, tax 6.30 V21", "S 5.95, tax 1.03 V21"},
			Totals: "net 76.89, tax 16.15 V21, total 93.04",
			Then: []string{
				"cancel A2 2: 14.52 (2.52 V21) -> 78.52", "ship", "return A1 3: 21.77 (3.78 V21) -> 56.75",
				"return A1 4: 29.03 (5.04 V21) -> 27.72", "return A2 3: 21.77 (3.78 V21) -> 5.95",
			},
		},
		{
			Name: "8", Book: pricing.Book{
				Entities:   Seller(pricing.Inclusive, "standard V21 21", "food V9 9"),
				Promotions: []pricing.Promotion{Off("B2G1", pricing.ItemClass, pricing.Action{Type: pricing.BuyXGetY, Buy: 2, Get: 1})},
			},
			Cart:   pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 2 30.00", "B 1 12.00 food")},
			Lines:  []string{"A 60.00 - 10.00 B2G1 = 50.00, tax 8.68 V21", "B 12.00 - 2.00 B2G1 = 10.00, tax 0.83 V9"},
			Totals: "net 50.49, tax 8.68 V21 + 0.83 V9, total 60.00",
			Then: []string{
				"ship", "return B 1: 10.00 (0.83 V9) -> 50.00", "return A 1: 25.00 (4.34 V21) -> 25.00", "return A 1: 25.00 (4.34 V21) -> 0.00",
			},
		},
		{
			Name: "9", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard J10 10", "food J8 8"), Promotions: []pricing.Promotion{Off("5%", pricing.OrderClass, PercentOff("5"))}},
			Cart:   pricing.Cart{Currency: "JPY", Lines: Items("JPY", "CUP 3 1980", "TEA 2 745 food")},
			Lines:  []string{"CUP 5940 - 297 5% = 5643, tax 513 J10", "TEA 1490 - 75 5% = 1415, tax 105 J8"},
			Totals: "net 6440, tax 513 J10 + 105 J8, total 7058",
			Then: []string{
				"ship CUP 3: 5643 (513 J10)", "cancel TEA 1: 708 (53 J8) -> 6350", "ship TEA 1: 707 (52 J8)",
				"return CUP 1: 1881 (171 J10) -> 4469", "return CUP 2: 3762 (342 J10) -> 707", "return TEA 1: 707 (52 J8) -> 0",
			},
		},
	}
}

// laterExamples are 10 to 13: other currencies, parcels, price reductions and buyers without tax.
func laterExamples() []Example {
	return []Example{
		{
			Name: "10", Book: pricing.Book{Entities: Seller(pricing.Exclusive, "standard B10 10"), Promotions: []pricing.Promotion{Off("12.5%", pricing.ItemClass, PercentOff("12.5"))}},
			Cart:   pricing.Cart{Currency: "BHD", Lines: Items("BHD", "A 7 1.2345")},
			Lines:  []string{"A 8.642 - 1.080 12.5% = 7.562, tax 0.756 B10"},
			Totals: "net 7.562, tax 0.756 B10, total 8.318",
			Then: []string{
				"ship", "return A 3: 3.565 (0.324 B10) -> 4.753", "return A 3: 3.565 (0.324 B10) -> 1.188", "return A 1: 1.188 (0.108 B10) -> 0.000",
			},
		},
		{
			Name: "11", Book: pricing.Book{Entities: Seller(pricing.Exclusive, "standard V19 19"), Promotions: []pricing.Promotion{Off("2.00", pricing.OrderClass, FixedOff("2", "EUR"))}},
			Cart:   pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 10 3.335")},
			Lines:  []string{"A 33.35 - 2.00 2.00 = 31.35, tax 5.96 V19"},
			Totals: "net 31.35, tax 5.96 V19, total 37.31",
			Then: []string{
				"ship A 4: 14.92 (2.38 V19)", "cancel A 1: 3.74 (0.60 V19) -> 33.57", "return A 2: 7.46 (1.19 V19) -> 26.11",
				"ship A 5: 18.65 (2.98 V19)", "return A 3: 11.19 (1.79 V19) -> 14.92", "return A 4: 14.92 (2.38 V19) -> 0.00",
			},
		},
		{
			Name: "12", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V19 19", "books V7 7"), Methods: Flat("EUR", "4.90", "standard", pricing.Inclusive)},
			Cart:   pricing.Cart{Currency: "EUR", Method: "S", Lines: Items("EUR", "A 2 20.00", "B 1 15.00 books")},
			Lines:  []string{"A 40.00, tax 6.39 V19", "B 15.00, tax 0.98 V7", "S 4.90, tax 0.78 V19"},
			Totals: "net 51.75, tax 7.17 V19 + 0.98 V7, total 59.90",
			Then: []string{
				"ship", "reduce 5.00: 5.00 (0.60 V19 + 0.08 V7) [A 3.34, B 1.25, S 0.41] -> 54.90", "return A 1: 18.33 (2.93 V19) -> 36.57",
				"return B 1: 13.75 (0.90 V7) -> 22.82", "return A 1: 18.33 (2.93 V19) -> 4.49", "credit S 1: 4.49 (0.71 V19) -> 0.00",
			},
		},
		{
			Name: "13", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V19 19")},
			Cart: pricing.Cart{
				Currency: "EUR", ShipTo: pricing.Zone{Country: "NL"}, Lines: Items("EUR", "A 1 119.00", "B 3 9.99"),
				Status: pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL123456789B01", CheckedBy: "vies", CheckedAt: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC), Proof: "vies-1"},
			},
			Lines:  []string{"A 119.00, net 100.00, tax 0.00 V19", "B 29.97, net 25.18, tax 0.00 V19"},
			Totals: "net 125.18, tax 0.00 V19, total 125.18",
			Then:   []string{"ship", "return B 1: 8.39 -> 116.79", "return B 2: 16.79 -> 100.00"},
		},
	}
}

// paidExamples are those of payments, 14 and 15. They have only their prices here.
func paidExamples() []Example {
	return []Example{
		{
			Name: "14", Book: pricing.Book{Entities: Seller(pricing.Inclusive, "standard V21 21", "food V9 9"), Methods: Flat("EUR", "5.95", "standard", pricing.Inclusive)},
			Cart:   pricing.Cart{Currency: "EUR", Method: "S", Lines: Items("EUR", "A 2 29.99", "B 1 17.54 food")},
			Lines:  []string{"A 59.98, tax 10.41 V21", "B 17.54, tax 1.45 V9", "S 5.95, tax 1.03 V21"},
			Totals: "net 70.58, tax 11.44 V21 + 1.45 V9, total 83.47",
			Then: []string{
				"ship", "return A 1: 29.99 (5.21 V21) -> 53.48", "return B 1: 17.54 (1.45 V9) -> 35.94", "return A 1: 29.99 (5.20 V21) -> 5.95",
			},
		},
		{
			Name: "15", Cart: pricing.Cart{Currency: "EUR", Lines: Items("EUR", "A 1 25.00")},
			Lines: []string{"A 25.00"}, Totals: "net 25.00, total 25.00",
		},
	}
}

// FreeAbove makes the first rate of the first method free from an amount on.
func FreeAbove(methods []pricing.ShippingMethod, amount string) []pricing.ShippingMethod {
	m := Money(amount, methods[0].Rates[0].Currency)
	methods[0].Rates[0].FreeAbove = &m
	return methods
}
