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

// CheckName refuses characters that change how a name is shown, in the name of a stream or of
// an event's type. A line break would end a line of server-sent events or of a log, an escape
// character could control a terminal, and a direction mark makes one text look like another.
// what says which name it is, for the error.
//
// It is for names that are about to be recorded. A name that is already recorded, or that a
// foreign server holds, may contain such characters. Use Visible to write such a name.
func CheckName(what, name string) error {
	if isPrintableASCII(name) {
		return nil // the usual case, which must be fast because each append checks two names
	}
	if !IsText(name) {
		return &InvalidError{Reason: what + " is not UTF-8 text"}
	}
	if at := strings.IndexFunc(name, isControl); at >= 0 {
		r, _ := utf8.DecodeRuneInString(name[at:])
		return &InvalidError{Reason: fmt.Sprintf("%s holds the control character U+%04X at byte %d", what, r, at)}
	}
	return nil
}

// isPrintableASCII tells whether a name has only the characters from space to tilde.
func isPrintableASCII(name string) bool {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

// isControl tells whether a character changes how a program shows the text around it:
// the control characters (among them line breaks, escape and next line), the separators
// of lines and paragraphs, and the marks that change the direction of text.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// Visible replaces the characters that CheckName refuses, each as in a JSON string: a line
// feed becomes \u000a. Bytes that are not UTF-8 become U+FFFD.
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
