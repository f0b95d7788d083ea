package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/cors"
)

// corsMaxAge is how many seconds a browser may keep the response to a preflight.
const corsMaxAge = 600

// corsMethods are the methods of the API.
var corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// ParseOrigin reads an origin for Options.CORSOrigins: a scheme, a host and perhaps a port,
// such as https://shop.example. It returns the origin in the form that browsers send. "*" and
// "null" are refused, because each site that may use the API must be named.
func ParseOrigin(text string) (string, error) {
	wrong := fmt.Errorf("%q is no origin: want a scheme and a host, such as https://shop.example, and nothing else", text)
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		strings.TrimSuffix(u.Path, "/") != "" || strings.ContainsAny(text, "?#*") {
		return "", wrong
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	name, port := splitPort(host)
	if number, err := strconv.ParseUint(port, 10, 16); name != host && (err != nil || number == 0 || port[0] == '0') {
		return "", wrong // browsers send no port of this form, such as 0443
	}
	if _, err := ParsePublicHost(name); err != nil {
		return "", wrong
	}
	return u.Scheme + "://" + host, nil
}

// sharing lets pages of some other sites use the API from a browser. nil allows no site.
type sharing struct {
	origins []string
	cors    *cors.Cors
}

// newSharing allows the request headers that operations of the document have, and lets pages read
// their response headers.
func newSharing(origins []string, document *huma.OpenAPI) (*sharing, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	s := &sharing{}
	for _, text := range origins {
		origin, err := ParseOrigin(text)
		if err != nil {
			return nil, err
		}
		s.origins = append(s.origins, origin)
	}
	asked, answered := headersOf(document)
	s.cors = cors.New(cors.Options{
		AllowedOrigins: s.origins, AllowedMethods: corsMethods, AllowedHeaders: asked, ExposedHeaders: answered,
		AllowCredentials: false, MaxAge: corsMaxAge,
	})
	return s, nil
}

// headersOf returns the headers of all requests and of all responses in a document.
func headersOf(document *huma.OpenAPI) (asked, answered []string) {
	asked = []string{"Accept", "Authorization", "Content-Type", headerActFor, headerPage, "X-Request-ID"}
	answered = []string{"Retry-After", "WWW-Authenticate", "X-Request-ID"}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			for _, param := range op.Parameters {
				if param.In == "header" {
					asked = append(asked, param.Name)
				}
			}
			for _, response := range op.Responses {
				for name := range response.Headers {
					answered = append(answered, name)
				}
			}
		}
	}
	slices.Sort(asked)
	slices.Sort(answered)
	return slices.Compact(asked), slices.Compact(answered)
}

// allows tells whether a request comes from a page that may use the API.
func (s *sharing) allows(r *http.Request) bool {
	return s != nil && slices.Contains(s.origins, r.Header.Get("Origin"))
}

// expose tells a browser which headers of the response an allowed page may read. It also tells
// caches that the response depends on the origin.
func (s *sharing) expose(w http.ResponseWriter, r *http.Request) {
	switch {
	case s == nil:
	case isPreflight(r):
		w.Header().Add("Vary", "Origin")
	default:
		s.cors.HandlerFunc(w, r)
	}
}

// respondPreflight responds to a preflight, which a browser sends before the request of an allowed
// page. It returns false if the request is not a preflight.
func (s *sharing) respondPreflight(w http.ResponseWriter, r *http.Request) bool {
	if !isPreflight(r) || !s.allows(r) {
		return false
	}
	w.Header().Del("Vary") // expose has set it already, and HandlerFunc sets it again
	s.cors.HandlerFunc(w, r)
	return true
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}
