package verify_test

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// Each merge of an account has one outcome in the other account, and a declined account is open
// again. A merge without its end is a difference, unless it may be under way.
func TestAMergedAccountHasItsOutcome(t *testing.T) {
	t.Parallel()
	type events = []customer.Event
	var (
		merged   = customer.Merged{Into: "ann", Attempt: 1}
		refused  = customer.MergeRefused{Into: "ann", Attempt: 1, Reason: "customer-limit"}
		absorbed = customer.Absorbed{CustomerID: "ally", Attempt: 1}
		declined = customer.MergeDeclined{CustomerID: "ally", Attempt: 1, Reason: "customer-limit"}
	)
	for what, c := range map[string]struct {
		ally, ann events
		grace     time.Duration
		want      string
	}{
		"taken":                        {ally: events{merged}, ann: events{absorbed}},
		"declined":                     {ally: events{merged, refused}, ann: events{declined}},
		"declined and then taken":      {ally: events{merged, refused, customer.Merged{Into: "ann", Attempt: 2}}, ann: events{declined, customer.Absorbed{CustomerID: "ally", Attempt: 2}}},
		"under way":                    {ally: events{merged}, grace: time.Hour},
		"declined and under way":       {ally: events{merged}, ann: events{declined}, grace: time.Hour},
		"never ended":                  {ally: events{merged}, want: "merge 1 of customer ally into customer ann has not ended"},
		"another attempt":              {ally: events{merged}, ann: events{customer.Absorbed{CustomerID: "ally", Attempt: 2}}, want: "merge 1 of customer ally into customer ann has not ended; merge 2 of customer ally never began"},
		"closed after it was declined": {ally: events{merged}, ann: events{declined}, want: "merge 1 of customer ally was declined, and the account is not open again"},
		"open and taken":               {ally: events{merged, refused}, ann: events{absorbed}, want: "merge 1 of customer ally: customer ann has taken the account, and it is open again"},
		"refused by nobody":            {ally: events{merged, refused}, want: "merge 1 of customer ally was refused, customer ann did not decline it"},
		"taken twice":                  {ally: events{merged}, ann: events{absorbed, absorbed}, want: "merge 1 of customer ally has 2 outcomes"},
		"taken without a merge":        {ann: events{absorbed}, want: "merge 1 of customer ally never began"},
		"taken by another account":     {ally: events{customer.Merged{Into: "bob", Attempt: 1}}, ann: events{absorbed}, want: "merge 1 of customer ally has an outcome in the account of customer ann, which is not the one that it went into"},
	} {
		log := memory.New()
		for id, events := range map[unit.CustomerID]events{"ally": c.ally, "ann": c.ann} {
			facts(t, log, customer.Stream(id), customer.Encode, append([]customer.Event{customer.Registered{CustomerID: id}}, events...)...)
		}
		report, err := verify.Run(t.Context(), verify.Config{Store: log, Now: time.Now().Add(time.Minute), Grace: c.grace})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		examined := int64(0)
		for _, check := range report.Checks {
			if strings.HasPrefix(check.Name, "customers: ") {
				examined = check.Examined
			}
			found = append(found, check.First...)
		}
		if got := strings.Join(found, "; "); got != c.want || examined == 0 {
			t.Errorf("%s: verify examines %d merges and says %q, want %q", what, examined, got, c.want)
		}
	}
}
