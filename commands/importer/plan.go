package importer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/internal/onlineretail"
)

// Opening is the stock before the first invoice: OpeningExact, OpeningAmple, or
// a number of units of each stocked SKU.
type Opening string

const (
	// OpeningExact is the smallest opening stock with which no line is short in the order of the
	// file.
	OpeningExact Opening = "exact"
	// OpeningAmple is so large that no line can be short, in any order.
	OpeningAmple Opening = "ample"
)

// ParseOpening reads an opening.
func ParseOpening(text string) (Opening, error) {
	if text == string(OpeningExact) || text == string(OpeningAmple) {
		return Opening(text), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(unit.MaxQuantity) {
		return "", fmt.Errorf("opening stock %q: want exact, ample, or 0 to %d units", text, unit.MaxQuantity)
	}
	return Opening(strconv.FormatInt(n, 10)), nil
}

// ParseKinds reads kinds of invoice, such as "adjust-out". Upper and lower case are the same,
// and so are '-' and '_'. No names mean all kinds.
func ParseKinds(names []string) ([]onlineretail.Kind, error) {
	var kinds []onlineretail.Kind
	for _, name := range names {
		kind := onlineretail.Kind(strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(name), "-", "_")))
		if !slices.Contains(onlineretail.Kinds, kind) {
			return nil, fmt.Errorf("kind of invoice %q: want some of %v", name, onlineretail.Kinds)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// plan is everything that is known of an import before its first command.
type plan struct {
	name     string
	options  Options
	invoices []onlineretail.Invoice
	lines    int
	products []onlineretail.Product
	opening  map[unit.SKU]unit.Quantity // > 0
	matching onlineretail.Matching
}

func newPlan(file *onlineretail.File, options Options) (*plan, error) {
	if len(options.Kinds) == 0 {
		options.Kinds = onlineretail.Kinds
	}
	if options.Policy == "" {
		options.Policy = cart.AllOrNothing
	}
	if options.Order == "" {
		options.Order = FileOrder
	}
	options.Workers = max(1, options.Workers)
	p := &plan{options: options, invoices: file.Invoices}
	if len(options.Kinds) < len(onlineretail.Kinds) {
		p.invoices = nil
		for _, invoice := range file.Invoices {
			if slices.Contains(options.Kinds, invoice.Kind) {
				p.invoices = append(p.invoices, invoice)
			}
		}
	}
	for _, invoice := range p.invoices {
		p.lines += len(invoice.Lines)
	}
	p.name = p.identity(file.SHA256)
	p.products = onlineretail.Products(p.invoices)
	p.matching = onlineretail.MatchCancellations(p.invoices)
	return p, p.open()
}

// identity names the import. The same content with the same options is the same import. The
// compression of the file and the number of workers do not matter.
func (p *plan) identity(sha256 string) string {
	var kinds []string
	for _, kind := range onlineretail.Kinds { // in one order
		if slices.Contains(p.options.Kinds, kind) {
			kinds = append(kinds, strings.ToLower(string(kind)))
		}
	}
	if len(kinds) == len(onlineretail.Kinds) {
		kinds = []string{"all"}
	}
	return fmt.Sprintf("file %.16s, opening %s, kinds %s, policy %s, order %s",
		sha256, p.options.Opening, strings.Join(kinds, ","), p.options.Policy, p.options.Order)
}

// open computes the opening stock.
func (p *plan) open() error {
	moved := onlineretail.Movements(p.invoices)
	p.opening = make(map[unit.SKU]unit.Quantity, len(moved))
	switch p.options.Opening {
	case OpeningExact:
		for sku, m := range moved {
			p.opening[sku] = m.Needed
		}
	case OpeningAmple:
		each := ample(moved)
		for sku := range moved {
			p.opening[sku] = each
		}
	default:
		each, err := strconv.ParseInt(string(p.options.Opening), 10, 64)
		if err != nil {
			return fmt.Errorf("opening stock %q: %w", p.options.Opening, err)
		}
		for sku := range moved {
			p.opening[sku] = unit.Quantity(each)
		}
	}
	maps.DeleteFunc(p.opening, func(_ unit.SKU, quantity unit.Quantity) bool { return quantity == 0 })
	for sku, quantity := range p.opening {
		if quantity < 0 || quantity > unit.MaxOnHand {
			return fmt.Errorf("opening stock of %s: %d units are more than a stock can hold, which is %d", sku, quantity, unit.MaxOnHand)
		}
	}
	return nil
}

// ample is a round number of units, a million or more. No SKU has more units going out in the
// whole file.
func ample(moved map[unit.SKU]onlineretail.Movement) unit.Quantity {
	most := unit.Quantity(1_000_000)
	for _, m := range moved {
		for m.Out > most {
			most *= 10
		}
	}
	return most
}

// openingUnits is the opening stock of all SKUs together.
func (p *plan) openingUnits() int64 {
	var sum int64
	for _, quantity := range p.opening {
		sum += int64(quantity)
	}
	return sum
}
