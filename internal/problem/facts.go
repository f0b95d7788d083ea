package problem

import (
	"reflect"
	"time"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// facts has the Go type of the members that only problems of a code have. A member that may be
// missing has omitempty or omitzero. The schemas of the OpenAPI document are made from this table,
// so each code of the catalogue must have a row.
//
// Some problems may also have order_id (see MayNameOrder).
var facts = rows(
	// Of the API itself.
	none(CodeMalformed, CodeKeyRequired, CodeCrossOrigin, CodeProxyRequired, CodeCredentials, CodeSignIn, CodeSignInDelayed, CodeSession, CodeNoMail, CodeWebhookForged, CodeWebhookUnreadable, CodeWebhookProvider, CodeMisdirected, CodeNotFound, CodeMethod, CodeNotAcceptable, CodeSlow,
		CodeConflict, CodeGone, CodeMediaType, CodeKeyReused, CodeOverloaded, CodeUnavailable, CodeTimeout, CodeOutcomeUnknown),
	having[limitFacts](CodeAddressLong, CodeHeaderLong, CodeTooManyHere),
	having[rateFacts](CodeRateLimited),
	having[sizeFacts](CodeTooLarge),
	having[permissionFacts](CodeForbidden),
	having[forbiddenFieldFacts](CodeFieldForbidden),
	having[scopeFacts](CodeOutsideScope),
	having[faultFacts](CodeInvalid),
	having[staleFacts](CodeStale),
	having[positionFacts](CodePositionNotYet),
	having[divergedFacts](CodeDiverged),
	having[beyondFacts](CodeBeyondHead),

	// Of API keys and roles.
	nothing(access.ErrKeyNotFound, access.ErrKeyExists, access.ErrKeyEnded, access.ErrKeyLimit, access.ErrRoleFixed, access.ErrRoleInUse, access.ErrLastAdmin),
	facing[fieldFacts](access.ErrKeyInvalid, access.ErrRoleInvalid),
	facing[roleFacts](access.ErrRoleNotFound),

	// Of people who sign in.
	nothing(staff.ErrNotFound, staff.ErrExists, staff.ErrDisabled, staff.ErrNotJoined, staff.ErrLimit, staff.ErrTokenRefused, staff.ErrChanged, staff.ErrCodeRefused, staff.ErrFactorMissing, staff.ErrFactorExists),
	facing[fieldFacts](staff.ErrInvalid),

	// Of customers.
	nothing(customer.ErrExists, customer.ErrAddressUnknown, customer.ErrPurposeUnknown, customer.ErrWishListUnknown, customer.ErrWishListEmpty, customer.ErrQuantityInvalid, customer.ErrBlocked, customer.ErrMergeSelf),
	facing[otherCustomerFacts](customer.ErrNotFound, customer.ErrLimit, customer.ErrErased),
	facing[mergedFacts](customer.ErrMerged),
	facing[fieldFacts](customer.ErrTextInvalid, customer.ErrTaxStatusInvalid, cart.ErrTaxStatusInvalid),
	// Of erasures.
	nothing(subject.ErrInvalid, subject.ErrHasCustomer),
	facing[openOrderFacts](subject.ErrOrderOpen),

	// Of products.
	facing[RefusedLineFacts](product.ErrNotFound, product.ErrRetired),
	nothing(product.ErrTitleInvalid, product.ErrPriceNegative),
	facing[fieldFacts](product.ErrDescriptionInvalid),
	facing[currencyFacts](product.ErrNotPriced),
	facing[kindFacts](product.ErrKindFixed, product.ErrKindUnknown),
	facing[productTextFacts](product.ErrTextTooLong),

	// Of prices, shipping and taxes.
	nothing(pricelist.ErrNotFound, pricelist.ErrEnded, pricelist.ErrLimit, shipping.ErrNotFound, shipping.ErrEnded, entity.ErrNotFound, entity.ErrEnded),
	facing[fieldFacts](pricelist.ErrInvalid, pricelist.ErrFixed, shipping.ErrInvalid, entity.ErrInvalid),
	facing[taxClassFacts](entity.ErrClassUnknown),

	// Of promotions and gift cards. A checkout that could not hold one has holds.
	facing[holdsFacts](promotion.ErrNotFound, promotion.ErrEnded, promotion.ErrExhausted, promotion.ErrUsedByCustomer,
		giftcard.ErrNotFound, giftcard.ErrExpired, giftcard.ErrDisabled, giftcard.ErrCurrency),
	facing[cardShortFacts](giftcard.ErrInsufficient),
	facing[promotionFacts](promotion.ErrCustomerUnknown),
	facing[fieldFacts](promotion.ErrInvalid, promotion.ErrFixed, giftcard.ErrInvalid, coupon.ErrInvalid),
	facing[codeFacts](coupon.ErrTaken),
	facing[backFacts](giftcard.ErrBackTooMuch),
	nothing(giftcard.ErrExists, giftcard.ErrCodeShown),

	// Of carts and their checkout.
	nothing(cart.ErrExists, cart.ErrQuantityInvalid, cart.ErrKindUnknown, cart.ErrPriceNegative, cart.ErrMergeSelf,
		cart.ErrNoDeadline, cart.ErrPolicyUnknown, checkout.ErrDiffers),
	facing[detailsFacts](cart.ErrDetailsInvalid),
	facing[countryFacts](cart.ErrCountryOfAddress),
	facing[otherCartFacts](cart.ErrNotFound, cart.ErrEmpty),
	facing[cartStateFacts](cart.ErrNotOpen),
	facing[unknownLinesFacts](cart.ErrLineUnknown),
	facing[cartTextFacts](cart.ErrTextTooLong),
	facing[currenciesFacts](cart.ErrCurrencyMismatch),
	facing[fullFacts](cart.ErrFull),
	facing[cartUnitsFacts](cart.ErrUnitLimit),
	facing[cartWorthFacts](cart.ErrAmountLimit),
	facing[UnitLimitFacts](returns.ErrUnitLimit),
	facing[WorthFacts](returns.ErrAmountLimit),
	facing[totalFacts](cart.ErrTotalNegative),
	nothing(cart.ErrCheckoutUnknown),
	facing[outcomeFacts](cart.ErrCheckoutDecided),
	facing[shortagesFacts](checkout.ErrRefused),
	facing[spentFacts](checkout.ErrOrderIDSpent),
	facing[priceChangedFacts](checkout.ErrPriceChanged),
	nothing(cart.ErrCouponInvalid, cart.ErrMethodInvalid, cart.ErrQuoteStale, cart.ErrQuoteInvalid),
	facing[couponLimitFacts](cart.ErrCouponLimit),
	facing[discountFacts](cart.ErrDiscountInvalid),
	facing[discountCountFacts](cart.ErrDiscountCount),
	facing[discountLimitFacts](cart.ErrDiscountLimit),
	// Of what a cart costs.
	facing[pricedLineFacts](pricing.ErrPriceMissing, pricing.ErrAmount),
	facing[quoteSizeFacts](pricing.ErrSize),
	facing[taxUnknownFacts](pricing.ErrTaxUnknown),
	facing[methodFacts](pricing.ErrShipping),

	// Of stock.
	facing[insufficientFacts](stock.ErrInsufficient),
	nothing(stock.ErrQuantityInvalid, stock.ErrNoteMissing, stock.ErrPolicyInvalid, stock.ErrSameLocation, stock.ErrDeadlinePassed),
	facing[stockTextFacts](stock.ErrTextTooLong),
	facing[belowZeroFacts](stock.ErrBelowZero),
	facing[countFacts](stock.ErrCountStale),
	facing[notAllocatedFacts](stock.ErrNotAllocated),
	facing[notOnHandFacts](stock.ErrNotOnHand),
	facing[conditionShortFacts](stock.ErrConditionShort),
	facing[conditionFacts](stock.ErrConditionUnknown),
	facing[reasonFacts](stock.ErrReasonUnknown),
	facing[movementFacts](stock.ErrMovementDiffers),
	facing[stockLimitFacts](stock.ErrLimit),
	facing[belongsFacts](stock.ErrBelongsToOrder),
	facing[endedFacts](stock.ErrReservationEnded),
	facing[reservationFacts](stock.ErrReservationUnknown),
	facing[reservationDiffersFacts](stock.ErrReservationDiffers),

	// Of orders.
	nothing(order.ErrStockUnsettled, order.ErrAllocationFailed, order.ErrNotFound, order.ErrExists, order.ErrIDTaken, order.ErrEmpty,
		order.ErrLinesDisordered, order.ErrCurrencyMixed, order.ErrQuoteInvalid, order.ErrNotReserved, order.ErrNotConfirmed, order.ErrExpired, order.ErrCanceled,
		order.ErrCompleted, order.ErrOnHold, order.ErrHasCustomer, order.ErrShipped, order.ErrReturnDiffers, order.ErrReturnReleased, order.ErrNothingToShip,
		order.ErrShipmentDiffers, order.ErrShipmentUnknown, order.ErrParcelDiffers, order.ErrParcelOld, order.ErrTransactionUnknown, order.ErrTransactionDiffers,
		order.ErrTransactionSettled, order.ErrTransactionInvalid, order.ErrParentMismatch, order.ErrAmountInvalid, order.ErrAmountTooFine, order.ErrCurrencyDiffers,
		order.ErrRefundUnknown, order.ErrRefundDiffers, order.ErrRefundParts, order.ErrRefundUnplaced, order.ErrNothingToExplain, order.ErrCreditDiffers,
		order.ErrPaymentDue, order.ErrNothingPaid, order.ErrConfirmed, order.ErrChargeDiffers,
		order.ErrCreditUnknown, order.ErrClawbackOff, payment.ErrClaimed),
	facing[chargeFacts](order.ErrChargeUnknown),
	facing[surchargeFacts](order.ErrSurchargeLimit),
	facing[refundUnderWayFacts](order.ErrRefundUnderWay),
	facing[writeOffFacts](order.ErrWriteOffLimit),
	facing[deadlineFacts](order.ErrDeadlineEarlier),
	facing[latestFacts](order.ErrDeadlineTooLate),
	facing[orderTextFacts](order.ErrTextInvalid),
	facing[unfinishedFacts](order.ErrNotFinished),
	facing[returnExceededFacts](order.ErrReturnExceeded),
	facing[parcelStateFacts](order.ErrParcelState),
	facing[parcelUnitsFacts](order.ErrParcelUnits),
	facing[locationFacts](order.ErrLocationQuantityExceeded),
	facing[orderLineFacts](order.ErrLineUnknown, order.ErrLineQuantityInvalid),
	facing[openFacts](order.ErrLineQuantityExceeded),
	facing[amountExceededFacts](order.ErrAmountExceeded),
	facing[amountLimitFacts](order.ErrAmountLimit),
	facing[refundLimitFacts](order.ErrRefundLimit, returns.ErrRefundLimit),

	// Of returns.
	nothing(returns.ErrNotFound, returns.ErrExists, returns.ErrEmpty, returns.ErrCurrencyMixed, returns.ErrNotRequested, returns.ErrNotAdmitted,
		returns.ErrNotApproved, returns.ErrDeclined, returns.ErrCanceled, returns.ErrReceived, returns.ErrRefunded, returns.ErrClosed,
		returns.ErrCreditNote, returns.ErrQuantityInvalid, returns.ErrDispositionWrong, returns.ErrReceiptDiffers, returns.ErrRefundDiffers,
		returns.ErrAmountInvalid, returns.ErrAmountTooFine, returns.ErrCurrencyDiffers),
	facing[returnTextFacts](returns.ErrTextInvalid),
	facing[linkFacts](returns.ErrLinkExceeded),
	facing[awaitedFacts](returns.ErrNotFinished),
	facing[unknownLinesFacts](returns.ErrLineUnknown),
	facing[lineFacts](returns.ErrServiceLine, returns.ErrPriceNegative),
	facing[awaitedRequestedFacts](returns.ErrQuantityExceeded),
	facing[nextFacts](returns.ErrReceiptOrder),
	facing[refundableFacts](returns.ErrAmountExceeded),
	facing[ofNoOrderFacts](returns.ErrRefundOfNoOrder),
)

type row struct {
	codes []string
	facts reflect.Type
}

func none(codes ...string) row { return row{codes, reflect.TypeFor[struct{}]()} }

func having[F any](codes ...string) row { return row{codes, reflect.TypeFor[F]()} }

func nothing(refusals ...*rule.Rejection) row { return facing[struct{}](refusals...) }

func facing[F any](refusals ...*rule.Rejection) row {
	var codes []string
	for _, refusal := range refusals {
		codes = append(codes, refusal.Code)
	}
	return having[F](codes...)
}

func rows(all ...row) map[string]reflect.Type {
	table := make(map[string]reflect.Type)
	for _, row := range all {
		for _, code := range row.codes {
			if _, twice := table[code]; twice {
				panic("the problem " + code + " has two rows of facts")
			}
			table[code] = row.facts
		}
	}
	return table
}

// Common are the other members that every problem has, besides type, title and status.
type Common struct {
	Detail    string `json:"detail,omitempty" example:"MUG: 3 asked for, 1 left." doc:"This case, for a person."`
	RequestID string `json:"request_id,omitempty" example:"0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11" doc:"Names this request in the server's log."`
}

// AboutOrder is the other member that the problems of MayNameOrder have.
type AboutOrder struct {
	OrderID unit.OrderID `json:"order_id,omitempty" doc:"The order that the problem is about, or that was placed before the request was refused."`
}

// namingOrder are the codes of MayNameOrder, besides those of orders.
var namingOrder = func() map[string]bool {
	codes := map[string]bool{"": true} // a fault of the server
	for _, code := range []string{
		// A checkout whose order is placed may end with these before it is paid and confirmed.
		CodeConflict, CodeDiverged, CodeGone, CodeKeyReused, CodeNotFound, CodeOutcomeUnknown, CodeOverloaded, CodeTimeout, CodeTooLarge, CodeUnavailable,
	} {
		codes[code] = true
	}
	for _, refusals := range [][]*rule.Rejection{order.Rejections, checkout.Rejections, {
		cart.ErrNotOpen, cart.ErrCheckoutUnknown, cart.ErrCheckoutDecided,
		stock.ErrBelongsToOrder, stock.ErrReservationDiffers, stock.ErrNotAllocated,
	}} {
		for _, refusal := range refusals {
			codes[refusal.Code] = true
		}
	}
	return codes
}()

// MayNameOrder tells whether problems of a code may have order_id: those about an order, and those
// that a checkout can end with after it has placed its order. The code of a fault of the server is
// empty.
func MayNameOrder(code string) bool { return namingOrder[code] }

type (
	limitFacts struct {
		Limit int64 `json:"limit" example:"100" doc:"The highest number that is allowed. The detail says of what."`
	}
	rateFacts struct {
		PerSecond float64 `json:"per_second" example:"100" doc:"How many such requests are served each second, on average."`
	}
	sizeFacts struct {
		Limit int64 `json:"limit,omitzero" example:"16384" doc:"The highest number that is allowed. The detail says of what; most often of bytes."`
	}
	faultFacts struct {
		Errors []Invalid `json:"errors" doc:"What is wrong with the request, one by one; the first 20 of many."`
	}
	permissionFacts struct {
		Permission access.Permission `json:"permission" example:"orders.ship" doc:"The permission that the caller lacks."`
	}
	scopeFacts struct {
		Location unit.LocationID `json:"location,omitempty" example:"north" doc:"The location that the key may not reach."`
		Channel  string          `json:"channel,omitempty" example:"web" doc:"The channel that the key may not record."`
	}
	forbiddenFieldFacts struct {
		Errors []Invalid `json:"errors" doc:"The members and headers, each with the permission that it needs."`
	}
	taxClassFacts struct {
		TaxClass string `json:"tax_class" example:"books"`
	}
	fieldFacts struct {
		Field string `json:"field" example:"name" doc:"Which member is refused."`
	}
	detailsFacts struct {
		Field string `json:"field" example:"shipping/country" doc:"Which member is refused."`
	}
	countryFacts struct {
		Country unit.Country `json:"country" example:"GB" doc:"The country of the address."`
	}
	roleFacts struct {
		Role access.Role `json:"role,omitempty" example:"picker" doc:"The role that does not exist. Left out if the path has it."`
	}
	staleFacts struct {
		Expected *int64 `json:"expected_revision,omitempty" example:"3" doc:"The revision in If-Match, if it names exactly one."`
		Actual   *int64 `json:"actual_revision,omitempty" example:"5" doc:"The present revision. Left out if the thing does not exist, or has no revision, such as a list."`
	}
	positionFacts struct {
		Position string `json:"position" doc:"The position that the read model has reached."`
		Wanted   string `json:"wanted" example:"1042" doc:"The position that was asked for."`
	}
	beyondFacts struct {
		Position string `json:"position" doc:"The position that was given."`
		Head     string `json:"head" example:"1042" doc:"The position of the last event of the log."`
	}
	divergedFacts struct {
		Keeper   string `json:"keeper" example:"this node" doc:"The reader of the log that noticed the difference."`
		Position string `json:"position" doc:"The position at which the log differs."`
		Expected string `json:"expected" example:"order.placed.v1 of order-order-bob" doc:"The event that was there before."`
		Found    string `json:"found" example:"nothing" doc:"What is there now."`
	}
	// RefusedLineFacts name the lines that the catalogue refuses.
	RefusedLineFacts struct {
		SKU    unit.SKU  `json:"sku,omitempty" example:"MUG" doc:"The SKU of the first line that is refused; left out if the request names no lines."`
		Errors []Invalid `json:"errors,omitempty" doc:"Each line that the catalogue refuses, perhaps for several reasons, by its place in the body; the first 20 of many. Left out if the request names no lines."`
	}
	currencyFacts struct {
		RefusedLineFacts
		Currency unit.Currency `json:"currency" doc:"The currency in which the product has no price."`
	}
	kindFacts struct {
		Kind unit.Kind `json:"kind"`
	}
	productTextFacts struct {
		Field string `json:"field" enum:"reason" doc:"Which text it is."`
		Max   int    `json:"max_characters" example:"100" doc:"How many characters it may have."`
	}
	openOrderFacts struct {
		OrderID unit.OrderID `json:"order_id" doc:"One of the orders that are not finished."`
	}
	cartTextFacts struct {
		Field string `json:"field" enum:"channel,country,reason,reference,sku_text,title" doc:"Which text it is."`
		Max   int    `json:"max_characters" example:"100" doc:"How many characters it may have."`
	}
	stockTextFacts struct {
		Field string `json:"field" enum:"document,note,override,reason,ref" doc:"Which text it is."`
		Max   int    `json:"max_characters" example:"100" doc:"How many characters it may have."`
	}
	orderTextFacts struct {
		Field string `json:"field" enum:"carrier,claim,code,payment,provider,reason,reference,tracking" doc:"Which text it is."`
		Max   int    `json:"max_characters" example:"100" doc:"How many characters it may have."`
	}
	returnTextFacts struct {
		Field string `json:"field" pattern:"^(country|provider|reason|reference|lines/[0-9]+/(sku_text|title))$" example:"lines/0/title" doc:"Which text it is. Lines count from 0."`
		Max   int    `json:"max_characters" example:"100" doc:"How many characters it may have."`
	}
	otherCustomerFacts struct {
		CustomerID unit.CustomerID `json:"customer_id,omitempty" doc:"In a merge: the account that the problem is about, if that is not the account in the path."`
	}
	mergedFacts struct {
		MergedInto unit.CustomerID `json:"merged_into,omitempty" doc:"The account that answers for it. Only for callers who may handle all customers."`
		CustomerID unit.CustomerID `json:"customer_id,omitempty" doc:"In a merge: the account that the problem is about, if that is not the account in the path."`
	}
	otherCartFacts struct {
		CartID unit.CartID `json:"cart_id,omitempty" doc:"In a merge: the cart that the problem is about, if that is not the cart in the path."`
	}
	cartStateFacts struct {
		// Every problem has the member "status", which is the HTTP status.
		Status     cart.Phase  `json:"cart_status" enum:"open,completing,completed,expired,abandoned,merged" doc:"The state of the cart."`
		MergedInto unit.CartID `json:"merged_into,omitempty" doc:"The cart that its lines went into."`
		CartID     unit.CartID `json:"cart_id,omitempty" doc:"In a merge: the cart that the problem is about, if that is not the cart in the path."`
	}
	lineFacts struct {
		Line int `json:"line"`
	}
	unknownLinesFacts struct {
		Line   int       `json:"line"`
		Errors []Invalid `json:"errors,omitempty" doc:"Each line that does not exist, by its place in the body; the first 20 of many. Left out if the body names no lines."`
	}
	chargeFacts struct {
		Charge int `json:"charge"`
	}
	orderLineFacts struct {
		Line   int       `json:"line,omitzero"`
		Errors []Invalid `json:"errors,omitempty" doc:"Each line that the order does not have, by its place in the body; the first 20 of many."`
		// A refused admission has all three.
		Returnable unit.Quantity `json:"returnable,omitzero"`
		Requested  unit.Quantity `json:"requested,omitzero"`
	}
	currenciesFacts struct {
		Cart  unit.Currency `json:"cart"`
		Price unit.Currency `json:"price"`
	}
	fullFacts struct {
		TooMuchFacts
		Lines    int `json:"lines" example:"2000" doc:"How many lines there are."`
		MaxLines int `json:"max_lines" example:"2000" doc:"How many lines are allowed."`
		MaxBytes int `json:"max_text_bytes" example:"262144" doc:"How many bytes the texts of all lines may have together."`
	}
	cartUnitsFacts struct {
		TooMuchFacts
		UnitLimitFacts
	}
	// TooMuchFacts name the line that is too much for its cart.
	TooMuchFacts struct {
		SKU    unit.SKU  `json:"sku,omitempty" example:"MUG" doc:"The SKU of the line that is too much; left out if the request names no lines."`
		Errors []Invalid `json:"errors,omitempty" doc:"The place in the body of the line that is too much, or of its quantity. Left out if the request names none."`
	}
	// UnitLimitFacts are those of a cart or a return that would have too many units.
	UnitLimitFacts struct {
		Limit    unit.Quantity `json:"limit" example:"1000000000" doc:"How many units are allowed in all."`
		Units    unit.Quantity `json:"units" doc:"How many units there are without these."`
		Quantity unit.Quantity `json:"quantity" doc:"How many units the request would add."`
	}
	cartWorthFacts struct {
		TooMuchFacts
		WorthFacts
	}
	// WorthFacts are those of a cart or a return that would be worth too much.
	WorthFacts struct {
		Worth    unit.Money    `json:"worth" doc:"The sum of all line totals as it would be after the request. Each total counts without its sign, so -5 counts as 5."`
		Quantity unit.Quantity `json:"quantity" doc:"How many units the request would add."`
	}
	totalFacts struct {
		Total unit.Money `json:"total" doc:"The total of the cart, below zero."`
	}
	priceChangedFacts struct {
		Quote   *resource.Quote        `json:"quote,omitempty" doc:"What the cart costs now. Left out if it has no price."`
		Reasons []resource.PriceReason `json:"reasons" doc:"In what that differs from what the lines of the cart show."`
	}
	couponLimitFacts struct {
		Most int `json:"max_codes" example:"10"`
	}
	discountFacts struct {
		Discount string `json:"discount_id,omitempty" example:"sorry-1" doc:"The discount that is refused."`
	}
	discountCountFacts struct {
		Most int `json:"max_discounts" example:"20" doc:"How many discounts that persons gave a cart takes."`
	}
	discountLimitFacts struct {
		Limit unit.Money `json:"limit" doc:"The most that the caller may take off one cart in all."`
		Left  unit.Money `json:"left" doc:"How much of it is left."`
	}
	pricedLineFacts struct {
		Line     int      `json:"line,omitempty"`
		SKU      unit.SKU `json:"sku,omitempty"`
		Discount string   `json:"discount,omitempty" doc:"The discount that is refused."`
	}
	taxUnknownFacts struct {
		TaxClass string   `json:"tax_class" example:"books"`
		Country  string   `json:"country" example:"NL"`
		Region   string   `json:"region"`
		Line     int      `json:"line,omitempty"`
		SKU      unit.SKU `json:"sku,omitempty"`
	}
	methodFacts struct {
		Method string `json:"method" example:"post"`
		Reason string `json:"reason" example:"too-heavy" doc:"Why it does not fit."`
	}
	outcomeFacts struct {
		Outcome string `json:"outcome" example:"refused" doc:"How the checkout ended."`
	}
	shortagesFacts struct {
		Shortages []resource.Shortage `json:"shortages"`
	}
	spentFacts struct {
		Shortages []resource.Shortage `json:"shortages" doc:"What was missing in stock when the checkout was refused."`
	}
	insufficientFacts struct {
		SKU       unit.SKU            `json:"sku"`
		Location  unit.LocationID     `json:"location,omitempty" doc:"The location. Left out if a checkout looked at several locations."`
		Available unit.Quantity       `json:"available" doc:"How many units were left."`
		Requested unit.Quantity       `json:"requested"`
		Shortages []resource.Shortage `json:"shortages,omitempty" doc:"Everything that a checkout asked for and could not get."`
	}
	belowZeroFacts struct {
		OnHand      *unit.Quantity `json:"on_hand,omitempty"`
		Unavailable unit.Quantity  `json:"unavailable"`
		Change      *unit.Quantity `json:"change,omitempty" example:"-3" doc:"The change that was asked for, in units."`
		Counted     *unit.Quantity `json:"counted,omitempty"`
	}
	countFacts struct {
		OnHand   unit.Quantity `json:"on_hand"`
		Expected unit.Quantity `json:"expected"`
	}
	notAllocatedFacts struct {
		Allocated unit.Quantity `json:"allocated" doc:"How many units are allocated to the order at this location."`
		Requested unit.Quantity `json:"requested"`
	}
	notOnHandFacts struct {
		OnHand      unit.Quantity `json:"on_hand"`
		Unavailable unit.Quantity `json:"unavailable"`
		Requested   unit.Quantity `json:"requested"`
	}
	conditionShortFacts struct {
		Condition stock.Condition `json:"condition"`
		Available unit.Quantity   `json:"available" doc:"How many units are there in this condition."`
		Requested unit.Quantity   `json:"requested"`
	}
	conditionFacts struct {
		Condition string `json:"condition"`
	}
	reasonFacts struct {
		Reason string         `json:"reason" example:"weather" doc:"The text in the request, which is not a reason."`
		Known  []stock.Reason `json:"known"`
	}
	movementFacts struct {
		Recorded      unit.Quantity `json:"recorded" example:"2" doc:"The quantity that the movement was recorded with."`
		Requested     unit.Quantity `json:"requested"`
		RecordedWith  string        `json:"recorded_with,omitempty" example:"east" doc:"The location or the order that the movement was recorded with."`
		RequestedWith string        `json:"requested_with,omitempty" example:"west" doc:"The location or the order in the request."`
	}
	stockLimitFacts struct {
		Limit    unit.Quantity `json:"limit" example:"1000000000000" doc:"How many units can be on hand."`
		OnHand   unit.Quantity `json:"on_hand"`
		Quantity unit.Quantity `json:"quantity" doc:"How many units the request would add."`
	}
	belongsFacts struct {
		Forcible bool          `json:"forcible" example:"true" doc:"Whether the change can be forced with a reason."`
		ReturnID unit.ReturnID `json:"return_id,omitempty" doc:"The return that the stock belongs to."`
	}
	endedFacts struct {
		ReservationID unit.ReservationID `json:"reservation_id"`
		End           stock.End          `json:"end"`
	}
	reservationFacts struct {
		ReservationID unit.ReservationID `json:"reservation_id"`
	}
	reservationDiffersFacts struct {
		ReservationID  unit.ReservationID `json:"reservation_id"`
		Direct         bool               `json:"direct,omitzero"`
		ExpiresAt      time.Time          `json:"expires_at,omitzero" doc:"The deadline that the reservation was made with."`
		ReserveSeconds int64              `json:"hold_seconds,omitzero" doc:"The length that the reservation was made with, in seconds."`
		Quantity       unit.Quantity      `json:"quantity,omitzero" doc:"How many units are reserved."`
	}
	unfinishedFacts struct {
		Payment     order.PaymentState     `json:"payment_state,omitempty"`
		Fulfillment order.FulfillmentState `json:"fulfillment_state,omitempty"`
	}
	parcelStateFacts struct {
		ShipmentID unit.ShipmentID   `json:"shipment_id,omitempty"`
		State      order.ParcelState `json:"state,omitempty"`
	}
	parcelUnitsFacts struct {
		Line      int           `json:"line,omitzero"`
		Left      unit.Quantity `json:"left,omitempty"`
		Requested unit.Quantity `json:"requested,omitzero"`
	}
	returnExceededFacts struct {
		Line       int           `json:"line,omitzero"`
		Returnable unit.Quantity `json:"returnable,omitempty"`
		Requested  unit.Quantity `json:"requested,omitzero"`
	}
	locationFacts struct {
		SKU       unit.SKU        `json:"sku"`
		Location  unit.LocationID `json:"location"`
		Remaining unit.Quantity   `json:"remaining" doc:"How many units the order still has at this location."`
	}
	openFacts struct {
		Line      int           `json:"line"`
		Open      unit.Quantity `json:"open"`
		Requested unit.Quantity `json:"requested"`
	}
	amountExceededFacts struct {
		Limit     *unit.Money `json:"limit,omitempty" doc:"The largest amount that can still be voided or given back. Left out if the refusal came after a return's refund was recorded, and the refund was taken back."`
		Requested *unit.Money `json:"requested,omitempty" doc:"How much was asked for. Left out with limit."`
	}
	amountLimitFacts struct {
		Type   order.TransactionType `json:"transaction_type,omitempty" doc:"Left out for a surcharge or a clawback."`
		Before unit.Money            `json:"before" doc:"The sum of the order's other transactions of this type, or its total."`
		Amount unit.Money            `json:"amount" doc:"The amount in the request."`
	}
	linkFacts struct {
		Line     int           `json:"line"`
		Linked   unit.Quantity `json:"linked" example:"3" doc:"How many units of order lines this line is linked to."`
		Quantity unit.Quantity `json:"quantity"`
	}
	awaitedFacts struct {
		Line    int           `json:"line"`
		Awaited unit.Quantity `json:"awaited"`
	}
	awaitedRequestedFacts struct {
		Line      int           `json:"line"`
		Awaited   unit.Quantity `json:"awaited"`
		Requested unit.Quantity `json:"requested"`
	}
	nextFacts struct {
		Next int `json:"next" example:"2" doc:"The number that the next receipt must have."`
	}
	refundUnderWayFacts struct {
		Attempt int               `json:"attempt,omitzero" doc:"The last attempt; left out if there was none."`
		State   order.RefundState `json:"state,omitempty" enum:"requested,submitted,unknown,failed,succeeded" doc:"How it stands."`
	}
	surchargeFacts struct {
		Limit     unit.Money `json:"limit" doc:"The most that the caller may add to one order."`
		Requested unit.Money `json:"requested" doc:"All surcharges of the order together."`
	}
	writeOffFacts struct {
		Limit     unit.Money `json:"limit" doc:"The largest difference that the caller may write off."`
		Requested unit.Money `json:"requested" doc:"The difference of the order."`
	}
	deadlineFacts struct {
		ConfirmBy time.Time `json:"confirm_by" doc:"The present deadline."`
	}
	latestFacts struct {
		Latest time.Time `json:"latest" doc:"The latest deadline that the shop allows."`
	}
	refundLimitFacts struct {
		Limit     *unit.Money `json:"limit,omitempty" doc:"The most that the caller may give back in all. Left out if the refusal came after the refund was recorded, and the refund was taken back."`
		GivenBack *unit.Money `json:"given_back,omitempty" doc:"What has been given back before. Left out with limit."`
		Requested *unit.Money `json:"requested,omitempty" doc:"How much was asked for. Left out with limit."`
	}
	ofNoOrderFacts struct {
		WithoutOrder unit.Money `json:"without_order" doc:"How much of the refund belongs to no order."`
		Requested    unit.Money `json:"requested" doc:"How much was asked for."`
	}
	refundableFacts struct {
		Refundable unit.Money `json:"refundable" doc:"How much can still be given back."`
		Requested  unit.Money `json:"requested" doc:"How much was asked for."`
	}
)
