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
	nameForm         = `^[.]*[A-Za-z0-9_-][A-Za-z0-9._-]*$` // not only dots
	skuForm          = `^[^@\x00-\x1f\x7f-\x9f]+$`
	currencyForm     = `^[A-Za-z]{3}$`
	decimalForm      = `^-?[0-9]+([.][0-9]+)?$`
	givenDecimalForm = `^-?[0-9]{1,18}([.][0-9]{1,6})?$`
	positionForm     = `^[0-9]+(/[0-9]+)?$`
	monthForm        = `^[0-9]{4}-[0-9]{2}$`
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
	for _, name := range slices.Sorted(maps.Keys(eventTypes)) {
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
	payStates      = []any{"unpaid", "authorized", "partially_authorized", "partially_paid", "paid", "partially_refunded", "refunded", "overpaid", "due", "voided"}
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
	"sku":            {about: "The product's code, in upper case.", pattern: skuForm, example: "MUG"},
	"sku_prefix":     {about: "The beginning of a product's code.", pattern: skuForm, example: "MU"},
	"sku_text":       text("The code as the caller wrote it, if it differs from the SKU.", "mug"),
	"location":       id("The location of the stock.", "main"),
	"locations":      id("Locations of stock. The first is preferred.", "main"),
	"cart_id":        id("The cart.", "bob"),
	"order_id":       id("The order.", "order-bob"),
	"carts":          id("Carts that the customer had as a guest.", "cart-of-a-guest"),
	"customer_id":    id("The customer; left out for a guest.", "17850"),
	"return_id":      id("The return, or the credit note.", "back-1"),
	"shipment_id":    id("The parcel.", "parcel-1"),
	"transaction_id": id("The payment transaction.", "pay-1"),
	"transfer_id":    id("The transfer between two locations.", "transfer-1"),
	"reservation_id": id("The reservation.", "reservation-1"),
	"process_id":     {about: "The unfinished work.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"last_order_id":  id("The latest order that the customer placed.", "order-bob"),
	"parent":         id("The earlier transaction that this one belongs to: for a capture or a void, the authorization; for a refund or a chargeback, the capture.", "pay-1"),
	"order_id_from":  one("Who chose the order's id. Left out in checkouts that older versions of this program began.", orderIDSources...),

	// API keys and roles.
	"key_id":               {about: "The API key. It is part of the key's text, and not secret.", pattern: `^[a-z0-9]{1,40}$`, example: "k3f9a1c2"},
	"role":                 {about: "The role: one that every shop has, or one of the shop's own.", pattern: `^[a-z0-9]{1,40}$`, example: "operator"},
	"name":                 text("What the key is for.", "packing table"),
	"hash":                 {about: "The SHA-256 of the key's secret, in hex. The secret cannot be computed from it.", pattern: `^[0-9a-f]{64}$`, example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"channels":             {about: "The only channels that requests with the key may record. Left out: all.", pattern: `^[!-~]([ -~]*[!-~])?$`, example: "web"},
	"last_used_at":         moment("When the key was last used, to about a minute. Left out: never, or not known in this response."),
	"old_until":            moment("Until when the secret before is good, too."),
	"old_secret_until":     moment("Until when the secret before the last rotation is good, too."),
	"SubjectErased.kept":   text("Orders of which the name and the address of the invoice are kept, because the law wants it.", nil),
	"EventKept.until":      moment("Then it is deleted, too."),
	"EventKept.reason":     text("Why it is kept.", "invoice"),
	"kept_until":           moment("Then it is deleted, too."),
	"SubjectErased.orders": id("Orders of the guest's cart.", "order-bob"),
	"APIKey.expires_at":    moment("When the key ends by itself."),
	"key_status":           one("Where the key is in its life.", "active", "revoked", "expired"),
	"api_key":              {about: "What the key's holder sends: Authorization: Bearer and this text. It is shown only here.", pattern: `^dbk_[a-z0-9]+_[0-9a-f]{64}$`, example: "dbk_k3f9a1c2_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"overlap_seconds":      text("How many seconds the secret before stays good, so that its holder can change over.", 86400),
	"built_in":             text("true: every shop has the role, and it cannot be changed.", false),
	"grants":               text("What the role may do, by permission.", nil),
	"permission":           {about: "The permission.", pattern: `^[a-z]+[.][a-z]+$`, example: "orders.ship"},
	"reach":                one("How far the permission goes: own means for what belongs to the key's customer, all means for everything.", "own", "all"),

	// People who sign in.
	"person_id":                           {about: "The person. The id says nothing about them. Whoever sees no personal data sees a pseudonym.", pattern: `^([a-z0-9]{1,40}|withheld-[A-Za-z0-9_-]{22})$`, example: "p3f9a1c2d4"},
	"person_status":                       one("Whether the person has joined, and whether their access has ended.", "invited", "active", "disabled"),
	"email":                               text("The address with which the person signs in.", "eve@shop.example"),
	"InviteInputBody.name":                text("What the person is called.", "Eve"),
	"StaffMember.name":                    text("What the person is called.", "Eve"),
	"second_factor":                       text("true: the person has an app that shows codes.", true),
	"recovery_codes_left":                 text("How many recovery codes the person has not used.", 10),
	"token":                               {about: "With it a person sets a password. It is good once.", pattern: `^(dbt_[a-z0-9]+|dbr_[a-z0-9]+_[0-9]+|dbe_[a-z0-9]+_[0-9]+_[0-9a-f]+)_[0-9a-f]{64}$`, example: "dbt_p3f9a1c2d4_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"ConfirmSignUpInputBody.token":        {about: "The token of the link.", pattern: `^dbu_[0-9]+_[0-9a-f]{16}_[0-9a-f]+_[0-9a-f]*_[0-9a-f]{64}$`, example: "dbu_1767355200_8d3f0a917c24b6e5_616e6e40686f6d652e6578616d706c65__9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"because":                             one("Why the order was confirmed at its deadline: it was paid, or its payment was authorized. Left out if somebody confirmed it.", "paid", "authorized"),
	"login_status":                        one("Whether the login is good.", "active", "disabled"),
	"as":                                  one("Who signs in.", "staff", "customer"),
	"ConfirmEmailInputBody.token":         {about: "The token of the link that went to the new address.", pattern: `^dbe_[a-z0-9]+_[0-9]+_[0-9a-f]+_[0-9a-f]{64}$`, example: "dbe_p3f9a1c2d4_1767355200_65766540686f6d652e6578616d706c65_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"change_id":                           {about: "The change of the address.", pattern: `^[a-z0-9]{1,40}$`, example: "9f86d081884c7d659a2f"},
	"by_self":                             text("true: the person has asked, with their password. Left out: an admin has.", true),
	"mail":                                one("What became of the mail.", "sent", "not-sent"),
	"token_until":                         moment("Until when the token is good."),
	"token_hash":                          {about: "The SHA-256 of the token's secret, in hex. The secret cannot be computed from it.", pattern: `^[0-9a-f]{64}$`, example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"until":                               moment("Until when the token is good."),
	"credential_id":                       {about: "The password, whose hash is stored beside the log.", format: "uuid", example: "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b11"},
	"by_token":                            text("true: it was set with a token, and the password before was not asked for.", true),
	"factor_id":                           {about: "The second factor, whose secret is stored beside the log.", format: "uuid", example: "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b12"},
	"recovery_hashes":                     text("The SHA-256 of each recovery code, in hex.", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
	"ShopstaffFactorSet.step":             text("The time step (Unix time / 30 s) of the code that confirmed the factor. No code of this step or of one before it is good any more.", 59000000),
	"ShopstaffSignedIn.step":              text("The time step (Unix time / 30 s) of the code that was used. No code of this step or of one before it is good any more.", 59000001),
	"recovery_hash":                       {about: "The SHA-256 of the recovery code that was used up, in hex.", pattern: `^[0-9a-f]{64}$`, example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"session_id":                          {about: "The session. It is not its token.", pattern: `^[a-z0-9]{1,40}$`, example: "s3f9a1c2d4"},
	"failures":                            text("How many tries have failed, at least.", 10),
	"browser_id":                          {about: "The browser. It is not its token.", pattern: `^[a-z0-9]{1,40}$`, example: "b3f9a1c2d4"},
	"count_id":                            {about: "The count.", pattern: `^[a-z0-9]{1,40}$`, example: "n3f9a1c2d4"},
	"EventShopstaffTriesCounted.since":    moment("When the first of them was tried."),
	"EventShopstaffTriesCounted.until":    moment("The end of the count."),
	"wrong_passwords":                     text("How many passwords were compared and were wrong.", 3),
	"wrong_codes":                         text("How many codes were compared and were wrong.", 2),
	"delayed":                             text("How many tries were refused without a comparison, because too many had failed before.", 1),
	"links_asked":                         text("How many times a link was asked for, whether or not a mail was sent.", 4),
	"KnowBrowserInputBody.token":          {about: "The token of a link that the person has asked for.", pattern: `^dbr_[a-z0-9]+_[0-9]+_[0-9a-f]{64}$`, example: "dbr_p3f9a1c2d4_1767355200_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"EventShopstaffGuessingNoticed.since": moment("The beginning of the hour in which they have failed."),
	"password":                            text("The person's password.", "correct horse battery staple"),
	"new_password":                        text("The person's new password: 12 to 200 characters.", "another horse battery staple"),
	"SignIn.next":                         text("The next step.", "complete"),
	"step_token":                          {about: "What the next step of the sign-in must send.", pattern: `^dbs_[0-9a-f]{64}$`, example: "dbs_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	"CodeInputBody.code":                  text("What the app shows, or a recovery code.", "123456"),
	"new_code":                            text("What the new app shows.", "654321"),
	"ReplaceFactorInputBody.code":         text("What the present app shows, or a recovery code.", "123456"),
	"RenewRecoveryInputBody.code":         text("What the app shows, or a recovery code.", "123456"),
	"ShopstaffRecoverySet.step":           text("The time step (Unix time / 30 s) of the code that was used. Left out: a recovery code was used.", 59000002),
	"recovery_codes":                      text("New recovery codes. They are shown only here.", "k3f9a-1c2d4-mfrgg-zdfmz"),
	"app_secret":                          {about: "The secret for the app, in base32.", pattern: `^[A-Z2-7]+$`, example: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"},
	"app_uri":                             {about: "The same for apps that read it as a QR code.", format: "uri", example: "otpauth://totp/Daybook:eve@shop.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Daybook"},
	"began_at":                            moment("When the person signed in."),
	"used_at":                             moment("When the session was used last, to the minute."),
	"current":                             text("true: the request belongs to this session.", true),
	"set_up_factor":                       text("Set up a second factor even if the role needs none.", true),

	// Money.
	"amount":                       amount("The amount, a plain decimal.", "7.50"),
	"price":                        amount("The price of one unit, a plain decimal.", "7.50"),
	"total":                        amount("The exact sum of the lines, in the currency; it is not rounded.", "7.50"),
	"placed_total":                 amount("The exact sum of the lines when the order was placed, in its currency.", "7.50"),
	"owed":                         amount("What the customer owes for the order: the total, rounded to the currency's digits.", "7.50"),
	"captured":                     amount("Money taken so far, in the order's currency.", "7.50"),
	"refunded":                     amount("Money given back so far, in the same currency.", "0"),
	"value":                        amount("What the lines are worth to the customer, in the same currency.", "7.50"),
	"ordered":                      text("The worth of what was ordered. Units that were canceled later still count.", nil),
	"charge":                       text("What the customer owes: the total, rounded to the currency's digits.", nil),
	"currency":                     {about: "The currency, as a code of ISO 4217.", pattern: currencyForm, example: "GBP"},
	"SalesCustomer.amount":         text("The worth of what was bought, without what was canceled or came back, and with credit notes.", nil),
	"SalesDocument.amount":         text("By how much the document changes the shop's sales.", nil),
	"SalesTotal.amount":            text("The sum of the documents.", nil),
	"prices":                       text("The prices of one unit, one for each currency.", nil),
	"ReturnCreditNoted.amount":     text("The sum of the lines. It changes the shop's sales: an amount below zero is a credit to the customer.", nil),
	"ReturnRefundWithdrawn.amount": text("The amount that no longer counts as given back.", nil),

	// Quantities, in units.
	"quantity":                           text("How many units.", 1),
	"requested":                          text("How many units were asked for.", 3),
	"available":                          text("How many units can still be reserved or allocated: the units on hand, without those that are reserved, allocated, not for sale or kept back. Below zero, more is reserved and allocated than there is.", 1),
	"Shortage.lines":                     text("The numbers of the lines that ask for it, ascending. Left out in shortages that older versions of this program recorded.", 2),
	"Shortage.available":                 text("How many units were left.", 1),
	"on_hand":                            text("Units that are physically there.", 10),
	"reserved":                           text("Units reserved for checkouts, with a deadline that has not passed.", 2),
	"allocated":                          text("Units allocated to confirmed orders.", 3),
	"damaged":                            text("Units on hand that are damaged.", 0),
	"quality_control":                    text("Units on hand that wait for quality control.", 0),
	"other_unavailable":                  text("Units on hand that are set apart for another reason.", 0),
	"unavailable":                        text("Units on hand that are not for sale: damaged, in quality control, or set apart otherwise.", 0),
	"safety_stock":                       text("Units kept back from sale.", 0),
	"backorder_limit":                    text("How many units may be reserved and allocated beyond what is on hand.", 0),
	"sellable":                           text("Units that can still be reserved or allocated: the available ones and what is left of the backorder limit. Never below zero.", 5),
	"backordered":                        text("Units that are allocated although no goods are on hand for them.", 0),
	"reorder_point":                      text("An alert is raised when available falls to this many units or fewer. 0 means no alert.", 5),
	"below_reorder_point":                text("Available is at or below the reorder point.", false),
	"canceled":                           text("Units taken off the order.", 0),
	"shipped":                            text("Units that have left.", 1),
	"delivered":                          text("Units that have arrived.", 1),
	"returning":                          text("Units that have shipped and have come back, or will.", 0),
	"returnable":                         text("Units that have shipped and for which a return can still be requested.", 1),
	"open":                               text("Units that are neither shipped nor canceled.", 0),
	"awaited":                            text("Units that have not come back yet.", 1),
	"remaining":                          text("Units that have neither shipped nor been canceled.", 1),
	"units":                              text("How many units in all.", 1),
	"counted":                            text("Units that were counted.", 10),
	"expected":                           text("Units that were on hand when the count began.", 11),
	"unpromised":                         text("How many of the units were no longer allocated to the order.", 0),
	"SalesCustomer.units":                text("How many units in all, without those that were canceled or came back.", 40),
	"StockMovement.quantity":             text("How many units moved; 0 if none did.", 5),
	"StockAdjusted.change":               text("How many units were found (above 0) or are missing (below 0).", -1),
	"StockChange.on_hand":                text("By how many units on hand changed.", 5),
	"StockChange.reserved":               text("By how many units the reserved ones changed.", -2),
	"StockChange.allocated":              text("By how many units the allocated ones changed.", 2),
	"StockChange.damaged":                text("By how many units the damaged ones changed.", 1),
	"StockChange.quality_control":        text("By how many units those in quality control changed.", 1),
	"StockChange.other_unavailable":      text("By how many units those set apart for another reason changed.", 1),
	"ReturnAdmissionRefused.requested":   text("How many units of the line the return asked for.", 3),
	"StockReorderPointCrossed.available": text("Units that could still be reserved or allocated after the change; may be below zero.", 4),

	// Numbers of other things.
	"line":                       text("The line's number: 1, 2, … in the order in which lines were added.", 1),
	"line_count":                 text("How many lines there are.", 1),
	"join":                       text("Add units to the line that has the same SKU at the same price.", true),
	"lines":                      text("The lines.", nil),
	"SalesDocument.lines":        text("How many lines it has.", 1),
	"SalesTotal.lines":           text("How many lines the documents have.", 120),
	"documents":                  text("How many documents the totals are made of. Left out if the totals are by SKU, because a document can have several SKUs.", 40),
	"orders":                     text("How many orders.", 3),
	"returns":                    text("How many returns and credit notes.", 1),
	"Order.returns":              text("The returns with units of the order.", nil),
	"receipt":                    text("The number of the arrival: 1, 2, …", 1),
	"receipts":                   text("The arrivals of goods, one by one.", nil),
	"revision":                   text("The number of the thing's latest event: 0 for the first event, 1 for the second and so on; -1 if nothing has happened yet. The ETag begins with this number, unless it is -1.", 4),
	"TimelineEntry.revision":     text("The event's place in its stream, from 0.", 4),
	"StockMovement.revision":     text("The event's place in the item's stream, from 0.", 4),
	"Process.revision":           text("The revision of the event that began the work: its number in its stream, from 0. For a timer: the revision of an event that cannot be read, or 0.", 4),
	"build":                      text("Which build of the read model it is.", 1),
	"version":                    text("Which version of the read model's rules built it.", 3),
	"tries":                      text("How often it was tried.", 3),
	"attempt":                    text("The number of the try: 1, 2, …", 1),
	"hold_seconds":               text("How long the reservation lasts from now on, in seconds.", 900),
	"StockReserved.hold_seconds": text("For how many seconds the caller asked. Left out if the caller gave a time.", 900),
	"dropped":                    text("Numbers of the lines that were left out.", 2),
	"dropped_lines":              text("Numbers of the lines that the last checkout left out.", 2),

	// Times.
	"confirm_by":               moment("The deadline. If the order is still pending then, it is confirmed if its money is there, and otherwise expires."),
	"confirmed_at":             moment("When it was confirmed."),
	"ended_at":                 moment("When it was completed, canceled or expired."),
	"opened_at":                moment("When it was opened."),
	"changed_at":               moment("When its latest event was written to the log."),
	"Cart.changed_at":          moment("When the cart's latest event took effect."),
	"CartSummary.changed_at":   moment("When the cart's latest event took effect."),
	"recorded_at":              moment("When it was written to the log."),
	"Cart.recorded_at":         moment("When the cart's latest event was written to the log."),
	"CartSummary.recorded_at":  moment("When the cart's latest event was written to the log."),
	"placed_at":                moment("When it was placed."),
	"created_at":               moment("When it was asked for."),
	"approved_at":              moment("When it was approved."),
	"closed_at":                moment("When it was closed."),
	"listed_at":                moment("When it was last listed in the catalogue."),
	"shipped_at":               moment("When it left."),
	"delivered_at":             moment("When it arrived."),
	"settled_at":               moment("When the transaction succeeded or failed."),
	"at":                       moment("When it took effect."),
	"effective_at":             moment("When it took effect."),
	"occurred_at":              moment("When its first event took effect."),
	"expires_at":               moment("The deadline, at which it expires."),
	"hold_until":               moment("The deadline of the stock reservations, and of the order's confirmation."),
	"reserved_at":              moment("When it was reserved."),
	"since":                    moment("When available fell to the reorder point. Left out if available did not fall, but the reorder point was raised."),
	"first_order_at":           moment("When the customer ordered first."),
	"last_order_at":            moment("When the customer ordered last."),
	"first_tried_at":           moment("When it was tried first."),
	"last_tried_at":            moment("When it was tried last."),
	"dismissed_at":             moment("When it was dismissed."),
	"from":                     id("The location that it comes from.", "main"),
	"CartMergedFrom.from":      id("The cart whose lines come into this one.", "bob"),
	"CartMergeDeclined.from":   id("The cart whose lines this one did not take.", "bob"),
	"MergeCartInputBody.from":  id("The cart whose lines come into this one. That cart then ends.", "bob-guest"),
	"into":                     id("The cart that the lines go into.", "bob"),
	"merged_into":              id("The cart that its lines went into.", "bob"),
	"if_revision":              text("The revision that the other cart must still have when it takes the lines. If it is left out, the other cart may have changed.", 3),
	"CartMergeDeclined.reason": text("The code of the refusal.", "cart-full"),
	"CartMergeRefused.reason":  text("The code of the other cart's refusal.", "cart-full"),
	"to":                       id("The location that it goes to.", "east"),
	"day":                      {about: "The day in the shop's time zone.", format: "date", example: "2026-01-31"},
	"month":                    {about: "The month in the shop's time zone.", pattern: monthForm, example: "2026-01"},
	"StockMoved.from":          one("The condition before.", conditions...),
	"StockMoved.to":            one("The condition after.", conditions...),
	"MoveInputBody.from":       one("The condition before.", conditions...),
	"MoveInputBody.to":         one("The condition after.", conditions...),

	// Facts of problems that are named like something else.
	"CartCurrencyMismatchProblem.price":      {about: "The currency of the price.", pattern: currencyForm, example: "EUR"},
	"CartCurrencyMismatchProblem.cart":       {about: "The cart's currency.", pattern: currencyForm, example: "GBP"},
	"StockConditionUnknownProblem.condition": text("The text in the request, which is not a condition.", "wet"),
	"StockReasonUnknownProblem.known":        one("All reasons.", adjustReasons...),
	"AdjustInputBody.change":                 text("", -1),
	"Component.age_seconds":                  text("", 0.4),
	"Health.age_seconds":                     text("", 0.1),
	"ProjectionStatus.age_seconds":           text("", 0),
	"parked":                                 text("", 1),
	"detail":                                 text("", "does not fit: want a whole number from 1 to 1000000000"),
	"parameter":                              text("", "limit"),
	"Health.reason":                          text("", "the database has not answered in time"),
	"Process.step":                           text("", "order-bob"),
	"stream":                                 text("", "order-order-bob"),
	"events":                                 text("", 120000),
	"lag":                                    text("", 0),
	"odd":                                    text("", 0),
	"share":                                  text("", 1),
	"order_line":                             text("", 1),
	"confirm":                                text("", true),
	"force":                                  text("", false),
	"count":                                  text("", true),
	"foreign":                                text("", true),
	"leading":                                text("", true),
	"ProjectionStatus.complete":              text("", true),
	"ProjectionStatus.in_use":                text("", true),
	"ReservationEndedProblem.end":            one("How it ended.", "committed", "released", "expired"),
	"AmountLimitProblem.transaction_type":    one("The type of the transaction.", transactions...),

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
	"Location":             text("", "/v1/orders/order-bob"),
	"Idempotency-Replayed": text("", true),
	"Daybook-Guest-Token":  text("", "dbg_Z3Vlc3QtMQ_"+strings.Repeat("0123456789abcdef", 4)),
	"Daybook-More":         text("", true),
	"Daybook-Event-Count":  text("How many events the page has.", 100),
	"Content-Type":         text("How the page is written.", "application/x-ndjson"),
	"cursor":               text("", "b3JkZXItMTAwMQ"),
	"limit":                text("How many entries a page has at most.", 50),
	"sort":                 text("The order of the entries. A hyphen before the name reverses the order.", nil),
	"q":                    text("", "mug"),
	"follow-events.type":   text("", "order."),

	// How things stand.
	"kind":                           one("Whether there is stock of it (stocked), or it is only sold, such as postage (service).", kinds...),
	"status":                         text("Its state.", nil),
	"payment_state":                  one("How far it is paid, by its payment transactions.", payStates...),
	"fulfillment_state":              one("How far it is shipped and delivered.", shipStates...),
	"state":                          text("Its state.", nil),
	"OrderTransactionRecorded.state": one("The state of the transaction.", settled...),
	"OrderTransactionSettled.state":  one("How the transaction ended.", "succeeded", "failed"),
	"type":                           text("Its kind.", nil),
	"OrderTransactionRecorded.type":  one("What the transaction does.", transactions...),
	"condition":                      one("The condition of the goods.", conditions...),
	"StockAdjusted.condition":        one("The condition of the goods that were found or are missing. If it is left out, they are available.", conditions...),
	"disposition":                    one("What became of the units.", dispositions...),
	"remedy":                         one("What is done because the stock was lost: the money is given back (void_or_refund), or the order waits (backorder).", remedies...),
	"OrderStockSettled.step":         one("The step that asked stock for movements.", orderSteps...),
	"ReturnOrdersSettled.step":       one("The step that asked the orders for something.", returnSteps...),
	"policy":                         one("What a checkout does when stock is short.", shortPolicies...),
	"StockAdjusted.reason":           one("The reason.", adjustReasons...),
	"on_hold":                        text("Its fulfilment is stopped.", false),
	"archived":                       text("It is hidden from the lists of daily work.", false),
	"needs_attention":                text("Stock was lost, or the order has ended and the shop keeps money that it does not owe.", false),
	"allocation_failed":              text("Its stock was lost after it was confirmed, and was not allocated again.", false),
	"short":                          text("The last checkout was refused, or left something out, because stock was short.", false),
	"expired":                        text("Its deadline has passed, so nothing is reserved any more.", false),
	"stock_allocated":                text("The order's stock was allocated in the same append, so stock has nothing left to record.", true),
	"forced":                         text("Goods were shipped although stock did not have them on its books.", false),
	"overridden":                     text("The price was given by a trusted caller, and is not the catalogue's.", false),
	"direct":                         text("A caller asked for the change directly. It is not a step of an order's process.", true),
	"split":                          text("Whether one SKU may come from several locations.", false),
	"Shipment.delivered":             text("It has arrived.", false),
	"order_id_taken":                 text("The order's id belongs to another cart.", false),

	// Texts.
	"title":                              text("What it is called.", "Enamel mug"),
	"country":                            text("The country that the goods go to, as the caller wrote it.", "United Kingdom"),
	"channel":                            text("The channel through which it was sold.", "web"),
	"actor":                              text("Who made the request.", "operator:eve"),
	"reference":                          text("The caller's own number for it.", "536365"),
	"ReturnRefunded.reference":           text("The payment provider's own number for it.", "ch_3P1"),
	"OrderTransactionRecorded.reference": text("The payment provider's own number for it.", "ch_3P1"),
	"OrderTransactionSettled.reference":  text("The payment provider's own number for it.", "ch_3P1"),
	"RefundInputBody.reference":          text("The payment provider's own number for it.", "ch_3P1"),
	"SettleInputBody.reference":          text("The payment provider's own number for it.", "ch_3P1"),
	"reason":                             text("The reason, in words.", "changed their mind"),
	"Shortage.reason":                    one("The code of stock's refusal, most often stock-insufficient.", codesOfRules(stock.RefusalsOfReservations)...),
	"ReturnAdmissionRefused.code":        one("The code of the order's refusal.", codesOfRules(order.Rejections)...),
	"ReturnRefundWithdrawn.code":         one("The code of the order's refusal.", codesOfRules(order.Rejections)...),
	"CartCheckoutDecidedProblem.outcome": one("How the checkout ended.", cart.OutcomeRefused, cart.OutcomeCompleted),
	"TimelineEntry.state":                one("The state of the payment transaction.", settled...),
	"TimelineEntry.transaction_type":     one("What the payment transaction does.", transactions...),
	"TimelineEntry.step":                 one("The step that asked stock or orders for something.", append(slices.Clone(orderSteps), returnSteps...)...),
	"TimelineEntry.type":                 one("The event's wire name, with its version.", eventsOf("order", "return")...),
	"hold_reason":                        text("Why its fulfilment is stopped.", "address unclear"),
	"note":                               text("A remark.", "two boxes were open"),
	"document":                           text("The number of a document outside this program, such as a delivery note or a count sheet.", "PO-1"),
	"SalesDocument.document":             text("What the document is, and its id: order/order-bob is the order order-bob.", "order/order-bob"),
	"StockMovement.document":             text("What caused the movement: the document that the caller named, or the id of a shipment, a reservation or a transfer.", "PO-1"),
	"carrier":                            text("Who carries the parcel.", "Royal Mail"),
	"tracking":                           text("The carrier's number of the parcel.", "RM123456789GB"),
	"provider":                           text("Who handled the payment.", "stripe"),
	"entry":                              text("What happened, in words.", "placed: 1 line for 7.50 GBP"),
	"error":                              text("Why it failed.", "connection refused"),
	"override":                           text("The reason that was given to change stock that belongs to an order.", "recall"),
	"opening":                            text("A value that stands for the lines that the caller asked for. If a request to open the cart is repeated, the value tells whether it has the same lines. Left out if there were no lines, or if an older version of this program opened the cart.", "9f86d081884c7d65"),
	"ref":                                text("The id that tells steps of one kind apart, such as the id of a parcel.", "parcel-1"),
	"code":                               text("The code of the refusal.", "return-exceeds-shipped"),
	"view":                               text("The read model's name.", "orders"),
	"owner":                              text("The node that applies events to it.", "node-1"),
	"component":                          text("The name of the part.", nil),
	"dismissed_by":                       text("Who dismissed it.", "operator:eve"),
	"dismissed_reason":                   text("Why nothing more is done about it.", "the stream was deleted by hand"),

	// Customers.
	"address_id":                         id("The address. The server makes the id.", "a5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"note_id":                            id("The note. The server makes the id.", "n5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"Address.lines":                      text("The street with its number, and the like.", "1 High Street"),
	"CustomerAddress.lines":              text("The street with its number, and the like.", "1 High Street"),
	"SavedAddressInput.default_billing":  text("Make it the address for bills.", true),
	"SavedAddressInput.default_shipping": text("Make it the address for parcels.", false),
	"phone":                              text("A phone number.", "+44 20 7946 0000"),
	"into_customer_id":                   id("The account that answers for the other one.", "17850"),
	"absorbed":                           id("The accounts that were merged into this one.", "17849"),
	"before":                             id("The accounts that the other one had absorbed.", "17848"),
	"customers":                          id("Other accounts of the customer, whose keys are destroyed, too.", "17849"),
	"Customer.merged_into":               id("The account that answers for this one.", "17850"),
	"CustomerMerged.into":                id("The account that answers for this one.", "17850"),
	"CustomerMergeRefused.into":          id("The account that has not taken this one.", "17850"),
	"CustomerMergeRefused.reason":        text("The code of the other account's refusal.", "customer-merged"),
	"CustomerMergeDeclined.reason":       text("The code of the refusal.", "customer-merged"),
	"CustomerMergeDeclined.customer_id":  id("The other account.", "17849"),
	"CustomerAbsorbed.customer_id":       id("The other account.", "17849"),
	"locale":                             text("The language of the customer.", "en-GB"),
	"details":                            text("Where it goes and how to reach its buyer.", nil),
	"delivery_notes":                     text("For the carrier.", "ring twice"),
	"gift_message":                       text("What is put into the parcel.", "for you"),
	"buyer_reference":                    text("The customer's own number for the order, such as that of a purchase order.", "PO 7"),
	"EventDetails.billing":               text("The address for the bill.", nil),
	"EventDetails.shipping":              text("The address for the parcels.", nil),
	"EventDetails.email":                 text("The e-mail address.", "bob@home.example"),
	"guest_token":                        text("The token of a guest.", "dbg_Y2FydA_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
	"into_cart_id":                       id("The cart that takes the lines.", "bob"),
	"list_id":                            id("The wish list. The server makes the id.", "w5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"CustomerWishListShared.share":       text("The number of the share.", 1),
	"shared":                             text("Whoever has a token can see the list.", false),
	"share_token":                        text("The token of a shared wish list.", "dbw_Zy0x5fQ"),
	"wishes":                             text("What is wanted.", nil),
	"wish_lists":                         text("The wish lists.", nil),
	"skus":                               {about: "Products.", pattern: skuForm, example: "MUG"},
	"Daybook-Wish-List":                  text("The token of a shared wish list.", "dbw_Zy0x5fQ"),
	"CustomerWishListMade.name":          text("What the list is called.", "Birthday"),
	"CustomerWishListRenamed.name":       text("What the list is called.", "Birthday"),
	"subject_id":                         id("The stream with the erasures of a customer or a guest.", "subject-0b8a1f0e-3f0c-5d39-8a51-5a8a3a0d7b11"),
	"accounts":                           text("The accounts.", nil),
	"erasure":                            text("What was erased.", nil),
	"keys":                               text("API keys.", nil),
	"Export.carts":                       text("Carts.", nil),
	"Export.orders":                      text("Orders.", nil),
	"Export.returns":                     text("Returns and credit notes.", nil),
	"Export.documents":                   text("The documents of the shop's sales.", nil),
	"Export.events":                      text("What was recorded.", nil),
	"profile":                            text("Who the customer is and how to reach them.", nil),
	"address":                            text("The address.", nil),
	"addresses":                          text("The addresses.", nil),
	"company":                            text("The company.", "Example Ltd"),
	"postcode":                           text("The postcode.", "LS1 4AP"),
	"city":                               text("The town.", "Leeds"),
	"region":                             text("The code of a state or province: the second part of an ISO 3166-2 code.", "CA"),
	"billing":                            id("The address for bills, if there is one.", "a5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"shipping":                           id("The address for parcels, if there is one.", "a5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"default_billing":                    id("The address for bills.", "a5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"default_shipping":                   id("The address for parcels.", "a5d1f3c2-7c1e-5b7d-9a13-e26471bf0835"),
	"groups":                             id("The groups that the shop has put the customer into.", "trade"),
	"purpose":                            one("What the consent is for.", "marketing", "analytics", "terms"),
	"given":                              text("Whether the customer agrees.", true),
	"consents":                           text("The consents.", nil),
	"notes":                              text("The notes.", nil),
	"text":                               text("The text.", "asks for late deliveries"),
	"blocked":                            text("The customer cannot check out.", false),
	"block_reason":                       text("Why the customer is blocked.", "chargebacks"),
	"registered":                         text("Whether the customer has an account.", true),
	"registered_at":                      moment("When the customer was registered."),
	"email_prefix":                       text("The beginning of an e-mail address.", "ann@"),
	"group":                              id("A group of customers.", "trade"),
	"Customer.name":                      text("What the customer is called.", "Ann Example"),
	"Customer.email":                     text("The e-mail address.", "ann@home.example"),
	"Customer.changed_at":                moment("When the account's latest event took effect."),
	"CustomerSummary.name":               text("What the customer is called.", "Ann Example"),
	"CustomerSummary.email":              text("The e-mail address.", "ann@home.example"),
	"CustomerSummary.changed_at":         moment("When the account's latest event took effect."),
	"EventProfile.name":                  text("What the customer is called.", "Ann Example"),
	"EventProfile.email":                 text("The e-mail address.", "ann@home.example"),
	"EventAddress.name":                  text("Who gets the parcel.", "Ann Example"),
	"EventAddress.lines":                 text("The street with its number, and the like.", "1 High Street"),
	"EventAddress.country":               {about: "ISO 3166-1.", pattern: `^[A-Z]{2}$`, example: "GB"},
	"CustomerConsent.version":            text("The version of the text to which the customer agreed last.", "2026-01"),
	"CustomerConsentGiven.version":       text("The version of the text to which the customer agrees.", "2026-01"),
	"list-customer-accounts.name":        text("The beginning of a name.", "Ann"),
	"list-customer-accounts.email":       text("A whole e-mail address.", "ann@home.example"),

	// The log.
	"position":                  position("The event's position in the log."),
	"ProjectionStatus.position": position("The position in the log up to which it has read."),
	"head":                      position("The position of the log's latest event."),
	"id":                        {about: "Its id.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"Event.id":                  {about: "The event's id; unique in its stream.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"source":                    text("The address of the stream: /v1/streams/ and the stream's name.", "/v1/streams/order-order-bob"),
	"subject":                   text("The stream's name.", "order-order-bob"),
	"specversion":               one("The version of CloudEvents.", "1.0"),
	"datacontenttype":           one("The media type of the data.", "application/json"),
	"commandid":                 {about: "The command that the event follows from.", format: "uuid", example: "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"},
	"correlationid":             text("The id that everything that follows from one request has in common.", "0af7651916cd43dd8448eb211c80319c"),
	"causationid":               text("The event or the command that it follows from.", "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"),
	"onbehalfof":                text("Who began the work, if the actor is a part of the program that has finished it.", "operator:eve"),
	"actingfor":                 text("The customer for whom the actor did it, if the actor is a storefront.", "17850"),
	"traceparent":               text("The W3C trace context of the request that it follows from.", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	"time":                      moment("When it took effect."),
	"recordedtime":              moment("When it was written to the log."),

	// Parts.
	"items":             text("The page's entries.", nil),
	"next":              text("Where the next page begins: send it as the parameter cursor. Left out on the last page.", "b3JkZXItMTAwMQ"),
	"timeline":          text("What happened, when, and who did it. The oldest entry is first.", nil),
	"payments":          text("The payment transactions.", nil),
	"orphaned_payments": text("Money that came too late, so that the shop owes it back.", nil),
	"shipments":         text("The parcels.", nil),
	"reservations":      text("What stock has reserved or allocated for the order.", nil),
	"refunds":           text("Money given back, one by one.", nil),
	"credit_lines":      text("The lines of a credit note.", nil),
	"shares":            text("How the refund is divided among orders. If a part of the refund belongs to no order, the shares add up to less than the refund.", nil),
	"links":             text("The order lines on which the units were sold. They may cover all of the quantity, some, or none.", nil),
	"admit":             text("What each order has to admit before the return can be approved.", nil),
	"asked":             text("What the checkout asked for. Only a checkout that was refused before it began has it, because no event says that it began.", nil),
	"shortages":         text("What was missing in stock.", nil),
	"held":              text("What stock has reserved or allocated for the order.", nil),
	"lost":              text("Allocations that stock no longer had, because somebody took them back by force.", nil),
	"sourcing":          text("Which locations may serve the order.", nil),
	"totals":            text("The totals, one for each currency.", nil),
	"change":            text("How it changed the quantities.", nil),
	"order":             text("The order after the change.", nil),
	"stock":             text("The stock after the change.", nil),
	"retry":             text("What the retry did.", nil),
}
