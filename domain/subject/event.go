// Package subject is about the people whose personal texts the shop has, as far as these texts are
// erased. A subject is a customer, or a guest who has a cart. What the shop does for a subject is
// in other aggregates, such as cart and order.
package subject

import (
	"time"

	"daybook/domain/unit"
)

// Category starts the names of the streams of subjects.
const Category = "subject"

// Stream names the stream of a customer or a guest. The name does not show the customer, so that it
// can be shown to callers who see no personal data.
func Stream(of unit.Owner) string { return Category + "-" + unit.SubjectStream.Of(string(of)).ID() }

// Event is what can have happened to a subject. The wire names in codec.go are storage format: they
// are versioned, never renamed.
//
//sumtype:decl
type Event interface{ subjectEvent() }

// Erased says that the personal texts of a subject are erased: their keys are destroyed, and no
// text about the subject is kept any more. It has one of CustomerID and CartID. It can come again,
// with further carts and accounts.
type Erased struct {
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	CartID     unit.CartID     `json:"cart_id,omitempty"` // of a guest
	// Customers are other accounts of the customer, which were merged into this one. Their keys are
	// destroyed, too. Version 1 has none.
	Customers []unit.CustomerID `json:"customers,omitempty"`
	// Carts are carts that the subject had as a guest. Their keys are destroyed, too.
	Carts []unit.CartID `json:"carts,omitempty"`
	// Orders are the orders of a guest's cart. Those of a customer are known by the customer.
	Orders []unit.OrderID `json:"orders,omitempty"`
	Reason Reason         `json:"reason" class:"open"`
	// Kept are the orders of which something is kept, because the law wants it. Versions 1 and 2
	// have none.
	Kept []Kept `json:"kept,omitempty"`
}

// Kept says that what an invoice needs of an order is kept for some time, outside the log, although
// the subject is erased.
type Kept struct {
	OrderID unit.OrderID `json:"order_id"`
	Country unit.Country `json:"country"` // of the order: its law wants the invoice
	Until   time.Time    `json:"until"`   // then it is deleted
	Reason  KeptReason   `json:"reason" class:"open"`
}

// KeptReason says why something of an order is kept. It is a word and no free text.
type KeptReason string

// KeptInvoice means that the order had an invoice, which the law wants to be kept.
const KeptInvoice KeptReason = "invoice"

// Owner is the subject.
func (e Erased) Owner() unit.Owner {
	if e.CustomerID != "" {
		return e.CustomerID.Owner()
	}
	return e.CartID.Owner()
}

// OfCustomers are the customer and the other accounts. There is none if the subject is a guest.
func (e Erased) OfCustomers() []unit.CustomerID {
	if e.CustomerID == "" {
		return nil
	}
	return append([]unit.CustomerID{e.CustomerID}, e.Customers...)
}

// Owners are all whose keys are destroyed: the subject first, then its other accounts and the
// guests that it was.
func (e Erased) Owners() []unit.Owner {
	all := []unit.Owner{e.Owner()}
	for _, customer := range e.Customers {
		all = append(all, customer.Owner())
	}
	for _, cart := range e.Carts {
		all = append(all, cart.Owner())
	}
	return all
}

// Reason says why the texts of a subject are erased. It is a word and no free text, because a text
// could name the person again.
type Reason string

const (
	Requested Reason = "requested" // the person has asked for it
	Retention Reason = "retention" // the shop keeps such data no longer
	Other     Reason = "other"
)

// Reasons are all reasons.
func Reasons() []Reason { return []Reason{Requested, Retention, Other} }

func (Erased) subjectEvent() {}
