package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"daybook/cmd/daybook/shoppers"
	"daybook/internal/verify"
)

// verifyMax bounds the time of the verification at the end of the demo.
const verifyMax = 30 * time.Second

// count adds up what the shoppers saw. available is the stock of each SKU before the first shopper
// came.
func (r *demoResult) count(tally *shoppers.Tally, available map[string]int64) {
	tally.Read(func(t *shoppers.Tally) {
		r.Orders, r.Delivered, r.Canceled, r.UnitsReturned, r.Refused = t.Orders, t.Delivered, t.Canceled, t.Returned, t.Refused
		r.Revenue = shoppers.Money{Amount: t.Revenue.StringFixed(2), Currency: "GBP"}
		for sku, sold := range t.Units {
			r.UnitsSold += sold
			r.Oversold += max(0, sold-available[sku])
		}
		r.Faults = t.Faults
		if t.Fault != nil {
			r.Fault = t.Fault.Error()
		}
	})
}

// close verifies the books: it folds the log again and compares every read model with the result.
// The end of ctx closes the shop, but does not end the verification.
func (r *demoResult) close(ctx context.Context, n *node, cfg verify.Config, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyMax)
	defer cancel()
	began := time.Now()
	report, err := n.verify(ctx, cfg, progress)
	if err != nil {
		return err
	}
	report.Seconds = time.Since(began).Seconds()
	r.Verified = report
	return nil
}

// sound tells whether the demo found no fault.
func (r *demoResult) sound() bool {
	return r.Oversold == 0 && r.Faults == 0 && r.Abroad.Sound && r.Verified.Differences == 0 &&
		(r.Flash.Attempts < flashAttempts || r.Flash.Orders == r.Flash.Units)
}

func (r *demoResult) table(out io.Writer) error {
	w := table.NewWriter()
	w.SetStyle(table.StyleLight)
	w.SetTitle("The shop after %.0f seconds", r.Seconds)
	w.AppendRows([]table.Row{
		{"orders", r.Orders},
		{"  delivered", r.Delivered},
		{"  canceled", r.Canceled},
		{"units sold", r.UnitsSold},
		{"units returned", r.UnitsReturned},
		{"checkouts refused, stock short", r.Refused},
		{"revenue", r.Revenue.Amount + " " + r.Revenue.Currency},
		{"flash sale", fmt.Sprintf("%d orders of %d units, %d attempts by %d buyers, %.0f/s",
			r.Flash.Orders, r.Flash.Units, r.Flash.Attempts, r.Flash.Buyers, r.Flash.PerSecond)},
		{"sold abroad", fmt.Sprintf("%d orders, coupon used %d times of %d, gift card %s paid and %s left of %s",
			r.Abroad.Orders, r.Abroad.CouponUses, r.Abroad.CouponLimit, r.Abroad.CardPaid.Amount, r.Abroad.CardLeft.Amount, r.Abroad.CardIssued.Amount)},
		{"oversold", r.Oversold},
		{"faults", strconv.FormatInt(r.Faults, 10) + " " + r.Fault},
		{"events in the log", r.Verified.Events},
		{"verify", verdict(r.Verified)},
	})
	_, err := fmt.Fprintf(out, "\n%s\n", w.Render())
	return err
}

// verdict says in a line what a verification found.
func verdict(report *verify.Report) string {
	if report.Differences > 0 {
		for _, check := range report.Checks {
			if len(check.First) > 0 {
				return fmt.Sprintf("%d differences; the first: %s: %s", report.Differences, check.Name, check.First[0])
			}
		}
		return fmt.Sprintf("%d differences", report.Differences)
	}
	return fmt.Sprintf("ok: %d checks of %d streams", len(report.Checks), report.Streams)
}
