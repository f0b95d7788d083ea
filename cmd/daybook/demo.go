package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"daybook/cmd/daybook/shoppers"
	"daybook/commands"
	"daybook/commands/payments/simulated"
	"daybook/domain/access"
	"daybook/internal/resource"
	"daybook/internal/simulatedprovider"
	"daybook/internal/verify"
)

type demoCommand struct {
	For      time.Duration `default:"30s" placeholder:"DURATION" help:"How long the shop is open; 0 means until Ctrl-C. Default: ${default}."`
	Shoppers int           `default:"8" placeholder:"N" help:"How many shoppers there are at once. Default: ${default}."`
	Keep     bool          `help:"Go on answering after the summary, until Ctrl-C."`
	Listen   string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where to listen: a loopback address; port 0 takes a free one. Default: ${default}."`
}

// The flash sale begins when a third of the demo is over, at the latest after
// flashLatest.
const (
	flashBuyers   = 64
	flashAttempts = 1_000
	flashLatest   = 10 * time.Second
	demoConns     = 128
)

// demoResult is what the demo found when it closed.
type demoResult struct {
	Seconds       float64        `json:"seconds"`
	Orders        int64          `json:"orders"`
	Delivered     int64          `json:"delivered"`
	Canceled      int64          `json:"canceled"`
	UnitsReturned int64          `json:"units_returned"`
	Refused       int64          `json:"refused"` // checkouts that were refused because stock was short
	UnitsSold     int64          `json:"units_sold"`
	Revenue       shoppers.Money `json:"revenue"`
	Flash         flashResult    `json:"flash_sale"`
	Abroad        abroadResult   `json:"abroad"`
	Oversold      int64          `json:"oversold"` // units, of all products
	Faults        int64          `json:"faults"`   // answers that should not have been
	Fault         string         `json:"fault,omitempty"`
	Verified      *verify.Report `json:"verified"`
}

type flashResult struct {
	Units     int64   `json:"units"`
	Buyers    int     `json:"buyers"`
	Attempts  int64   `json:"attempts"`
	Orders    int64   `json:"orders"`
	PerSecond float64 `json:"attempts_per_second"`
}

// abroadResult is what was sold in other currencies, with taxes, a coupon that ran out and a gift
// card.
type abroadResult struct {
	Orders      int64          `json:"orders"`
	CouponUses  int64          `json:"coupon_uses"`
	CouponLimit int64          `json:"coupon_limit"`
	CardIssued  shoppers.Money `json:"gift_card_issued"`
	CardPaid    shoppers.Money `json:"gift_card_paid"`
	CardLeft    shoppers.Money `json:"gift_card_left"`
	Sound       bool           `json:"sound"`
}

func abroadOf(a *shoppers.Abroad) abroadResult {
	if a == nil { // the shop closed before
		return abroadResult{Sound: true}
	}
	return abroadResult{a.Orders, a.CouponUses, a.CouponLimit, a.CardIssued, a.CardPaid, a.CardLeft, a.Sound()}
}

func (c *demoCommand) check(ctx context.Context, _ *program) error {
	if c.For < 0 {
		return usagef("--for must be 0 or more, not %s", c.For)
	}
	if c.Shoppers < 1 {
		return usagef("--shoppers must be at least 1, not %d", c.Shoppers)
	}
	return webFlags{}.checkListen(ctx, "--listen", c.Listen)
}

