package httpapi

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"

	"daybook/internal/etag"
)

// compressing sends responses of a kilobyte or more in gzip if the client accepts it. It compresses
// JSON in all its forms, and the pages of the documentation. A live stream of events is not
// compressed, because each event must be sent at once.
func compressing(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.EnableZstd(false), // each encoding would need its own ETags, and all browsers accept gzip
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
