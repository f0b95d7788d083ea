package main

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/cmd/daybook/shoppers"
	"daybook/internal/pgtest"
)

func TestRebuildSwitchesToANewBuildOfTheSameRows(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	type product struct {
		SKU      string `json:"sku"`
		Title    string `json:"title"`
		Revision int64  `json:"revision"`
	}
	s := serve(t, "--data", dir)
	client := newShopper(s.url, 4)
	defer client.Close()
	if _, err := shoppers.Open(t.Context(), client, shoppers.Catalogue()); err != nil {
		t.Fatal(err)
	}
	eventually(t, recoveryLimit, "the catalogue shows", func() bool {
		return len(list[product](t, s.url+"/v1/products?limit=500")) == len(shoppers.Catalogue())
	})
	before := list[product](t, s.url+"/v1/products?limit=500")
	s.stop()
	if code := s.exit(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}

	got := call(t, nil, "rebuild", "products", "--data", dir, "--json")
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var rebuilt rebuildResult
	if err := json.Unmarshal([]byte(got.stdout), &rebuilt); err != nil {
		t.Fatalf("%q: %v", got.stdout, err)
	}
	if rebuilt.View != "products" || rebuilt.Build != 2 || rebuilt.Events < int64(len(before)) {
		t.Errorf("%+v, want the second build, of all events", rebuilt)
	}

	s = serve(t, "--data", dir)
	after := list[product](t, s.url+"/v1/products?limit=500")
	if len(after) != len(before) || before[0].SKU == "" {
		t.Fatalf("%d rows, were %d", len(after), len(before))
	}
	for i := range before {
		if after[i] != before[i] {
			t.Errorf("row %d is %+v, was %+v", i, after[i], before[i])
		}
	}
}

// The rebuild runs beside a server that goes on answering and writing.
func TestARebuildIsGoneBackOnUntilTheOldBuildIsDropped(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	server := serve(t, "--database-url", database)
	client := newShopper(server.url, 4)
	defer client.Close()
	stock := func(products []shoppers.Product) {
		if _, err := shoppers.Open(t.Context(), client, products); err != nil {
			t.Fatal(err)
		}
	}
	inUse := func(build int, flags ...string) {
		t.Helper()
		got := call(t, nil, append([]string{"rebuild", "products", "--database-url", database, "--json"}, flags...)...)
		var result rebuildResult
		if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.code != exitOK || result.Build != build {
			t.Fatalf("rebuild %s: exit code %d, %+v, %s; want build %d in use", flags, got.code, result, got.stderr, build)
		}
	}
	all := shoppers.Catalogue()
	stock(all[:3])
	inUse(2)
	stock(all[3:])
	shown := func() int { return len(list[struct{}](t, server.url+"/v1/products?limit=500")) }
	eventually(t, recoveryLimit, "the catalogue shows", func() bool { return shown() == len(all) })
	inUse(1, "--rollback")
	if got := shown(); got != len(all) {
		t.Errorf("after the rollback the older build has %d products, want %d, with those that came in the meantime", got, len(all))
	}
	inUse(2, "--rollback") // a second rollback switches forward again
	inUse(2, "--drop-old")
	got := call(t, nil, "rebuild", "products", "--database-url", database, "--rollback")
	if got.code != exitFailure || !strings.Contains(got.stderr, "there is no earlier build") {
		t.Errorf("exit code %d, %q; want that there is nothing to go back to", got.code, got.stderr)
	}
	if got := shown(); got != len(all) {
		t.Errorf("%d products after the drop, want %d", got, len(all))
	}
}
