package httpapi

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"daybook/internal/apidoc"
	"daybook/internal/etag"
	"daybook/internal/problem"
)

// scalar is @scalar/api-reference 1.46.4 (MIT), its standalone.js, compressed.
//
//go:embed docsui/scalar.js.gz
var scalar []byte

//go:embed docsui/index.html
var docsPage []byte

// docsPolicy lets the page load only from this server. The viewer also evaluates code and sets
// styles, which no other page of this server may.
const docsPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// serveDocs adds the routes of the OpenAPI document, its page and the catalogue of problems. The
// document is made when it is first read.
func serveDocs(router *mux.Router, document *huma.OpenAPI) error {
	serve := func(path, contentType string, generate func() ([]byte, error)) {
		once := sync.OnceValues(generate)
		router.Path(path).Methods(http.MethodGet).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := once()
			if err != nil {
				problem.Write(w, r, fmt.Errorf("OpenAPI document: %w", err))
				return
			}
			serveConstant(w, r, contentType, body)
		})
	}
	complete := sync.OnceFunc(func() { apidoc.Complete(document) })
	serve("/openapi.json", "application/openapi+json", func() ([]byte, error) {
		complete()
		return json.Marshal(document)
	})
	serve("/openapi.yaml", "application/openapi+yaml", func() ([]byte, error) {
		complete()
		return document.YAML()
	})
	router.Path("/docs").Methods(http.MethodGet).HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", docsPolicy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(docsPage)
	})
	router.Path("/docs/scalar.js").Methods(http.MethodGet).HandlerFunc(serveScalar)
	return serveProblems(router)
}

func serveScalar(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=86400")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(scalar)
		return
	}
	plain, err := gzip.NewReader(bytes.NewReader(scalar))
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	_, _ = io.Copy(w, plain) //nolint:gosec // our own file
}

// serveProblems adds routes that explain the problem types, because the type of a problem is an
// address.
func serveProblems(router *mux.Router) error {
	catalogue := problem.Catalogue()
	all, err := json.Marshal(map[string]any{"problems": catalogue})
	if err != nil {
		return fmt.Errorf("catalogue of problems: %w", err)
	}
	router.Path("/problems").Methods(http.MethodGet).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serveConstant(w, r, "application/json", all)
	})
	one := make(map[string][]byte, len(catalogue))
	for _, entry := range catalogue {
		if one[entry.Code], err = json.Marshal(entry); err != nil {
			return fmt.Errorf("catalogue of problems: %w", err)
		}
	}
	router.Path("/problems/{code}").Methods(http.MethodGet).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := one[mux.Vars(r)["code"]]
		if !known {
			problem.Write(w, r, problem.NotFound("There is no problem with this code."))
			return
		}
		serveConstant(w, r, "application/json", body)
	})
	return nil
}

// serveConstant responds with a body that is the same as long as the server runs. The response has
// an ETag, and is a 304 if If-None-Match names it. Query parameters are refused, because there are
// none.
func serveConstant(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	conditions := []*huma.Param{{In: "header", Name: headerIfNoneMatch}}
	if faults := append(queryFaults(r.URL.RawQuery, nil), headerFaults(r.Header, conditions)...); len(faults) > 0 {
		problem.Write(w, r, problem.NotValid(faults...))
		return
	}
	tag := etag.Of(-1, body)
	if known, given := listIn(r, headerIfNoneMatch); given {
		if found, is := known.Find(tag); is {
			w.Header().Set(headerETag, found.As(tag))
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set(headerETag, tag)
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body) // an error means that the client has gone
}
