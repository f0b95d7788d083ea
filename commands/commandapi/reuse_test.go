package commandapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
	"daybook/internal/problem"
)

// keyed is a request under a key, and the same request with other content.
type keyed struct {
	after string // the stage that the shop must have reached; see stages
	path  string
	body  string
	other string // empty: the same body with another effective time
	// everyTime means that the request records nothing in the log. So it is carried out each time
	// that it is sent, even under a key that was used before.
	everyTime bool
	// first does further preparations after the stage.
	first func(s *keyShop)
}

// withPrices makes a price list, a shipping method and a legal entity.
func withPrices(s *keyShop) {
	s.must("PUT", "/v1/price-lists/l", `{"currency":"GBP","price_mode":"incl"}`)
	s.must("PUT", "/v1/shipping-methods/m", `{"title":"A","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`)
	s.must("PUT", "/v1/legal-entities/e", `{"title":"A","home":{"country":"GB"},"price_mode":"incl"}`)
}

func aPromotion(title string) string {
	return `{"title":"` + title + `","kind":"coupon","class":"order","action":{"type":"percent_off","percent":"10"}}`
}

// withPromotion makes a promotion p with two codes.
func withPromotion(s *keyShop) {
	s.must("PUT", "/v1/promotions/p", aPromotion("Spring"))
	s.must("POST", "/v1/promotions/p/codes", `{"codes":["NINE","EIGHT"]}`)
}

func creditOf(pounds string) string {
	return `{"amount":{"amount":"` + pounds + `","currency":"GBP"},"customer_id":"17850"}`
}

