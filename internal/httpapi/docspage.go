package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// The page of the documentation (/docs) shows a viewer in a frame (/docs/viewer). The viewer is a
// large script of others, @scalar/api-reference. So it may do nothing by itself: its document has
// an origin of its own, to which browsers send no cookies, and it cannot send requests. If the
// reader types in a key and tries a request out, the page around the frame sends the request,
// without cookies.

// scalar is @scalar/api-reference 1.46.4 (MIT), its standalone.js, compressed.
//
//go:embed docsui/scalar.js.gz
var scalar []byte

//go:embed docsui/page.html
var pageHTML string

//go:embed docsui/page.css
var pageCSS string

//go:embed docsui/page.js
var pageJS string

//go:embed docsui/viewer.html
var viewerHTML string

//go:embed docsui/prepare.js
var prepareJS string

//go:embed docsui/begin.js
var beginJS string

// docsPage is the path of the page, and docsViewer that of its frame.
const (
	docsPage   = "/docs"
	docsViewer = "/docs/viewer"
)

// isDocs tells whether a request is for the page or its frame. A person opens the page in a
// browser, which can send a key only as a password (Basic). So these two accept it there, and
// nothing else does.
func isDocs(r *http.Request) bool {
	return r.Method == http.MethodGet && slices.Contains([]string{docsPage, docsViewer}, r.URL.EscapedPath())
}

// basicKey returns the key that a browser sends as a password. The name does not matter.
func basicKey(r *http.Request) (key string, given bool) {
	if !isDocs(r) {
		return "", false
	}
	_, key, given = r.BasicAuth()
	return key, given
}

// webPage is a page that never changes while the program runs.
type webPage struct {
	policy string // its Content-Security-Policy
	tag    string
	body   []byte // compressed
}

// serveDocsPage adds the routes of the page.
func serveDocsPage(router *mux.Router, document *huma.OpenAPI, complete func()) {
	serve := func(path string, build func() (webPage, error)) {
		once := sync.OnceValues(build)
		router.Path(path).Methods(http.MethodGet).Handler(guarded{access.Look, func(w http.ResponseWriter, r *http.Request) {
			page, err := once()
			if err != nil {
				problem.Write(w, r, fmt.Errorf("the page of the documentation: %w", err))
				return
			}
			page.serve(w, r)
		}})
	}
	serve(docsPage, outerPage)
	serve(docsViewer, func() (webPage, error) {
		complete()
		return viewerPage(document)
	})
}

func (p webPage) serve(w http.ResponseWriter, r *http.Request) {
	headers := w.Header()
	headers.Set("Content-Security-Policy", p.policy)
	headers.Set("Content-Type", "text/html; charset=utf-8")
	headers.Set(headerETag, p.tag)
	if r.Header.Get(headerIfNoneMatch) == p.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		headers.Set("Content-Encoding", "gzip")
		_, _ = w.Write(p.body) // the client may have gone
		return
	}
	plain, err := unpacked(p.body)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	_, _ = w.Write(plain)
}

// outerPage is the page that the reader opens. Only its own script runs, and that script sends
// requests only to this server.
func outerPage() (webPage, error) {
	body := filledIn(pageHTML, "style", pageCSS, "script", pageJS)
	return newPage(body, "default-src 'none'; script-src "+hashOfSource(pageJS)+"; style-src "+hashOfSource(pageCSS)+
		"; connect-src 'self'; frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

// viewerPage is the frame with the viewer and the whole document. "sandbox" without
// allow-same-origin gives it an origin of its own. Styles are allowed, because the viewer makes
// them while it runs.
func viewerPage(document *huma.OpenAPI) (webPage, error) {
	script, err := unpacked(scalar)
	if err != nil {
		return webPage{}, err
	}
	content, err := json.Marshal(document) // it writes < as \u003c, so no text can end the script
	if err != nil {
		return webPage{}, err
	}
	viewer := withoutTags(string(script))
	body := filledIn(viewerHTML, "document", string(content), "prepare", prepareJS, "scalar", viewer, "begin", beginJS)
	return newPage(body, "sandbox allow-scripts allow-forms; default-src 'none'; script-src "+
		hashOfSource(prepareJS)+" "+hashOfSource(viewer)+" "+hashOfSource(beginJS)+" 'unsafe-eval'; style-src 'unsafe-inline'; "+
		"img-src data: blob:; font-src data:; connect-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
}

func newPage(body, policy string) (webPage, error) {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := io.WriteString(writer, body)
	if err == nil {
		err = writer.Close()
	}
	sum := sha256.Sum256([]byte(body))
	return webPage{policy: policy, tag: `W/"` + hex.EncodeToString(sum[:12]) + `"`, body: packed.Bytes()}, err
}

// filledIn puts texts in the places of a page that have their names, such as {{script}}. A text may
// have such a place itself, which stays as it is.
func filledIn(page string, namesAndTexts ...string) string {
	for i := 0; i < len(namesAndTexts); i += 2 {
		namesAndTexts[i] = "{{" + namesAndTexts[i] + "}}"
	}
	return strings.NewReplacer(namesAndTexts...).Replace(page)
}

// withoutTags writes the beginnings of tags and comments in another form, so that a script can
// stand in a page. They are only within texts and patterns of the script.
func withoutTags(script string) string {
	return strings.NewReplacer("<!--", `\x3c!--`, "<script", `\x3cscript`, "</script", `\x3c/script`).Replace(script)
}

// hashOfSource names a script or a style in a Content-Security-Policy. No other one may be used.
func hashOfSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func unpacked(packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
