package apidoc

import (
	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
)

// Step is a request of the story that the examples of requests tell.
type Step struct {
	Operation string            // its id in the document
	In        map[string]string // values of its parameters in the path and in the query
	Body      string            // in JSON; empty if the request has none
}

// Key is the Idempotency-Key of the step, if it is the first one of its operation.
func (s Step) Key() string { return s.Operation + "-1" }

// Story returns requests in an order in which a server without any data carries them out, if its
// clock stands at StoryTime. They have the same ids as the tour of the README. The first step of an
// operation is the example that the document shows of it.
func Story() []Step { return story }

// StoryTime is before the deadlines that the story names.
const StoryTime = "2026-01-31T09:00:00Z"

// Parameters of several steps.
var (
	deesOrder    = map[string]string{"order_id": "order-dee"}
	deesRefund   = map[string]string{"order_id": "order-dee", "refund_id": "refund-2", "part_id": refundPartOfStory}
	ofMug        = map[string]string{"sku": "mug"}
	mugAtMain    = map[string]string{"sku": "mug", "location": "main"}
	mugAtEast    = map[string]string{"sku": "mug", "location": "east"}
	ofBob        = map[string]string{"cart_id": "bob"}
	bobsDiscount = map[string]string{"cart_id": "bob", "discount_id": "sorry-1"}
	bobsOrder    = map[string]string{"order_id": "order-bob"}
	bobsReturn   = map[string]string{"return_id": "back-1"}
	phoneOrder   = map[string]string{"sku": "mug", "location": "main", "reservation_id": "reservation-1"}
	parkedWork   = map[string]string{"process_id": "0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11"}
	aRole        = map[string]string{"role": "picker"}
	aPerson      = map[string]string{"person_id": "p3f9a1c2d4"}
	theCustomer  = map[string]string{"customer_id": "17850"}
	theAddress   = map[string]string{"customer_id": "17850", "address_id": addressOfStory}
	theWishList  = map[string]string{"customer_id": "17850", "list_id": wishListOfStory}
	anAPIKey     = map[string]string{"key_id": "k3f9a1c2"}
	tradeList    = map[string]string{"price_list_id": "trade"}
	thePromotion = map[string]string{"promotion_id": "spring"}
	theCard      = map[string]string{"gift_card_id": "g0f3c2a1b5d4e69788796a5b4c3d2e1f0a9b8c7d6"}
	bobsCredit   = map[string]string{"gift_card_id": string(giftcard.AccountID("17850", "GBP"))}
	theParcel    = map[string]string{"method_id": "parcel"}
	anEntity     = map[string]string{"entity_id": "gb"}
	evesOrder    = map[string]string{"order_id": "order-eve"}
	theEntity    = map[string]string{"entity_id": "nl"}
	anotherLine  = map[string]string{"cart_id": "bob", "line": "2"}
)

// The ids that the server makes for the steps that make an address and wish lists. They follow from
// the keys of these steps, and a test carries the story out.
const (
	refundPartOfStory = "301eb870-6e81-5dee-a542-ccbf92248abc"
	addressOfStory    = "a24022060-91ac-5f7e-b665-ab55022f1d24"
	wishListOfStory   = "w59c15a4a-ed93-555b-b114-d29c6c6805a2"
	secondListOfStory = "wadbd9c63-adc5-5cde-81da-783c6a9b0a91"
)

