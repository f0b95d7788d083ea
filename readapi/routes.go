package readapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// routes lists all routes of the read API.
func (a *api) routes() {
	const item = "/v1/stock/{sku}/{location}"
	in := func(views ...string) []string { return views }
	missing := []string{problem.CodeNotFound}

	get(a, apidoc.TagOrders, route{path: "/v1/orders", id: "list-orders", needs: access.ReadOrders, summary: "List orders", views: in(orders, customers), about: "The newest first, unless sort says otherwise. An order must match all filters. Most filters take several values, separated by commas. Put a backslash before a comma that belongs to a value."}, nil, a.listOrders)
	get(a, apidoc.TagOrders, route{path: "/v1/orders/{order_id}", id: "get-order", needs: access.ReadOrders, summary: "Show an order with all that belongs to it", views: in(orders, customers), problems: missing, about: "Lines, what stock promised, payments, shipments, returns, and the timeline of who did what when."}, func(o resource.Order) int64 { return o.Revision }, a.order)
	get(a, apidoc.TagOrders, route{path: "/v1/orders/{order_id}/money", id: "explain-order-money", needs: access.ReadOrders, summary: "Explain the amounts of an order", views: in(orders, customers), problems: missing, about: "What is owed, kept, to be returned and to be collected, down to the events that each amount comes from: each entry has the position of its event in the log, and says by how much the event has changed each sum, line and charge."},
		func(m resource.OrderMoney) int64 { return m.Revision }, a.orderMoney)
	get(a, apidoc.TagReturns, route{path: "/v1/returns", id: "list-returns", needs: access.ReadReturns, summary: "List returns and credit notes", views: in(orders, customers), about: "The newest first, unless sort says otherwise. Credit notes are in this list, too, with the status noted."}, nil, a.listReturns)
	get(a, apidoc.TagReturns, route{path: "/v1/returns/{return_id}", id: "get-return", needs: access.ReadReturns, summary: "Show a return or a credit note", views: in(orders, customers), about: "With its lines, what arrived, money given back, and the timeline of who did what when.", problems: missing},
		func(r resource.Return) int64 { return r.Revision }, a.getReturn)

	get(a, apidoc.TagStock, route{path: "/v1/stock", id: "list-stock", needs: access.ReadStock, summary: "List stock levels", views: in(stock), about: "By SKU and location, as of now: a reservation counts up to its deadline."}, nil, a.listStock)
	get(a, apidoc.TagStock, route{path: "/v1/stock/{sku}", id: "list-sku-stock", needs: access.ReadStock, summary: "List the stock of a SKU at all locations", views: in(stock), about: "By location, as of now: a reservation counts up to its deadline."}, nil, a.skuStock)
	get(a, apidoc.TagStock, route{path: item, id: "get-stock", needs: access.ReadStock, summary: "Show the stock of a SKU at a location", views: in(stock), problems: missing, about: "As of now: a reservation counts up to its deadline, whether or not its end is recorded."}, func(l resource.Stock) int64 { return l.Revision }, a.stockLevel)
	get(a, apidoc.TagStock, route{path: item + "/movements", id: "list-stock-movements", needs: access.ReadStock, summary: "List what moved", views: in(stock), problems: missing, about: "Every entry of the item's history, the newest first, unless sort says otherwise. The item's levels are the sums of these entries. With a filter, counting reads the oldest 10,000 entries."}, nil, a.movements)
	get(a, apidoc.TagStock, route{path: "/v1/reorder-alerts", id: "list-reorder-alerts", needs: access.ReadStock, summary: "List items at or below their reorder point", views: in(stock), about: "By SKU and location, as of now. An alert ends by itself when the item's available units are above its reorder point again."}, nil, a.reorderAlerts)
	get(a, apidoc.TagPromises, route{path: "/v1/reservations", id: "list-reservations", needs: access.ReadStock, summary: "List open reservations", views: in(stock), about: "By SKU and location. A reservation keeps goods until its deadline, for a checkout or for a caller who reserved them directly."}, nil, a.reservations)
	get(a, apidoc.TagPromises, route{path: "/v1/allocations", id: "list-allocations", needs: access.ReadStock, summary: "List open allocations", views: in(stock), about: "By SKU, location and order. An allocation is a promise to an order, without a deadline."}, nil, a.allocations)

	get(a, apidoc.TagCarts, route{path: "/v1/carts", id: "list-carts", needs: access.ReadCarts, summary: "List carts, the last changed first", views: in(carts, customers), about: "The carts of this list have no lines. Show a single cart to see its lines."}, nil, a.listCarts)
	get(a, apidoc.TagCarts, route{path: "/v1/carts/{cart_id}", id: "get-cart", needs: access.ReadCarts, summary: "Show a cart", views: in(carts, customers), about: "With its lines, priced as they were when they were added. A cart that became an order has no lines, because the order has them.", problems: missing}, func(c resource.Cart) int64 { return c.Revision }, a.cart)
	get(a, apidoc.TagProducts, route{path: "/v1/products", id: "list-products", needs: access.ReadCatalogue, summary: "List the catalogue", views: in(products), about: "By SKU. The list has retired products, too, unless you give status=on_sale."}, nil, a.listProducts)
	get(a, apidoc.TagProducts, route{path: "/v1/products/{sku}", id: "get-product", needs: access.ReadCatalogue, summary: "Show a product", views: in(products), about: "With its price in each currency.", problems: missing}, func(p resource.Product) int64 { return p.Revision }, a.product)

	get(a, apidoc.TagSales, route{path: "/v1/sales", id: "total-sales", needs: access.ReadSales, summary: "Total what was sold", views: in(sales), about: "The totals can be divided by day, month, SKU, country, channel and kind of document. Each currency has its own totals."}, nil, a.salesTotals)
	get(a, apidoc.TagSales, route{path: "/v1/sales/documents", id: "list-sales-documents", needs: access.ReadSales, summary: "List the documents that totals are made of", views: in(sales, customers), about: "Orders, returns, credit notes and corrections, the oldest first, unless sort says otherwise."}, nil, a.salesDocuments)
	get(a, apidoc.TagSales, route{path: "/v1/customers", id: "list-customers", needs: access.ReadSales, summary: "List customers by what they bought", views: in(sales, customers), about: "By net amount in one currency, the largest first, unless sort says otherwise."}, nil, a.customers)
	get(a, apidoc.TagSales, route{path: "/v1/customers/{customer_id}", id: "get-customer", needs: access.ReadCustomers, summary: "Show a customer", views: in(sales, customers), about: "The account, if the customer has one, and all sales to the customer together, in each currency.", problems: missing}, func(c resource.Customer) int64 { return c.Revision }, a.customer)
	get(a, apidoc.TagCustomers, route{path: "/v1/shared-wish-list", id: "get-shared-wish-list", needs: access.ReadCatalogue, summary: "Show a wish list that somebody has shared", views: in(customers), about: "The header Daybook-Wish-List has the token of the list. The response does not say whose list it is.", problems: missing}, nil, a.sharedList)
	get(a, apidoc.TagCustomers, route{path: "/v1/customer-accounts", id: "list-customer-accounts", needs: access.ReadAccounts, summary: "Find customers", views: in(customers, orders), about: "Customers who are registered, the newest first, unless sort says otherwise. A customer must match all filters."}, nil, a.accounts)
	get(a, apidoc.TagSales, route{path: "/v1/customers/{customer_id}/orders", id: "list-customer-orders", needs: access.ReadOrders, summary: "List a customer's orders", views: in(orders, customers), problems: missing, about: "The newest first, unless sort says otherwise."}, nil, a.customerOrders)

	a.priceRoutes()
	a.reportRoutes()
	a.registerEvents()

	huma.Register(a.huma, huma.Operation{
		OperationID: "list-processes", Method: http.MethodGet, Path: "/v1/processes", Summary: "List work that is not finished", Tags: []string{apidoc.TagProcesses},
		Metadata: problem.Listing(access.ReadProcesses, problem.OfReads...), Middlewares: huma.Middlewares{noteFaults},
		Description: "Checkouts, orders and returns that still need steps in other places, such as stock. Work that could not be finished is parked with its reason; other work goes on.",
	}, a.processes)

	huma.Register(a.huma, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/keys", Summary: "List API keys", Tags: []string{apidoc.TagAccess},
		Metadata: problem.Listing(access.ReadAccess, problem.OfReads...), Middlewares: huma.Middlewares{noteFaults}, Description: "By id, without their secrets.",
	}, a.keys)
	a.peopleRoutes()
	huma.Register(a.huma, huma.Operation{
		OperationID: "list-roles", Method: http.MethodGet, Path: "/v1/roles", Summary: "List roles", Tags: []string{apidoc.TagAccess},
		Metadata: problem.Listing(access.ReadAccess), Description: "With what each may do.",
	}, a.roles)

	huma.Register(a.huma, healthOperation(access.ReadHealth, "list-projections", "/v1/projections", "Show how far the read models are", "Each build of each read model, in use or not.", problem.OfReads...), a.projections)
	RegisterHealth(a.huma, a.Watch.Health)
}