// Run opens a shop, lets simulated shoppers buy in it, and prints a summary. It fails if the demo
// found a fault.
func (c *demoCommand) Run(ctx context.Context, p *program) (err error) {
	say := p.stdout
	if p.JSON {
		say = p.stderr // stdout has only the result
	}
	database, dispose, err := p.demoDatabase(say)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dispose()) }()
	bank, err := openDemoBank(ctx, p.log)
	if err != nil {
		return err
	}
	defer bank.close()
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Database, cfg.Payments = database, bank.providers
	s, err := p.openServer(ctx, c.Listen, gatewayConfig{}, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	bank.SendTo(s.url + "/v1/payments/webhooks/" + simulated.Name)
	keys, err := s.demoKeys(ctx)
	if err != nil {
		return err
	}
	result, err := c.perform(ctx, s, bank, keys, p, say)
	if err != nil {
		return err
	}
	if err := p.print(result, result.table); err != nil {
		return err
	}
	if c.Keep && ctx.Err() == nil {
		fmt.Fprintf(say, "\nThe shop is closed; the server goes on answering at %s until Ctrl-C.\n", s.url)
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	if !result.sound() {
		return errReported
	}
	return nil
}

// demoDatabase is where the demo keeps its data: in the place that the flags name, or in a folder
// of its own, which dispose removes.
func (p *program) demoDatabase(say io.Writer) (cfg databaseConfig, dispose func() error, err error) {
	keep := func() error { return nil }
	if p.DatabaseURL != "" {
		fmt.Fprintf(say, "Data: in the database given; it stays there.\n")
		return p.database(), keep, nil
	}
	if p.Data != "" {
		fmt.Fprintf(say, "Data: %s; it stays there.\n", p.Data)
		return p.database(), keep, nil
	}
	dir, dispose, err := p.temporaryData("demo")
	if err != nil {
		return cfg, nil, err
	}
	fmt.Fprintf(say, "Data: %s, removed at the end (--data DIR keeps it).\n", dir)
	return databaseConfig{DataDir: dir, Getenv: p.getenv}, dispose, nil
}

// perform opens the shop, lets people in, and closes the books.
func (c *demoCommand) perform(ctx context.Context, s *server, bank *demoBank, keys []resource.APIKeySecret, p *program, say io.Writer) (demoResult, error) {
	guarded, end := s.node.guard(ctx)
	defer end()
	client := shoppers.NewClient(s.url, keys[0].Secret, demoConns)
	defer client.Close()
	payer := shoppers.NewClient(bank.url, simulatedprovider.APIKey(bank.secret), 1)
	defer payer.Close()
	tally := shoppers.NewTally()
	flash := shoppers.FlashSale(p.now().UTC().Format("20060102-150405"))
	available, err := shoppers.Open(guarded, client, append(shoppers.Catalogue(), flash))
	if err != nil {
		return demoResult{}, because(guarded, err)
	}
	invite(say, s.url, keys)
	began := time.Now()
	rush, sold, err := c.business(guarded, client, payer, flash, tally, say)
	// After Ctrl-C the shop closes early, and the books are still verified. If a part of the node
	// has died, they cannot be verified.
	if guarded.Err() != nil && ctx.Err() == nil {
		return demoResult{}, context.Cause(guarded)
	}
	if err != nil {
		return demoResult{}, err
	}
	result := demoResult{Seconds: time.Since(began).Seconds(), Flash: flashResult{
		Units: rush.Units, Buyers: rush.Buyers, Attempts: rush.Attempts, Orders: rush.Orders,
		PerSecond: float64(rush.Attempts) / max(rush.Seconds, 0.001),
	}}
	result.Abroad = abroadOf(sold)
	result.count(tally, available)
	return result, result.close(ctx, s.node, p.verification(), say)
}

// because returns the reason why a context ended, if it has ended, and otherwise err. The reason
// says more than the errors that followed from it.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// demoCustomer is the customer whose key the demo prints.
const demoCustomer = "newcomer"

// demoKeysLast is how long the keys of a demo are good, because its data may be kept.
const demoKeysLast = 24 * time.Hour

// demoKeys makes the API keys that the demo prints. The first one is an admin's.
func (s *server) demoKeys(ctx context.Context) (keys []resource.APIKeySecret, err error) {
	for _, role := range []access.Role{access.Admin, access.Storefront, access.Customer, access.Operator, access.Auditor} {
		customer := ""
		if role == access.Customer {
			customer = demoCustomer
		}
		key, err := s.node.makeKey(ctx, access.IssueKey{Name: "demo", Role: role, Customer: customer}, demoKeysLast)
		if err != nil {
			return nil, fmt.Errorf("make the demo's API keys: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// invite says where the shop is, which keys it has, and how to call it with one.
func invite(say io.Writer, url string, keys []resource.APIKeySecret) {
	fmt.Fprintf(say, "\nThe shop is open at %s. Its API keys, good for %s:\n\n", url, demoKeysLast)
	for _, key := range keys {
		fmt.Fprintf(say, "  %-10s %s\n", key.Key.Role, key.Secret)
	}
	fmt.Fprintf(say, invitation, url, keys[0].Secret, keys[2].Secret)
}

const invitation = `
In another terminal, as an admin and as the customer ` + demoCustomer + `:

  admin='Authorization: Bearer %[2]s'
  curl -s -H "$admin" '%[1]s/v1/orders?limit=3'
  curl -s -H "$admin" %[1]s/v1/stock/MUG-ENAMEL
  customer='Authorization: Bearer %[3]s'
  curl -s -H "$customer" %[1]s/v1/carts -H 'Content-Type: application/json' \
       -d '{"currency":"GBP","lines":[{"sku":"MUG-ENAMEL","quantity":2}]}'

All there is: %[1]s/openapi.json, with a key. docs/access.md says what each role may do.

`

// business runs the shop while it is open, including the flash sale.
func (c *demoCommand) business(ctx context.Context, client, payer *shoppers.Client, flash shoppers.Product, tally *shoppers.Tally, say io.Writer) (rush shoppers.Rush, sold *shoppers.Abroad, err error) {
	open, closeShop := context.WithCancel(ctx)
	if c.For > 0 {
		open, closeShop = context.WithTimeout(ctx, c.For)
	}
	defer closeShop()
	strolled := make(chan struct{})
	go func() { shoppers.Stroll(open, client, c.Shoppers, tally); close(strolled) }()
	defer func() { closeShop(); <-strolled }()

	flashAt := time.NewTimer(min(flashLatest, cmp.Or(c.For/3, flashLatest)))
	defer flashAt.Stop()
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	rush = shoppers.Rush{Units: flash.Opening, Buyers: flashBuyers}
	for {
		select {
		case <-open.Done():
			return rush, sold, nil
		case <-ticker.C:
			tally.Read(func(t *shoppers.Tally) {
				fmt.Fprintf(say, "%6d orders  %6d delivered  %4d canceled  %4d returned  %4d refused  %s GBP\n",
					t.Orders, t.Delivered, t.Canceled, t.Returned, t.Refused, t.Revenue.StringFixed(2))
			})
		case <-flashAt.C:
			fmt.Fprintf(say, "Flash sale: %d units of %s, %d buyers at once.\n", flash.Opening, flash.SKU, flashBuyers)
			if rush, err = shoppers.Flash(ctx, client, flash, flashBuyers, flashAttempts, tally); err != nil {
				return rush, nil, because(ctx, err)
			}
			fmt.Fprintf(say, "Flash sale over: %d orders of %d attempts in %.1f s; %d units were there.\n", rush.Orders, rush.Attempts, rush.Seconds, rush.Units)
			all, err := shoppers.SellAbroad(ctx, client, payer, strings.TrimPrefix(flash.SKU, "RADIO-"))
			if err != nil {
				return rush, nil, because(ctx, err)
			}
			sold = &all
			fmt.Fprintf(say, "Sold abroad: %d orders in %d currencies with %d taxes; the coupon was used %d times of %d; the gift card has paid %s of %s.\n",
				all.Orders, len(all.Currencies), len(all.Taxes), all.CouponUses, all.CouponLimit, all.CardPaid.Amount, all.CardIssued.Amount)
		}
	}
}
