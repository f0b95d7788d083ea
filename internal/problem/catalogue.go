package problem

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"

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
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
)

// Entry explains a problem type.
type Entry struct {
	Code   string `json:"code"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Facts is the Go type of the members that only this problem has.
	Facts reflect.Type `json:"-"`
}

// Catalogue returns all problems: those of the API itself and the refusals of all rules.
func Catalogue() []Entry {
	entries := []Entry{
		entry(http.StatusBadRequest, CodeMalformed, "The body is not JSON, or is missing."),
		entry(http.StatusBadRequest, CodeKeyRequired, "The request moves stock or money, so it needs an Idempotency-Key, and it has none."),
		entry(http.StatusUnauthorized, CodeCredentials, "The request has no API key, no token and no session, or one that is not good here."),
		entry(http.StatusUnauthorized, CodeSignIn, "The address, the password or the code of a sign-in is wrong, or the access has ended."),
		entry(http.StatusTooManyRequests, CodeSignInDelayed, "Too many tries to sign in have failed, or too many links were asked for. Wait for the time in Retry-After, or ask for a link that makes your browser known (request-reset)."),
		entry(http.StatusConflict, CodeNoMail, "The server sends no mail, because no mail server is set up (--smtp-url). Ask an admin for a token instead."),
		entry(http.StatusForbidden, CodeSession, "Only a person who has signed in can do this."),
		entry(http.StatusForbidden, CodeForbidden, "The caller lacks a permission. The member permission names it."),
		entry(http.StatusForbidden, CodeFieldForbidden, "The request has members, parameters or headers that need a permission which the caller lacks. The member errors lists them."),
		entry(http.StatusForbidden, CodeWebhookForged, "The message is not signed by the provider of payments, or its signature is older than five minutes."),
		entry(http.StatusNotFound, CodeWebhookProvider, "No provider of payments of this name reports to this program."),
		entry(http.StatusUnprocessableEntity, CodeWebhookUnreadable, "The message is signed by the provider of payments, but it does not have the form that this program knows."),
		entry(http.StatusForbidden, CodeOutsideScope, "The caller's key is limited to other locations or channels."),
		entry(http.StatusForbidden, CodeCrossOrigin, "A page of another site made a browser send the request."),
		entry(http.StatusForbidden, CodeProxyRequired, "The server is behind a proxy, and the request came past it without TLS. Only /livez and /readyz are answered then."),
		entry(http.StatusMisdirectedRequest, CodeMisdirected, "The request names a host that is not one of this server's names."),
		entry(http.StatusRequestURITooLong, CodeAddressLong, "The path or the query is over a limit."),
		entry(http.StatusRequestHeaderFieldsTooLarge, CodeHeaderLong, "The request has too many headers, or one of them is too long."),
		entry(http.StatusTooManyRequests, CodeTooManyHere, "This client has too many requests of this kind open. Close one, or try again after the time in Retry-After."),
		entry(http.StatusTooManyRequests, CodeRateLimited, "Too many requests came with this key, for this customer or from this address. The member per_second says how many are served. Try again after the time in Retry-After."),
		entry(http.StatusNotFound, CodeNotFound, "There is nothing at this address: no route has it, or the read model, the log or the list of parked work has nothing with this name. If a write needs a thing that does not exist, the code names the thing instead, such as `product-not-found`, or `line-unknown` for a part of a thing."),
		entry(http.StatusMethodNotAllowed, CodeMethod, "This address does not accept the method of the request. The header Allow lists the methods that it accepts."),
		entry(http.StatusNotAcceptable, CodeNotAcceptable, "None of the media types in Accept can be served at this address."),
		entry(http.StatusRequestTimeout, CodeSlow, "The body came too slowly."),
		entry(http.StatusConflict, CodeConflict, "Other requests changed the same thing at the same time, and all attempts of this one failed. Try again."),
		entry(http.StatusConflict, CodeBeyondHead, "The request asks for events after a position that the log has not reached. The members position and head have both positions. It does not help to try again."),
		entry(http.StatusConflict, CodeGone, "The stream of this thing was deleted for good."),
		entry(http.StatusPreconditionFailed, CodeStale, "The condition in If-Match or If-None-Match is not met. The member actual_revision has the present revision, if there is one."),
		entry(http.StatusRequestEntityTooLarge, CodeTooLarge, "The request is over a limit."),
		entry(http.StatusUnsupportedMediaType, CodeMediaType, "The headers do not say that the body is plain JSON in UTF-8. They name another media type or charset, or a compression."),
		entry(http.StatusUnprocessableEntity, CodeInvalid, "Some values of the request are not allowed. The member errors lists what is wrong, and where."),
		entry(http.StatusUnprocessableEntity, CodeKeyReused, "The Idempotency-Key was used before, for another request."),
		entry(http.StatusServiceUnavailable, CodeOverloaded, "Too many requests are waiting. Try again after the time in Retry-After."),
		entry(http.StatusServiceUnavailable, CodeDiverged, "The log is not the log that this node has read so far: it was restored from a backup, or it is another log. The node refuses reads and writes until an operator has decided which log is right. The members expected and found say how the logs differ. While a cluster elects a leader, the difference may pass by itself. Then the detail says so, and there is a Retry-After."),
		entry(http.StatusServiceUnavailable, CodeUnavailable, "The log or the database cannot be reached, or the node is starting or stopping. Nothing was done. Try again after the time in Retry-After."),
		entry(http.StatusServiceUnavailable, CodeTimeout, "The request took too long."),
		entry(http.StatusServiceUnavailable, CodeOutcomeUnknown, "It is not known whether the request, or a part of it, was carried out. Repeat it with the same Idempotency-Key. If the log was replaced in the meantime, the detail says so, and the change may be lost."),
		entry(http.StatusServiceUnavailable, CodePositionNotYet, "The read model has not reached the position in Daybook-Min-Position yet. The member position has the position that it has reached."),
	}
	for _, rejections := range [][]*rule.Rejection{
		product.Rejections, cart.Rejections, stock.Rejections, order.Rejections, returns.Rejections, checkout.Rejections, access.Rejections, staff.Rejections, customer.Rejections, subject.Rejections,
		pricelist.Rejections, pricing.Rejections, shipping.Rejections, entity.Rejections,
		promotion.Rejections, coupon.Rejections, giftcard.Rejections,
	} {
		for _, r := range rejections {
			entries = append(entries, entry(StatusOfRule(r.Code), r.Code, r.Detail))
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Code, b.Code) })
	return entries
}

func entry(status int, code, detail string) Entry {
	return Entry{Code: code, Type: typePrefix + code, Title: titleOf(code), Status: status, Detail: detail, Facts: facts[code]}
}
