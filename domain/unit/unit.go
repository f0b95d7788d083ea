// Package unit holds the kinds of number and name the domain speaks in. Each
// is parsed once, at the edge (HTTP, a file); after that the type is the proof.
//
// It holds no rules of an aggregate: whether a quantity is available is the
// business of stock, not of Quantity.
package unit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SKU identifies a thing that can be sold: trimmed and upper-cased, for real
// catalogues hold one code in two cases.
type SKU string

// maxSKUBytes keeps the name of a stock stream, SKU and location, below what a
// log can hold.
const maxSKUBytes = 128

// ParseSKU folds a code as given: outer blanks cut, upper case. It must be 1 to
// 64 printable characters (128 bytes) without '@', which parts SKU and location
// in the name of a stock stream.
func ParseSKU(text string) (SKU, error) {
	if !utf8.ValidString(text) { // ToUpper would hide it
		return "", fmt.Errorf("SKU %q: not valid UTF-8", text)
	}
	code := strings.ToUpper(strings.TrimSpace(text))
	if err := printable("SKU", code, 64); err != nil {
		return "", err
	}
	if len(code) > maxSKUBytes {
		return "", fmt.Errorf("SKU %q: longer than %d bytes", text, maxSKUBytes)
	}
	if strings.Contains(code, "@") {
		return "", fmt.Errorf("SKU %q: '@' is not allowed", text)
	}
	return SKU(code), nil
}

// LocationID names a place that holds stock: "main".
type LocationID string

// DefaultLocation serves where no other is named.
const DefaultLocation LocationID = "main"

// ParseLocationID reads a location's name; empty is the default location.
func ParseLocationID(text string) (LocationID, error) {
	if text == "" {
		return DefaultLocation, nil
	}
	return parseName[LocationID]("location", text)
}

// CartID, OrderID, ReturnID, ShipmentID and TransactionID name what their names
// say. They are chosen by whoever creates the thing, so that asking twice
// creates one.
type (
	CartID        string
	OrderID       string
	ReturnID      string
	ShipmentID    string
	TransactionID string
	TransferID    string
	CustomerID    string
	ReservationID string
)

// ParseCartID reads a cart's id.
func ParseCartID(text string) (CartID, error) { return parseName[CartID]("cart id", text) }

// ParseOrderID reads an order's id.
func ParseOrderID(text string) (OrderID, error) { return parseName[OrderID]("order id", text) }

// ParseReturnID reads a return's id.
func ParseReturnID(text string) (ReturnID, error) { return parseName[ReturnID]("return id", text) }

// ParseShipmentID reads a shipment's id.
func ParseShipmentID(text string) (ShipmentID, error) {
	return parseName[ShipmentID]("shipment id", text)
}

// ParseTransactionID reads a payment transaction's id.
func ParseTransactionID(text string) (TransactionID, error) {
	return parseName[TransactionID]("transaction id", text)
}

// ParseTransferID reads a stock transfer's id.
func ParseTransferID(text string) (TransferID, error) {
	return parseName[TransferID]("transfer id", text)
}

// ParseCustomerID reads a customer's id.
func ParseCustomerID(text string) (CustomerID, error) {
	return parseName[CustomerID]("customer id", text)
}

// parseName allows what needs no escaping in a URL, a stream name or a shell:
// 1 to 64 letters, digits, '.', '_' or '-', and not only dots, which are
// directions in a path.
func parseName[T ~string](what, text string) (T, error) {
	if text == "" || len(text) > 64 {
		return "", fmt.Errorf("%s %q: want 1 to 64 characters", what, text)
	}
	if strings.Trim(text, ".") == "" {
		return "", fmt.Errorf("%s %q: only dots", what, text)
	}
	for _, r := range text {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
		if !plain {
			return "", fmt.Errorf("%s %q: only letters, digits, '.', '_' and '-' are allowed, not %q", what, text, r)
		}
	}
	return T(text), nil
}

func printable(what, text string, maxRunes int) error {
	if n := utf8.RuneCountInString(text); n == 0 || n > maxRunes {
		return fmt.Errorf("%s %q: want 1 to %d characters", what, text, maxRunes)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s %q: %q is not printable", what, text, r)
		}
	}
	return nil
}

// Quantity counts whole units. Where it is a demand it is > 0; where it is a
// change it may be negative; the field's comment says which.
type Quantity int64

// MaxQuantity bounds a single demand, so that no sum of an order overflows.
const MaxQuantity Quantity = 1_000_000_000

// ParseQuantity reads a demand: 1 to MaxQuantity.
func ParseQuantity(n int64) (Quantity, error) {
	if !Quantity(n).Valid() {
		return 0, fmt.Errorf("quantity %d: want 1 to %d", n, MaxQuantity)
	}
	return Quantity(n), nil
}

// Kind tells whether a product is held in stock.
type Kind string

const (
	// Stocked goods are held, reserved and shipped.
	Stocked Kind = "stocked"
	// Service is sold but never held: postage, a fee, a discount, a voucher.
	Service Kind = "service"
)

// Known tells whether k is one of the kinds there are.
func (k Kind) Known() bool { return k == Stocked || k == Service }

// Limits of free text, in characters.
const (
	MaxTitle     = 200 // what a thing is called
	MaxNote      = 500 // a note or a reason
	MaxReference = 100 // a document's number, a country, a code as given
)

// Fits tells whether free text can be recorded: at most maxRunes characters of
// valid UTF-8 without NUL, which databases do not take.
func Fits(text string, maxRunes int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxRunes && !strings.Contains(text, "\x00")
}

// Valid tells whether q is a demand ParseQuantity would have let in.
func (q Quantity) Valid() bool { return q >= 1 && q <= MaxQuantity }
