package contracttest

import (
	"fmt"
	"strings"

	"daybook/domain/unit"
)

// amounts are the names of members that are amounts, if the object also has a currency.
var amounts = []string{"amount", "ordered"}

// digits reports an amount with too few or too many digits for its currency. Events are not
// checked, because their data is shown as it was recorded (decision 53).
func digits(value any) error {
	switch value := value.(type) {
	case map[string]any:
		if value["specversion"] != nil {
			return nil
		}
		currency, _ := value["currency"].(string)
		for _, name := range amounts {
			text, is := value[name].(string)
			if want := int(unit.Currency(currency).Digits()); is && currency != "" && !written(text, want) {
				return fmt.Errorf("%s %q of %s: want %d digits after the point, or more that are needed", name, text, currency, want)
			}
		}
		for _, member := range value {
			if err := digits(member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range value {
			if err := digits(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func written(amount string, want int) bool {
	_, fraction, pointed := strings.Cut(amount, ".")
	if len(fraction) > want {
		return !strings.HasSuffix(fraction, "0")
	}
	return len(fraction) == want && pointed == (want > 0)
}