// peopleRoutes are the routes of people who sign in.
func (a *api) peopleRoutes() {
	huma.Register(a.huma, huma.Operation{
		OperationID: "list-staff", Method: http.MethodGet, Path: "/v1/staff", Summary: "List people", Tags: []string{apidoc.TagPeople},
		Metadata: problem.Listing(access.ReadAccess, problem.OfReads...), Middlewares: huma.Middlewares{noteFaults}, Description: "Who may sign in, by id, with their addresses.",
	}, a.staff)
	huma.Register(a.huma, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/auth/sessions", Summary: "List your sessions", Tags: []string{apidoc.TagPeople},
		Metadata: problem.Listing(access.Look, problem.OfReads...), Description: "Those that are good now, the oldest first. An API key has none.",
	}, a.sessions)
	huma.Register(a.huma, huma.Operation{
		OperationID: "list-staff-sessions", Method: http.MethodGet, Path: "/v1/staff/{person_id}/sessions", Summary: "List the sessions of a person", Tags: []string{apidoc.TagPeople},
		Metadata: problem.Listing(access.ReadAccess, append([]string{problem.CodeNotFound}, problem.OfReads...)...), Description: "Those that are good now, the oldest first.",
	}, a.staffSessions)
	huma.Register(a.huma, huma.Operation{
		OperationID: "get-login", Method: http.MethodGet, Path: "/v1/customers/{customer_id}/login", Summary: "Show how a customer signs in", Tags: []string{apidoc.TagCustomers},
		Metadata: problem.Listing(access.ReadCustomers, append([]string{problem.CodeNotFound}, problem.OfReads...)...), Description: "404 if the customer has never signed up.",
	}, a.login)
	huma.Register(a.huma, huma.Operation{
		OperationID: "get-caller", Method: http.MethodGet, Path: "/v1/auth/me", Summary: "Show who you are", Tags: []string{apidoc.TagPeople},
		Metadata: problem.Listing(access.Look), Description: "As the server knows you by your session or your API key, and what you may do.",
	}, a.caller)
}