var story = []Step{
	// A product with a price, and stock of it.
	{"list-product", ofMug, `{"title":"Enamel mug","kind":"stocked","prices":[{"amount":"8.00","currency":"EUR"}]}`},
	{"set-price", map[string]string{"sku": "mug", "currency": "GBP"}, `{"amount":"7.50"}`},
	{"receive-stock", mugAtMain, `{"quantity":1,"document":"PO-1"}`},

	// Prices for some customers, shipping and taxes. The legal entity sells on a channel of its
	// own.
	{"define-legal-entity", theEntity, `{"title":"Example B.V.","home":{"country":"NL"},"price_mode":"incl","channels":["trade-fair"],"registrations":[{"country":"NL","number":"NL001234567B01"}],"default_class":"standard","taxes":[{"place":{"country":"NL"},"tax_class":"standard","component":"NL VAT","rate":"21"}]}`},
	{"define-price-list", tradeList, `{"title":"Trade","currency":"GBP","price_mode":"incl","active":true,"customer_groups":["trade"],"countries":["GB"],"valid_from":"2026-01-01T00:00:00Z","valid_until":"2046-01-01T00:00:00Z"}`},
	{"set-list-prices", tradeList, `{"prices":[{"sku":"mug","tiers":[{"from_quantity":1,"price":"7.20"},{"from_quantity":10,"price":"6.95"}]}]}`},
	{"import-list-prices", tradeList, `{"csv":"sku,from,price\nMUG,1,7.20\nMUG,10,6.80\n"}`},
	{"define-shipping-method", theParcel, `{"title":"Parcel","carrier":"Royal Mail","price_mode":"incl","active":true,"rates":[{"zone":{"country":"GB"},"currency":"GBP","basis":"flat","steps":[{"from_value":"0","price":"3.95"}],"free_above":"50.00"}]}`},
	{"define-promotion", thePromotion, `{"title":"Spring","kind":"coupon","class":"order","active":true,"action":{"type":"percent_off","percent":"10"},"conditions":{"min_subtotal":[{"amount":"20.00","currency":"GBP"}],"countries":["GB"]},"limits":{"uses":100,"uses_per_customer":1,"budget":{"amount":"500.00","currency":"GBP"}},"valid_from":"2026-01-01T00:00:00Z","valid_until":"2046-01-01T00:00:00Z"}`},
	{"give-codes", thePromotion, `{"codes":["SPRING-10"]}`},
	{"withdraw-codes", thePromotion, `{"codes":["SPRING-10"]}`},
	{"preview-price", nil, `{"currency":"GBP","channel":"web","customer_groups":["trade"],"ship_to":{"country":"GB"},"lines":[{"sku":"mug","quantity":12}],"method_id":"parcel"}`},

	// Bob fills a cart. He puts too many mugs into it, and takes them out again.
	{"open-cart", nil, `{"cart_id":"bob","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`},
	{"add-cart-lines", ofBob, `{"lines":[{"sku":"mug","quantity":1}]}`},
	{"change-cart-line", anotherLine, `{"quantity":2}`},
	{"remove-cart-line", anotherLine, ``},
	{"patch-cart", ofBob, `{"customer_id":"17850","country":"United Kingdom"}`},
	{"open-cart", nil, `{"cart_id":"bob-guest","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`},
	{"merge-cart", ofBob, `{"from":"bob-guest"}`},
	{"open-cart", nil, `{"cart_id":"bob-phone","currency":"GBP","customer_id":"17850","lines":[{"sku":"mug","quantity":1}]}`},
	{"claim-cart", map[string]string{"cart_id": "bob-phone"}, `{"customer_id":"17850","into_cart_id":"bob"}`},
	{"change-cart-line", map[string]string{"cart_id": "bob", "line": "1"}, `{"quantity":1}`},

	// He gets an account, with an address and a consent. The staff knows him.
	{"register-customer", nil, `{"customer_id":"17850","name":"Bob Example","email":"bob@home.example","locale":"en-GB"}`},
	{"patch-customer", theCustomer, `{"phone":"+44 20 7946 0000"}`},
	{"add-address", theCustomer, `{"name":"Bob Example","lines":["1 High Street"],"postcode":"LS1 4AP","city":"Leeds","country":"GB"}`},
	{"change-address", theAddress, `{"name":"Bob Example","lines":["2 High Street"],"postcode":"LS1 4AP","city":"Leeds","country":"GB","default_billing":true}`},
	{"remove-address", theAddress, ``},
	{"record-consent", theCustomer, `{"purpose":"marketing","version":"2026-01","given":true}`},
	{"set-groups", theCustomer, `{"groups":["trade"]}`},
	{"add-note", theCustomer, `{"text":"asks for late deliveries"}`},
	{"make-wish-list", theCustomer, `{"name":"Birthday"}`},
	{"rename-wish-list", theWishList, `{"name":"Christmas"}`},
	{"set-wish", map[string]string{"customer_id": "17850", "list_id": wishListOfStory, "sku": "mug"}, `{"quantity":1}`},
	{"share-wish-list", theWishList, ``},
	{"open-cart", nil, `{"cart_id":"bob-wishes","currency":"GBP","customer_id":"17850"}`},
	{"add-wishes", map[string]string{"cart_id": "bob-wishes"}, `{"customer_id":"17850","list_id":"` + wishListOfStory + `"}`},
	{"unshare-wish-list", theWishList, ``},
	{"make-wish-list", theCustomer, `{"name":"Old"}`},
	{"remove-wish-list", map[string]string{"customer_id": "17850", "list_id": secondListOfStory}, ``},
	{"set-tax-status", theCustomer, `{"kind":"business","country":"NL","tax_id":"NL001234567B01","checked_by":"vies","proof":"WAPIAAAAYxqn1Rsv"}`},
	{"withdraw-tax-status", theCustomer, ``},
	{"block-customer", theCustomer, `{"reason":"chargebacks"}`},
	{"unblock-customer", theCustomer, `{"reason":"a mistake"}`},
	{"register-customer", nil, `{"customer_id":"17849","name":"Bob Example"}`},
	{"merge-customer", map[string]string{"customer_id": "17849"}, `{"into_customer_id":"17850"}`},

	{"set-cart-details", ofBob, `{"shipping":{"name":"Bob Example","lines":["1 High Street"],"postcode":"LS1 4AP","city":"Leeds","country":"GB"},"email":"bob@home.example","delivery_notes":"ring twice"}`},

	{"set-cart-tax-status", ofBob, `{"kind":"exempt","checked_by":"the till","proof":"certificate 7","certificate_until":"2046-01-31T12:00:00Z"}`},
	{"withdraw-cart-tax-status", ofBob, ``},
	{"give-cart-discount", bobsDiscount, `{"percent":"10","reason_code":"damaged"}`},
	{"withdraw-cart-discount", bobsDiscount, ``},
	{"add-cart-coupon", map[string]string{"cart_id": "bob", "code": "SPRING10"}, ``},
	{"choose-cart-shipping", ofBob, `{"method_id":"parcel"}`},
	{"quote-cart", ofBob, ``},
	{"choose-cart-shipping", ofBob, `{}`},
	{"remove-cart-coupon", map[string]string{"cart_id": "bob", "code": "SPRING10"}, ``},

	// The shop gives him credit. Who has the code of a gift card finds the card by it.
	{"issue-gift-card", nil, `{"amount":{"amount":"25.00","currency":"GBP"},"customer_id":"17850","reason":"goodwill"}`},
	{"find-gift-card", nil, `{"code":"K7QF-2M9T-XW4B-H8RD"}`},
	{"show-gift-card-code", theCard, ``},
	{"disable-gift-card", bobsCredit, `{"reason":"given by mistake"}`},
	{"receive-webhook", map[string]string{"provider": "simulated"}, `{"id":"evt_1","type":"payment.captured"}`},

	// He buys it, and the provider reserves the money.
	{"checkout-cart", ofBob, `{"order_id":"order-bob","payment":{"transaction_id":"auth-1","type":"authorize","amount":{"amount":"7.50","currency":"GBP"}}}`},

	// The shop takes the money and sends the parcel.
	{"record-transaction", bobsOrder, `{"transaction_id":"pay-1","type":"capture","state":"pending","parent":"auth-1","amount":{"amount":"7.50","currency":"GBP"}}`},
	{"settle-transaction", map[string]string{"order_id": "order-bob", "transaction_id": "pay-1"}, `{"state":"succeeded","reference":"ch_3P1"}`},
	{"hold-order", bobsOrder, `{"reason":"address unclear"}`},
	{"release-order-hold", bobsOrder, ``},
	{"confirm-order", bobsOrder, ``},
	{"expire-order", bobsOrder, ``},
	{"retry-allocation", bobsOrder, ``},
	{"ship-order", bobsOrder, `{"shipment_id":"parcel-1","carrier":"Royal Mail","tracking":"RM123456789GB"}`},
	{"deliver-shipment", map[string]string{"order_id": "order-bob", "shipment_id": "parcel-1"}, ``},
	{"complete-order", bobsOrder, ``},
	{"archive-order", bobsOrder, ``},
	{"unarchive-order", bobsOrder, ``},

	// Bob sends the mug back, because it is chipped.
	{"request-return", nil, `{"return_id":"back-1","order_id":"order-bob","lines":[{"order_line":1,"quantity":1}],"reason":"chipped"}`},
	{"approve-return", bobsReturn, ``},
	{"receive-return", bobsReturn, `{"lines":[{"line":1,"quantity":1,"disposition":"damaged"}]}`},
	{"refund-return", bobsReturn, `{"transaction_id":"refund-1","amount":{"amount":"7.50","currency":"GBP"}}`},
	{"close-return", bobsReturn, ``},
	{"request-return", nil, `{"return_id":"back-2","currency":"GBP","lines":[{"sku":"mug","price":"7.50","quantity":1}]}`},
	{"decline-return", map[string]string{"return_id": "back-2"}, `{"reason":"not bought here"}`},
	{"request-return", nil, `{"return_id":"back-3","currency":"GBP","lines":[{"sku":"mug","price":"7.50","quantity":1}]}`},
	{"cancel-return", map[string]string{"return_id": "back-3"}, `{"reason":"keeps it"}`},
	{"note-credit", nil, `{"return_id":"credit-1","currency":"GBP","customer_id":"17850","reason":"goodwill","lines":[{"sku":"mug","title":"Late delivery","quantity":-1,"price":"1.50"}]}`},

	// More mugs come in. Ann orders one without an account, and cancels it. Then she signs in.
	{"receive-stock", mugAtMain, `{"quantity":20,"document":"PO-2"}`},
	{"open-cart", nil, `{"cart_id":"ann","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`},
	{"checkout-cart", map[string]string{"cart_id": "ann"}, `{"order_id":"order-ann"}`},
	{"cancel-order", map[string]string{"order_id": "order-ann"}, `{"reason":"changed their mind"}`},
	{"claim-order", map[string]string{"order_id": "order-ann"}, `{"customer_id":"17852"}`},
	{"open-cart", nil, `{"cart_id":"ann-2","currency":"GBP"}`},
	{"abandon-cart", map[string]string{"cart_id": "ann-2"}, `{"reason":"changed their mind"}`},
	{"open-cart", nil, `{"cart_id":"ann-3","currency":"GBP"}`},
	{"expire-cart", map[string]string{"cart_id": "ann-3"}, ``},

	// Dee pays by transfer, and too much. The first try to give the rest back fails. The mug is
	// scratched, and the bank gives back a penny more than asked.
	{"open-cart", nil, `{"cart_id":"dee","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`},
	{"checkout-cart", map[string]string{"cart_id": "dee"}, `{"order_id":"order-dee"}`},
	{"extend-order", deesOrder, `{"confirm_by":"2026-02-03T09:00:00Z","reason":"waits for a transfer"}`},
	{"record-transaction", deesOrder, `{"transaction_id":"dee-pay","type":"capture","amount":{"amount":"8.00","currency":"GBP"}}`},
	{"confirm-order", deesOrder, ``},
	{"request-refund", deesOrder, `{"refund_id":"refund-2","purpose":"settlement","amount":{"amount":"0.50","currency":"GBP"},"parts":[{"payment":"dee-pay","amount":{"amount":"0.50","currency":"GBP"}}],"reason":"paid too much"}`},
	{"settle-refund", deesRefund, `{"state":"failed","code":"account_closed"}`},
	{"retry-refund", deesRefund, ``},
	{"settle-refund", deesRefund, `{"state":"succeeded","reference":"TR-1"}`},
	{"reduce-price", deesOrder, `{"credit_id":"credit-2","amount":{"amount":"1.00","currency":"GBP"},"reason":"scratched"}`},
	{"record-transaction", deesOrder, `{"transaction_id":"dee-desk","type":"refund","amount":{"amount":"1.01","currency":"GBP"}}`},
	{"explain-refund", map[string]string{"order_id": "order-dee", "transaction_id": "dee-desk"}, `{"purpose":"settlement","reason":"a mistake of the bank"}`},
	{"write-off", deesOrder, `{"reason":"not worth collecting"}`},
	{"add-surcharge", deesOrder, `{"charge_id":"charge-1","amount":{"amount":"1.00","currency":"GBP"},"reason":"lives on an island"}`},
	{"credit-charge", map[string]string{"order_id": "order-dee", "charge": "1"}, `{"credit_id":"credit-3","reason":"the island has a bridge"}`},

	// Eve buys two mugs of a legal entity that takes discounts back, and sends both back.
	{"define-legal-entity", anEntity, `{"title":"Example Ltd","home":{"country":"GB"},"price_mode":"incl","default_class":"standard","clawback":true,"taxes":[{"place":{"country":"GB"},"tax_class":"standard","component":"VAT","rate":"20"}]}`},
	{"open-cart", nil, `{"cart_id":"eve","currency":"GBP","country":"GB","lines":[{"sku":"mug","quantity":2}]}`},
	{"checkout-cart", map[string]string{"cart_id": "eve"}, `{"order_id":"order-eve","payment":{},"confirm":true}`},
	{"ship-order", evesOrder, `{"shipment_id":"parcel-eve"}`},
	{"request-return", nil, `{"return_id":"back-5","order_id":"order-eve","lines":[{"order_line":1,"quantity":2}]}`},
	{"approve-return", map[string]string{"return_id": "back-5"}, ``},
	{"receive-return", map[string]string{"return_id": "back-5"}, `{"lines":[{"line":1,"quantity":2,"disposition":"restocked"}]}`},
	{"claw-back", evesOrder, `{"charge_id":"charge-2","credit_id":"` + unit.ReturnCredit.Of("back-5", "receipt-1").ID() + `","amount":{"amount":"0.50","currency":"GBP"},"reason":"a discount for two"}`},
	{"end-legal-entity", anEntity, ``},

	// The warehouse counts 20 mugs where the books have 21, finds one again, and keeps its own
	// promises.
	{"count-stock", mugAtMain, `{"expected":21,"counted":20,"document":"count-1"}`},
	{"adjust-stock", mugAtMain, `{"change":1,"reason":"correction","note":"behind the shelf"}`},
	{"move-stock", mugAtMain, `{"from":"available","to":"quality_control","quantity":1,"note":"the glaze looks dull"}`},
	{"transfer-stock-out", mugAtMain, `{"transfer_id":"transfer-1","to":"east","quantity":5}`},
	{"transfer-stock-in", mugAtEast, `{"transfer_id":"transfer-1","from":"main","quantity":5}`},
	{"set-stock-policy", mugAtMain, `{"safety_stock":0,"backorder_limit":0,"reorder_point":5}`},
	{"reserve-stock", mugAtMain, `{"reservation_id":"reservation-1","order_id":"phone-1","quantity":1,"expires_at":"2026-01-31T12:00:00Z"}`},
	{"extend-reservation", phoneOrder, `{"expires_at":"2026-02-01T12:00:00Z"}`},
	{"commit-reservation", phoneOrder, ``},
	{"reserve-stock", mugAtMain, `{"reservation_id":"reservation-2","order_id":"phone-2","quantity":1,"hold_seconds":900}`},
	{"release-reservation", map[string]string{"sku": "mug", "location": "main", "reservation_id": "reservation-2", "reason": "changed their mind", "force": "false"}, ``},
	{"expire-reservations", mugAtMain, ``},
	{"allocate-stock", mugAtMain, `{"order_id":"phone-3","quantity":2}`},
	{"deallocate-stock", mugAtMain, `{"order_id":"phone-3","quantity":1,"reason":"wants only one"}`},
	{"ship-stock", mugAtMain, `{"order_id":"phone-3","shipment_id":"parcel-2","quantity":1}`},
	{"return-stock", mugAtMain, `{"return_id":"back-4","order_id":"phone-3","quantity":1,"condition":"available"}`},

	// Dee's parcel is lost, and the mug is sent again. The second parcel comes back, because nobody
	// is at home. Dee does not want a third one.
	{"ship-order", deesOrder, `{"shipment_id":"parcel-3","carrier":"Royal Mail"}`},
	{"report-shipment", map[string]string{"order_id": "order-dee", "shipment_id": "parcel-3"}, `{"state":"lost","reason":"the carrier cannot find it","claim":"claimed 7.50 from Royal Mail"}`},
	{"resend-shipment", map[string]string{"order_id": "order-dee", "shipment_id": "parcel-3"}, `{"lines":[{"line":1,"quantity":1}],"reason":"still wants it"}`},
	{"ship-order", deesOrder, `{"shipment_id":"parcel-4","carrier":"Royal Mail"}`},
	{"take-shipment-back", map[string]string{"order_id": "order-dee", "shipment_id": "parcel-4"}, `{"location":"main","lines":[{"line":1,"quantity":1,"disposition":"restocked"}],"reason":"nobody at home"}`},
	{"credit-shipment", map[string]string{"order_id": "order-dee", "shipment_id": "parcel-4"}, `{"lines":[{"line":1,"quantity":1}],"reason":"does not want it any more"}`},

	// The shop gets a packing table, with a role and an API key of its own.
	{"define-role", aRole, `{"grants":[{"permission":"api.look","reach":"all"},{"permission":"orders.read","reach":"all"},{"permission":"orders.ship","reach":"all"}]}`},
	{"create-key", nil, `{"name":"packing table","role":"operator"}`},

	// Eve is invited. The rest of her story needs tokens that only she has.
	{"invite-staff", nil, `{"email":"eve@shop.example","name":"Eve","role":"manager"}`},
	{"redeem-token", nil, `{"token":"dbt_p3f9a1c2d4_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","password":"correct horse battery staple"}`},
	{"sign-in", nil, `{"email":"eve@shop.example","password":"correct horse battery staple"}`},
	{"begin-factor", nil, `{"step_token":"dbs_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`},
	{"confirm-factor", nil, `{"step_token":"dbs_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","code":"123456"}`},
	{"enter-code", nil, `{"step_token":"dbs_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","code":"123456"}`},
	{"request-reset", nil, `{"email":"eve@shop.example"}`},
	{"change-password", nil, `{"password":"correct horse battery staple","new_password":"another horse battery staple"}`},
	{"ask-email", nil, `{"password":"correct horse battery staple","email":"eve@home.example"}`},
	{"know-browser", nil, `{"token":"dbr_p3f9a1c2d4_1767355200_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`},
	{"confirm-email", nil, `{"token":"dbe_p3f9a1c2d4_1767355200_65766540686f6d652e6578616d706c65_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`},
	{"sign-up", nil, `{"email":"ann@home.example"}`},
	{"confirm-sign-up", nil, `{"token":"dbu_1767355200_8d3f0a917c24b6e5_616e6e40686f6d652e6578616d706c65__9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","password":"correct horse battery staple","name":"Ann Example"}`},
	{"invite-customer", nil, `{"customer_id":"17850","email":"ann@home.example"}`},
	{"begin-new-factor", nil, ``},
	{"replace-factor", nil, `{"step_token":"dbs_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","password":"correct horse battery staple","code":"123456","new_code":"654321"}`},
	{"renew-recovery-codes", nil, `{"password":"correct horse battery staple","code":"123456"}`},
	{"end-session", map[string]string{"session_id": "s3f9a1c2d4"}, ``},
	{"sign-out", nil, ``},
	{"change-role", aPerson, `{"role":"auditor"}`},
	{"give-token", aPerson, ``},
	{"change-email", aPerson, `{"email":"eve@home.example"}`},
	{"end-staff-session", map[string]string{"person_id": "p3f9a1c2d4", "session_id": "s3f9a1c2d4"}, ``},
	{"remove-factor", aPerson, ``},
	{"disable-staff", aPerson, `{"reason":"left the shop"}`},

	// A customer wants to be forgotten.
	{"register-customer", nil, `{"customer_id":"17851","name":"Cy Example"}`},
	{"erase-customer", map[string]string{"customer_id": "17851"}, ``},

	// A guest's texts are erased, because the shop keeps them no longer.
	{"erase-subject", nil, `{"cart_id":"cart-of-a-guest","reason":"retention"}`},

	// The mug is sold no longer, and work that failed is left as it is.
	{"retire-product", map[string]string{"sku": "mug", "reason": "sold out for good"}, ``},
	{"end-price-list", tradeList, ``},
	{"end-promotion", thePromotion, ``},
	{"end-shipping-method", theParcel, ``},
	{"end-legal-entity", theEntity, ``},
	{"retry-process", parkedWork, ``},
	{"rotate-key", anAPIKey, `{"overlap_seconds":86400}`},
	{"revoke-key", anAPIKey, `{"reason":"the tablet was lost"}`},
	{"remove-role", aRole, ``},
	{"dismiss-process", parkedWork, `{"reason":"the stream was deleted by hand"}`},
}
