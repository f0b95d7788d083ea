package unit

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type plainMoney Money

// MarshalJSONTo writes {"amount":"2.5","currency":"GBP"}, as the general code for structures would.
// An order with its prices has about 50 amounts, and this takes half the time and no memory.
func (m Money) MarshalJSONTo(to *jsontext.Encoder) error {
	for i := range len(m.Currency) {
		if c := m.Currency[i]; c < 'A' || c > 'Z' { // a text that may need escapes
			return json.MarshalEncode(to, plainMoney(m))
		}
	}
	text := m.AppendAmount(append(to.AvailableBuffer(), `{"amount":"`...))
	text = append(append(text, `","currency":"`...), m.Currency...)
	return to.WriteValue(append(text, `"}`...))
}
