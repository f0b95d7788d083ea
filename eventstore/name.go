package eventstore

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsText tells whether a name can be stored and sent everywhere: valid UTF-8
// without the zero byte, which Postgres does not take.
func IsText(name string) bool {
	return utf8.ValidString(name) && strings.IndexByte(name, 0) < 0
}

// CheckName refuses, in the name of a stream or of an event's type, what would be
// something else than a name where it is written: a line break ends a line of
// server-sent events or of a log, an escape character steers a terminal, and a
// direction mark makes text look like another. what says whose name it is.
//
// It is for names that are to be recorded. A name that is recorded already, or that
// a foreign server holds, may be such a one; Visible makes it fit to be written.
func CheckName(what, name string) error {
	if !IsText(name) {
		return &InvalidError{Reason: what + " is not UTF-8 text"}
	}
	if at := strings.IndexFunc(name, isControl); at >= 0 {
		r, _ := utf8.DecodeRuneInString(name[at:])
		return &InvalidError{Reason: fmt.Sprintf("%s holds the control character U+%04X at byte %d", what, r, at)}
	}
	return nil
}

// isControl tells whether a character changes how a program shows the text around it:
// the control characters (among them line breaks, escape and next line), the separators
// of lines and paragraphs, and the marks that change the direction of text.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// Visible writes out those characters of a text that CheckName refuses, each as a
// JSON string would: a line feed becomes \u000a. What is no UTF-8 becomes U+FFFD.
func Visible(text string) string {
	if strings.IndexFunc(text, isControl) < 0 {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	var shown strings.Builder
	for _, r := range text { // all of those characters have four hexadecimal digits
		if isControl(r) {
			fmt.Fprintf(&shown, `\u%04x`, r)
			continue
		}
		shown.WriteRune(r)
	}
	return shown.String()
}
