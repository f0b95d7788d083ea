package main

import (
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/cmd/daybook/shoppers"
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
	client := shoppers.NewClient(s.url, 4)
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
