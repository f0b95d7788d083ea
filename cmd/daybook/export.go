package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"daybook/commands"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/projections"
	"daybook/readapi"
)

// exportCommand writes everything that the shop holds about a customer, or about a guest's cart.
type exportCommand struct {
	Customer string `arg:"" optional:"" help:"The id of the customer."`
	Cart     string `placeholder:"ID" help:"The cart of a guest, in place of a customer."`
	HTML     bool   `name:"html" help:"Write a page to read in place of JSON."`
	Output   string `placeholder:"FILE" help:"Write into this file, which must not exist yet and which only its owner can read. By default standard output."`
}

// exportResult is the result if the export is in a file.
type exportResult struct {
	File       string          `json:"file"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	CartID     unit.CartID     `json:"cart_id,omitempty"`
	Bytes      int             `json:"bytes"`
}

// of returns whose data is exported.
func (c *exportCommand) of() (unit.Owner, error) {
	switch {
	case c.Customer != "" && c.Cart != "":
		return "", usagef("the id of a customer and --cart exclude each other")
	case c.Customer != "":
		id, err := unit.ParseCustomerID(c.Customer)
		if err != nil {
			return "", usagef("customer: %v", err)
		}
		return id.Owner(), nil
	case c.Cart != "":
		id, err := unit.ParseCartID(c.Cart)
		if err != nil {
			return "", usagef("--cart: %v", err)
		}
		return id.Owner(), nil
	}
	return "", usagef("whose data? Name a customer, or a cart with --cart ID")
}

func (c *exportCommand) check(_ context.Context, p *program) error {
	if _, err := c.of(); err != nil {
		return err
	}
	if c.Output == "" {
		if c.HTML && p.JSON {
			return usagef("--html and --json exclude each other, unless --output names a file")
		}
		return nil
	}
	if folder, err := os.Stat(filepath.Dir(c.Output)); err != nil || !folder.IsDir() {
		return usagef("--output %s: there is no folder %s", c.Output, filepath.Dir(c.Output))
	}
	return nil
}

// Run implements the subcommand. The read models work meanwhile, because they say what belongs to
// the subject.
func (c *exportCommand) Run(ctx context.Context, p *program) (err error) {
	of, err := c.of()
	if err != nil {
		return err
	}
	if err := p.mustHaveData("export"); err != nil {
		return err
	}
	if err := freshFile(c.Output); err != nil {
		return err
	}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Guest = true
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	n.parts.begin(ctx, partGuard, partProjections)
	ctx, end := n.guard(ctx)
	defer end()
	text, err := n.export(ctx, of, c.HTML, p.stderr)
	if err != nil {
		return because(ctx, err)
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	if c.Output == "" {
		_, err = p.stdout.Write(text)
		return err
	}
	if err := writeFresh(c.Output, text); err != nil {
		return err
	}
	result := exportResult{File: c.Output, Bytes: len(text)}
	result.CustomerID, _ = of.Customer()
	result.CartID, _ = of.Cart()
	return p.print(result, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("%s has everything about %s (%d bytes).\n", result.File, of, result.Bytes)
		return w.err
	})
}

// export returns everything about an owner, as soon as the read models have all that is recorded
// now.
func (n *node) export(ctx context.Context, of unit.Owner, asHTML bool, progress io.Writer) ([]byte, error) {
	head, err := n.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.catchUp(ctx, head, progress); err != nil {
		return nil, err
	}
	all, err := n.projections.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, view := range all {
		if view.InUse && view.State == projections.Failed {
			return nil, fmt.Errorf("the read model %s has stopped, so the export would not have everything: %s", view.View, view.Error)
		}
	}
	request := &problem.Request{Who: consoleCall().Who}
	text, err := readapi.WholeExport(problem.NewContext(ctx, request), n.reads(), of, asHTML)
	if errors.Is(err, readapi.ErrNobody) {
		return nil, fmt.Errorf("the shop holds nothing about %s", of)
	}
	return text, err
}

// freshFile refuses a file that exists already. An empty name is no file.
func freshFile(file string) error {
	if file == "" {
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s exists already, and an export replaces no file", file)
	}
	return nil
}

// writeFresh writes a file that only its owner can read, and that does not exist yet. If it fails,
// there is no such file.
func writeFresh(file string, text []byte) error {
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(part.Name()) }() // by then the whole file has its own name, too
	_, err = part.Write(text)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return err
	}
	err = os.Link(part.Name(), file)
	if errors.Is(err, fs.ErrExist) {
		return freshFile(file)
	}
	return err
}
