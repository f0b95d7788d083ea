package personal

import (
	"reflect"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// ofTypes has the classes of types whose values are all of one kind, in the form of a tag.
var ofTypes = map[reflect.Type]string{
	// Ids of things. A caller with the permission fields.trusted may choose the ids of carts,
	// orders and returns, and docs/access.md says that they are open.
	reflect.TypeFor[unit.SKU]():           "open",
	reflect.TypeFor[unit.LocationID]():    "open",
	reflect.TypeFor[unit.CartID]():        "open",
	reflect.TypeFor[unit.OrderID]():       "open",
	reflect.TypeFor[unit.ReturnID]():      "open",
	reflect.TypeFor[unit.ShipmentID]():    "open",
	reflect.TypeFor[unit.TransactionID](): "open",
	reflect.TypeFor[unit.TransferID]():    "open",
	reflect.TypeFor[unit.RefundID]():      "open",
	reflect.TypeFor[unit.CreditID]():      "open",
	reflect.TypeFor[unit.ChargeID]():      "open",
	reflect.TypeFor[unit.ReservationID](): "open",
	// The server makes these ids, and they are random.
	reflect.TypeFor[access.KeyID]():        "open",
	reflect.TypeFor[customer.AddressID]():  "open",
	reflect.TypeFor[customer.NoteID]():     "open",
	reflect.TypeFor[customer.WishListID](): "open",

	reflect.TypeFor[staff.PersonID](): "person",

	reflect.TypeFor[unit.CustomerID](): "customer,compared",

	// Words from a fixed list, and names of roles and groups.
	reflect.TypeFor[unit.Currency]():          "open",
	reflect.TypeFor[unit.Country]():           "open",
	reflect.TypeFor[customer.Group]():         "open",
	reflect.TypeFor[customer.Purpose]():       "open",
	reflect.TypeFor[unit.Kind]():              "open",
	reflect.TypeFor[access.Role]():            "open",
	reflect.TypeFor[access.Permission]():      "open",
	reflect.TypeFor[access.Reach]():           "open",
	reflect.TypeFor[cart.Policy]():            "open",
	reflect.TypeFor[cart.OrderIDSource]():     "open",
	reflect.TypeFor[cart.HoldKind]():          "open",
	reflect.TypeFor[cart.HoldID]():            "open",
	reflect.TypeFor[giftcard.ID]():            "open",
	reflect.TypeFor[giftcard.Kind]():          "open",
	reflect.TypeFor[order.TransactionType]():  "open",
	reflect.TypeFor[order.TransactionState](): "open",
	reflect.TypeFor[order.Step]():             "open",
	reflect.TypeFor[order.RefundPurpose]():    "open",
	reflect.TypeFor[order.RefundCause]():      "open",
	reflect.TypeFor[order.RefundState]():      "open",
	reflect.TypeFor[order.CreditCause]():      "open",
	reflect.TypeFor[order.ParcelState]():      "open",
	reflect.TypeFor[order.Disposition]():      "open",
	reflect.TypeFor[order.Tender]():           "open",
	reflect.TypeFor[order.Remedy]():           "open",
	reflect.TypeFor[returns.Disposition]():    "open",
	reflect.TypeFor[returns.OrderStep]():      "open",
	reflect.TypeFor[stock.Reason]():           "open",
	reflect.TypeFor[stock.Condition]():        "open",
	reflect.TypeFor[unit.Percent]():           "open",
	reflect.TypeFor[pricing.Mode]():           "open",
	reflect.TypeFor[pricing.ListKind]():       "open",
	reflect.TypeFor[pricing.PromotionKind]():  "open",
	reflect.TypeFor[pricing.Class]():          "open",
	reflect.TypeFor[pricing.ActionType]():     "open",
	reflect.TypeFor[pricing.Exclusivity]():    "open",
	reflect.TypeFor[pricing.Measure]():        "open",
	reflect.TypeFor[pricing.Basis]():          "open",
	reflect.TypeFor[pricing.RoundTax]():       "open",
	reflect.TypeFor[pricing.UntaxedBuyer]():   "open",
	reflect.TypeFor[pricing.Treatment]():      "open",
}
