package pricing

import "strings"

// FoldCode writes the code of a coupon in the one form in which codes are compared: upper case,
// without blanks and hyphens. "spring-10" and "SPRING 10" are one code.
func FoldCode(text string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t':
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(text)))
}
