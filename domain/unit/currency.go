package unit

import (
	"fmt"
	"strings"
)

// currencyCodes are the active codes of ISO 4217 list one that money can be
// paid in; a test holds them against a maintained library.
const currencyCodes = " AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW "

const (
	noDigits    = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "
	threeDigits = " BHD IQD JOD KWD LYD OMR TND "
)

// ParseCurrency reads an ISO 4217 code, in any case.
func ParseCurrency(text string) (Currency, error) {
	code := strings.ToUpper(strings.TrimSpace(text))
	if len(code) != 3 || !strings.Contains(currencyCodes, " "+code+" ") {
		return "", fmt.Errorf("currency %q: not an ISO 4217 code", text)
	}
	return Currency(code), nil
}

// Digits is the number of digits after the point an amount to be charged has.
func (c Currency) Digits() int32 {
	switch {
	case strings.Contains(noDigits, " "+string(c)+" "):
		return 0
	case strings.Contains(threeDigits, " "+string(c)+" "):
		return 3
	}
	return 2
}
