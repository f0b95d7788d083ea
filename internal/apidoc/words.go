package apidoc

import (
	"maps"
	"slices"
	"strings"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/internal/etag"
)

// word is what the document says about members of one name: their meaning with the unit, and the
// form of their values.
type word struct {
	about   string
	format  string
	pattern string
	values  []any // all there are
	example any
}

// Forms that many members have. The patterns mean the same in ECMAScript and in RE2.
const (
	nameForm     = `^[.]*[A-Za-z0-9_-][A-Za-z0-9._-]*$` // not only dots
	skuForm      = `^[^@]+$`
	currencyForm = `^[A-Za-z]{3}$`
	decimalForm  = `^-?[0-9]+([.][0-9]+)?$`
	positionForm = `^[0-9]+(/[0-9]+)?$`
	monthForm    = `^[0-9]{4}-[0-9]{2}$`
)

func id(about, example string) word { return word{about: about, pattern: nameForm, example: example} }

func amount(about, example string) word {
	return word{about: about, format: "decimal", pattern: decimalForm, example: example}
}

func position(about string) word          { return word{about: about, pattern: positionForm, example: "1042"} }
func text(about string, example any) word { return word{about: about, example: example} }
func moment(about string) word            { return word{about: about, example: "2026-01-31T12:00:00Z"} }

func one(about string, values ...any) word {
	return word{about: about, values: values}
}

// codesOfRules are the codes of refusals, as the values of a member.
func codesOfRules(refusals []*rule.Rejection) (codes []any) {
	for _, refusal := range refusals {
		codes = append(codes, refusal.Code)
	}
	return codes
}

// eventsOf are the types of the events whose aggregates are named, sorted.
func eventsOf(aggregates ...string) (types []any) {
	for _, name := range slices.Sorted(maps.Keys(EventTypes())) {
		if of, _, _ := strings.Cut(name, "."); slices.Contains(aggregates, of) {
			types = append(types, name)
		}
	}
	return types
}

// Values of members of several schemas.
var (
	kinds          = []any{"stocked", "service"}
	conditions     = []any{"available", "damaged", "quality_control", "other"}
	payStates      = []any{"unpaid", "authorized", "partially_authorized", "partially_paid", "paid", "partially_refunded", "refunded", "overcharged", "voided"}
	shipStates     = []any{"unfulfilled", "partially_fulfilled", "fulfilled", "partially_delivered", "delivered", "backordered", "not_required"}
	transactions   = []any{"authorize", "capture", "void", "refund", "chargeback"}
	settled        = []any{"pending", "succeeded", "failed"}
	dispositions   = []any{"restocked", "damaged", "lost", "wrong_item", "written_off"}
	remedies       = []any{"void_or_refund", "backorder"}
	adjustReasons  = []any{"correction", "cycle_count", "received", "restock", "damaged", "shrinkage", "promotion", "other"}
	orderSteps     = []any{"confirm", "cancel", "expire", "shipment"}
	returnSteps    = []any{"release", "refund"}
	shortPolicies  = []any{"all-or-nothing", "line-by-line"}
	orderIDSources = []any{"caller", "server"}
)

