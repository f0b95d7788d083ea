package httpapi

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"

	"daybook/internal/etag"
)

// compressing sends answers of a kilobyte or more in gzip to clients that take it: JSON in
// its forms, and the pages of the documentation. A live stream of events passes as it is,
// because each event has to leave at once.
func compressing(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.EnableZstd(false), // each encoding needs tags of its own, and browsers take gzip
		gzhttp.CompressionLevel(gzip.BestSpeed),
		gzhttp.ContentTypes([]string{
			"application/json", "application/problem+json", "application/x-ndjson", "application/openapi+json", "application/openapi+yaml", "text/html",
		}),
		gzhttp.SuffixETag(etag.GzipSuffix),
	)
	if err != nil {
		return nil, err
	}
	return wrap(next), nil
}
