// Package eventtypes lists the types of the shop's events. It does not know what they mean.
package eventtypes

import (
	"fmt"
	"reflect"

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
)

// All returns the type names of all events that this or an earlier version writes, each with
// the Go type that it is decoded into.
func All() map[string]reflect.Type {
	all := make(map[string]reflect.Type)
	learn(all, product.Types(), product.Decode)
	learn(all, cart.Types(), cart.Decode)
	learn(all, order.Types(), order.Decode)
	learn(all, returns.Types(), returns.Decode)
	learn(all, stock.Types(), stock.Decode)
	learn(all, access.Types(), access.Decode)
	learn(all, staff.Types(), staff.Decode)
	learn(all, staff.LoginTypes(), staff.DecodeLogin)
	learn(all, customer.Types(), customer.Decode)
	learn(all, subject.Types(), subject.Decode)
	learn(all, pricelist.Types(), pricelist.Decode)
	learn(all, shipping.Types(), shipping.Decode)
	learn(all, entity.Types(), entity.Decode)
	learn(all, promotion.Types(), promotion.Decode)
	learn(all, promotion.CustomerTypes(), promotion.DecodeCustomer)
	learn(all, coupon.Types(), coupon.Decode)
	learn(all, giftcard.Types(), giftcard.Decode)
	learn(all, payment.Types(), payment.Decode)
	return all
}

// learn finds the Go type of each type name. It decodes an event without members for this.
func learn[E any](all map[string]reflect.Type, types []string, decode func(string, []byte) (E, error)) {
	for _, name := range types {
		event, err := decode(name, []byte(`{}`))
		if err != nil {
			panic(fmt.Errorf("the event %s cannot be read without members: %w", name, err))
		}
		all[name] = reflect.TypeOf(event)
	}
}
