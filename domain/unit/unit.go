// Package unit holds the types of numbers and names that the domain uses. Each value is parsed
// once, where it comes in (HTTP, a file). After that, its type is the proof that it is valid.
//
// It holds no rules of an aggregate. For example, package stock knows whether a quantity is
// available; Quantity does not.
package unit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// LocationID names a place that has stock: "main".
type LocationID string

// DefaultLocation is used if no location is named.
const DefaultLocation LocationID = "main"

// ParseLocationID reads a location's name; empty is the default location.
func ParseLocationID(text string) (LocationID, error) {
	if text == "" {
		return DefaultLocation, nil
	}
	return parseName[LocationID]("location", text)
}

// Each of these types is the id of one kind of thing. A caller that creates a cart, an order, a
// return, a shipment, a transaction or a transfer can choose its id. So a request that is sent
// twice creates one thing.
type (
	CartID        string
	OrderID       string
	ReturnID      string
	ShipmentID    string
	TransactionID string
	RefundID      string
	CreditID      string
	ChargeID      string
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

// ParseRefundID reads a refund's id.
func ParseRefundID(text string) (RefundID, error) { return parseName[RefundID]("refund id", text) }

// ParseCreditID reads a credit's id.
func ParseCreditID(text string) (CreditID, error) { return parseName[CreditID]("credit id", text) }

// ParseChargeID reads the id of a charge.
func ParseChargeID(text string) (ChargeID, error) { return parseName[ChargeID]("charge id", text) }

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

// ParseCode reads the name that a shop gives to a thing of its own, such as a price list, a tax
// class or a category of products.
func ParseCode(text string) (string, error) { return parseName[string]("name", text) }

// parseName allows what needs no escaping in a URL, a stream name or a shell: 1 to 64
// letters, digits, '.', '_' or '-'. It refuses a name of dots only, which means a directory
// in a path.
func parseName[T ~string](what, text string) (T, error) {
	if text == "" || len(text) > MaxName {
		return "", fmt.Errorf("%s %q: want 1 to %d characters", what, text, MaxName)
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

// Quantity counts whole units. A requested quantity is > 0, and a change may be negative. The
// field's comment says which of them it is.
type Quantity int64

// MaxQuantity bounds a single requested quantity. It also bounds the sum of the units of one
// cart, order, return or credit note.
const MaxQuantity Quantity = 1_000_000_000

// MaxOnHand bounds what is on hand in one stock. JSON numbers hold it exactly, and
// 9 million stocks as full as that fit a sum of 64 bits.
const MaxOnHand Quantity = 1_000_000_000_000

// ParseQuantity reads a requested quantity: 1 to MaxQuantity.
func ParseQuantity(n int64) (Quantity, error) {
	if !Quantity(n).Valid() {
		return 0, fmt.Errorf("quantity %d: want 1 to %d", n, MaxQuantity)
	}
	return Quantity(n), nil
}

// Kind tells whether a product is kept in stock.
type Kind string

const (
	// Stocked goods are kept in stock, reserved and shipped.
	Stocked Kind = "stocked"
	// A Service is sold, but is never in stock: postage, a fee, a discount, a voucher.
	Service Kind = "service"
)

// Known tells whether k is one of the kinds there are.
func (k Kind) Known() bool { return k == Stocked || k == Service }

// Limits of texts, in characters.
const (
	MaxName      = 64  // an id, or the name of a location
	MaxTitle     = 200 // what a thing is called
	MaxNote      = 500 // a note or a reason
	MaxReference = 100 // a document's number, a country, a code as given
)

// Fits tells whether free text can be recorded: at most maxRunes characters of
// valid UTF-8 without NUL, which databases do not take.
func Fits(text string, maxRunes int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxRunes && !strings.Contains(text, "\x00")
}

// Blank tells whether a person sees nothing of a text: it is empty, or all of it
// is white space or characters that are not drawn.
func Blank(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !unseen(r) }) < 0
}

// FitsLine tells whether a text of one line that must be given, such as a title,
// can be recorded: it is not empty, and LineFault finds nothing wrong with it.
func FitsLine(text string, maxRunes int) bool { return text != "" && LineFault(text, maxRunes) == "" }

// LineFault says what is wrong with a short text of one line, such as a country or the number
// of a document. It returns "" if nothing is wrong. An empty text means "not given" and is
// not wrong. A line must have at least one character that a person can see. It may have no
// control character, no line break, and no character that changes the direction of the text
// around it.
func LineFault(text string, maxRunes int) string {
	return textFault(text, maxRunes, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' })
}

// TextFault is LineFault for a note or a reason, which may have line breaks and
// tabs.
func TextFault(text string, maxRunes int) string {
	return textFault(text, maxRunes, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

func textFault(text string, maxRunes int, forbidden func(rune) bool) string {
	switch {
	case text == "":
		return ""
	case !utf8.ValidString(text):
		return "it is not valid UTF-8"
	case utf8.RuneCountInString(text) > maxRunes:
		return fmt.Sprintf("it has more than %d characters", maxRunes)
	}
	place := 0
	for _, r := range text {
		place++
		if forbidden(r) || unicode.Is(unicode.Bidi_Control, r) {
			return fmt.Sprintf("character %d is %U, which is not allowed here", place, r)
		}
	}
	if Blank(text) {
		return "it has only characters that cannot be seen"
	}
	return ""
}

// Valid tells whether ParseQuantity would accept q.
func (q Quantity) Valid() bool { return q >= 1 && q <= MaxQuantity }
