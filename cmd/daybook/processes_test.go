package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/cmd/daybook/shoppers"
	"daybook/commands/aggregate"
)

// write appends an event to the log of a data directory that no program uses. Such an event could
// come from a version of this program with a fault.
func write(t *testing.T, dir, stream, eventType, data string) {
	t.Helper()
	query(t, dir, fmt.Sprintf(`SELECT eventstore.append(ARRAY['%s'], ARRAY[-2::bigint], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY['%s'::uuid],
		ARRAY['%s'], ARRAY['%s'::json], ARRAY['{}'::json], true)`, stream, aggregate.EventID(uuid.New(), 0), eventType, data))
}

type processPage struct {
	Items []struct {
		ID     string `json:"id"`
		Kind   string `json:"kind"`
		State  string `json:"state"`
		Reason string `json:"reason"`
		Tries  int64  `json:"tries"`

		DismissedReason string `json:"dismissed_reason"`
		DismissedBy     string `json:"dismissed_by"`
	} `json:"items"`
	Next  string `json:"next"`
	Count *struct {
		Value int64 `json:"value"`
		Exact bool  `json:"exact"`
	} `json:"count"`
	Leading bool `json:"leading"`
}

func TestParkedWorkIsShownAndRetriedAndVerified(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := serve(t, "--data", dir)
	client := newShopper(server.url, 4)
	goods := shoppers.Product{SKU: "STUCK-1", Title: "A", Price: shoppers.Money{Amount: "3.10", Currency: "GBP"}, Opening: 20}
	if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{goods}); err != nil {
		t.Fatal(err)
	}
	stuck := make([]string, 3)
	for i := range stuck {
		cart, err := client.OpenCart(t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: goods.SKU, Quantity: 2}})
		if err != nil {
			t.Fatal(err)
		}
		order, _, err := client.Checkout(t.Context(), uuid.NewString(), cart, true)
		if err != nil {
			t.Fatal(err)
		}
		stuck[i] = order.OrderID
	}
	client.Close()
	server.stop()
	if code := server.exit(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}

	// Stock has shipped parcels with these ids already, with other quantities.
	const at = `"sku":"STUCK-1","location":"main"`
	for _, id := range stuck {
		write(t, dir, "stock-STUCK-1@main", "stock.shipped.v1", `{`+at+`,"order_id":"`+id+`","shipment_id":"p","quantity":1}`)
		write(t, dir, "order-"+id, "order.shipped.v1", `{"shipment_id":"p","location":"main","lines":[{"line":1,"sku":"STUCK-1","kind":"stocked","quantity":2}]}`)
	}
	server = serve(t, "--data", dir)
	var page processPage
	eventually(t, recoveryLimit, "the orders are parked", func() bool {
		page = get[processPage](t, server.url+"/v1/processes?state=parked")
		return len(page.Items) == len(stuck)
	})
	if !page.Leading {
		t.Error("the only node does not lead")
	}
	for _, item := range page.Items {
		if item.Kind != "order" || item.State != "parked" || item.Tries < 3 || !strings.Contains(item.Reason, "stock-movement-differs") {
			t.Errorf("parked: %+v", item)
		}
	}
	var paged int
	for next := ""; ; paged++ {
		one := get[processPage](t, strings.TrimSuffix(server.url+"/v1/processes?limit=1&cursor="+next, "&cursor="))
		if len(one.Items) != 1 || one.Items[0].ID != page.Items[paged].ID {
			t.Fatalf("page %d: %+v", paged, one)
		}
		if next = one.Next; next == "" {
			break
		}
	}
	if paged != len(stuck)-1 {
		t.Errorf("%d pages after the first, want %d", paged, len(stuck)-1)
	}
	for states, want := range map[string]int64{"parked": 3, "open,parked": 3, "open": 0} {
		counted := get[processPage](t, server.url+"/v1/processes?limit=1&count=true&state="+states)
		if counted.Count == nil || counted.Count.Value != want || !counted.Count.Exact {
			t.Errorf("%s: %+v, want %d counted", states, counted.Count, want)
		}
	}
	health := get[struct {
		Status string `json:"status"`
		Parked int64  `json:"parked"`
	}](t, server.url+"/readyz")
	if health.Status != "ready" || health.Parked != int64(len(stuck)) {
		t.Errorf("health %+v", health)
	}
	status, outcome, tried := retry(t, server.url, page.Items[0].ID)
	if status != http.StatusOK || outcome != "parked" {
		t.Errorf("a retry that cannot succeed: %d %s", status, outcome)
	}
	if shown := firstProcess(t, server.url); shown != tried {
		t.Errorf("a retry answers with %s, and the list with %s", tried, shown)
	}
	if status, _, _ := retry(t, server.url, uuid.NewString()); status != http.StatusNotFound {
		t.Errorf("a retry of missing work answers %d", status)
	}
	if status, _ := dismiss(t, server.url, page.Items[0].ID, " "); status != http.StatusUnprocessableEntity {
		t.Errorf("dismissed without a reason: %d", status)
	}
	if status, _ := dismiss(t, server.url, uuid.NewString(), "it is gone"); status != http.StatusNotFound {
		t.Errorf("dismissing missing work answers %d", status)
	}
	status, dismissed := dismiss(t, server.url, page.Items[0].ID, "it is gone")
	if status != http.StatusOK {
		t.Errorf("dismissed: %d", status)
	}
	if shown := firstProcess(t, server.url); shown != dismissed {
		t.Errorf("a dismissal answers with %s, and the list with %s", dismissed, shown)
	}
	if shown := get[processPage](t, server.url+"/v1/processes").Items[0]; shown.State != "dismissed" || shown.DismissedReason != "it is gone" || !strings.HasPrefix(shown.DismissedBy, "key:") {
		t.Errorf("dismissed: %+v", shown)
	}
	if left := get[struct {
		Parked int `json:"parked"`
	}](t, server.url+"/readyz").Parked; left != len(stuck)-1 {
		t.Errorf("%d processes are parked and not dismissed", left)
	}
	server.stop()
	server.exit(t)
	if report := verifyJSON(t, exitFailure, "--data", dir); !strings.Contains(differ(report), "processes: nothing is parked") || strings.Contains(differ(report), page.Items[0].ID) {
		t.Errorf("found %q", differ(report))
	}

	for _, id := range stuck {
		write(t, dir, "stock-STUCK-1@main", "stock.shipped.v1", `{`+at+`,"order_id":"`+id+`","shipment_id":"p","quantity":2}`)
	}
	server = serve(t, "--data", dir)
	for _, item := range page.Items {
		if status, outcome, _ := retry(t, server.url, item.ID); status != http.StatusOK || outcome != "finished" {
			t.Errorf("retried: %d %s", status, outcome)
		}
	}
	if left := get[processPage](t, server.url+"/v1/processes?state=parked"); len(left.Items) != 0 {
		t.Errorf("left: %+v", left)
	}
	server.stop()
	server.exit(t)
	// verify finds the event that breaks the rules, but nothing is parked.
	if report := verifyJSON(t, exitFailure, "--data", dir); strings.Contains(differ(report), "processes: ") {
		t.Errorf("found %q", differ(report))
	}
}

func dismiss(t *testing.T, url, id, reason string) (status int, process string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/processes/"+id+"/dismiss", strings.NewReader(`{"reason":"`+reason+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// firstProcess is the first process of the list, as the API shows it.
func firstProcess(t *testing.T, url string) string {
	t.Helper()
	return string(get[struct {
		Items []jsontext.Value `json:"items"`
	}](t, url+"/v1/processes").Items[0])
}

func retry(t *testing.T, url, id string) (status int, outcome, process string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/processes/"+id+"/retry", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Outcome string         `json:"outcome"`
		Process jsontext.Value `json:"process"`
	}
	readJSON(t, response, &answer)
	return response.StatusCode, answer.Outcome, string(answer.Process)
}
