package problem

import "daybook/domain/unit"

// freeTexts are the members of bodies that are free texts, by their names. The domain has the same
// rules, but it refuses only one text at a time, and without its place in the body.
var freeTexts = map[string]func(text string, maxRunes int) string{
	"carrier": unit.LineFault, "country": unit.LineFault, "document": unit.LineFault,
	"provider": unit.LineFault, "reference": unit.LineFault, "title": unit.LineFault,
	"tracking": unit.LineFault, "note": unit.TextFault, "reason": unit.TextFault,
}

// TextFault says what is wrong with the characters of a member of a body. It returns "" if nothing
// is wrong, or if no member of this name is a free text. It does not look at the length.
func TextFault(member, text string) string {
	check := freeTexts[member]
	if check == nil {
		return ""
	}
	return check(text, len(text))
}
