package commandapi

import "net/http"

// Names of the parts of the document.
const (
	tagProducts  = "Products"
	tagCarts     = "Carts"
	tagStock     = "Stock"
	tagPromises  = "Reservations and allocations"
	tagOrders    = "Orders"
	tagReturns   = "Returns"
	tagProcesses = "Processes"
)

// Methods, short.
const (
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is the command API on one screen. key marks what would move stock or
// money twice if it were done twice: it needs an Idempotency-Key.
func (a *api) routes() {
	const (
		product     = "/v1/products/{sku}"
		cart        = "/v1/carts/{cart_id}"
		stock       = "/v1/stock/{sku}/{location}"
		reservation = stock + "/reservations/{reservation_id}"
		order       = "/v1/orders/{order_id}"
		ret         = "/v1/returns/{return_id}"
	)
	add(a, tagProducts, op{method: put, path: product, id: "list-product", summary: "List a product, or change its title and prices"}, a.listProduct)
	add(a, tagProducts, op{method: put, path: product + "/prices/{currency}", id: "set-price", summary: "Set the price of a product in one currency"}, a.setPrice)
	add(a, tagProducts, op{method: remove, path: product, id: "retire-product", summary: "Take a product off sale"}, a.retireProduct)

	add(a, tagCarts, op{method: post, path: "/v1/carts", id: "open-cart", lines: true, summary: "Open a cart, with its first lines", created: true, about: aboutOpenCart}, a.openCart)
	add(a, tagCarts, op{method: post, path: cart + "/lines", id: "add-cart-lines", lines: true, summary: "Add lines to a cart"}, a.addLines)
	add(a, tagCarts, op{method: patch, path: cart + "/lines/{line}", id: "change-cart-line", summary: "Change the quantity of a line"}, a.changeQuantity)
	add(a, tagCarts, op{method: remove, path: cart + "/lines/{line}", id: "remove-cart-line", summary: "Take a line out of a cart"}, a.removeLine)
	add(a, tagCarts, op{method: post, path: cart + "/checkout", id: "checkout-cart", summary: "Turn a cart into an order", created: true, key: true, about: aboutCheckout}, a.checkout)
	add(a, tagCarts, op{method: post, path: cart + "/abandon", id: "abandon-cart", summary: "Give a cart up"}, a.abandonCart)
	add(a, tagCarts, op{method: post, path: cart + "/expire", id: "expire-cart", summary: "End an open cart that nobody has touched for as long as the shop allows"}, a.expireCart)

	add(a, tagStock, op{method: post, path: stock + "/receipts", id: "receive-stock", summary: "Receive goods", key: true}, a.receiveStock)
	add(a, tagStock, op{method: post, path: stock + "/adjustments", id: "adjust-stock", summary: "Correct what is on hand", key: true}, a.adjustStock)
	add(a, tagStock, op{method: post, path: stock + "/counts", id: "count-stock", summary: "Set on hand to what was counted", key: true}, a.countStock)
	add(a, tagStock, op{method: post, path: stock + "/moves", id: "move-stock", summary: "Change the condition of goods on hand", key: true}, a.moveCondition)
	add(a, tagStock, op{method: post, path: stock + "/transfers-out", id: "transfer-stock-out", summary: "Send goods to another location", key: true}, a.transferOut)
	add(a, tagStock, op{method: post, path: stock + "/transfers-in", id: "transfer-stock-in", summary: "Take goods in from another location", key: true}, a.transferIn)
	add(a, tagStock, op{method: post, path: stock + "/shipments", id: "ship-stock", summary: "Take allocated goods out, apart from an order's shipment", key: true, about: aboutDirect}, a.shipStock)
	add(a, tagStock, op{method: post, path: stock + "/returns", id: "return-stock", summary: "Take returned goods back, apart from a return's receipt", key: true, about: aboutDirect}, a.returnStock)
	add(a, tagStock, op{method: put, path: stock + "/policy", id: "set-stock-policy", summary: "Set safety stock, backorder limit and reorder point"}, a.setPolicy)
	add(a, tagStock, op{method: post, path: stock + "/expirations", id: "expire-reservations", summary: "End the reservations whose deadline has passed", about: "Done by itself in time; they count as expired from their deadline in any case."}, a.expireDue)

	add(a, tagPromises, op{method: post, path: stock + "/reservations", id: "reserve-stock", summary: "Hold goods until a deadline", key: true}, a.reserve)
	add(a, tagPromises, op{method: patch, path: reservation, id: "extend-reservation", summary: "Move the deadline of a reservation", about: aboutDirect}, a.extend)
	add(a, tagPromises, op{method: remove, path: reservation, id: "release-reservation", summary: "Give up a reservation", about: aboutDirect}, a.release)
	add(a, tagPromises, op{method: post, path: reservation + "/commit", id: "commit-reservation", summary: "Turn a reservation into an allocation", key: true, about: aboutNoForce}, a.commit)
	add(a, tagPromises, op{method: post, path: stock + "/allocations", id: "allocate-stock", summary: "Promise goods to an order", key: true, about: aboutNoForce}, a.allocate)
	add(a, tagPromises, op{method: post, path: stock + "/deallocations", id: "deallocate-stock", summary: "Take a promise back", key: true, about: aboutDirect}, a.deallocate)

	add(a, tagOrders, op{method: post, path: order + "/confirm", id: "confirm-order", summary: "Make an order binding", about: "Its reservations become allocations."}, a.plainly(a.confirm))
	add(a, tagOrders, op{method: post, path: order + "/hold", id: "hold-order", summary: "Stop the fulfilment of an order"}, a.holdOrder)
	add(a, tagOrders, op{method: post, path: order + "/release-hold", id: "release-order-hold", summary: "Let the fulfilment of an order go on"}, a.plainly(releaseHold))
	add(a, tagOrders, op{method: post, path: order + "/cancel", id: "cancel-order", lines: true, summary: "Cancel an order, or lines of it", key: true}, a.cancelOrder)
	add(a, tagOrders, op{method: post, path: order + "/expire", id: "expire-order", summary: "End an order that was not confirmed in time", about: "Done by itself at the deadline; before it, nothing happens."}, a.plainly(a.expireOrder))
	add(a, tagOrders, op{method: post, path: order + "/transactions", id: "record-transaction", summary: "Record a payment transaction", key: true}, a.recordTransaction)
	add(a, tagOrders, op{method: patch, path: order + "/transactions/{transaction_id}", id: "settle-transaction", summary: "Give a pending transaction its end", key: true}, a.settleTransaction)
	add(a, tagOrders, op{method: post, path: order + "/shipments", id: "ship-order", lines: true, summary: "Ship a parcel", created: true, key: true}, a.shipOrder)
	add(a, tagOrders, op{method: post, path: order + "/shipments/{shipment_id}/deliver", id: "deliver-shipment", summary: "Record a parcel's arrival"}, a.deliver)
	add(a, tagOrders, op{method: post, path: order + "/retry-allocation", id: "retry-allocation", summary: "Ask stock again for what an order lost", key: true, about: "What was taken back from it by force is found, too. `retry` tells what was done."}, a.retryAllocation)
	add(a, tagOrders, op{method: post, path: order + "/complete", id: "complete-order", summary: "Complete an order"}, a.plainly(complete))
	add(a, tagOrders, op{method: post, path: order + "/archive", id: "archive-order", summary: "Hide a finished order from daily work"}, a.plainly(archive))
	add(a, tagOrders, op{method: post, path: order + "/unarchive", id: "unarchive-order", summary: "Show an archived order again"}, a.plainly(unarchive))

	add(a, tagReturns, op{method: post, path: "/v1/returns", id: "request-return", lines: true, summary: "Ask to send goods back", created: true}, a.requestReturn)
	add(a, tagReturns, op{method: post, path: ret + "/approve", id: "approve-return", summary: "Let the goods be sent"}, a.approveReturn)
	add(a, tagReturns, op{method: post, path: ret + "/decline", id: "decline-return", summary: "Refuse a return"}, a.declineReturn)
	add(a, tagReturns, op{method: post, path: ret + "/cancel", id: "cancel-return", summary: "Call a return off before anything came"}, a.cancelReturn)
	add(a, tagReturns, op{method: post, path: ret + "/receipts", id: "receive-return", lines: true, summary: "Record what came back", key: true}, a.receiveReturn)
	add(a, tagReturns, op{method: post, path: ret + "/refunds", id: "refund-return", summary: "Record money given back", key: true}, a.refundReturn)
	add(a, tagReturns, op{method: post, path: ret + "/close", id: "close-return", summary: "Close a return"}, a.closeReturn)
	add(a, tagReturns, op{method: post, path: "/v1/credit-notes", id: "note-credit", lines: true, summary: "Note a credit that moves no goods", created: true, key: true}, a.noteCredit)

	add(a, tagProcesses, op{method: post, path: "/v1/processes/{process_id}/retry", id: "retry-process", summary: "Try parked work again now", about: "Answers what the try did. It is tried by itself, too, when something happens in its stream and once an hour."}, a.retryProcess)
	add(a, tagProcesses, op{method: post, path: "/v1/processes/{process_id}/dismiss", id: "dismiss-process", summary: "Leave parked work as it is", about: "For what can never be finished, such as work on a deleted stream. It is tried again only when something happens in its stream, or by its retry; `/readyz` and `verify` count it no more."}, a.dismissProcess)
}

const (
	aboutNoForce = "For goods handled outside this program's orders. What belongs to one of them is refused (409 `stock-belongs-to-order`): " +
		"confirm the order, or call its retry-allocation."
	aboutOpenCart = "Lines are priced from the catalogue, in the cart's currency; each keeps its price."
	aboutCheckout = "Holds all the stock and places the order, or holds nothing and answers 409 `stock-insufficient` with what is left; the cart is then open again. " +
		"With `payment` and `confirm` a storefront needs no further call. If those are refused, the order stands, pending, and the problem names it in `order_id`."
	aboutDirect = "For goods handled outside this program's orders and returns, which do this by themselves. " +
		"What belongs to one of them is refused (409 `stock-belongs-to-order`) unless it is forced with a reason."
)
