package commands

import (
	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
)

// Rules are the definitions of the five aggregates. A Service makes its handlers from them.
type Rules struct {
	Products aggregate.Definition[product.State, product.Command, product.Event]
	Carts    aggregate.Definition[cart.State, cart.Command, cart.Event]
	Stock    aggregate.Definition[stock.State, stock.Command, stock.Event]
	Orders   aggregate.Definition[order.State, order.Command, order.Event]
	Returns  aggregate.Definition[returns.State, returns.Command, returns.Event]
}

// ShopRules are the rules of the packages under domain.
func ShopRules() Rules {
	return Rules{Products: ProductRules(), Carts: CartRules(), Stock: StockRules(), Orders: OrderRules(), Returns: ReturnRules()}
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
		Decide: cart.Decide, Evolve: cart.Evolve, Encode: cart.Encode, Decode: cart.Decode,
	}
}

// StockRules are those of stock. Only stock's streams grow long, so only stock has snapshots.
func StockRules() aggregate.Definition[stock.State, stock.Command, stock.Event] {
	return aggregate.Definition[stock.State, stock.Command, stock.Event]{
		Category: stock.Category, FoldVersion: stock.FoldVersion, SnapshotEvery: 500, Guarded: stock.Guarded,
		About: stock.About, Recall: stock.Recall,
		Decide: stock.Decide, Evolve: stock.Evolve, Encode: stock.Encode, Decode: stock.Decode,
	}
}

// OrderRules are those of orders.
func OrderRules() aggregate.Definition[order.State, order.Command, order.Event] {
	return aggregate.Definition[order.State, order.Command, order.Event]{
		Category: order.Category, FoldVersion: order.FoldVersion,
		Decide: order.Decide, Evolve: order.Evolve, Encode: order.Encode, Decode: order.Decode,
	}
}

// ReturnRules are those of returns and credit notes.
func ReturnRules() aggregate.Definition[returns.State, returns.Command, returns.Event] {
	return aggregate.Definition[returns.State, returns.Command, returns.Event]{
		Category: returns.Category, FoldVersion: returns.FoldVersion,
		Decide: returns.Decide, Evolve: returns.Evolve, Encode: returns.Encode, Decode: returns.Decode,
	}
}
