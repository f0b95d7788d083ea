package contracttest

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestMoneyWithoutItsDigitsIsFound(t *testing.T) {
	t.Parallel()
	for body, right := range map[string]bool{
		`{"total":{"amount":"7.50","currency":"GBP"}}`:                             true,
		`{"total":{"amount":"7.5","currency":"GBP"}}`:                              false,
		`{"lines":[{"price":{"amount":"0.0025","currency":"GBP"}}]}`:               true,
		`{"lines":[{"price":{"amount":"0.00250","currency":"GBP"}}]}`:              false,
		`{"items":[{"amount":"800","currency":"JPY"}]}`:                            true,
		`{"items":[{"amount":"800.00","currency":"JPY"}]}`:                         false,
		`{"ordered":"7","amount":"7.00","currency":"GBP"}`:                         false,
		`{"specversion":"1.0","data":{"price":{"amount":"7.5","currency":"GBP"}}}`: true,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := digits(value); (err == nil) != right {
			t.Errorf("%s: %v, want it to be right: %t", body, err, right)
		}
	}
}