// The requests for each route, by operation id. The shop sells mugs. Cart c, order o and return r
// are about the same goods.
var keyedRequests = map[string]keyed{
	"add-cart-coupon":          {after: "cart", path: "/v1/carts/c/coupons/TEN", other: ""},
	"remove-cart-coupon":       {after: "cart", path: "/v1/carts/c/coupons/TEN", first: func(s *keyShop) { s.must("PUT", "/v1/carts/c/coupons/TEN", "") }},
	"give-cart-discount":       {after: "cart", path: "/v1/carts/c/discounts/d", body: `{"percent":"10","reason_code":"damaged"}`, other: `{"percent":"20","reason_code":"damaged"}`},
	"withdraw-cart-discount":   {after: "cart", path: "/v1/carts/c/discounts/d", first: func(s *keyShop) { s.must("PUT", "/v1/carts/c/discounts/d", `{"percent":"10","reason_code":"damaged"}`) }},
	"set-cart-tax-status":      {after: "cart", path: "/v1/carts/c/tax-status", body: `{"kind":"exempt","proof":"7"}`, other: `{"kind":"exempt","proof":"8"}`},
	"withdraw-cart-tax-status": {after: "cart", path: "/v1/carts/c/tax-status", first: func(s *keyShop) { s.must("PUT", "/v1/carts/c/tax-status", `{"kind":"exempt","proof":"7"}`) }},
	"quote-cart":               {after: "cart", path: "/v1/carts/c/quote", everyTime: true},
	"choose-cart-shipping":     {after: "cart", path: "/v1/carts/c/shipping", body: `{"method_id":"post"}`, other: `{"method_id":"air"}`},
	"list-product":             {path: "/v1/products/NEW", body: `{"title":"New"}`, other: `{"title":"Newer"}`},
	"set-price":                {path: "/v1/products/MUG/prices/EUR", body: `{"amount":"3.00"}`, other: `{"amount":"4.00"}`},
	"retire-product":           {path: "/v1/products/MUG?reason=old", other: ""},

	"define-price-list":      {path: "/v1/price-lists/new", body: `{"currency":"GBP","price_mode":"incl"}`, other: `{"currency":"GBP","price_mode":"incl","title":"a"}`},
	"end-price-list":         {path: "/v1/price-lists/l?reason=old", first: withPrices},
	"set-list-prices":        {path: "/v1/price-lists/l/prices", body: `{"prices":[{"sku":"MUG","tiers":[{"price":"1"}]}]}`, other: `{"prices":[{"sku":"MUG","tiers":[{"price":"2"}]}]}`, first: withPrices},
	"import-list-prices":     {path: "/v1/price-lists/l/import", body: `{"csv":"sku,price\nMUG,1\n"}`, other: `{"csv":"sku,price\nMUG,2\n"}`, first: withPrices},
	"preview-price":          {path: "/v1/price-preview", body: `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, other: `{"currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`, everyTime: true},
	"define-shipping-method": {path: "/v1/shipping-methods/new", body: `{"title":"A","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`, other: `{"title":"B","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`},
	"end-shipping-method":    {path: "/v1/shipping-methods/m?reason=old", first: withPrices},
	"define-legal-entity":    {path: "/v1/legal-entities/new", body: `{"title":"A","home":{"country":"GB"},"price_mode":"incl"}`, other: `{"title":"B","home":{"country":"GB"},"price_mode":"incl"}`},
	"end-legal-entity":       {path: "/v1/legal-entities/e?reason=old", first: withPrices},

	"define-promotion":    {path: "/v1/promotions/new", body: aPromotion("Spring"), other: aPromotion("Summer")},
	"end-promotion":       {path: "/v1/promotions/p?reason=old", first: withPromotion},
	"give-codes":          {path: "/v1/promotions/p/codes", body: `{"codes":["TEN"]}`, other: `{"codes":["ELEVEN"]}`, first: withPromotion},
	"withdraw-codes":      {path: "/v1/promotions/p/withdraw-codes", body: `{"codes":["NINE"]}`, other: `{"codes":["EIGHT"]}`, first: withPromotion},
	"issue-gift-card":     {path: "/v1/gift-cards", body: creditOf("5"), other: creditOf("6"), first: registered},
	"find-gift-card":      {path: "/v1/gift-cards/find", body: `{"code":"NONE"}`, everyTime: true},
	"show-gift-card-code": {path: "/v1/gift-cards/" + string(theSoldCard) + "/code", first: withSoldCard},
	"disable-gift-card": {
		path: "/v1/gift-cards/" + string(giftcard.AccountID("17850", "GBP")) + "/disable", body: `{"reason":"a"}`, other: `{"reason":"b"}`,
		first: func(s *keyShop) {
			registered(s)
			s.must("POST", "/v1/gift-cards", creditOf("5"), "Idempotency-Key", "credit")
		},
	},

	"retry-process":   {path: "/v1/processes/1b4e28ba-2fa1-51d2-883f-0016d3cca427/retry", everyTime: true},
	"dismiss-process": {path: "/v1/processes/1b4e28ba-2fa1-51d2-883f-0016d3cca427/dismiss", body: `{"reason":"a"}`, other: `{"reason":"b"}`, everyTime: true},

	"create-key":  {path: "/v1/keys", body: `{"name":"a","role":"operator"}`, everyTime: true},
	"rotate-key":  {path: "/v1/keys/none/rotate", body: `{}`, everyTime: true},
	"revoke-key":  {path: "/v1/keys/none/revoke", body: `{}`, everyTime: true},
	"define-role": {path: "/v1/roles/picker", body: `{"grants":[{"permission":"orders.ship","reach":"all"}]}`, everyTime: true},
	"remove-role": {path: "/v1/roles/picker", everyTime: true},

	"receive-webhook":      {path: "/v1/payments/webhooks/none", body: `{}`, everyTime: true},
	"sign-in":              {path: "/v1/auth/sign-in", body: `{"email":"eve@shop.example","password":"wrong"}`, everyTime: true},
	"enter-code":           {path: "/v1/auth/second-factor", body: `{"step_token":"none","code":"123456"}`, everyTime: true},
	"begin-factor":         {path: "/v1/auth/factor", body: `{"step_token":"none"}`, everyTime: true},
	"confirm-factor":       {path: "/v1/auth/factor/confirm", body: `{"step_token":"none","code":"123456"}`, everyTime: true},
	"redeem-token":         {path: "/v1/auth/token", body: `{"token":"none","password":"correct horse battery"}`, everyTime: true},
	"request-reset":        {path: "/v1/auth/reset-requests", body: `{"email":"eve@shop.example"}`, everyTime: true},
	"sign-up":              {path: "/v1/auth/sign-up", body: `{"email":"ann@home.example"}`, everyTime: true},
	"confirm-sign-up":      {path: "/v1/auth/sign-up/confirm", body: `{"token":"none","password":"correct horse battery"}`, everyTime: true},
	"invite-customer":      {path: "/v1/auth/invitations", body: `{"customer_id":"17850","email":"ann@home.example"}`, everyTime: true},
	"sign-out":             {path: "/v1/auth/sign-out", everyTime: true},
	"change-password":      {path: "/v1/auth/password", body: `{"password":"wrong","new_password":"correct horse battery"}`, everyTime: true},
	"ask-email":            {path: "/v1/auth/email", body: `{"password":"wrong","email":"eve@home.example"}`, everyTime: true},
	"know-browser":         {path: "/v1/auth/known-browser", body: `{"token":"none"}`, everyTime: true},
	"confirm-email":        {path: "/v1/auth/email/confirm", body: `{"token":"none"}`, everyTime: true},
	"change-email":         {path: "/v1/staff/none/email", body: `{"email":"eve@home.example"}`, everyTime: true},
	"begin-new-factor":     {path: "/v1/auth/new-factor", everyTime: true},
	"replace-factor":       {path: "/v1/auth/new-factor/confirm", body: `{"step_token":"none","password":"wrong","code":"123456","new_code":"123456"}`, everyTime: true},
	"renew-recovery-codes": {path: "/v1/auth/recovery-codes", body: `{"password":"wrong","code":"123456"}`, everyTime: true},
	"end-staff-session":    {path: "/v1/staff/none/sessions/none/end", everyTime: true},
	"end-session":          {path: "/v1/auth/sessions/none/end", everyTime: true},
	"invite-staff":         {path: "/v1/staff", body: `{"email":"eve@shop.example","name":"Eve","role":"operator"}`, everyTime: true},
	"give-token":           {path: "/v1/staff/none/token", everyTime: true},
	"change-role":          {path: "/v1/staff/none/role", body: `{"role":"operator"}`, everyTime: true},
	"disable-staff":        {path: "/v1/staff/none/disable", body: `{}`, everyTime: true},
	"remove-factor":        {path: "/v1/staff/none/remove-factor", everyTime: true},

	"erase-customer":   {path: "/v1/customers/leaving/erasure", everyTime: true},
	"erase-subject":    {path: "/v1/erasures", body: `{"customer_id":"gone","reason":"requested"}`, everyTime: true},
	"open-cart":        {path: "/v1/carts", body: `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, other: `{"currency":"GBP","lines":[{"sku":"NONE","quantity":1}]}`},
	"add-cart-lines":   {after: "cart", path: "/v1/carts/c/lines", body: `{"lines":[{"sku":"MUG","quantity":1}]}`, other: `{"lines":[{"sku":"MUG","quantity":2}]}`},
	"change-cart-line": {after: "cart", path: "/v1/carts/c/lines/1", body: `{"quantity":3}`, other: `{"quantity":4}`},
	"patch-cart":       {after: "cart", path: "/v1/carts/c", body: `{"country":"France"}`, other: `{"country":"EIRE"}`},
	"set-cart-details": {after: "cart", path: "/v1/carts/c/details", body: `{"email":"ann@home.example"}`, other: `{"email":"bob@home.example"}`},
	"remove-cart-line": {after: "cart", path: "/v1/carts/c/lines/1"},
	"checkout-cart":    {after: "cart", path: "/v1/carts/c/checkout", body: `{"confirm":true,"payment":{}}`, other: `{"hold_seconds":60}`},
	"merge-cart":       {after: "cart", path: "/v1/carts/c/merge", body: `{"from":"guest"}`, other: `{"from":"friend"}`, first: guests},
	"claim-cart":       {path: "/v1/carts/guest/claim", body: `{"customer_id":"17850"}`, other: `{"customer_id":"17851"}`, first: guests},
	"abandon-cart":     {after: "cart", path: "/v1/carts/c/abandon", body: `{"reason":"a"}`, other: `{"reason":"b"}`},
	"expire-cart":      {after: "cart", path: "/v1/carts/c/expire", first: func(s *keyShop) { s.pass(60 * 24 * time.Hour) }},

	"receive-stock":       {path: "/v1/stock/MUG/main/receipts", body: `{"quantity":5}`, other: `{"quantity":70}`},
	"adjust-stock":        {path: "/v1/stock/MUG/main/adjustments", body: `{"change":-5,"reason":"shrinkage"}`, other: `{"change":-70,"reason":"shrinkage"}`},
	"count-stock":         {path: "/v1/stock/MUG/main/counts", body: `{"expected":100,"counted":98}`, other: `{"expected":98,"counted":97}`},
	"move-stock":          {path: "/v1/stock/MUG/main/moves", body: `{"from":"available","to":"damaged","quantity":5}`, other: `{"from":"available","to":"damaged","quantity":6}`},
	"transfer-stock-out":  {path: "/v1/stock/MUG/main/transfers-out", body: `{"to":"shop","quantity":5}`, other: `{"to":"shop","quantity":6}`},
	"transfer-stock-in":   {path: "/v1/stock/MUG/main/transfers-in", body: `{"transfer_id":"t","from":"shop","quantity":5}`, other: `{"transfer_id":"t","from":"shop","quantity":6}`},
	"ship-stock":          {path: "/v1/stock/MUG/main/shipments", body: `{"order_id":"x","shipment_id":"s","quantity":2}`, other: `{"order_id":"x","shipment_id":"s","quantity":3}`, first: allocated},
	"return-stock":        {path: "/v1/stock/MUG/main/returns", body: `{"return_id":"b","quantity":2,"condition":"damaged"}`, other: `{"return_id":"b","quantity":3,"condition":"damaged"}`},
	"set-stock-policy":    {path: "/v1/stock/MUG/main/policy", body: `{"safety_stock":1,"backorder_limit":0,"reorder_point":0}`, other: `{"safety_stock":2,"backorder_limit":0,"reorder_point":0}`},
	"expire-reservations": {path: "/v1/stock/MUG/main/expirations", first: func(s *keyShop) { reserved(s); s.pass(2 * time.Hour) }},

	"reserve-stock":       {path: "/v1/stock/MUG/main/reservations", body: `{"order_id":"y","quantity":2,"hold_seconds":60}`, other: `{"order_id":"y","quantity":3,"hold_seconds":60}`},
	"extend-reservation":  {path: "/v1/stock/MUG/main/reservations/res", body: `{"hold_seconds":7000}`, other: `{"hold_seconds":8000}`, first: reserved},
	"release-reservation": {path: "/v1/stock/MUG/main/reservations/res", first: reserved},
	"commit-reservation":  {path: "/v1/stock/MUG/main/reservations/res/commit", first: reserved},
	"allocate-stock":      {path: "/v1/stock/MUG/main/allocations", body: `{"order_id":"y","quantity":2}`, other: `{"order_id":"y","quantity":3}`},
	"deallocate-stock":    {path: "/v1/stock/MUG/main/deallocations", body: `{"order_id":"x","quantity":2}`, other: `{"order_id":"x","quantity":3}`, first: allocated},

	"register-customer": {path: "/v1/customers", body: `{"name":"Ann"}`, other: `{"name":"Bob"}`},
	"patch-customer":    {path: "/v1/customers/17850", body: `{"name":"Ann"}`, other: `{"name":"Bob"}`, first: registered},
	"add-address":       {path: "/v1/customers/17850/addresses", body: addressIn("GB"), other: addressIn("FR"), first: registered},
	"change-address":    {path: anAddress, body: addressIn("DE"), other: addressIn("FR"), first: registered},
	"remove-address":    {path: anAddress, first: registered},
	"record-consent":    {path: "/v1/customers/17850/consents", body: `{"purpose":"terms","version":"1","given":true}`, other: `{"purpose":"terms","version":"2","given":true}`, first: registered},
	"set-tax-status":    {path: "/v1/customers/17850/tax-status", body: `{"kind":"exempt","proof":"7"}`, other: `{"kind":"exempt","proof":"8"}`, first: registered},
	"withdraw-tax-status": {path: "/v1/customers/17850/tax-status", first: func(s *keyShop) {
		registered(s)
		s.must("PUT", "/v1/customers/17850/tax-status", `{"kind":"exempt","proof":"7"}`)
	}},
	"set-groups":        {path: "/v1/customers/17850/groups", body: `{"groups":["trade"]}`, other: `{"groups":["vip"]}`, first: registered},
	"add-note":          {path: "/v1/customers/17850/notes", body: `{"text":"a"}`, other: `{"text":"b"}`, first: registered},
	"make-wish-list":    {path: "/v1/customers/17850/wish-lists", body: `{"name":"a"}`, other: `{"name":"b"}`, first: registered},
	"rename-wish-list":  {path: aWishList, body: `{"name":"a"}`, other: `{"name":"b"}`, first: registered},
	"remove-wish-list":  {path: aWishList, first: registered},
	"set-wish":          {path: aWishList + "/wishes/MUG", body: `{"quantity":3}`, other: `{"quantity":4}`, first: registered},
	"share-wish-list":   {path: aWishList + "/share", first: registered, everyTime: true},
	"unshare-wish-list": {path: aWishList + "/unshare", first: func(s *keyShop) { registered(s); s.must("POST", aWishList+"/share", "") }},
	"add-wishes":        {after: "cart", path: "/v1/carts/c/wishes", body: `{"customer_id":"17850","list_id":"` + theWishList + `"}`, other: `{"customer_id":"17850","list_id":"` + theWishList + `","skus":["MUG"]}`, first: registered},
	"block-customer":    {path: "/v1/customers/17850/block", body: `{"reason":"a"}`, other: `{"reason":"b"}`, first: registered},
	"merge-customer": {
		path: "/v1/customers/17850/merge", body: `{"into_customer_id":"17849"}`, other: `{"into_customer_id":"17848"}`,
		first: func(s *keyShop) {
			registered(s)
			for _, id := range []string{"17849", "17848"} {
				s.must("POST", "/v1/customers", `{"customer_id":"`+id+`"}`, "Idempotency-Key", id)
			}
		},
	},
	"unblock-customer": {path: "/v1/customers/17850/unblock", body: `{"reason":"a"}`, other: `{"reason":"b"}`, first: blocked},

	"confirm-order":      {after: "paid", path: "/v1/orders/o/confirm"},
	"hold-order":         {after: "confirmed", path: "/v1/orders/o/hold", body: `{"reason":"a"}`, other: `{"reason":"b"}`},
	"release-order-hold": {after: "confirmed", path: "/v1/orders/o/release-hold", first: func(s *keyShop) { s.must("POST", "/v1/orders/o/hold", `{"reason":"a"}`) }},
	"cancel-order":       {after: "placed", path: "/v1/orders/o/cancel", body: `{"reason":"a"}`, other: `{"reason":"b"}`},
	"claim-order":        {path: "/v1/orders/guests/claim", body: `{"customer_id":"17850"}`, other: `{"customer_id":"17851"}`, first: guestsOrder},
	"expire-order":       {after: "placed", path: "/v1/orders/o/expire", first: func(s *keyShop) { s.pass(2 * time.Hour) }},
	"record-transaction": {after: "placed", path: "/v1/orders/o/transactions", body: capture("1.00"), other: capture("2.00")},
	"settle-transaction": {
		after: "placed", path: "/v1/orders/o/transactions/p", body: `{"state":"succeeded"}`, other: `{"state":"failed"}`,
		first: func(s *keyShop) {
			s.must("POST", "/v1/orders/o/transactions", `{"transaction_id":"p","type":"capture","state":"pending","amount":{"amount":"1.00","currency":"GBP"}}`, "Idempotency-Key", "pending")
		},
	},
	"request-refund": {after: "paid", path: "/v1/orders/o/refunds", body: sorry("1.00"), other: sorry("2.00")},
	"retry-refund":   {after: "paid", path: refundPart + "/retry", first: failedRefund},
	"settle-refund":  {after: "paid", path: refundPart + "/settle", body: `{"state":"succeeded"}`, other: `{"state":"failed"}`, first: requestedRefund},
	"explain-refund": {after: "placed", path: "/v1/orders/o/transactions/desk/explain", body: `{"purpose":"settlement","reason":"a"}`, other: `{"purpose":"compensation","reason":"a"}`, first: refundedElsewhere},
	"write-off": {
		after: "placed", path: "/v1/orders/o/write-off", body: `{"reason":"a"}`, other: `{"reason":"b"}`,
		first: func(s *keyShop) {
			s.must("POST", "/v1/orders/o/transactions", capture("4.99"), "Idempotency-Key", "most of it")
		},
	},
	"reduce-price":  {after: "paid", path: "/v1/orders/o/reductions", body: reduction("1.00"), other: reduction("2.00")},
	"credit-charge": {after: "paid", path: "/v1/orders/o/charges/1/credits", body: reduction("1.00"), other: reduction("2.00"), first: withSurcharge},
	"add-surcharge": {after: "paid", path: "/v1/orders/o/surcharges", body: reduction("1.00"), other: reduction("2.00")},
	"claw-back":     {path: "/v1/orders/o/clawbacks", body: clawback("0.10"), other: clawback("0.20"), first: func(s *keyShop) { s.returned(true) }},
	"extend-order":  {after: "placed", path: "/v1/orders/o/extend", body: extension(2 * time.Hour), other: extension(3 * time.Hour)},

	"ship-order":         {after: "confirmed", path: "/v1/orders/o/shipments", body: `{"carrier":"a"}`, other: `{"carrier":"b"}`},
	"deliver-shipment":   {after: "shipped", path: "/v1/orders/o/shipments/s/deliver"},
	"report-shipment":    {after: "shipped", path: "/v1/orders/o/shipments/s/report", body: `{"state":"undeliverable"}`, other: `{"state":"lost"}`},
	"take-shipment-back": {after: "shipped", path: "/v1/orders/o/shipments/s/come-back", body: backInParcel("restocked"), other: backInParcel("damaged")},
	"resend-shipment":    {after: "shipped", path: "/v1/orders/o/shipments/s/resend", body: `{"reason":"a"}`, other: `{"reason":"b"}`, first: lostParcel},
	"credit-shipment":    {after: "shipped", path: "/v1/orders/o/shipments/s/credit", body: `{"reason":"a"}`, other: `{"reason":"b"}`, first: lostParcel},
	"retry-allocation":   {after: "paid", path: "/v1/orders/o/retry-allocation", first: lost},
	"complete-order":     {after: "delivered", path: "/v1/orders/o/complete"},
	"archive-order":      {after: "completed", path: "/v1/orders/o/archive"},
	"unarchive-order":    {after: "completed", path: "/v1/orders/o/unarchive", first: func(s *keyShop) { s.must("POST", "/v1/orders/o/archive", "") }},

	"request-return": {after: "delivered", path: "/v1/returns", body: `{"order_id":"o","lines":[{"order_line":1,"quantity":1}]}`, other: `{"order_id":"o","lines":[{"order_line":1,"quantity":2}]}`},
	"approve-return": {after: "requested", path: "/v1/returns/r/approve"},
	"decline-return": {after: "requested", path: "/v1/returns/r/decline", body: `{"reason":"a"}`, other: `{"reason":"b"}`},
	"cancel-return":  {after: "requested", path: "/v1/returns/r/cancel", body: `{"reason":"a"}`, other: `{"reason":"b"}`},
	"receive-return": {after: "approved", path: "/v1/returns/r/receipts", body: comingBack("restocked"), other: comingBack("damaged")},
	"refund-return":  {after: "received", path: "/v1/returns/r/refunds", body: `{"amount":{"amount":"1.00","currency":"GBP"}}`, other: `{"amount":{"amount":"2.00","currency":"GBP"}}`},
	"close-return":   {after: "received", path: "/v1/returns/r/close"},
	"note-credit":    {path: "/v1/credit-notes", body: creditNote("1.00"), other: creditNote("2.00")},
}

// secrets make the codes of gift cards.
var secrets = commands.NewSecrets([]byte("12345678901234567890123456789012"))

// theSoldCard is the id of the gift card that withSoldCard issues.
var theSoldCard, _ = secrets.Card(secrets.Code("sold", "o", "1", "1"))

// withSoldCard issues a gift card that an order has sold. Its code was not shown yet.
func withSoldCard(s *keyShop) {
	meta := eventstore.Metadata{CommandID: uuid.New()}
	if err := s.service.IssueSold(s.t.Context(), meta, giftcard.Sold{OrderID: "o", Line: 1, Unit: 1}, unit.Money{Amount: decimal.NewFromInt(25), Currency: "GBP"}); err != nil {
		s.t.Fatal(err)
	}
}

// anAddress is the path of the address that registered adds.
var anAddress = "/v1/customers/17850/addresses/a" + unit.NewAddress.Of(commandapi.CommandOf("anonymous", "address").String()).ID()

// theWishList is the id of the wish list that registered makes.
var theWishList = "w" + unit.NewWishList.Of(commandapi.CommandOf("anonymous", "wish list").String()).ID()

var aWishList = "/v1/customers/17850/wish-lists/" + theWishList

func addressIn(country string) string {
	return `{"lines":["1 High Street"],"country":"` + country + `"}`
}

// registered registers customer 17850, with an address.
func registered(s *keyShop) {
	s.must("POST", "/v1/customers", `{"customer_id":"17850","name":"Customer"}`)
	s.must("POST", "/v1/customers/17850/addresses", addressIn("GB"), "Idempotency-Key", "address")
	s.must("POST", "/v1/customers/17850/wish-lists", `{"name":"Birthday"}`, "Idempotency-Key", "wish list")
	s.must("PUT", aWishList+"/wishes/MUG", `{"quantity":2}`)
}

func blocked(s *keyShop) {
	registered(s)
	s.must("POST", "/v1/customers/17850/block", `{"reason":"chargebacks"}`)
}

func capture(amount string) string {
	return fmt.Sprintf(`{"type":"capture","amount":{"amount":%q,"currency":"GBP"}}`, amount)
}

func sorry(amount string) string {
	return fmt.Sprintf(`{"purpose":"compensation","amount":{"amount":%q,"currency":"GBP"},"reason":"late"}`, amount)
}

func reduction(amount string) string {
	return fmt.Sprintf(`{"amount":{"amount":%q,"currency":"GBP"},"reason":"scratched"}`, amount)
}

func extension(by time.Duration) string {
	return fmt.Sprintf(`{"confirm_by":%q,"reason":"asked by telephone"}`, time.Now().Add(by).UTC().Format(time.RFC3339))
}

// refundPart is the path of the only part of the refund that requestedRefund asks for.
var refundPart = "/v1/orders/o/refunds/f/parts/" + unit.RefundPart.Of("o", "f", "cap").ID()

func requestedRefund(s *keyShop) {
	s.must("POST", "/v1/orders/o/transactions", `{"transaction_id":"cap","type":"capture","amount":{"amount":"1.00","currency":"GBP"}}`, "Idempotency-Key", "too much")
	s.must("POST", "/v1/orders/o/refunds", `{"refund_id":"f","purpose":"settlement","amount":{"amount":"1.00","currency":"GBP"},"reason":"paid too much"}`, "Idempotency-Key", "refund")
}

func failedRefund(s *keyShop) {
	requestedRefund(s)
	s.must("POST", refundPart+"/settle", `{"state":"failed","code":"account_closed"}`, "Idempotency-Key", "failed")
}

// refundedElsewhere records that the provider has given back money that the order owes.
func refundedElsewhere(s *keyShop) {
	s.must("POST", "/v1/orders/o/transactions", `{"transaction_id":"cap","type":"capture","amount":{"amount":"5.00","currency":"GBP"}}`, "Idempotency-Key", "paid")
	s.must("POST", "/v1/orders/o/transactions", `{"transaction_id":"desk","type":"refund","amount":{"amount":"5.00","currency":"GBP"}}`, "Idempotency-Key", "at the desk")
}

func comingBack(disposition string) string {
	return fmt.Sprintf(`{"lines":[{"line":1,"quantity":1,"disposition":%q}]}`, disposition)
}

// backInParcel says that both units of the parcel come back.
func backInParcel(disposition string) string {
	return fmt.Sprintf(`{"lines":[{"line":1,"quantity":2,"disposition":%q}]}`, disposition)
}

// lostParcel loses the parcel.
func lostParcel(s *keyShop) { s.must("POST", "/v1/orders/o/shipments/s/report", `{"state":"lost"}`) }

func creditNote(price string) string {
	return fmt.Sprintf(`{"reason":"bad_debt","currency":"GBP","lines":[{"sku":"MUG","quantity":1,"price":%q}]}`, price)
}

// stages are the steps that the goods go through, in their order.
var stages = []struct{ name, method, path, body string }{
	{"cart", "POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`},
	{"placed", "POST", "/v1/carts/c/checkout", `{"order_id":"o","hold_seconds":3600}`},
	{"paid", "POST", "/v1/orders/o/transactions", capture("5.00")},
	{"confirmed", "POST", "/v1/orders/o/confirm", ""},
	{"shipped", "POST", "/v1/orders/o/shipments", `{"shipment_id":"s"}`},
	{"delivered", "POST", "/v1/orders/o/shipments/s/deliver", ""},
	{"completed", "POST", "/v1/orders/o/complete", ""},
	{"requested", "POST", "/v1/returns", `{"return_id":"r","order_id":"o","lines":[{"order_line":1,"quantity":1}]}`},
	{"approved", "POST", "/v1/returns/r/approve", ""},
	{"received", "POST", "/v1/returns/r/receipts", comingBack("restocked")},
}

func reserved(s *keyShop) {
	s.must("POST", "/v1/stock/MUG/main/reservations", `{"order_id":"x","reservation_id":"res","quantity":2,"hold_seconds":3600}`, "Idempotency-Key", "reserved")
}

// guests fills two carts that can be merged into another. Each stream of a cart remembers its own
// commands, and a merge begins in the stream of the cart that ends.
func guests(s *keyShop) {
	for _, id := range []string{"guest", "friend"} {
		s.must("POST", "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, "Idempotency-Key", id)
	}
}

func guestsOrder(s *keyShop) {
	guests(s)
	s.must("POST", "/v1/carts/guest/checkout", `{"order_id":"guests"}`, "Idempotency-Key", "guests order")
}

func allocated(s *keyShop) {
	s.must("POST", "/v1/stock/MUG/main/allocations", `{"order_id":"x","quantity":5}`, "Idempotency-Key", "allocated")
}

// lost takes away the units that are reserved for order o, before the order is confirmed.
func lost(s *keyShop) {
	mugs := stock.Key{SKU: "MUG", Location: "main"}
	started := cart.CheckoutStarted{CartID: "c", OrderID: "o", OrderIDFrom: cart.FromCaller}
	at := s.service.At(mugs)
	call := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}
	_, err := s.service.MoveStock(s.t.Context(), call, mugs,
		stock.Release{At: at, ReservationID: checkout.ReservationID(started, mugs.SKU, mugs.Location)}, stock.TransferOut{At: at, TransferID: "gone", To: "shop", Quantity: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("POST", "/v1/orders/o/confirm", "")
	s.receive("MUG", 100)
}

// keyShop is a shop whose clock the test moves. Its handlers remember no command, and its log may
// be one without an index of event ids.
type keyShop struct {
	*shop
	log   eventstore.Store
	ahead *atomic.Int64
}

func (s *keyShop) pass(d time.Duration) { s.ahead.Add(int64(d)) }

// restart starts a new process, which has none of the kept answers.
func (s keyShop) restart() *keyShop {
	s.t.Helper()
	next := *s.shop
	next.answers = &answers{kept: make(map[string]commands.KeptAnswer)}
	policy := commands.DefaultPolicy()
	policy.Remedy = order.RemedyBackorder
	now := func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	next.service = commands.NewService(s.log, policy, now, aggregate.Options{Remembered: -1})
	next.service.Secrets = secrets
	next.handler = serve(s.t, next.service, next.answers)
	next.closeAtEnd()
	s.shop = &next
	return &s
}

// A key is registered as long as the log exists. Even when its answer is deleted and no process
// remembers its command, the same request gets the result of the first one, and another
// request is refused. The test tries every route that takes a key.
func TestAKeyTellsRequestsApartAtAnyAge(t *testing.T) {
	t.Parallel()
	methods := operationMethods(t)
	for id := range methods {
		if _, listed := keyedRequests[id]; !listed {
			t.Errorf("%s has no row here", id)
		}
	}
	for name, log := range map[string]func(eventstore.Store) eventstore.Store{
		"with an index of ids": func(store eventstore.Store) eventstore.Store { return store },
		"without":              func(store eventstore.Store) eventstore.Store { return logtest.Unindexed{Store: store} },
	} {
		for _, id := range slices.Sorted(maps.Keys(keyedRequests)) {
			if keyedRequests[id].everyTime {
				continue
			}
			t.Run(name+"/"+id, func(t *testing.T) {
				t.Parallel()
				testKeyed(t, log, methods[id], keyedRequests[id])
			})
		}
	}
}

// A key belongs to its caller: the same key of another caller is another request, with other
// ids. The test tries every route that takes a key: two callers send the same request, one
// after the other, and each repeats it.
func TestTwoCallersUnderOneKeyHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	operations := operationMethods(t)
	for _, id := range slices.Sorted(maps.Keys(keyedRequests)) {
		request := keyedRequests[id]
		if request.everyTime {
			continue
		}
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			s := prepared(t, memory.New(), func(store eventstore.Store) eventstore.Store { return store }, request)
			first := s.must(operations[id], request.path, request.body, "Idempotency-Key", "k", "Daybook-Actor", "customer:ann")
			second := s.ask(operations[id], request.path, request.body, "Idempotency-Key", "k", "Daybook-Actor", "customer:bob")
			if second.status == http.StatusUnprocessableEntity || second.status >= http.StatusInternalServerError {
				t.Fatalf("the second caller is refused: %d %s", second.status, second.text)
			}
			if second.header.Get("Idempotency-Replayed") != "" {
				t.Errorf("the second caller has the first one's answer: %s", second.text)
			}
			again := s.ask(operations[id], request.path, request.body, "Idempotency-Key", "k", "Daybook-Actor", "customer:ann")
			if again.status != first.status || again.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("the first caller again: %d %s, want the first answer", again.status, again.text)
			}
			for _, name := range []string{"cart_id", "customer_id", "return_id"} {
				one, _ := first.at(name).(string)
				made := uuid.Validate(one) == nil // the server makes UUIDs; the ids that callers choose in this test are none
				if other, _ := second.at(name).(string); made && one == other {
					t.Errorf("both callers have the %s %q", name, one)
				}
			}
		})
	}
}

