package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/access"
)

// The test does not run in parallel, because it loads the whole machine.
func TestTheDemoEndsByItselfWithItsBooksInOrderAndLeavesNothing(t *testing.T) {
	temporary := dataDir(t)
	if err := os.Mkdir(temporary, 0o711); err != nil {
		t.Fatal(err)
	}
	got := call(t, map[string]string{"TMPDIR": temporary}, "demo", "--for", "1s", "--shoppers", "4", "--json")
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result demoResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%q: %v", got.stdout, err)
	}
	if result.Flash.Orders != 200 || result.Flash.Attempts != flashAttempts {
		t.Errorf("flash sale of 200 units: %d orders, %d attempts", result.Flash.Orders, result.Flash.Attempts)
	}
	if result.Orders < 200 || result.Oversold != 0 || result.Faults != 0 {
		t.Errorf("%d orders, %d oversold, %d faults (%s)", result.Orders, result.Oversold, result.Faults, result.Fault)
	}
	if a := result.Abroad; !a.Sound || a.CouponUses != 10 || a.CardPaid.Amount != "50.00" || a.CardLeft.Amount != "0.00" {
		t.Errorf("sold abroad: %+v", a)
	}
	if v := result.Verified; v == nil || v.Events == 0 || v.Differences != 0 {
		t.Errorf("verified: %+v", v)
	}
	for _, want := range []string{"Data: " + temporary, "curl -s -H \"$admin\" 'http://127.0.0.1:"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%q is missing in the output: %s", want, got.stderr)
		}
	}
	left, err := filepath.Glob(filepath.Join(temporary, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// The demo prints one address and a key for each of five roles. Each key may do what its role may,
// and without a key nobody gets anything.
func TestTheDemoPrintsItsAddressAndItsKeys(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	said, code, dir := &logBuffer{}, make(chan int, 1), dataDir(t)
	go func() {
		code <- run(ctx, []string{"demo", "--for", "0", "--shoppers", "1", "--data", dir}, testEnvironment(nil, strings.NewReader(""), said, io.Discard))
	}()
	t.Cleanup(func() {
		stop()
		if got := <-code; got != exitOK {
			t.Errorf("exit code %d: %s", got, said.String())
		}
	})
	eventually(t, patience, "the shop is open", func() bool { return strings.Contains(said.String(), "openapi.json") })
	text, _, _ := strings.Cut(said.String(), "Flash sale")

	addresses := slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`http://[0-9.]+:[0-9]+`).FindAllString(text, -1))))
	if len(addresses) != 1 {
		t.Fatalf("the addresses %q in %s", addresses, text)
	}
	s := &keyedShop{t: t, running: running{url: addresses[0]}, keys: map[string]string{}}
	for _, line := range regexp.MustCompile(`(?m)^  ([a-z]+) +(dbk_[a-z0-9]+_[0-9a-f]{64})$`).FindAllStringSubmatch(text, -1) {
		s.keys[line[1]] = line[2]
	}
	allowed := map[string][2]string{
		"admin": {http.MethodGet, "/v1/keys"}, "storefront": {http.MethodGet, "/v1/carts"}, "customer": {http.MethodGet, "/v1/carts"},
		"operator": {http.MethodGet, "/v1/processes"}, "auditor": {http.MethodGet, "/v1/events"},
	}
	if got, want := slices.Sorted(maps.Keys(s.keys)), slices.Sorted(maps.Keys(allowed)); !slices.Equal(got, want) {
		t.Fatalf("the keys of %q, want those of %q: %s", got, want, text)
	}
	for role, request := range allowed {
		me := s.must(s.keys[role], http.MethodGet, "/v1/auth/me", "")
		if member(t, me, "role") != role {
			t.Errorf("the key of the %s: %s", role, me)
		}
		s.must(s.keys[role], request[0], request[1], "")
		if status, _ := s.ask("", request[0], request[1], ""); status != http.StatusUnauthorized {
			t.Errorf("%s %s without a key: %d", request[0], request[1], status)
		}
		grants, _ := access.BuiltIn(access.Role(role))
		for path, needs := range map[string]access.Permission{"/v1/keys": access.ReadAccess, "/v1/stock": access.ReadStock, "/v1/events": access.ReadEvents} {
			status, text := s.ask(s.keys[role], http.MethodGet, path, "")
			if want := grants[needs] == access.None; want != (status == http.StatusForbidden) {
				t.Errorf("the key of the %s, %s: %d %s", role, path, status, text)
			}
		}
	}
	// The commands that the demo suggests have these keys.
	for who, role := range map[string]string{"admin": "admin", "customer": "customer"} {
		if want := who + "='Authorization: Bearer " + s.keys[role] + "'"; !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	made := s.must(s.keys["customer"], http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG-ENAMEL","quantity":2}]}`)
	if member(t, made, "customer_id") != demoCustomer {
		t.Errorf("the cart of the customer: %s", made)
	}
}
