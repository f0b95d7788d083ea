package commands

import (
	"cmp"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
)

// Rules are the definitions of the aggregates. A Service makes its handlers from them.
type Rules struct {
	Products  aggregate.Definition[product.State, product.Command, product.Event]
	Carts     aggregate.Definition[cart.State, cart.Command, cart.Event]
	Stock     aggregate.Definition[stock.State, stock.Command, stock.Event]
	Orders    aggregate.Definition[order.State, order.Command, order.Event]
	Returns   aggregate.Definition[returns.State, returns.Command, returns.Event]
	Access    aggregate.Definition[access.State, access.Command, access.Event]
	Staff     aggregate.Definition[staff.State, staff.Command, staff.Event]
	Logins    aggregate.Definition[staff.State, staff.Command, staff.Event]
	Customers aggregate.Definition[customer.State, customer.Command, customer.Event]
	Subjects  aggregate.Definition[subject.State, subject.Command, subject.Event]

	Promotions   aggregate.Definition[promotion.State, promotion.Command, promotion.Event]
	CustomerUses aggregate.Definition[promotion.State, promotion.Command, promotion.Event]
	Coupons      aggregate.Definition[coupon.State, coupon.Command, coupon.Event]
	GiftCards    aggregate.Definition[giftcard.State, giftcard.Command, giftcard.Event]
	PriceLists   aggregate.Definition[pricelist.State, pricelist.Command, pricelist.Event]
	Methods      aggregate.Definition[shipping.State, shipping.Command, shipping.Event]
	Payments     aggregate.Definition[payment.State, payment.Command, payment.Event]
	Entities     aggregate.Definition[entity.State, entity.Command, entity.Event]
}

// ShopRules are the rules of the packages under domain.
func ShopRules() Rules {
	return Rules{
		Products: ProductRules(), Carts: CartRules(), Stock: StockRules(), Orders: OrderRules(), Returns: ReturnRules(), Access: AccessRules(), Staff: StaffRules(), Logins: LoginRules(), Customers: CustomerRules(), Subjects: SubjectRules(),
		PriceLists: PriceListRules(), Methods: MethodRules(), Entities: EntityRules(),
		Promotions: PromotionRules(), CustomerUses: CustomerUseRules(), Coupons: CouponRules(), GiftCards: GiftCardRules(), Payments: PaymentRules(),
	}
}

// within makes an aggregate.Definition.Within. of returns the locations that a command reaches.
func within[C, S any](of func(C, S) []unit.LocationID) func([]string, C, S) error {
	return func(locations []string, c C, s S) error {
		var scope access.Scope
		for _, location := range locations {
			scope.Locations = append(scope.Locations, unit.LocationID(location))
		}
		return scope.ReachesLocations(of(c, s)...)
	}
}

// subjectOf is whom the texts of a cart, an order or a return are about: the customer, or else the
// guest who has the cart. If neither is known, the stream has a key of its own.
func subjectOf(customer unit.CustomerID, guest unit.CartID, stream string) string {
	return cmp.Or(string(customer.Owner()), string(guest.Owner()), stream)
}

// ProductRules are those of the catalogue.
func ProductRules() aggregate.Definition[product.State, product.Command, product.Event] {
	return aggregate.Definition[product.State, product.Command, product.Event]{
		Category: product.Category, FoldVersion: product.FoldVersion,
		Decide: product.Decide, Evolve: product.Evolve, Encode: product.Encode, Decode: product.Decode,
	}
}

// CartRules are those of carts.
func CartRules() aggregate.Definition[cart.State, cart.Command, cart.Event] {
	return aggregate.Definition[cart.State, cart.Command, cart.Event]{
		Category: cart.Category, FoldVersion: cart.FoldVersion,
		About: cart.About, Recall: cart.Recall,
		Owned: func(s cart.State, owner string) bool { return s.OwnedBy(unit.Owner(owner)) }, NotOwned: access.Hide(cart.ErrNotFound),
		Within: within(cart.Locations), Subject: func(s cart.State) string { return subjectOf(s.CustomerID, s.CartID, "") },
		Decide: cart.Decide, Evolve: cart.Evolve, Encode: cart.Encode, Decode: cart.Decode,
	}
}

