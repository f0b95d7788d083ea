package access

import (
	"maps"
	"slices"
)

// Permission is the right to do one kind of thing. Every route of the API needs one. The names are
// storage format, because custom roles have them: they are never renamed.
type Permission string

// The permissions. The first part of a name says what it is about, and the second part says what
// may be done.
const (
	// Open is not a permission. It marks what everyone may do, even without credentials.
	Open Permission = "-"

	// Look is needed for what everyone with credentials may see, such as the API's document.
	Look Permission = "api.look"

	ReadCatalogue  Permission = "catalogue.read"  // products and their prices
	WriteCatalogue Permission = "catalogue.write" // list, price and retire products

	ReadPrices    Permission = "prices.read"    // price lists, shipping methods, taxes; what a cart would cost, and why
	WritePrices   Permission = "prices.write"   // make, change and end price lists
	WriteShipping Permission = "shipping.write" // make, change and end shipping methods
	WriteTaxes    Permission = "taxes.write"    // make, change and end legal entities and their taxes

	ReadPromotions  Permission = "promotions.read"  // promotions, their codes, and how often they were used
	WritePromotions Permission = "promotions.write" // make, change and end promotions, give and withdraw codes
	ReadGiftCards   Permission = "giftcards.read"   // gift cards and credit accounts; never a code
	WriteGiftCards  Permission = "giftcards.write"  // issue and disable them, and show the code of one that was sold

	ReadCarts  Permission = "carts.read"
	WriteCarts Permission = "carts.write"    // open, change, merge and abandon carts
	CheckOut   Permission = "carts.checkout" // turn a cart into an order
	ClaimCarts Permission = "carts.claim"    // take over the cart that a customer filled as a guest
	// GiveDiscounts is the right to take something off a cart by hand, up to the shop's limit
	// (commands.Policy), and UnlimitedDiscounts to take off more.
	GiveDiscounts      Permission = "discounts.give"
	UnlimitedDiscounts Permission = "discounts.unlimited"
	ExpireCarts        Permission = "carts.expire" // end a cart that is too old before the server does
	ReadOrders         Permission = "orders.read"
	CancelOrders       Permission = "orders.cancel"
	ClaimOrders        Permission = "orders.claim"   // take over the order that a customer placed as a guest
	ConfirmOrder       Permission = "orders.confirm" // make an order binding
	HandleOrders       Permission = "orders.handle"  // hold, release, expire, complete, archive, ask for stock again
	ShipOrders         Permission = "orders.ship"
	RecordMoney        Permission = "orders.pay"       // record payment transactions
	RefundOrders       Permission = "orders.refund"    // ask for refunds of an order, try them again, say how they ended or what they were
	ReducePrices       Permission = "orders.reduce"    // take something off the price of an order that was placed
	AddSurcharges      Permission = "orders.surcharge" // add a surcharge to an order that was placed
	ClawBack           Permission = "orders.clawback"  // take a discount back after a return
	// UnlimitedSurcharges is the right to add surcharges above the shop's limit (commands.Policy).
	UnlimitedSurcharges Permission = "surcharges.unlimited"
	// WriteOffs is the right to write off more than the shop's tolerance (commands.Policy).
	WriteOffs Permission = "writeoffs.unlimited"

	ReadReturns   Permission = "returns.read"
	AskReturns    Permission = "returns.request" // ask to send goods back, and call that off
	HandleReturns Permission = "returns.handle"  // approve, decline, receive and close returns
	RefundReturns Permission = "returns.refund"
	NoteCredit    Permission = "returns.credit" // note a credit that moves no goods
	// UnlimitedRefunds is the right to record refunds above the shop's limit (commands.Policy).
	UnlimitedRefunds Permission = "refunds.unlimited"

	ReadStock     Permission = "stock.read"
	WriteStock    Permission = "stock.write"    // receive, count, move, reserve and allocate goods
	OverrideStock Permission = "stock.override" // force what a rule refuses, with a reason
	SetStock      Permission = "stock.policy"   // set safety stock, backorder limit and reorder point

	ReadSales       Permission = "sales.read"
	ReadCustomers   Permission = "customers.read"   // what customers bought, and their accounts
	ReadAccounts    Permission = "accounts.read"    // list and search all accounts
	WriteCustomers  Permission = "customers.write"  // register customers, change their accounts
	HandleCustomers Permission = "customers.handle" // groups, notes, block and unblock, merge of accounts
	SetTaxStatus    Permission = "customers.tax"    // say of a customer, or of the buyer of a cart, that they are a business or exempt from tax
	ReadEvents      Permission = "events.read"      // the whole log
	WriteEvents     Permission = "events.write"     // streams of other programs, through the gateway

	// ReadPersonal shows the personal data in what somebody may read, such as ids of customers,
	// notes and references. Nobody needs it for their own things. See Principal.SeesPersonal.
	ReadPersonal Permission = "personal.read"

	// ExportPersonal is the right to export everything that is held about a customer or a guest. To
	// export what is not one's own, ReadPersonal is needed, too.
	ExportPersonal Permission = "personal.export"

	// ErasePersonal is the right to erase the personal texts of a customer or a guest for good.
	ErasePersonal Permission = "personal.erase"

	// LeaveShop is the right to erase a customer at the customer's own wish.
	LeaveShop Permission = "customers.leave"

	ReadProcesses  Permission = "processes.read"
	WriteProcesses Permission = "processes.write" // retry and dismiss parked work
	ReadHealth     Permission = "health.read"     // how far the read models are, and what is wrong

	ReadAccess  Permission = "access.read"  // who may do what; never a secret
	WriteAccess Permission = "access.write" // make and revoke API keys, define roles

	// TrustedFields is needed for members of a request that only a trusted program may send:
	// a payment, an effective time, a chosen order id. Package commandapi lists them.
	TrustedFields Permission = "fields.trusted"
	// ActForCustomers is the right to act in a customer's name. Both are recorded.
	ActForCustomers Permission = "customers.act"
)

