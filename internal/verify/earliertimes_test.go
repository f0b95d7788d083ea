package verify_test

import (
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/unit"
	"daybook/projections/salesview"
)

// Earlier versions accepted any effective time. An order with such a time is no difference. In the
// sales view it counts at the time when it was recorded.
func TestTimesThatEarlierVersionsAcceptedAreNoDifference(t *testing.T) {
	for _, at := range []string{"0000-01-01 00:00:00", "1066-10-14 09:00:00", "2299-12-31 23:59:59"} {
		t.Run(at, func(t *testing.T) {
			s := newShop(t)
			earlier := commands.DefaultPolicy()
			earlier.Times = unit.TimeBounds{Earliest: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), Ahead: 290 * 365 * 24 * time.Hour}
			s.Service = commands.NewService(s.Log, earlier, time.Now, aggregate.Options{})
			s.list("MUG", unit.Stocked, "2.50", 100)
			s.buy("1", at, wantedLine("MUG", 3))
			s.waitForViews()
			report := s.verify()
			s.wantClean(report)
			read := int64(0)
			for _, check := range report.Checks {
				if check.Name == "log: values out of bounds, each read as the nearest value within bounds (examined: how many)" {
					read = check.Examined
				}
			}
			if read == 0 {
				t.Error("no time was out of bounds")
			}
			totals, err := salesview.Totals(t.Context(), s.Pool, salesview.Filter{Kinds: []string{salesview.Sale}}, salesview.ByMonth)
			if err != nil {
				t.Fatal(err)
			}
			if now := time.Now().In(s.where).Format("2006-01"); len(totals) != 1 || totals[0].Units != 3 || totals[0].Month != now {
				t.Errorf("sold: %+v, want 3 units in %s", totals, now)
			}
		})
	}
}
