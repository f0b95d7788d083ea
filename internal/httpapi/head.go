package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"daybook/internal/problem"
)

// Limits of the address and the headers of a request. net/http itself refuses more than
// maxHeaderBytes, in plain text, before this package sees the request.
const (
	maxHeaderBytes  = 32 << 10
	maxPathBytes    = 4 << 10 // percent-encoded: a stream's name has up to 3 KiB
	maxQueryBytes   = 8 << 10
	maxQueryParams  = 64
	maxHeaders      = 100
	maxHeaderLength = 8 << 10 // bytes of one value
)

// checkHead refuses a path, a query or headers that are longer than any route needs.
func checkHead(r *http.Request) error {
	switch {
	case len(r.URL.EscapedPath()) > maxPathBytes:
		return problem.AddressTooLong(maxPathBytes, "bytes of path")
	case len(r.URL.RawQuery) > maxQueryBytes:
		return problem.AddressTooLong(maxQueryBytes, "bytes of query")
	case strings.Count(r.URL.RawQuery, "&") >= maxQueryParams:
		return problem.AddressTooLong(maxQueryParams, "parameters")
	}
	count := 0
	for name, values := range r.Header {
		count += len(values)
		for _, value := range values {
			if len(value) > maxHeaderLength {
				return problem.HeadersTooLarge(maxHeaderLength, fmt.Sprintf("bytes in the header %.64s", name))
			}
		}
	}
	if count > maxHeaders {
		return problem.HeadersTooLarge(maxHeaders, "headers")
	}
	return nil
}