// StockRules are those of stock. Stock's streams grow long, so they have snapshots.
func StockRules() aggregate.Definition[stock.State, stock.Command, stock.Event] {
	return aggregate.Definition[stock.State, stock.Command, stock.Event]{
		Category: stock.Category, FoldVersion: stock.FoldVersion, SnapshotEvery: 500, Guarded: stock.Guarded, Within: within(stock.Locations),
		About: stock.About, Recall: stock.Recall,
		Decide: stock.Decide, Evolve: stock.Evolve, Encode: stock.Encode, Decode: stock.Decode,
	}
}

// OrderRules are those of orders.
func OrderRules() aggregate.Definition[order.State, order.Command, order.Event] {
	return aggregate.Definition[order.State, order.Command, order.Event]{
		Category: order.Category, FoldVersion: order.FoldVersion,
		Owned: func(s order.State, owner string) bool { return s.OwnedBy(unit.Owner(owner)) }, NotOwned: access.Hide(order.ErrNotFound),
		Within:  within(order.Locations),
		Subject: func(s order.State) string { return subjectOf(s.CustomerID, s.CartID, order.Stream(s.OrderID)) },
		Decide:  order.Decide, Evolve: order.Evolve, Encode: order.Encode, Decode: order.Decode,
	}
}

// ReturnRules are those of returns and credit notes.
func ReturnRules() aggregate.Definition[returns.State, returns.Command, returns.Event] {
	return aggregate.Definition[returns.State, returns.Command, returns.Event]{
		Category: returns.Category, FoldVersion: returns.FoldVersion,
		Owned: func(s returns.State, owner string) bool { return s.OwnedBy(unit.Owner(owner)) }, NotOwned: access.Hide(returns.ErrNotFound),
		Within: within(returns.Locations),
		Subject: func(s returns.State) string {
			if noted := s.Noted; noted.ReturnID != "" {
				return subjectOf(noted.CustomerID, "", returns.Stream(noted.ReturnID))
			}
			return subjectOf(s.Customer(), s.Requested.CartID, returns.Stream(s.Requested.ReturnID))
		},
		Decide: returns.Decide, Evolve: returns.Evolve, Encode: returns.Encode, Decode: returns.Decode,
	}
}

// AccessRules are those of API keys and roles.
func AccessRules() aggregate.Definition[access.State, access.Command, access.Event] {
	return aggregate.Definition[access.State, access.Command, access.Event]{
		Category: access.Category, FoldVersion: access.FoldVersion,
		Decide: access.Decide, Evolve: access.Evolve, Encode: access.Encode, Decode: access.Decode,
	}
}

// CustomerRules are those of customers' accounts.
func CustomerRules() aggregate.Definition[customer.State, customer.Command, customer.Event] {
	return aggregate.Definition[customer.State, customer.Command, customer.Event]{
		Category: customer.Category, FoldVersion: customer.FoldVersion,
		Owned: func(s customer.State, owner string) bool { return s.OwnedBy(unit.Owner(owner)) }, NotOwned: access.Hide(customer.ErrNotFound),
		Subject: func(s customer.State) string { return string(s.CustomerID.Owner()) },
		Decide:  customer.Decide, Evolve: customer.Evolve, Encode: customer.Encode, Decode: customer.Decode,
	}
}

// StaffRules are those of people who sign in. Their stream grows with each sign-in, so it has
// snapshots.
func StaffRules() aggregate.Definition[staff.State, staff.Command, staff.Event] {
	return aggregate.Definition[staff.State, staff.Command, staff.Event]{
		Category: staff.Category, FoldVersion: staff.FoldVersion, SnapshotEvery: 500,
		Decide: staff.Decide, Evolve: staff.Evolve, Encode: staff.Encode, Decode: staff.Decode,
	}
}

// LoginRules are those of customers who sign in. They have no snapshots, because a snapshot would
// have the e-mail address in clear text.
func LoginRules() aggregate.Definition[staff.State, staff.Command, staff.Event] {
	return aggregate.Definition[staff.State, staff.Command, staff.Event]{
		Category: staff.LoginCategory, FoldVersion: staff.FoldVersion,
		Subject: func(s staff.State) string { return string(s.LoginCustomer().Owner()) },
		Decide:  staff.Decide, Evolve: staff.Evolve, Encode: staff.EncodeLogin, Decode: staff.DecodeLogin,
	}
}

