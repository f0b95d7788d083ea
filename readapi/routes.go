package readapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/projections/cartview"
	"daybook/projections/orderview"
	"daybook/projections/productview"
	"daybook/projections/stockview"
)

// Names of the parts of the document. Where the command API has one of the same
// name, they are one part.
const (
	tagProducts  = "Products"
	tagCarts     = "Carts"
	tagStock     = "Stock"
	tagPromises  = "Reservations and allocations"
	tagOrders    = "Orders"
	tagReturns   = "Returns"
	tagSales     = "Sales and customers"
	tagEvents    = "Events"
	tagProcesses = "Processes"
	tagHealth    = "Health"
)

// routes is the read API on one screen.
func (a *api) routes() {
	const item = "/v1/stock/{sku}/{location}"
	in := func(views ...string) []string { return views }

	get(a, tagOrders, route{path: "/v1/orders", id: "list-orders", summary: "List orders", views: in(orders)}, nil, a.listOrders)
	get(a, tagOrders, route{path: "/v1/orders/{order_id}", id: "get-order", summary: "Show an order with all that belongs to it", views: in(orders), about: "Lines, what stock promised, payments, shipments, returns, and the timeline of who did what when."}, func(o orderview.Order) int64 { return o.Revision }, a.order)
	get(a, tagReturns, route{path: "/v1/returns", id: "list-returns", summary: "List returns and credit notes", views: in(orders)}, nil, a.listReturns)
	get(a, tagReturns, route{path: "/v1/returns/{return_id}", id: "get-return", summary: "Show a return or a credit note", views: in(orders)},
		func(r orderview.Return) int64 { return r.Revision }, a.getReturn)

	get(a, tagStock, route{path: "/v1/stock", id: "list-stock", summary: "List stock levels", views: in(stock)}, nil, a.listStock)
	get(a, tagStock, route{path: "/v1/stock/{sku}", id: "list-sku-stock", summary: "List the stock of a SKU at all locations", views: in(stock)}, nil, a.skuStock)
	get(a, tagStock, route{path: item, id: "get-stock", summary: "Show the stock of a SKU at a location", views: in(stock), about: "As of now: a reservation counts up to its deadline, whether or not its end is recorded."}, func(l stockview.Level) int64 { return l.Revision }, a.stockLevel)
	get(a, tagStock, route{path: item + "/movements", id: "list-stock-movements", summary: "List what moved", views: in(stock), about: "Every entry of the item's history, which its levels are the sum of."}, nil, a.movements)
	get(a, tagStock, route{path: "/v1/reorder-alerts", id: "list-reorder-alerts", summary: "List items at or below their reorder point", views: in(stock)}, nil, a.reorderAlerts)
	get(a, tagPromises, route{path: "/v1/reservations", id: "list-reservations", summary: "List open reservations", views: in(stock)}, nil, a.reservations)
	get(a, tagPromises, route{path: "/v1/allocations", id: "list-allocations", summary: "List open allocations", views: in(stock)}, nil, a.allocations)

	get(a, tagCarts, route{path: "/v1/carts", id: "list-carts", summary: "List carts, the last changed first", views: in(carts)}, nil, a.listCarts)
	get(a, tagCarts, route{path: "/v1/carts/{cart_id}", id: "get-cart", summary: "Show a cart", views: in(carts)}, func(c cartview.Cart) int64 { return c.Revision }, a.cart)
	get(a, tagProducts, route{path: "/v1/products", id: "list-products", summary: "List the catalogue", views: in(products)}, nil, a.listProducts)
	get(a, tagProducts, route{path: "/v1/products/{sku}", id: "get-product", summary: "Show a product", views: in(products)}, func(p productview.Product) int64 { return p.Revision }, a.product)

	get(a, tagSales, route{path: "/v1/sales", id: "total-sales", summary: "Total what was sold", views: in(sales), about: "Broken down by any of day, month, SKU, country, channel and kind of document; never across currencies."}, nil, a.salesTotals)
	get(a, tagSales, route{path: "/v1/sales/documents", id: "list-sales-documents", summary: "List the documents that totals are made of", views: in(sales)}, nil, a.salesDocuments)
	get(a, tagSales, route{path: "/v1/customers", id: "list-customers", summary: "List customers by what they bought", views: in(sales)}, nil, a.customers)
	get(a, tagSales, route{path: "/v1/customers/{customer_id}", id: "get-customer", summary: "Show what a customer bought", views: in(sales)}, nil, a.customer)
	get(a, tagSales, route{path: "/v1/customers/{customer_id}/orders", id: "list-customer-orders", summary: "List a customer's orders", views: in(orders)}, nil, a.customerOrders)

	a.registerEvents()

	huma.Register(a.huma, huma.Operation{
		OperationID: "list-processes", Method: http.MethodGet, Path: "/v1/processes", Summary: "List work that is not finished", Tags: []string{tagProcesses},
		Description: "Checkouts, orders and returns that still need steps in other places, such as stock. Work that could not be finished is parked with its reason; other work goes on.",
	}, a.processes)

	huma.Register(a.huma, healthOperation("list-projections", "/v1/projections", "Show how far the read models are"), a.projections)
	RegisterHealth(a.huma, a.Watch.Health)
}
