package unit

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestParseSKU(t *testing.T) {
	for text, want := range map[string]SKU{
		"85123a": "85123A", " 85123A ": "85123A", "BANK CHARGES": "BANK CHARGES", "gift_0001_10": "GIFT_0001_10", "dcgs/é": "DCGS/É",
		strings.Repeat("x", 64): SKU(strings.Repeat("X", 64)), strings.Repeat("é", 64): SKU(strings.Repeat("É", 64)),
		"café": "CAFÉ", "cafe\u0301": "CAFÉ", "CAFE\u0301": "CAFÉ",
		"\u212aG": "KG", "\u212bngström": "ÅNGSTRÖM", // the signs for kelvin and ångström are the letters
		"οδος": "ΟΔΟΣ", "ΟΔΟς": "ΟΔΟΣ", "STRAẞE": "STRAßE", "straße": "STRAßE",
		"ılık": "ıLıK", "İZMİR": "İZMİR", "и\u0306": "Й", "a.b": "A.B", "..a": "..A", "٣": "٣", "q\u0301": "Q\u0301",
	} {
		if got, err := ParseSKU(text); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "blank": " \t", "too long": strings.Repeat("x", 65), "too long, composed": strings.Repeat("e\u0301", 33),
		"too many bytes": strings.Repeat("世", 43), "very long": strings.Repeat("x", 1<<20),
		"at sign": "a@b", "line end": "a\nb", "NUL": "a\x00b", "DEL": "a\x7fb", "not UTF-8": "a\xffb", "other blank": "a\u00a0b",
		"wide blank": "a\u3000b", "a dot": ".", "two dots": "..", "dots in blanks": " ... ",
		"right to left": "a\u202eb", "isolate": "a\u2066b", "mark of direction": "a\u200fb", "zero width": "a\u200bb", "joiner": "a\u200db",
		"byte order mark": "\ufeffa", "soft hyphen": "a\u00adb", "grapheme joiner": "a\u034fb", "filler": "\u3164", "variation": "a\ufe0f",
		"a dotless braille": "\u2800", "line separator": "a\u2028b",
		"long s": "ſ", "ligature": "ﬁ", "full width": "Ａ", "a half": "½", "micro sign": "µ", "a sign": "№", "superscript": "a²",
		"dash": "a–b", "pound": "£5", "emoji": "🛒", "private": "\ue000", "unassigned": "\u0378", "mark alone": "\u0301", "mark after a blank": "a \u0301",
	} {
		if got, err := ParseSKU(text); err == nil {
			t.Errorf("%s is taken for %q", name, got)
		}
	}
}

// scriptOf is the alphabet of a character.
func scriptOf(r rune) string {
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "none"
}

// The test takes every character alone. Characters that look the same to a person give the same
// SKU, and no others do.
func TestEachCharacterOfAllAlphabetsHasOneSKU(t *testing.T) {
	of := map[SKU][]rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		sku, err := ParseSKU(string(r))
		if err != nil {
			continue
		}
		of[sku] = append(of[sku], r)
		for name, same := range map[string]string{"as recorded": string(sku), "decomposed": norm.NFD.String(string(r)), "recorded, decomposed": norm.NFD.String(string(sku))} {
			if again, err := ParseSKU(same); err != nil || again != sku {
				t.Errorf("%U gives %+q; %s (%+q) it gives %+q, %v", r, sku, name, same, again, err)
			}
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			apart := other == 'ı' || r == 'ı' || scriptOf(other) != scriptOf(r) ||
				other >= 0x1c80 && other <= 0x1c88 || r >= 0x1c80 && r <= 0x1c88 // old forms of Cyrillic letters
			if folded, err := ParseSKU(string(other)); err == nil && (folded == sku) == apart {
				t.Errorf("%U and %U, which differ in case only: %+q and %+q", r, other, sku, folded)
			}
		}
	}
	for sku, runes := range of {
		for _, r := range runes[1:] {
			if norm.NFC.String(string(r)) != string(r) || norm.NFC.String(string(runes[0])) != string(runes[0]) {
				continue // the same character, in another code
			}
			same := false
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				same = same || other == runes[0]
			}
			if !same || scriptOf(r) != scriptOf(runes[0]) {
				t.Errorf("%U and %U are both %+q", runes[0], r, sku)
			}
		}
	}
	if len(of) < 100_000 {
		t.Errorf("%d SKUs of one character, want those of all alphabets", len(of))
	}
}

// Every valid SKU stays the same when it is parsed again, and it fits into a stream's name.
func FuzzParseSKU(f *testing.F) {
	for _, text := range []string{"85123a", " M ", "gift_0001_10", "ß", "ŉ", "ǰ", "İ", "ﬁ", "a@b", "\xff", strings.Repeat("ΐ", 64)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sku, err := ParseSKU(text)
		if err != nil {
			return
		}
		if again, err := ParseSKU(string(sku)); err != nil || again != sku {
			t.Errorf("%q gives %q, that gives %q, %v", text, sku, again, err)
		}
		if len(sku) == 0 || len(sku) > maxSKUBytes || !utf8.ValidString(string(sku)) || strings.ContainsAny(string(sku), "@\x00\n") || strings.Trim(string(sku), ".") == "" {
			t.Errorf("%q gives %q", text, sku)
		}
	})
}

func TestALineOfTextSaysSomething(t *testing.T) {
	for _, text := range []string{"Mug", " Mug ", "杯子", "كوب", "Å", "🛒", "a\u200db", strings.Repeat("é", 10)} {
		if !FitsLine(text, 10) || Blank(text) {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range []string{"", " ", "\t", "\u00a0", "\u3000", "\u200b", "\u200d\ufe0f", "\u2800", "\u3164", "a\nb", "a\x00b", "a\x1b[31m", "a\u202eb", "a\u2028b", "a\xff", strings.Repeat("é", 11)} {
		if FitsLine(text, 10) {
			t.Errorf("%q is taken", text)
		}
	}
}
