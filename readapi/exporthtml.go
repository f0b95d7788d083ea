package readapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// exportStyle is the style of an export's page. The page loads nothing.
const exportStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1,h2{line-height:1.2}
section>ol{padding-left:1.5rem}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.1rem 1rem;margin:.3rem 0 .8rem}
dt{color:#555}
dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
@media(max-width:40rem){dl{display:block}dt{margin-top:.4rem}}`

// hashOfStyle names a style in a Content-Security-Policy.
func hashOfStyle(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// exportAsHTML writes an export, which is JSON, as a page to read. Every member of the JSON is in
// the page, so both forms always have the same content. Texts are escaped.
func exportAsHTML(export []byte) ([]byte, error) {
	w := pageWriter{from: jsontext.NewDecoder(bytes.NewReader(export))}
	w.raw(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Personal data</title><style>` + exportStyle + `</style></head><body><h1>Personal data</h1>`)
	if _, err := w.from.ReadToken(); err != nil {
		return nil, fmt.Errorf("the page of an export: %w", err)
	}
	next := ""
	for w.from.PeekKind() == '"' {
		name, err := w.text()
		if err != nil {
			return nil, err
		}
		if name == "next" {
			if next, err = w.text(); err != nil {
				return nil, err
			}
			continue
		}
		w.raw("<section><h2>")
		w.raw(html.EscapeString(spoken(name)) + "</h2>")
		if err := w.value(); err != nil {
			return nil, err
		}
		w.raw("</section>")
	}
	if next != "" {
		w.raw(`<p><a href="?cursor=` + html.EscapeString(url.QueryEscape(next)) + `">Next page</a></p>`)
	}
	w.raw("</body></html>\n")
	return w.to.Bytes(), nil
}

// pageWriter writes JSON as HTML: objects as lists of descriptions, and arrays as numbered lists.
type pageWriter struct {
	from *jsontext.Decoder
	to   bytes.Buffer
}

func (w *pageWriter) raw(text string) { w.to.WriteString(text) }

func (w *pageWriter) text() (string, error) {
	token, err := w.from.ReadToken()
	if err != nil {
		return "", fmt.Errorf("the page of an export: %w", err)
	}
	return token.String(), nil
}

// value writes the next value.
func (w *pageWriter) value() error {
	kind := w.from.PeekKind()
	text, err := w.text()
	if err != nil {
		return err
	}
	switch kind {
	case '{':
		w.raw("<dl>")
		for w.from.PeekKind() == '"' {
			name, err := w.text()
			if err != nil {
				return err
			}
			w.raw("<dt>" + html.EscapeString(spoken(name)) + "</dt><dd>")
			if err := w.value(); err != nil {
				return err
			}
			w.raw("</dd>")
		}
		w.raw("</dl>")
	case '[':
		if w.from.PeekKind() == ']' {
			w.raw("none")
			break
		}
		w.raw("<ol>")
		for w.from.PeekKind() != ']' && w.from.PeekKind() != 0 {
			w.raw("<li>")
			if err := w.value(); err != nil {
				return err
			}
			w.raw("</li>")
		}
		w.raw("</ol>")
	default:
		w.raw(html.EscapeString(text))
		return nil
	}
	_, err = w.text() // the end of the object or the array
	return err
}

// spoken is the name of a member as people write it: "Default billing".
func spoken(name string) string {
	text := strings.ReplaceAll(name, "_", " ")
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
