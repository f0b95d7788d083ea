// Package etag makes and reads the entity tags of the API (RFC 9110, section 8.8.3).
//
// A tag names one body. `"5.uhx0cXJUUGPW7vBT"` is a body of a thing at revision 5. The part after
// the point is a hash that differs between the bodies of this revision. `"body.uhx0cXJUUGPW7vBT"`
// is a body without a revision, such as a list. The tag of a body in gzip ends in `-gzip`, because
// its bytes are different.
//
// The handlers decide what a condition does to a request.
package etag

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// GzipSuffix is the end of the tag of a body in gzip.
const GzipSuffix = "-gzip"

// withoutRevision takes the place of the revision in a tag without one.
const withoutRevision = "body"

// Pattern is the form of the tags that Of makes, as a regular expression.
const Pattern = `^"([0-9]+|` + withoutRevision + `)[.][A-Za-z0-9_-]{16}(` + GzipSuffix + `)?"$`

// Of makes the tag of a body. revision is the revision of the thing in the body, or below 0 if it
// has none.
func Of(revision int64, body []byte) string {
	sum := sha256.Sum256(body)
	of := withoutRevision
	if revision >= 0 {
		of = strconv.FormatInt(revision, 10)
	}
	return `"` + of + "." + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// OfRevision makes a tag with only a revision. A handler sets it before the body exists. It is
// empty if the revision is below 0.
func OfRevision(revision int64) string {
	if revision < 0 {
		return ""
	}
	return `"` + strconv.FormatInt(revision, 10) + `"`
}

// Tag is a tag in a request. Weak tags are treated like strong ones: see Tag.Revision and
// Tag.Names.
type Tag struct {
	opaque string // what is between the quotes
	gzip   bool   // it names a body in gzip
}

// Revision is the revision that the tag names. ok is false if it names none, for example because
// another server made it. A tag with only the first part, `"5"`, also names a revision.
//
// A weak tag names the revision too. A proxy that compresses, such as nginx, makes our tags weak
// because it changes the bytes. The revision is still the same.
func (t Tag) Revision() (revision int64, ok bool) {
	text, _, _ := strings.Cut(t.opaque, ".")
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	revision, err := strconv.ParseInt(text, 10, 64)
	return revision, err == nil
}

// Names tells whether the tag names the same content as another, which Of made. Bodies
// that differ only in their encoding have the same content (weak comparison).
func (t Tag) Names(other string) bool { return `"`+t.opaque+`"` == other }

// As returns a tag that Of made, for the encoding that this tag names.
func (t Tag) As(made string) string {
	if !t.gzip {
		return made
	}
	return strings.TrimSuffix(made, `"`) + GzipSuffix + `"`
}

// List is the value of If-Match or If-None-Match: some tags, or any.
type List struct {
	Any  bool // *
	Tags []Tag
}

// Find returns the first tag of the list that names the same content as made. If the list is *, it
// always finds one.
func (l List) Find(made string) (Tag, bool) {
	if l.Any {
		return Tag{opaque: strings.Trim(made, `"`)}, true
	}
	for _, tag := range l.Tags {
		if tag.Names(made) {
			return tag, true
		}
	}
	return Tag{}, false
}

// Revisions returns the revisions that the list names.
func (l List) Revisions() []int64 {
	revisions := make([]int64, 0, len(l.Tags))
	for _, tag := range l.Tags {
		if revision, ok := tag.Revision(); ok {
			revisions = append(revisions, revision)
		}
	}
	return revisions
}

// maxTags is how many tags a list may have. ErrForm says it, too.
const maxTags = 100

// ErrForm means that a header is not a list of tags.
var ErrForm = errors.New(`want * or ETags as they were given, with their quotes and separated by commas, such as "3.uhx0cXJUUGPW7vBT", at most 100`)

// Parse reads the value of If-Match or If-None-Match.
func Parse(header string) (List, error) {
	rest := strings.Trim(header, " \t")
	if rest == "*" {
		return List{Any: true}, nil
	}
	var list List
	for {
		rest = strings.TrimLeft(rest, ", \t") // a list may have empty elements
		if rest == "" {
			break
		}
		rest = strings.TrimPrefix(rest, "W/")
		inner, opened := strings.CutPrefix(rest, `"`)
		opaque, after, closed := strings.Cut(inner, `"`)
		after = strings.TrimLeft(after, " \t")
		if !opened || !closed || (after != "" && after[0] != ',') || len(list.Tags) == maxTags || !isOpaque(opaque) {
			return List{}, ErrForm
		}
		tag := Tag{opaque: opaque}
		tag.opaque, tag.gzip = strings.CutSuffix(opaque, GzipSuffix)
		list.Tags = append(list.Tags, tag)
		rest = after
	}
	if len(list.Tags) == 0 {
		return List{}, ErrForm
	}
	return list, nil
}

// isOpaque tells whether a text may be between the quotes.
func isOpaque(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}