// SubjectRules are those of the customers and guests whose texts are erased.
func SubjectRules() aggregate.Definition[subject.State, subject.Command, subject.Event] {
	return aggregate.Definition[subject.State, subject.Command, subject.Event]{
		Category: subject.Category, FoldVersion: subject.FoldVersion,
		Decide: subject.Decide, Evolve: subject.Evolve, Encode: subject.Encode, Decode: subject.Decode,
	}
}

// PromotionRules are those of promotions. The stream of a limited promotion grows with each use,
// so it has snapshots.
func PromotionRules() aggregate.Definition[promotion.State, promotion.Command, promotion.Event] {
	return aggregate.Definition[promotion.State, promotion.Command, promotion.Event]{
		Category: promotion.Category, FoldVersion: promotion.FoldVersion, SnapshotEvery: 500,
		Decide: promotion.Decide, Evolve: promotion.Evolve, Encode: promotion.Encode, Decode: promotion.Decode,
	}
}

// CustomerUseRules are those of the uses of one customer.
func CustomerUseRules() aggregate.Definition[promotion.State, promotion.Command, promotion.Event] {
	return aggregate.Definition[promotion.State, promotion.Command, promotion.Event]{
		Category: promotion.CustomerCategory, FoldVersion: promotion.FoldVersion,
		Decide: promotion.Decide, Evolve: promotion.Evolve, Encode: promotion.EncodeCustomer, Decode: promotion.DecodeCustomer,
	}
}

// CouponRules are those of the codes of coupons.
func CouponRules() aggregate.Definition[coupon.State, coupon.Command, coupon.Event] {
	return aggregate.Definition[coupon.State, coupon.Command, coupon.Event]{
		Category: coupon.Category, FoldVersion: coupon.FoldVersion,
		Decide: coupon.Decide, Evolve: coupon.Evolve, Encode: coupon.Encode, Decode: coupon.Decode,
	}
}

// PaymentRules are those of the payments that orders claim.
func PaymentRules() aggregate.Definition[payment.State, payment.Command, payment.Event] {
	return aggregate.Definition[payment.State, payment.Command, payment.Event]{
		Category: payment.Category, FoldVersion: payment.FoldVersion,
		Decide: payment.Decide, Evolve: payment.Evolve, Encode: payment.Encode, Decode: payment.Decode,
	}
}

// GiftCardRules are those of gift cards and credit accounts.
func GiftCardRules() aggregate.Definition[giftcard.State, giftcard.Command, giftcard.Event] {
	return aggregate.Definition[giftcard.State, giftcard.Command, giftcard.Event]{
		Category: giftcard.Category, FoldVersion: giftcard.FoldVersion,
		Owned: func(s giftcard.State, owner string) bool { return s.OwnedBy(unit.Owner(owner)) }, NotOwned: access.Hide(giftcard.ErrNotFound),
		Subject: func(s giftcard.State) string {
			return subjectOf(s.CustomerID, "", giftcard.Stream(s.ID))
		},
		Decide: giftcard.Decide, Evolve: giftcard.Evolve, Encode: giftcard.Encode, Decode: giftcard.Decode,
	}
}

// PriceListRules are those of price lists. A list of many SKUs is folded from many large events, so
// it has snapshots.
func PriceListRules() aggregate.Definition[pricelist.State, pricelist.Command, pricelist.Event] {
	return aggregate.Definition[pricelist.State, pricelist.Command, pricelist.Event]{
		Category: pricelist.Category, FoldVersion: pricelist.FoldVersion, SnapshotEvery: 100,
		Decide: pricelist.Decide, Evolve: pricelist.Evolve, Encode: pricelist.Encode, Decode: pricelist.Decode,
	}
}

// MethodRules are those of shipping methods.
func MethodRules() aggregate.Definition[shipping.State, shipping.Command, shipping.Event] {
	return aggregate.Definition[shipping.State, shipping.Command, shipping.Event]{
		Category: shipping.Category, FoldVersion: shipping.FoldVersion,
		Decide: shipping.Decide, Evolve: shipping.Evolve, Encode: shipping.Encode, Decode: shipping.Decode,
	}
}

// EntityRules are those of legal entities.
func EntityRules() aggregate.Definition[entity.State, entity.Command, entity.Event] {
	return aggregate.Definition[entity.State, entity.Command, entity.Event]{
		Category: entity.Category, FoldVersion: entity.FoldVersion,
		Decide: entity.Decide, Evolve: entity.Evolve, Encode: entity.Encode, Decode: entity.Decode,
	}
}
