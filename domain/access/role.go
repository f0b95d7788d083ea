package access

// Role is the name of a set of grants: one of the roles below, or one that an admin defined.
type Role string

// The roles that every shop has. They cannot be changed or removed.
const (
	Guest      Role = "guest"      // one cart without a customer, its order and the order's returns; a guest has a token and no key
	Customer   Role = "customer"   // what belongs to one customer, and the catalogue
	Storefront Role = "storefront" // a trusted program that acts for customers
	Operator   Role = "operator"   // the daily work: stock, orders, parcels, returns
	Manager    Role = "manager"    // what an operator may, and prices, credits, refunds above a limit and overrides
	Auditor    Role = "auditor"    // reads everything, changes nothing
	Analyst    Role = "analyst"    // reads sales, stock, orders and events, without personal data
	Admin      Role = "admin"      // everything
)

var builtIn = map[Role]Grants{
	Guest: grant(All, Look, ReadCatalogue).and(grant(Own, ReadCarts, WriteCarts, CheckOut, ReadOrders, ReadReturns, AskReturns, ExportPersonal)),
	Customer: grant(All, Look, ReadCatalogue).
		and(grant(Own, ReadCarts, WriteCarts, CheckOut, ClaimCarts, ReadOrders, CancelOrders, ClaimOrders, ReadReturns, AskReturns, ReadCustomers, WriteCustomers, ExportPersonal, LeaveShop)),
	Storefront: grant(All, Look, ReadCatalogue, ReadPrices, ReadCarts, WriteCarts, CheckOut, ClaimCarts, ReadOrders, CancelOrders, ClaimOrders, ConfirmOrder, RecordMoney,
		ReadReturns, AskReturns, ReadStock, ReadCustomers, WriteCustomers, SetTaxStatus, ReadPersonal, ExportPersonal, TrustedFields, ActForCustomers),
	Operator: grant(All, operatorMay...),
	Manager:  grant(All, operatorMay...).and(grant(All, WriteCatalogue, WritePrices, WriteShipping, WritePromotions, WriteGiftCards, NoteCredit, UnlimitedRefunds, UnlimitedDiscounts, ReducePrices, WriteOffs, UnlimitedSurcharges, ClawBack, OverrideStock, SetStock, ReadSales, ExportPersonal, ErasePersonal, LeaveShop)),
	Auditor: grant(All, Look, ReadCatalogue, ReadPrices, ReadPromotions, ReadGiftCards, ReadCarts, ReadOrders, ReadReturns, ReadStock, ReadSales, ReadCustomers, ReadAccounts, ReadPersonal, ExportPersonal, ReadEvents,
		ReadProcesses, ReadHealth, ReadAccess),
	Analyst: grant(All, Look, ReadCatalogue, ReadPrices, ReadPromotions, ReadCarts, ReadOrders, ReadReturns, ReadStock, ReadSales, ReadEvents, ReadHealth),
	Admin:   grant(All, all...),
}

var operatorMay = []Permission{
	Look, ReadCatalogue, ReadPrices, ReadPromotions, ReadGiftCards, ReadCarts, WriteCarts, CheckOut, ClaimCarts, ExpireCarts, GiveDiscounts,
	ReadOrders, CancelOrders, ClaimOrders, ConfirmOrder, HandleOrders, ShipOrders, RecordMoney, RefundOrders, AddSurcharges,
	ReadReturns, AskReturns, HandleReturns, RefundReturns,
	ReadStock, WriteStock, ReadCustomers, ReadAccounts, WriteCustomers, HandleCustomers, SetTaxStatus, ReadPersonal, ReadProcesses, WriteProcesses, ReadHealth, TrustedFields,
}

// Roles are the roles that every shop has, from the fewest rights to all.
func Roles() []Role {
	return []Role{Guest, Customer, Storefront, Operator, Manager, Auditor, Analyst, Admin}
}

// BuiltIn are the grants of a role that every shop has. The caller must not change them.
func BuiltIn(role Role) (Grants, bool) {
	grants, known := builtIn[role]
	return grants, known
}
