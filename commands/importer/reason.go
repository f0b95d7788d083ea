package importer

import (
	"slices"
	"strings"
	"unicode"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

// noteWords maps the beginning of a word in a note to a reason. The surest words come first.
// Example: "thrown away-rusty" is damage, whatever else the note says.
var noteWords = []struct {
	reason stock.Reason
	starts []string
}{
	{stock.DamagedGoods, []string{
		"damag", "dagam", "wet", "rust", "mould", "brok", "break", "smash", "crush", "crack", "fault", "unsale", "destroy", "throw", "water",
	}},
	{stock.Promotion, []string{"sample", "display", "show", "given", "mailout"}},
	{stock.Shrinkage, []string{"missing", "lost", "mia", "find", "mystery"}},
	{stock.CycleCount, []string{"check", "count", "found"}},
	{stock.ReasonReceived, []string{"rcvd", "receiv", "deliver", "cargo"}},
	{stock.Restock, []string{"aside", "returned", "restock"}},
	{stock.Correction, []string{
		"adjust", "wrong", "incorrect", "barcode", "code", "mark", "mrked", "label", "mix", "revers", "error", "oops", "fix", "credit", "made",
	}},
}

// reasonOf derives an adjustment's reason from its note. An empty note is a correction. A note
// of question marks is an unexplained loss, or a correction if units are added. If no word of
// the note is known, the reason is "other".
func reasonOf(note string, change unit.Quantity) stock.Reason {
	if strings.TrimSpace(note) == "" {
		return stock.Correction
	}
	words := strings.FieldsFunc(strings.ToLower(note), func(r rune) bool { return !unicode.IsLetter(r) })
	if strings.Trim(note, "? ") == "" {
		if change < 0 {
			return stock.Shrinkage
		}
		return stock.Correction
	}
	for _, row := range noteWords {
		if slices.ContainsFunc(words, func(word string) bool { return startsWith(word, row.starts) }) {
			return row.reason
		}
	}
	return stock.OtherReason
}

func startsWith(word string, starts []string) bool {
	return slices.ContainsFunc(starts, func(start string) bool { return strings.HasPrefix(word, start) })
}
