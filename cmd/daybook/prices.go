package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"daybook/commands"
	"daybook/commands/commandapi"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// pricesCommand manages prices over the log itself.
type pricesCommand struct {
	Import pricesImportCommand `cmd:"" help:"Import the prices of a price list from a CSV file with the columns sku, from and price. Servers may run meanwhile."`
}

type pricesImportCommand struct {
	File    string `arg:"" type:"existingfile" help:"CSV file with at most 20,000 rows. A row without a price removes its SKU."`
	List    string `required:"" placeholder:"ID" help:"The price list. It must exist."`
	DryRun  bool   `help:"Change nothing, and print what would change."`
	Replace bool   `help:"Remove the SKUs that the file does not name."`
}

func (c *pricesImportCommand) check(context.Context, *program) error {
	if _, err := unit.ParseCode(c.List); err != nil {
		return usagef("--list: %v", err)
	}
	return nil
}

// Run implements the subcommand.
func (c *pricesImportCommand) Run(ctx context.Context, p *program) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return p.overLog(ctx, func(n *node) error {
		result, _, err := n.service.ImportPrices(ctx, consoleCall(), c.List, commands.PriceImport{File: file, DryRun: c.DryRun, Replace: c.Replace})
		if wrong, is := errors.AsType[*commands.RowsError](err); is {
			return c.rowsRefused(wrong)
		}
		if err != nil {
			return err
		}
		shown := commandapi.PriceImportOf(result, c.DryRun)
		return p.print(shown, func(out io.Writer) error { return printPriceImport(out, c.List, shown) })
	})
}

// rowsRefused names the faults of the file, each on a line.
func (c *pricesImportCommand) rowsRefused(wrong *commands.RowsError) error {
	text := c.File + " has faults, so nothing was imported:"
	for _, fault := range wrong.Faults {
		text += "\n  " + fault.String()
	}
	if wrong.More {
		text += "\n  and more"
	}
	return errors.New(text)
}

func printPriceImport(out io.Writer, list string, shown resource.PriceImport) error {
	w := &lineWriter{out: out}
	for _, change := range shown.Changes {
		w.printf("%s: %s -> %s\n", change.SKU, tiersInWords(change.Was), tiersInWords(change.Is))
	}
	if more := shown.Added + shown.Changed + shown.Removed - len(shown.Changes); more > 0 {
		w.printf("and %d more\n", more)
	}
	verb := "were"
	if shown.DryRun {
		verb = "would be"
	}
	w.printf("%d rows for the price list %s: %d SKUs %s added, %d changed, %d removed; %d stay as they are.\n", shown.Rows, list, shown.Added, verb, shown.Changed, shown.Removed, shown.Unchanged)
	return w.err
}

// tiersInWords writes tiers as "9.99, from 10: 8.50 EUR".
func tiersInWords(tiers []resource.PriceTier) (text string) {
	if len(tiers) == 0 {
		return "no price"
	}
	for i, tier := range tiers {
		switch {
		case i > 0:
			text += fmt.Sprintf(", from %d: ", tier.From)
		case tier.From > 1:
			text = fmt.Sprintf("from %d: ", tier.From)
		}
		text += tier.Price.Amount
	}
	return text + " " + tiers[0].Price.Currency
}
