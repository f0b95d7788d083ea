package httpapi

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The beginnings of names that the packages which make principals write.
var (
	makesPrincipals = regexp.MustCompile(`Principal\{[^}]*\bID:`)
	writtenPrefix   = regexp.MustCompile(`"([a-z]+:)"`)
)

// Without access control, nobody can name an actor that looks like one that was authenticated. The
// beginnings are read from the packages that make principals, so that a new one is not forgotten.
func TestNobodyClaimsAnAuthenticatedActor(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{PublicHosts: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	prefixes := prefixesOfPrincipals(t, os.DirFS("../.."), "domain", "commands", "internal", "cmd")
	for _, prefix := range []string{"guest:", "key:", "oidc:", "staff:", "system:"} {
		if !slices.Contains(prefixes, prefix) {
			t.Errorf("%s is not found in the sources: %v", prefix, prefixes)
		}
	}
	for _, prefix := range prefixes {
		if status := nameActor(t, handler, prefix); status != http.StatusUnprocessableEntity {
			t.Errorf("an actor with %s: answer %d, want it refused", prefix, status)
		}
	}
	if status := nameActor(t, handler, "operator:"); status != http.StatusOK {
		t.Errorf("another actor: answer %d", status)
	}
}

func nameActor(t *testing.T, handler http.Handler, prefix string) (status int) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/problems", http.NoBody)
	r.Header.Set(headerActor, prefix+"eve")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

// prefixesOfPrincipals are the prefixes in the packages below some folders that make principals.
func prefixesOfPrincipals(t *testing.T, sources fs.FS, folders ...string) (prefixes []string) {
	t.Helper()
	found, makes := map[string][]string{}, map[string]bool{} // by package
	for _, folder := range folders {
		err := fs.WalkDir(sources, folder, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(sources, file)
			if err != nil {
				return err
			}
			in := path.Dir(file)
			makes[in] = makes[in] || makesPrincipals.Match(text)
			for _, match := range writtenPrefix.FindAllSubmatch(text, -1) {
				found[in] = append(found[in], string(match[1]))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for in := range makes {
		if makes[in] {
			prefixes = append(prefixes, found[in]...)
		}
	}
	slices.Sort(prefixes)
	return slices.Compact(prefixes)
}
