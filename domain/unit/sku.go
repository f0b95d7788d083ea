package unit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SKU identifies a thing that can be sold. Codes that look the same to a person are the same
// SKU: "café" and "CAFÉ", and also "é" as one character or as "e" with a combining accent.
// See ParseSKU.
type SKU string

const (
	// MaxSKU is how many characters a SKU may have, as given and as recorded.
	MaxSKU = 64
	// maxSKUBytes keeps the name of a stock stream, SKU and location, below what a
	// log can hold.
	maxSKUBytes = 128
)

// ParseSKU reads a code as given and makes it the SKU's only form: outer blanks
// are cut, the characters are composed (Unicode's normal form NFC), and letters are
// in upper case. Letters of different alphabets stay different, even where they
// look alike, and so does the dotless i.
//
// A SKU has 1 to 64 characters (128 bytes): letters with their marks and decimal digits of
// any alphabet, the blank, and the punctuation of ASCII. Three things are not allowed: '@',
// which separates SKU and location in the name of a stock stream; a code of dots only, which
// means a directory in a path; and characters that are only another way to write allowed
// ones, such as the ligature "ﬁ" or a full-width "Ａ".
func ParseSKU(text string) (SKU, error) {
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("SKU %q: not valid UTF-8", text)
	}
	if n := utf8.RuneCountInString(text); n > MaxSKU {
		return "", fmt.Errorf("SKU of %d characters: want 1 to %d", n, MaxSKU)
	}
	code := FoldSKU(text)
	if n := utf8.RuneCountInString(code); n == 0 || n > MaxSKU {
		return "", fmt.Errorf("SKU %q: want 1 to %d characters", text, MaxSKU)
	}
	if len(code) > maxSKUBytes {
		return "", fmt.Errorf("SKU %q: longer than %d bytes", text, maxSKUBytes)
	}
	before := ' '
	for _, r := range code {
		if err := skuRune(r, before); err != nil {
			return "", fmt.Errorf("SKU %q: %w", text, err)
		}
		before = r
	}
	if strings.Trim(code, ".") == "" {
		return "", fmt.Errorf("SKU %q: only dots", text)
	}
	return SKU(code), nil
}

// skuRune returns nil if a SKU may contain r directly after the character before.
func skuRune(r, before rune) error {
	switch {
	case r == '@':
		return fmt.Errorf("%q is not allowed", r)
	case r >= ' ' && r <= '~':
		return nil
	case unseen(r):
		return fmt.Errorf("%+q cannot be seen", r)
	case norm.NFKC.String(string(r)) != string(r):
		return fmt.Errorf("%q is another way to write %q, which is allowed", r, FoldSKU(norm.NFKC.String(string(r))))
	case unicode.IsMark(r):
		if !unicode.IsLetter(before) && !unicode.IsMark(before) {
			return fmt.Errorf("the mark %+q does not follow a letter", r)
		}
		return nil
	case unicode.IsLetter(r), unicode.Is(unicode.Nd, r):
		return nil
	}
	return fmt.Errorf("%q is not allowed: want letters, digits, blanks and the punctuation of ASCII", r)
}

// unseen is true for white space, control characters and characters that are not drawn.
func unseen(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Zs, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800' // a braille pattern without dots
}

// FoldSKU writes a code in the form that SKUs have, and checks nothing. It is for searches by
// a code or by the beginning of a code.
func FoldSKU(text string) string {
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(strings.TrimSpace(text))))
}

// foldRune returns the upper case if its lower case is the same letter again.
// Example: 'é' becomes 'É'. The dotless 'ı' (U+0131) stays, because its upper case
// 'I' has the lower case 'i'; so does the micro sign, whose upper case is a Greek M.
func foldRune(r rune) rune {
	switch r {
	case 'ς': // at the end of a word
		return 'Σ'
	case 'ẞ': // Unicode has no upper case for ß
		return 'ß'
	}
	if upper := unicode.ToUpper(r); unicode.ToLower(upper) == r {
		return upper
	}
	return r
}
