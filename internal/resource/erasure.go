package resource

import (
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/subject"
	"daybook/domain/unit"
)

// Erasure says that the personal texts of a customer or a guest are erased.
type Erasure struct {
	CustomerID unit.CustomerID   `json:"customer_id,omitempty" class:"customer"`
	CartID     unit.CartID       `json:"cart_id,omitempty" doc:"The cart of a guest."`
	Customers  []unit.CustomerID `json:"customers,omitempty" class:"customer" doc:"Other accounts of the customer, which were merged into this one, and whose keys are destroyed, too."`
	Carts      []unit.CartID     `json:"carts" doc:"Carts that the customer had as a guest, and whose keys are destroyed, too."`
	Reason     string            `json:"reason" enum:"requested,retention,other"`
	Kept       []KeptOrder       `json:"kept" doc:"Orders of which the name and the address of the invoice are kept, because the law wants it."`
	State      string            `json:"state" enum:"erasing,erased" doc:"erasing: the keys are destroyed, so the log shows no text any more, and copies elsewhere are being removed. It takes about a minute. erased: no copy is left. Send the request again to see the present state."`
}

// ErasureOf is an erasure as the API shows it.
func ErasureOf(s subject.State, done bool) Erasure {
	e := Erasure{CustomerID: s.Erased.CustomerID, CartID: s.Erased.CartID, Customers: s.Erased.Customers, Carts: append([]unit.CartID{}, s.Erased.Carts...), Reason: string(s.Erased.Reason), Kept: KeptOrdersOf(s), State: "erasing"}
	if done {
		e.State = "erased"
	}
	return e
}

// KeptOrder says that what an invoice needs of an order is kept, although everything else of its
// customer or guest is erased.
type KeptOrder struct {
	OrderID   unit.OrderID `json:"order_id"`
	Country   string       `json:"country" doc:"The country of the order, whose law wants the invoice."`
	KeptUntil time.Time    `json:"kept_until" doc:"Then it is deleted, too."`
	Reason    string       `json:"reason" enum:"invoice" doc:"Why it is kept."`
}

// KeptRecord is what is kept of one order.
type KeptRecord struct {
	KeptOrder
	Billing   Address    `json:"billing" doc:"The address of the invoice, without a phone number."`
	TaxStatus *TaxStatus `json:"tax_status,omitempty" doc:"Why the invoice has no tax, or what the buyer said about it. Left out: a consumer."`
}

// KeptOrdersOf are the orders of an erased subject of which something is or was kept.
func KeptOrdersOf(s subject.State) []KeptOrder {
	list := []KeptOrder{}
	for _, kept := range s.Erased.Kept {
		list = append(list, keptOrderOf(kept))
	}
	return list
}

func keptOrderOf(k subject.Kept) KeptOrder {
	return KeptOrder{OrderID: k.OrderID, Country: string(k.Country), KeptUntil: k.Until, Reason: string(k.Reason)}
}

// KeptRecordOf is what is kept of an order. The details and the tax status are those that were
// sealed.
func KeptRecordOf(k subject.Kept, details contact.Details, status *pricing.TaxStatus) KeptRecord {
	shown := KeptRecord{KeptOrder: keptOrderOf(k), TaxStatus: taxStatusOf(status)}
	if details.Billing != nil {
		shown.Billing = AddressOf(*details.Billing)
	}
	return shown
}