// words are the descriptions of the document. A key is the name of a member, a parameter or a
// header. If a member has another meaning in one schema, the key is the schema's name, a point and
// the member's name. The tags of a struct take precedence.
var words = map[string]word{
	// Names of things.
	"sku":            {about: "The product's code, in upper case.", pattern: skuForm, example: "85123A"},
	"sku_prefix":     {about: "The beginning of a product's code.", pattern: skuForm, example: "851"},
	"sku_text":       text("The code as it was given, where it differs from the SKU.", "85123a"),
	"location":       id("The place that holds the stock.", "main"),
	"locations":      id("Places that hold stock, in order of preference.", "main"),
	"cart_id":        id("The cart.", "cart-1001"),
	"order_id":       id("The order.", "order-1001"),
	"customer_id":    id("The customer; left out for a guest.", "17850"),
	"return_id":      id("The return, or the credit note.", "return-1001"),
	"shipment_id":    id("The parcel.", "parcel-1"),
	"transaction_id": id("The payment transaction.", "pay-1"),
	"transfer_id":    id("The transfer between two locations.", "transfer-1"),
	"reservation_id": id("The reservation.", "reservation-1"),
	"process_id":     {about: "The unfinished work.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"last_order_id":  id("The latest order that the customer placed.", "order-1001"),
	"parent":         id("The authorization that a capture or void is of; the capture that a refund or chargeback is of.", "pay-1"),
	"order_id_from":  one("Who chose the order's id. Left out in checkouts that older programs began.", orderIDSources...),

	// Money.
	"amount":                       amount("A plain decimal.", "2.55"),
	"price":                        amount("Of one unit, a plain decimal.", "2.55"),
	"total":                        amount("The exact sum of the lines, in the currency; it is not rounded.", "7.65"),
	"placed_total":                 amount("The exact sum of the lines as the order was placed, in its currency.", "7.65"),
	"owed":                         amount("What the customer owes for it: the total, rounded to the currency's digits.", "7.65"),
	"captured":                     amount("Money taken so far, in the order's currency.", "7.65"),
	"refunded":                     amount("Money given back so far, in the currency.", "0"),
	"value":                        amount("What the lines are worth to the customer, in the currency.", "7.65"),
	"ordered":                      text("What was ordered, as placed.", nil),
	"charge":                       text("What the customer owes: the total, rounded to the currency's digits.", nil),
	"currency":                     {about: "The currency, as a code of ISO 4217.", pattern: currencyForm, example: "GBP"},
	"SalesCustomer.amount":         text("What was bought, less cancellations, returns and credit notes.", nil),
	"SalesDocument.amount":         text("By how much the document changes the shop's sales.", nil),
	"SalesTotal.amount":            text("The sum of the documents.", nil),
	"prices":                       text("Of one unit, one for each currency.", nil),
	"ReturnCreditNoted.amount":     text("The sum of the lines, as it changes the shop's sales: below zero is a credit to the customer.", nil),
	"ReturnRefundWithdrawn.amount": text("What no longer counts as given back.", nil),

	// Quantities, in units.
	"quantity":                           text("How many units.", 2),
	"requested":                          text("How many units were asked for.", 3),
	"available":                          text("How many units can still be promised: on hand less what is promised, set apart or kept back. Below zero, more is promised than is there.", 1),
	"Shortage.lines":                     text("Numbers of the lines that ask for it, ascending. Shortages that older programs recorded have none.", 2),
	"Shortage.available":                 text("How many units were left.", 1),
	"on_hand":                            text("Units that are physically there.", 10),
	"reserved":                           text("Units held for checkouts until a deadline that has not passed.", 2),
	"allocated":                          text("Units promised to orders.", 3),
	"damaged":                            text("Units on hand that are damaged.", 0),
	"quality_control":                    text("Units on hand that wait for quality control.", 0),
	"other_unavailable":                  text("Units on hand that are set apart for another reason.", 0),
	"unavailable":                        text("Units on hand that are not for sale: damaged, in quality control, or set apart otherwise.", 0),
	"safety_stock":                       text("Units kept back from sale.", 0),
	"backorder_limit":                    text("How many units may be promised beyond what is there.", 0),
	"sellable":                           text("Units that can still be promised: available and what is left of the backorder limit; never below zero.", 5),
	"backordered":                        text("Units promised to orders with no goods behind them.", 0),
	"reorder_point":                      text("An alert is raised when available falls to so many units; 0 is no alert.", 5),
	"below_reorder_point":                text("Available is at or below the reorder point.", false),
	"canceled":                           text("Units taken off the order.", 0),
	"shipped":                            text("Units that have left.", 2),
	"delivered":                          text("Units that have arrived.", 2),
	"returning":                          text("Units that have shipped and came back, or are to.", 0),
	"returnable":                         text("Units that have shipped and may still be asked back.", 2),
	"open":                               text("Units neither shipped nor taken off.", 0),
	"awaited":                            text("Units that have not come yet.", 1),
	"remaining":                          text("Units of it that have neither shipped nor been given up.", 2),
	"units":                              text("How many units in all.", 3),
	"counted":                            text("Units that were counted.", 10),
	"expected":                           text("Units that were on hand when the count began.", 11),
	"unpromised":                         text("How many of the units were not allocated to the order any more.", 0),
	"SalesCustomer.units":                text("How many units in all, less what was canceled or came back.", 40),
	"StockMovement.quantity":             text("How many units moved; 0 where none did.", 5),
	"StockAdjusted.change":               text("Units found (more than 0) or missing (less).", -1),
	"StockChange.on_hand":                text("By how many units on hand changed.", 5),
	"StockChange.reserved":               text("By how many units the reserved ones changed.", -2),
	"StockChange.allocated":              text("By how many units the allocated ones changed.", 2),
	"StockChange.damaged":                text("By how many units the damaged ones changed.", 1),
	"StockChange.quality_control":        text("By how many units those in quality control changed.", 1),
	"StockChange.other_unavailable":      text("By how many units those set apart otherwise changed.", 1),
	"ReturnAdmissionRefused.requested":   text("How many units of the line were to come back.", 3),
	"StockReorderPointCrossed.available": text("Units that could still be promised after the change; may be below zero.", 4),

	// Numbers of other things.
	"line":                       text("The line's number: 1, 2, … in the order in which lines were added.", 1),
	"line_count":                 text("How many lines there are.", 2),
	"join":                       text("Add units to the line that has the same SKU at the same price.", true),
	"lines":                      text("The lines.", nil),
	"SalesDocument.lines":        text("How many lines it has.", 2),
	"SalesTotal.lines":           text("How many lines of documents.", 120),
	"documents":                  text("How many documents; not told by SKU, because a document has many.", 40),
	"orders":                     text("How many orders.", 3),
	"returns":                    text("How many returns and credit notes.", 1),
	"Order.returns":              text("Returns that have something of the order.", nil),
	"receipt":                    text("The number of the arrival: 1, 2, …", 1),
	"receipts":                   text("What arrived, one by one.", nil),
	"revision":                   text("The place of its latest event in its stream, from 0; -1 where nothing has happened yet. Its ETag begins with this number.", 4),
	"TimelineEntry.revision":     text("The event's place in its stream, from 0.", 4),
	"StockMovement.revision":     text("The event's place in the item's stream, from 0.", 4),
	"Process.revision":           text("Its place in its stream, from 0.", 4),
	"build":                      text("Which build of the read model it is.", 1),
	"version":                    text("Which version of the read model's rules built it.", 3),
	"tries":                      text("How often it was tried.", 3),
	"attempt":                    text("The number of the try: 1, 2, …", 1),
	"hold_seconds":               text("How long it holds from now on, in seconds.", 900),
	"StockReserved.hold_seconds": text("The length that was asked for, in seconds; left out where a time was named.", 900),
	"dropped":                    text("Numbers of the lines that were left out.", 2),
	"dropped_lines":              text("Numbers of the lines that the last checkout left out.", 2),

	// Times.
	"confirm_by":               moment("When it expires if it is still pending."),
	"confirmed_at":             moment("When it was confirmed."),
	"ended_at":                 moment("When it was completed, canceled or expired."),
	"opened_at":                moment("When it was opened."),
	"changed_at":               moment("When the log took its latest event."),
	"Cart.changed_at":          moment("When its latest event took effect."),
	"CartSummary.changed_at":   moment("When its latest event took effect."),
	"recorded_at":              moment("When the log took it."),
	"placed_at":                moment("When it was placed."),
	"created_at":               moment("When it was asked for."),
	"approved_at":              moment("When it was approved."),
	"closed_at":                moment("When it was closed."),
	"listed_at":                moment("When it was listed the last time."),
	"shipped_at":               moment("When it left."),
	"delivered_at":             moment("When it arrived."),
	"settled_at":               moment("When the transaction had its end."),
	"at":                       moment("When it took effect."),
	"effective_at":             moment("When it took effect."),
	"occurred_at":              moment("When the first fact of it took effect."),
	"expires_at":               moment("When it ends by itself."),
	"hold_until":               moment("The deadline of the stock reservations, and of the order's confirmation."),
	"reserved_at":              moment("When it was reserved."),
	"since":                    moment("When available fell to the reorder point; left out where the reorder point was raised above it."),
	"first_order_at":           moment("When the customer ordered first."),
	"last_order_at":            moment("When the customer ordered last."),
	"first_tried_at":           moment("When it was tried first."),
	"last_tried_at":            moment("When it was tried last."),
	"dismissed_at":             moment("When it was dismissed."),
	"from":                     id("Where it comes from.", "main"),
	"CartMergedFrom.from":      id("The cart whose lines come.", "cart-1001"),
	"CartMergeDeclined.from":   id("The cart whose lines were to come.", "cart-1001"),
	"MergeCartInputBody.from":  id("The cart whose lines come into this one. It ends.", "cart-1002"),
	"into":                     id("The cart that the lines go into.", "cart-1001"),
	"merged_into":              id("The cart that its lines went into.", "cart-1001"),
	"if_revision":              text("The revision that the other cart must still have when it takes the lines. Left out: it may have changed.", 3),
	"CartMergeDeclined.reason": text("The code of the refusal.", "cart-full"),
	"CartMergeRefused.reason":  text("The code of the other cart's refusal.", "cart-full"),
	"to":                       id("Where it goes.", "east"),
	"day":                      {about: "The merchant's day.", format: "date", example: "2026-01-31"},
	"month":                    {about: "The merchant's month.", pattern: monthForm, example: "2026-01"},
	"StockMoved.from":          one("The condition before.", conditions...),
	"StockMoved.to":            one("The condition after.", conditions...),
	"MoveInputBody.from":       one("The condition before.", conditions...),
	"MoveInputBody.to":         one("The condition after.", conditions...),

	// Facts of problems that are named like something else.
	"CartCurrencyMismatchProblem.price":      {about: "The currency of the price.", pattern: currencyForm, example: "EUR"},
	"CartCurrencyMismatchProblem.cart":       {about: "The cart's currency.", pattern: currencyForm, example: "GBP"},
	"StockConditionUnknownProblem.condition": text("What was asked for, and is no condition.", "wet"),
	"StockReasonUnknownProblem.known":        one("The reasons there are.", adjustReasons...),
	"AdjustInputBody.change":                 text("", -1),
	"Component.age_seconds":                  text("", 0.4),
	"Health.age_seconds":                     text("", 0.1),
	"ProjectionStatus.age_seconds":           text("", 0),
	"parked":                                 text("", 1),
	"detail":                                 text("", "does not fit: want a whole number from 1 to 1000000000"),
	"parameter":                              text("", "limit"),
	"Health.reason":                          text("", "the database has not answered in time"),
	"Process.step":                           text("", "order-1001"),
	"stream":                                 text("", "order-1001"),
	"events":                                 text("", 120000),
	"lag":                                    text("", 0),
	"odd":                                    text("", 0),
	"share":                                  text("", 1),
	"order_line":                             text("", 1),
	"ReservationEndedProblem.end":            one("How it ended.", "committed", "released", "expired"),
	"AmountLimitProblem.transaction_type":    one("Of which type.", transactions...),

	// Headers and parameters.
	"Idempotency-Key":      text("", "3f0c8a1e-checkout-1"),
	"X-Correlation-ID":     text("", "0af7651916cd43dd8448eb211c80319c"),
	"Traceparent":          text("", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	"Daybook-Occurred-At":  moment(""),
	"Daybook-Min-Position": position(""),
	"Daybook-Position":     position(""),
	"Last-Event-ID":        position(""),
	"after":                position(""),
	"If-Match":             text("", `"4.uhx0cXJUUGPW7vBT"`),
	"If-None-Match":        text("", "*"),
	"ETag":                 {pattern: etag.Pattern, example: `"4.uhx0cXJUUGPW7vBT"`},
	"Location":             text("", "/v1/orders/order-1001"),
	"Idempotency-Replayed": text("", true),
	"Daybook-More":         text("", true),
	"Daybook-Event-Count":  text("How many events the page has.", 100),
	"Content-Type":         text("How the page is written.", "application/x-ndjson"),
	"cursor":               text("", "b3JkZXItMTAwMQ"),
	"limit":                text("How many at most.", 50),
	"sort":                 text("In which order; a hyphen turns it around.", nil),
	"q":                    text("", "heart"),
	"follow-events.type":   text("", "order."),

	// How things stand.
	"kind":                           one("Whether it is held in stock, or only sold, such as postage.", kinds...),
	"status":                         text("How it stands.", nil),
	"payment_state":                  one("How it is paid, as its transactions tell.", payStates...),
	"fulfillment_state":              one("How it is shipped and delivered.", shipStates...),
	"state":                          text("How it stands.", nil),
	"OrderTransactionRecorded.state": one("How the transaction stands.", settled...),
	"OrderTransactionSettled.state":  one("How the transaction ended.", "succeeded", "failed"),
	"type":                           text("What kind it is.", nil),
	"OrderTransactionRecorded.type":  one("What the transaction does.", transactions...),
	"condition":                      one("Of the goods.", conditions...),
	"StockAdjusted.condition":        one("Of the goods that were found or are gone; left out: available.", conditions...),
	"disposition":                    one("What became of the units.", dispositions...),
	"remedy":                         one("What is done because the stock was lost: the money is given back, or the order waits.", remedies...),
	"OrderStockSettled.step":         one("What asked stock to move.", orderSteps...),
	"ReturnOrdersSettled.step":       one("What was asked of the orders.", returnSteps...),
	"policy":                         one("What a checkout does when stock is short.", shortPolicies...),
	"StockAdjusted.reason":           one("Why.", adjustReasons...),
	"on_hold":                        text("Its fulfilment is stopped.", false),
	"archived":                       text("It is hidden from daily work.", false),
	"needs_attention":                text("Stock was lost, or money is to be given back.", false),
	"allocation_failed":              text("Its stock was lost after it was confirmed.", false),
	"short":                          text("The last checkout was refused, or took less than all.", false),
	"expired":                        text("Its deadline has passed: it holds nothing any more.", false),
	"forced":                         text("Goods were sent that the books did not have.", false),
	"overridden":                     text("The price was given by a trusted caller, and is not the catalogue's.", false),
	"direct":                         text("No order's process asked for it.", true),
	"split":                          text("One SKU may come from several locations.", false),
	"Shipment.delivered":             text("It has arrived.", false),
	"order_id_taken":                 text("The order's id is another cart's.", false),

	// Texts.
	"title":                              text("What it is called.", "White hanging heart"),
	"country":                            text("Where it goes, as it was given.", "United Kingdom"),
	"channel":                            text("Where it came from.", "web"),
	"actor":                              text("Who asked.", "operator:ann"),
	"reference":                          text("The caller's own number.", "536365"),
	"ReturnRefunded.reference":           text("The provider's own number.", "ch_3P1"),
	"OrderTransactionRecorded.reference": text("The provider's own number.", "ch_3P1"),
	"OrderTransactionSettled.reference":  text("The provider's own number.", "ch_3P1"),
	"RefundInputBody.reference":          text("The provider's own number.", "ch_3P1"),
	"SettleInputBody.reference":          text("The provider's own number.", "ch_3P1"),
	"reason":                             text("Why, in words.", "changed their mind"),
	"Shortage.reason":                    one("The code of the refusal, stock-insufficient most often.", codesOfRules(stock.RefusalsOfReservations)...),
	"ReturnAdmissionRefused.code":        one("The code of the order's refusal.", codesOfRules(order.Rejections)...),
	"ReturnRefundWithdrawn.code":         one("The code of the order's refusal.", codesOfRules(order.Rejections)...),
	"CartCheckoutDecidedProblem.outcome": one("How the checkout ended.", cart.OutcomeRefused, cart.OutcomeCompleted),
	"TimelineEntry.state":                one("How the payment transaction stands.", settled...),
	"TimelineEntry.transaction_type":     one("What the payment transaction does.", transactions...),
	"TimelineEntry.step":                 one("What asked stock, or orders, for something.", append(slices.Clone(orderSteps), returnSteps...)...),
	"TimelineEntry.type":                 one("The event's wire name, with its version.", eventsOf("order", "return")...),
	"hold_reason":                        text("Why its fulfilment is stopped.", "address unclear"),
	"note":                               text("A remark.", "two boxes were open"),
	"document":                           text("The number of the delivery note, the count sheet and the like.", "DN-1001"),
	"SalesDocument.document":             text("Its kind and its name.", "order/order-1001"),
	"StockMovement.document":             text("What caused the movement: the document that the caller named, or the id of a shipment, a reservation or a transfer.", "DN-1001"),
	"carrier":                            text("Who carries the parcel.", "Royal Mail"),
	"tracking":                           text("The carrier's number of the parcel.", "RM123456789GB"),
	"provider":                           text("Who handled the payment.", "stripe"),
	"entry":                              text("What happened, in words.", "placed: 2 lines for 7.65 GBP"),
	"error":                              text("Why it failed.", "connection refused"),
	"override":                           text("Why it was let act on what belongs to an order.", "recall"),
	"opening":                            text("Tells the lines apart that the cart was opened with. Left out: there were none.", "9f86d081884c7d65"),
	"ref":                                text("Tells steps of one kind apart.", "parcel-1"),
	"code":                               text("The code of the refusal.", "return-exceeds-shipped"),
	"view":                               text("The read model's name.", "orders"),
	"owner":                              text("The node that posts to it.", "node-1"),
	"component":                          text("Which part it is.", nil),
	"dismissed_by":                       text("Who dismissed it.", "operator:ann"),
	"dismissed_reason":                   text("Why it is left as it is.", "the stream was deleted by hand"),

	// The log.
	"position":                  position("The event's place in the log."),
	"ProjectionStatus.position": position("Up to which place in the log it has looked."),
	"head":                      position("The place of the log's latest event."),
	"id":                        {about: "Names it.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"Event.id":                  {about: "Names the event; unique in its stream.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"source":                    text("/v1/streams/ and the stream.", "/v1/streams/order-1001"),
	"subject":                   text("The stream.", "order-1001"),
	"specversion":               one("The version of CloudEvents.", "1.0"),
	"datacontenttype":           one("What the data is.", "application/json"),
	"commandid":                 {about: "The command that the event follows from.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"correlationid":             text("Joins everything that follows from one request.", "0af7651916cd43dd8448eb211c80319c"),
	"causationid":               text("The event or the command that it follows from.", "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"),
	"traceparent":               text("The W3C trace context that it was made in.", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	"time":                      moment("When it took effect."),
	"recordedtime":              moment("When the log took it."),

	// Parts.
	"items":             text("The page's entries.", nil),
	"next":              text("Where the next page begins: give it as cursor. Left out on the last page.", "b3JkZXItMTAwMQ"),
	"timeline":          text("Who did what when, the oldest first.", nil),
	"payments":          text("The payment transactions.", nil),
	"orphaned_payments": text("Money that came too late and is owed back.", nil),
	"shipments":         text("The parcels.", nil),
	"reservations":      text("What stock promised to the order.", nil),
	"refunds":           text("Money given back, one by one.", nil),
	"credit_lines":      text("The lines of a credit note.", nil),
	"shares":            text("What of it is of which order; what is of none has no share.", nil),
	"links":             text("The order lines on which the units were sold. They may cover all of the quantity, some, or none.", nil),
	"admit":             text("What each order has to admit before the return can be approved.", nil),
	"asked":             text("Set if the checkout was refused before it began, so that no start of it was recorded.", nil),
	"shortages":         text("What stock was short of.", nil),
	"held":              text("What stock holds for the order.", nil),
	"lost":              text("Promises that stock no longer had: they were taken back by force.", nil),
	"sourcing":          text("Which locations may serve the order.", nil),
	"totals":            text("One for each currency.", nil),
	"change":            text("What it did to the item's quantities.", nil),
	"order":             text("The order as it then stands.", nil),
	"stock":             text("The stock as it then stands.", nil),
	"retry":             text("What the try did.", nil),
}
