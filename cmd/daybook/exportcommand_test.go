package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// The command writes the same bytes as the HTTP API, into a file or to standard output. In place of
// pages it has one document.
func TestTheCommandExports(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	s.tellOf(carol)()
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"guest","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	s.must(s.admin, http.MethodPost, "/v1/carts/guest/abandon", `{"reason":"`+mark+`guest"}`)
	export := func(args ...string) outcome {
		return call(t, nil, append([]string{"export", "--database-url", s.database, "--master-key-file", file}, args...)...)
	}
	for _, of := range []struct{ args, path string }{{carol, "/v1/customers/carol/export"}, {"--cart guest", "/v1/carts/guest/export"}} {
		for form, flag := range map[string]string{"application/json": "", "text/html": " --html"} {
			want := strings.TrimSuffix(s.must(s.admin, http.MethodGet, of.path, "", "Accept", form), "\n")
			got := export(strings.Fields(of.args + flag)...)
			if got.code != exitOK || strings.TrimSuffix(got.stdout, "\n") != want || !strings.Contains(want, mark) {
				t.Errorf("export %s%s: %d %s\n%.500s\nwant\n%.500s", of.args, flag, got.code, got.stderr, got.stdout, want)
			}
			if !strings.Contains(got.stderr, "personal data exported") || !strings.Contains(got.stderr, "actor=system:console") || strings.Contains(got.stderr, "customer:carol") {
				t.Errorf("export %s%s: the log does not say who exported whom: %s", of.args, flag, got.stderr)
			}
		}
	}
	s.exportIsOneDocument(export)

	output := filepath.Join(t.TempDir(), "carol.json")
	got := export(carol, "--output", output, "--json")
	var result exportResult
	if err := json.Unmarshal([]byte(got.stdout), &result); got.code != exitOK || err != nil || result.File != output || result.CustomerID != carol {
		t.Fatalf("%d %s %s %v", got.code, got.stdout, got.stderr, err)
	}
	info, err := os.Stat(output)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(result.Bytes) {
		t.Errorf("%v %v, %d bytes were told", info, err, result.Bytes)
	}
	for name, wrong := range map[string]struct {
		args string
		code int
		says string
	}{
		"nobody":             {"", exitUsage, "whose data"},
		"both":               {"carol --cart guest", exitUsage, "exclude each other"},
		"no id":              {"a/b", exitUsage, "customer:"},
		"an unknown one":     {"nobody", exitFailure, "the shop holds nothing about customer:nobody"},
		"an unknown cart":    {"--cart none", exitFailure, "the shop holds nothing about cart:none"},
		"an existing file":   {"carol --output " + output, exitFailure, "replaces no file"},
		"a folder that is 0": {"carol --output " + filepath.Join(output, "x"), exitUsage, "there is no folder"},
	} {
		if got := export(strings.Fields(wrong.args)...); got.code != wrong.code || !strings.Contains(got.stderr, wrong.says) || got.stdout != "" {
			t.Errorf("%s: %d %s %s", name, got.code, got.stderr, got.stdout)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(output)); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v %v", entries, err)
	}
}

// exportIsOneDocument compares the whole export with the small pages of the HTTP API.
func (s *privateShop) exportIsOneDocument(export func(...string) outcome) {
	s.t.Helper()
	paged := s.exportOf(s.admin, "/v1/customers/carol/export", 2)
	var whole exportedData
	if err := json.Unmarshal([]byte(export(carol).stdout), &whole); err != nil {
		s.t.Fatal(err)
	}
	if whole.Next != "" || len(whole.Events) != len(paged.Events) || len(whole.Carts) != len(paged.Carts) || len(whole.Orders) != len(paged.Orders) || len(whole.Returns) != len(paged.Returns) {
		s.t.Errorf("%d events and %d carts, want %d and %d", len(whole.Events), len(whole.Carts), len(paged.Events), len(paged.Carts))
	}
}
