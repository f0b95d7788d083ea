package problem

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/stock"
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
		entry(http.StatusBadRequest, CodeKeyRequired, "The request moves stock or money and has no Idempotency-Key."),
		entry(http.StatusForbidden, CodeCrossOrigin, "A page of another site made a browser send the request."),
		entry(http.StatusMisdirectedRequest, CodeMisdirected, "The request is for a host whose name this server does not answer to."),
		entry(http.StatusRequestURITooLong, CodeAddressLong, "The path or the query is over a limit."),
		entry(http.StatusRequestHeaderFieldsTooLarge, CodeHeaderLong, "There are too many headers, or one is too long."),
		entry(http.StatusTooManyRequests, CodeTooManyHere, "This client has as many of these open as one client may; see Retry-After."),
		entry(http.StatusNotFound, CodeNotFound, "There is nothing at this address, or nothing by this name in the read model."),
		entry(http.StatusMethodNotAllowed, CodeMethod, "The address knows other methods; see Allow."),
		entry(http.StatusNotAcceptable, CodeNotAcceptable, "Accept names no form in which this is to be had."),
		entry(http.StatusRequestTimeout, CodeSlow, "The body came too slowly."),
		entry(http.StatusConflict, CodeConflict, "Others changed it at the same time, again and again; try again."),
		entry(http.StatusConflict, CodeBeyondHead, "Events after a position were asked for that is beyond the head of the log; the facts tell both. Coming back does not help."),
		entry(http.StatusConflict, CodeGone, "Its history was deleted for good."),
		entry(http.StatusPreconditionFailed, CodeStale, "If-Match or If-None-Match does not hold; the facts tell the revision it is at, if it has one."),
		entry(http.StatusRequestEntityTooLarge, CodeTooLarge, "The request is over a limit."),
		entry(http.StatusUnsupportedMediaType, CodeMediaType, "The body is not declared as plain JSON in UTF-8: it has another media type or charset, or is compressed."),
		entry(http.StatusUnprocessableEntity, CodeInvalid, "Some of the request cannot be; errors says what and where."),
		entry(http.StatusUnprocessableEntity, CodeKeyReused, "The Idempotency-Key was used before, for another request."),
		entry(http.StatusServiceUnavailable, CodeOverloaded, "Too much is waiting; see Retry-After."),
		entry(http.StatusServiceUnavailable, CodeDiverged, "The log is not the one that was followed so far: it was restored from a backup, or is another one. Nothing is taken and nothing is answered until somebody has decided what holds. The facts tell what was expected and what is there. While a cluster elects a leader it may pass; then the detail says so, and there is a Retry-After."),
		entry(http.StatusServiceUnavailable, CodeUnavailable, "Something needed cannot be reached; nothing was done. See Retry-After."),
		entry(http.StatusServiceUnavailable, CodeTimeout, "It took too long."),
		entry(http.StatusServiceUnavailable, CodeOutcomeUnknown, "Whether it was done, or part of it, is not known; repeat it with the same Idempotency-Key. If the log was replaced meanwhile, the detail says so, and it may be lost."),
		entry(http.StatusServiceUnavailable, CodePositionNotYet, "The read model is not as far as Daybook-Min-Position; the facts tell how far it is."),
	}
	for _, rejections := range [][]*rule.Rejection{
		product.Rejections, cart.Rejections, stock.Rejections, order.Rejections, returns.Rejections, checkout.Rejections,
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
