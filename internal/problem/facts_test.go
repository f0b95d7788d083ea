package problem

import "testing"

// A new code has a row of facts, from which its schema is made; no row is of a code that
// is none.
func TestEveryProblemHasARowOfFacts(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, entry := range Catalogue() {
		known[entry.Code] = true
		if entry.Facts == nil {
			t.Errorf("%s has no row in facts", entry.Code)
		}
	}
	for code := range facts {
		if !known[code] {
			t.Errorf("facts has a row of %s, which is no problem", code)
		}
	}
}