// operationMethods are the HTTP methods of all operations, by operation id.
func operationMethods(t *testing.T) map[string]string {
	t.Helper()
	methods := map[string]string{}
	paths := commandsOf(open(t).must("GET", "/openapi.json", ""))
	for _, operations := range paths {
		for method, value := range operations.(map[string]any) {
			id, _ := response{body: value.(map[string]any)}.at("operationId").(string)
			methods[id] = strings.ToUpper(method)
		}
	}
	return methods
}

// prepared is a shop in which a request can be made.
func prepared(t *testing.T, store *memory.Store, log func(eventstore.Store) eventstore.Store, request keyed) *keyShop {
	t.Helper()
	s := keyShop{shop: &shop{t: t, store: store}, log: log(store), ahead: new(atomic.Int64)}.restart()
	s.sell("MUG", 100)
	if request.after != "" {
		for i, stage := range stages {
			s.must(stage.method, stage.path, stage.body, "Idempotency-Key", fmt.Sprint("stage-", i))
			if stage.name == request.after {
				break
			}
		}
	}
	if request.first != nil {
		request.first(s)
	}
	return s
}

func testKeyed(t *testing.T, log func(eventstore.Store) eventstore.Store, method string, request keyed) {
	store := memory.New()
	s := prepared(t, store, log, request)
	head := func() eventstore.Position {
		at, err := store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	before := head()
	first := s.must(method, request.path, request.body, "Idempotency-Key", "k")
	after := head()
	if after == before {
		t.Fatalf("the first request recorded nothing: %s", first.text)
	}

	s = s.restart()
	again := s.ask(method, request.path, request.body, "Idempotency-Key", "k")
	if again.status != first.status || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s, replayed %q; first %d", again.status, again.text, again.header.Get("Idempotency-Replayed"), first.status)
	}
	headers := []string{"Idempotency-Key", "k"}
	other := request.other
	if other == "" {
		other = request.body
		headers = append(headers, "Daybook-Occurred-At", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	}
	s.answers.lose()
	s.ask(method, request.path, other, headers...).problem(t, http.StatusUnprocessableEntity, problem.CodeKeyReused)
	if now := head(); now != after {
		t.Errorf("the log went on from %s to %s", after, now)
	}
}

// A request about codes is compared with the promotion: its revision, and the requests that it has
// had. Giving codes that the promotion has records nothing.
func TestCodesAreGivenOnce(t *testing.T) {
	t.Parallel()
	s := prepared(t, memory.New(), func(store eventstore.Store) eventstore.Store { return store }, keyed{first: withPromotion})
	const path = "/v1/promotions/p/codes"
	tag := s.must("POST", path, `{"codes":["TEN"]}`).header.Get("ETag")
	head, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := s.must("POST", path, `{"codes":["ten","NINE"]}`, "If-Match", tag)
	if now, err := s.store.Head(t.Context()); err != nil || now != head || !strings.HasPrefix(again.header.Get("ETag"), `"2.`) {
		t.Errorf("codes that were given before: the log is at %s, %v, and was at %s; ETag %s, was %s", now, err, head, again.header.Get("ETag"), tag)
	}
	s.ask("POST", path, `{"codes":["TEN"]}`, "If-Match", `"0"`).problem(t, http.StatusPreconditionFailed, problem.CodeStale)
	s.ask("POST", "/v1/promotions/none/codes", `{"codes":["TEN"]}`).problem(t, http.StatusNotFound, "promotion-not-found")

	s.must("PUT", "/v1/promotions/other", aPromotion("Other"))
	s.ask("POST", "/v1/promotions/other/codes", `{"codes":["FREE","TEN"]}`).problem(t, http.StatusConflict, "coupon-taken")
	s.must("POST", "/v1/promotions/p/codes", `{"codes":["FREE"]}`, "Idempotency-Key", "k")
	s.must("DELETE", "/v1/promotions/p", "")
	s.must("POST", "/v1/promotions/other/codes", `{"codes":["FREE","TEN"]}`)
	s = s.restart()
	if late := s.must("POST", "/v1/promotions/p/codes", `{"codes":["FREE"]}`, "Idempotency-Key", "k"); late.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated after the end: %v", late.header)
	}
	s.ask("POST", path, `{"codes":["MORE"]}`).problem(t, http.StatusConflict, "promotion-ended")
	s.must("POST", "/v1/promotions/other/codes", `{"codes":["FREE"]}`) // it has the code still
}