// all lists the permissions, in the order of the table in docs/access.md.
var all = []Permission{
	Look, ReadCatalogue, WriteCatalogue, ReadPrices, WritePrices, WriteShipping, WriteTaxes, ReadPromotions, WritePromotions, ReadGiftCards, WriteGiftCards,
	ReadCarts, WriteCarts, CheckOut, ClaimCarts, ExpireCarts, GiveDiscounts, UnlimitedDiscounts,
	ReadOrders, CancelOrders, ClaimOrders, ConfirmOrder, HandleOrders, ShipOrders, RecordMoney, RefundOrders, ReducePrices, WriteOffs, AddSurcharges, UnlimitedSurcharges, ClawBack,
	ReadReturns, AskReturns, HandleReturns, RefundReturns, NoteCredit, UnlimitedRefunds,
	ReadStock, WriteStock, OverrideStock, SetStock,
	ReadSales, ReadCustomers, ReadAccounts, WriteCustomers, HandleCustomers, SetTaxStatus, ReadPersonal, ExportPersonal, ErasePersonal, LeaveShop, ReadEvents, WriteEvents,
	ReadProcesses, WriteProcesses, ReadHealth,
	ReadAccess, WriteAccess, TrustedFields, ActForCustomers,
}

// Permissions are all permissions.
func Permissions() []Permission { return slices.Clone(all) }

// Known tells whether there is such a permission.
func (p Permission) Known() bool { return slices.Contains(all, p) }

// ownable are the permissions that can be limited to what belongs to one customer.
var ownable = []Permission{
	ReadCarts, WriteCarts, CheckOut, ClaimCarts, ReadOrders, CancelOrders, ClaimOrders, ReadReturns, AskReturns, ReadCustomers, WriteCustomers, ExportPersonal, LeaveShop,
}

// Ownable tells whether the permission can be limited to what belongs to one customer. Stock, for
// example, belongs to nobody, so a role has its permissions for all stock or not at all.
func (p Permission) Ownable() bool { return slices.Contains(ownable, p) }

// aboutOwned are the other permissions for the carts, orders, returns and accounts of customers. A
// role cannot have them as Own. A principal that acts for a customer has them only for what belongs
// to that customer.
var aboutOwned = []Permission{
	ExpireCarts, ConfirmOrder, HandleOrders, ShipOrders, RecordMoney, RefundOrders, ReducePrices, WriteOffs, AddSurcharges, UnlimitedSurcharges, ClawBack, HandleReturns, RefundReturns, UnlimitedRefunds, HandleCustomers,
	GiveDiscounts, UnlimitedDiscounts, SetTaxStatus,
}

// ofNobody are permissions that do not change when a principal acts for a customer.
var ofNobody = []Permission{Look, ReadCatalogue, TrustedFields, OverrideStock, ActForCustomers}

// Reach is how far a permission goes.
type Reach string

// The values of Reach.
const (
	None Reach = ""    // the permission is not granted
	Own  Reach = "own" // for what belongs to the principal's customer
	All  Reach = "all" // for everything
)

// Grants say how far each permission of a role reaches. A permission that is not in them is not
// granted.
type Grants map[Permission]Reach

// grant makes Grants with one reach for all permissions.
func grant(reach Reach, permissions ...Permission) Grants {
	grants := make(Grants, len(permissions))
	for _, permission := range permissions {
		grants[permission] = reach
	}
	return grants
}

// list returns the grants in the form that an event has.
func (g Grants) list() []Grant {
	list := make([]Grant, 0, len(g))
	for _, permission := range slices.Sorted(maps.Keys(g)) {
		list = append(list, Grant{Permission: permission, Reach: g[permission]})
	}
	return list
}

// grantsOf is the reverse of list.
func grantsOf(list []Grant) Grants {
	grants := make(Grants, len(list))
	for _, one := range list {
		grants[one.Permission] = one.Reach
	}
	return grants
}

// limited tells whether any of the permissions reaches only what belongs to a customer.
func (g Grants) limited() bool {
	for _, reach := range g {
		if reach == Own {
			return true
		}
	}
	return false
}

// and returns g with more grants. If both have a permission, the reach in more counts.
func (g Grants) and(more Grants) Grants {
	both := maps.Clone(g)
	maps.Copy(both, more)
	return both
}
