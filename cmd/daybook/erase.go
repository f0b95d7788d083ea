package main

import (
	"context"
	"errors"
	"io"
	"time"

	"daybook/commands"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// eraseCommand erases the personal texts of a customer or a guest, for good.
type eraseCommand struct {
	Customer string    `xor:"subject" required:"" placeholder:"ID" help:"The customer whose personal texts are erased."`
	Cart     string    `xor:"subject" required:"" placeholder:"ID" help:"The cart of the guest whose personal texts are erased."`
	Reason   string    `enum:"requested,retention,other" default:"requested" help:"Why: ${enum}. Default: ${default}."`
	Keep     keepFlags `embed:""`
	Wait     bool      `help:"End only when no copy is left in the database. A server must run. It takes about a minute."`
}

type eraseResult struct {
	CustomerID unit.CustomerID      `json:"customer_id,omitempty"`
	CartID     unit.CartID          `json:"cart_id,omitempty"`
	Guests     []unit.CartID        `json:"carts"` // had by the customer as a guest
	Kept       []resource.KeptOrder `json:"kept"`  // what the law wants of the invoices of these orders is not erased
	Done       bool                 `json:"done"`
}

func (c *eraseCommand) erased() (asked subject.Erased, err error) {
	asked.Reason = subject.Reason(c.Reason)
	if c.Customer != "" {
		if asked.CustomerID, err = unit.ParseCustomerID(c.Customer); err != nil {
			return asked, usagef("--customer: %v", err)
		}
		return asked, nil
	}
	if asked.CartID, err = unit.ParseCartID(c.Cart); err != nil {
		return asked, usagef("--cart: %v", err)
	}
	return asked, nil
}

func (c *eraseCommand) check(context.Context, *program) error {
	if _, err := c.erased(); err != nil {
		return err
	}
	_, err := c.Keep.config()
	return err
}

// Run implements the subcommand. The read models work meanwhile, because they say what belongs to
// the subject.
func (c *eraseCommand) Run(ctx context.Context, p *program) (err error) {
	asked, err := c.erased()
	if err != nil {
		return err
	}
	if err := p.mustHaveData("erase"); err != nil {
		return err
	}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Guest = true
	if cfg.Keep, err = c.Keep.config(); err != nil {
		return err
	}
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	n.parts.begin(ctx, partGuard, partProjections, partErasing)
	ctx, end := n.guard(ctx)
	defer end()
	if _, err := n.service.Erase(ctx, consoleCall(), asked); err != nil {
		return because(ctx, err)
	}
	state, _, err := n.service.Subject(ctx, asked.Owner())
	if err != nil {
		return err
	}
	if c.Wait {
		if err := n.erasing.erasedNow(ctx, asked.Owner()); err != nil {
			return because(ctx, err)
		}
	}
	result := eraseResult{CustomerID: asked.CustomerID, CartID: asked.CartID, Guests: append([]unit.CartID{}, state.Erased.Carts...), Kept: resource.KeptOrdersOf(state)}
	if result.Done, err = n.erasing.table.Done(ctx, asked.Owner()); err != nil {
		return err
	}
	return p.print(result, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("The keys of %s and of %d carts are destroyed. Every node has forgotten them within a minute.\n", asked.Owner(), len(result.Guests))
		for _, kept := range result.Kept {
			w.printf("What the invoice of order %s needs is kept until %s, because of the law of %s.\n", kept.OrderID, kept.KeptUntil.Format(time.RFC3339), kept.Country)
		}
		if !result.Done {
			w.printf("Copies in the database are removed by the servers, and by the next one that starts.\n")
		}
		return w.err
	})
}
