package unit

import (
	"fmt"
	"strings"
)

// currencyCodes are the active currencies of ISO 4217, as of November 2026, that
// goods can be paid in. ISO 4217 also lists units that nobody pays with, such as
// funds and metals; they are left out. A test compares the list with a maintained
// library and names each difference that is meant.
const currencyCodes = " " +
	"AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND " +
	"BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE " +
	"CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD " +
	"GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY " +
	"KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD " +
	"MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO " +
	"NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF " +
	"SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB " +
	"TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND " +
	"VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "

// withdrawnCodes are currencies that ISO 4217 withdrew after this program first
// took them: ANG on 2025-07-01 (XCG took its place), BGN on 2026-01-01 (EUR took its
// place). ParseOldCurrency still reads them.
const withdrawnCodes = " ANG BGN "

// ParseCurrency reads an ISO 4217 code of a currency that goods can be paid in,
// in upper or lower case.
func ParseCurrency(text string) (Currency, error) {
	code := strings.ToUpper(strings.TrimSpace(text))
	switch {
	case len(code) == 3 && strings.Contains(currencyCodes, " "+code+" "):
		return Currency(code), nil
	case len(code) == 3 && strings.Contains(withdrawnCodes, " "+code+" "):
		return "", fmt.Errorf("currency %q: withdrawn, so nothing new is priced in it", text)
	}
	return "", fmt.Errorf("currency %q: not an ISO 4217 code of a currency to pay in", text)
}

// ParseOldCurrency reads what ParseCurrency reads, and the currencies that were
// withdrawn: the money of an old order is given back in the order's own currency.
func ParseOldCurrency(text string) (Currency, error) {
	code := strings.ToUpper(strings.TrimSpace(text))
	if len(code) == 3 && strings.Contains(withdrawnCodes, " "+code+" ") {
		return Currency(code), nil
	}
	return ParseCurrency(text)
}

// Digits is how many digits after the point a charged amount has in this currency: 2 for GBP,
// 0 for JPY.
func (c Currency) Digits() int32 {
	switch c {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3 //nolint:mnd // ISO 4217 gives them three
	}
	return 2 //nolint:mnd // and most currencies two
}
