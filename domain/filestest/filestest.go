// Package filestest finds the files of all aggregates, for tests that must know each of them.
package filestest

import (
	"path/filepath"
	"slices"
	"testing"
)

// OfAggregates finds files of all aggregates. domain is the path to the folder of that name, and
// pattern is relative to the folder of an aggregate, such as "codec.go" or "testdata/*.json". The
// aggregates of money are one folder deeper than the others.
func OfAggregates(t testing.TB, domain, pattern string) (files []string) {
	t.Helper()
	for _, folder := range []string{"*", filepath.Join("money", "*")} {
		codecs, err := filepath.Glob(filepath.Join(domain, folder, "codec.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, codec := range codecs {
			if filepath.Base(filepath.Dir(codec)) == "unit" {
				continue // it writes amounts, and is no aggregate
			}
			found, err := filepath.Glob(filepath.Join(filepath.Dir(codec), pattern))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
	}
	slices.Sort(files)
	if len(files) == 0 {
		t.Fatalf("there is no %s in %s", pattern, domain)
	}
	return files
}
