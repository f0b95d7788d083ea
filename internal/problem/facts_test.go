package problem

import "testing"

// Each code has a row in facts, because its schema is made from it. No row has an unknown code.
func TestEveryProblemHasARowOfFacts(t *testing.T) {
	t.Parallel()
	listed := make(map[string]bool)
	for _, entry := range Catalogue() {
		listed[entry.Code] = true
		if entry.Facts == nil {
			t.Errorf("%s has no row in facts", entry.Code)
		}
	}
	for code := range facts {
		if !listed[code] {
			t.Errorf("facts has a row of %s, which is no problem", code)
		}
	}
}
