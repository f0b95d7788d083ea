package simulatedprovider_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/internal/pause"
	"daybook/internal/simulatedprovider"
)

const secret = "a secret of the tests"

// bank is a provider that serves, and a client of it.
type bank struct {
	*testing.T
	*simulatedprovider.Provider
	url string
	key atomic.Int64
}

func open(t *testing.T, options simulatedprovider.Options) *bank {
	t.Helper()
	options.Secret = secret
	b := &bank{T: t, Provider: simulatedprovider.New(options)}
	server := httptest.NewServer(b.Provider)
	t.Cleanup(server.Close)
	b.url = server.URL
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Provider.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b
}

// onNewLines is a client that opens a connection for each request. On an old connection, net/http
// itself sends a request with an idempotency key again if the connection breaks.
var onNewLines = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// send sends a request. status is 0 if no answer came.
func (b *bank) send(method, path, key, body string) (status int, answer string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, b.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+simulatedprovider.APIKey(secret))
	if key != "" {
		request.Header.Set(simulatedprovider.HeaderKey, key)
	}
	response, err := onNewLines.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(text)
}

// post sends a request under a new key, and returns the id of what it made. It must succeed.
func (b *bank) post(path, body string) (id string) {
	b.Helper()
	status, answer := b.send("POST", path, fmt.Sprint("key-", b.key.Add(1)), body)
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || status != http.StatusOK {
		b.Fatalf("POST %s %s: %d %s", path, body, status, answer)
	}
	return made.ID
}

// refused sends a request under a new key, which must be refused with a code.
func (b *bank) refused(path, body string, status int, code string) {
	b.Helper()
	got, answer := b.send("POST", path, fmt.Sprint("key-", b.key.Add(1)), body)
	var failure struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(answer), &failure); err != nil || got != status || failure.Error.Code != code {
		b.Errorf("POST %s %s: %d %s, want %d %s", path, body, got, answer, status, code)
	}
}

// paid makes a payment of 1000 that is captured.
func (b *bank) paid() (id string) {
	b.Helper()
	return b.post("/v1/payment_intents", `{"amount":1000,"currency":"eur","confirm":true,"metadata":{"order_id":"o-1"}}`)
}

func (b *bank) payment(id string) simulatedprovider.Payment {
	b.Helper()
	i := slices.IndexFunc(b.Payments(), func(p simulatedprovider.Payment) bool { return p.ID == id })
	if i < 0 {
		b.Fatalf("there is no payment %s", id)
	}
	return b.Payments()[i]
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("%s did not happen", what)
		}
		pause.For(ctx, time.Millisecond)
	}
}

func TestAKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	payment := b.paid()
	body := `{"payment_intent":"` + payment + `","amount":400}`
	answers := make([]string, 16)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { _, answers[i] = b.send("POST", "/v1/refunds", "once", body) })
	}
	all.Wait()
	for _, answer := range answers {
		if answer != answers[0] || answer == "" {
			t.Errorf("the same key was answered %s and %s", answers[0], answer)
		}
	}
	if n := len(b.payment(payment).Transactions); n != 3 {
		t.Errorf("there are %d transactions, want an authorization, a capture and a refund", n)
	}
	for _, other := range []struct{ path, body string }{
		{"/v1/refunds", `{"payment_intent":"` + payment + `","amount":401}`},
		{"/v1/payment_intents/" + payment + "/cancel", `{}`},
	} {
		status, answer := b.send("POST", other.path, "once", other.body)
		if status != http.StatusBadRequest || !bytes.Contains([]byte(answer), []byte("idempotency_key_reused")) {
			t.Errorf("another request under the key: %d %s", status, answer)
		}
	}
}

// A refusal belongs to its key as well: what was refused once is not carried out later under the
// same key.
func TestARefusalIsKeptUnderItsKey(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	payment := b.post("/v1/payment_intents", `{"amount":1000,"currency":"eur","capture_method":"manual","confirm":true}`)
	body := `{"payment_intent":"` + payment + `","amount":400}`
	_, before := b.send("POST", "/v1/refunds", "early", body)
	b.post("/v1/payment_intents/"+payment+"/capture", `{}`)
	if status, after := b.send("POST", "/v1/refunds", "early", body); status != http.StatusBadRequest || after != before {
		t.Errorf("after the capture: %d %s, want the refusal of before: %s", status, after, before)
	}
}

func TestMoneyHasLimits(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	payment := b.post("/v1/payment_intents", `{"amount":1000,"currency":"EUR","capture_method":"manual","confirm":true}`)
	intent := "/v1/payment_intents/" + payment
	b.refused(intent+"/capture", `{"amount_to_capture":1001}`, 400, "amount_invalid")
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1}`, 400, "amount_invalid")
	first := b.post(intent+"/capture", `{"amount_to_capture":600,"final_capture":false}`)
	b.refused(intent+"/capture", `{"amount_to_capture":401}`, 400, "amount_invalid")
	second := b.post(intent+"/capture", `{"amount_to_capture":300}`)
	b.refused(intent+"/capture", `{}`, 400, "amount_invalid") // the rest was voided with the final capture
	b.refused(intent+"/cancel", `{}`, 400, "payment_intent_unexpected_state")
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":301,"charge":"`+second+`"}`, 400, "amount_invalid")
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1,"charge":"ca_none"}`, 404, "resource_missing")
	b.refused("/v1/refunds", `{"payment_intent":"pi_none","amount":1}`, 404, "resource_missing")
	dispute := b.post("/v1/disputes", `{"payment_intent":"`+payment+`","amount":500,"charge":"`+first+`","reason":"fraudulent"}`)
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":101,"charge":"`+first+`"}`, 400, "charge_disputed")
	b.post("/v1/refunds", `{"payment_intent":"`+payment+`","amount":100,"charge":"`+first+`"}`)
	lost := `{"payment_intent":"` + payment + `","outcome":"lost"}`
	won := `{"payment_intent":"` + payment + `","outcome":"won"}`
	for _, outcome := range []string{lost, won, lost} { // won may turn lost again
		b.post("/v1/disputes/"+dispute+"/close", outcome)
	}
	b.refused("/v1/disputes/"+dispute+"/close", lost, 400, "dispute_unexpected_state")
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1,"charge":"`+first+`"}`, 400, "amount_invalid")
	var kinds []string
	for _, transaction := range b.payment(payment).Transactions {
		kinds = append(kinds, fmt.Sprint(transaction.Kind, " ", transaction.Amount, " ", transaction.Status))
	}
	want := []string{
		"authorize 1000 succeeded", "capture 600 succeeded", "capture 300 succeeded", "void 100 succeeded", "dispute 500 succeeded",
		"refund 100 succeeded", "chargeback 500 succeeded", "reversal 500 succeeded", "chargeback 500 succeeded",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("the transactions are\n%q, want\n%q", kinds, want)
	}
}

func TestADisputeThatIsWonAtOnceMovesNoMoney(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	payment := b.paid()
	dispute := b.post("/v1/disputes", `{"payment_intent":"`+payment+`","amount":1000,"reason":"fraudulent"}`)
	won := `{"payment_intent":"` + payment + `","outcome":"won"}`
	b.post("/v1/disputes/"+dispute+"/close", won)
	b.refused("/v1/disputes/"+dispute+"/close", won, 400, "dispute_unexpected_state")
	if all := b.payment(payment).Transactions; len(all) != 3 || all[2].Status != "failed" {
		t.Errorf("after the dispute was won, there is %+v", all)
	}
	b.post("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1000}`)
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	for body, code := range map[string]string{
		`{`:                                                                "body_invalid",
		`{"amount":1,"currency":"eur","x":1}`:                              "body_invalid",
		`{"amount":0,"currency":"eur"}`:                                    "amount_invalid",
		`{"amount":-5,"currency":"eur"}`:                                   "amount_invalid",
		`{"amount":1000000000001,"currency":"eur"}`:                        "amount_invalid",
		`{"amount":1,"currency":"euro"}`:                                   "currency_invalid",
		`{"amount":1,"currency":"e1r"}`:                                    "currency_invalid",
		`{"amount":1,"currency":"eur","capture_method":"later"}`:           "capture_method_invalid",
		`{"amount":1,"currency":"eur","metadata":{"name":"Ann"}}`:          "metadata_invalid",
		`{"amount":1,"currency":"eur","metadata":{"order_id":"","a":"b"}}`: "metadata_invalid",
	} {
		b.refused("/v1/payment_intents", body, 400, code)
	}
	if status, _ := b.send("POST", "/v1/payment_intents", "", `{"amount":1,"currency":"eur"}`); status != http.StatusBadRequest {
		t.Errorf("without an idempotency key: %d", status)
	}
	request, err := http.NewRequestWithContext(t.Context(), "POST", b.url+"/v1/payment_intents", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the provider's key: %d", response.StatusCode)
	}
	if n := len(b.Payments()); n != 0 {
		t.Errorf("%d payments were made", n)
	}
}

// What is lost was carried out, and what is refused was not. Under the same key, both end as one
// refund.
func TestOnBadDaysAKeyIsStillCarriedOutOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulatedprovider.Fault{
		"refused":     {Refuse: true},
		"broken line": {Lose: simulatedprovider.LostLine},
		"too late":    {Lose: simulatedprovider.LostLate},
		"bad answer":  {Lose: simulatedprovider.LostBad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bad atomic.Bool
			b := open(t, simulatedprovider.Options{Faults: func(string) simulatedprovider.Fault {
				if bad.Swap(false) {
					return fault
				}
				return simulatedprovider.Fault{}
			}})
			payment := b.paid()
			body := `{"payment_intent":"` + payment + `","amount":400}`
			bad.Store(true)
			if fault.Lose == simulatedprovider.LostLate {
				impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				request, err := http.NewRequestWithContext(impatient, "POST", b.url+"/v1/refunds", bytes.NewReader([]byte(body)))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+simulatedprovider.APIKey(secret))
				request.Header.Set(simulatedprovider.HeaderKey, "again")
				if response, err := http.DefaultClient.Do(request); err == nil {
					_ = response.Body.Close()
					t.Fatalf("an answer came: %s", response.Status)
				}
			} else if status, answer := b.send("POST", "/v1/refunds", "again", body); status == http.StatusOK {
				t.Fatalf("the first try was answered: %s", answer)
			}
			carriedOut := 2
			if !fault.Refuse {
				carriedOut = 3
			}
			if n := len(b.payment(payment).Transactions); n != carriedOut {
				t.Errorf("after the first try there are %d transactions, want %d", n, carriedOut)
			}
			if status, answer := b.send("POST", "/v1/refunds", "again", body); status != http.StatusOK {
				t.Errorf("the second try: %d %s", status, answer)
			}
			if n := len(b.payment(payment).Transactions); n != 3 {
				t.Errorf("after both there are %d transactions, want one refund", n)
			}
			if _, found := b.send("GET", "/v1/transactions?idempotency_key=again", "", ""); !bytes.Contains([]byte(found), []byte(`"type":"refund"`)) {
				t.Errorf("the look-up finds %s", found)
			}
		})
	}
}

// shop takes webhooks. It refuses some of them.
type shop struct {
	refuse func() bool
	mu     sync.Mutex
	got    []simulatedprovider.Event
	odd    []string
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	var event simulatedprovider.Event
	var stamp int64
	signature := r.Header.Get(simulatedprovider.SignatureHeader)
	_, scanned := fmt.Sscanf(signature, "t=%d,", &stamp)
	if err != nil || scanned != nil || json.Unmarshal(body, &event) != nil || signature != simulatedprovider.Sign(secret, body, time.Unix(stamp, 0)) {
		s.odd = append(s.odd, string(body))
	}
	if s.refuse != nil && s.refuse() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.got = append(s.got, event)
}

func (s *shop) types() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, event := range s.got {
		all = append(all, event.Type)
	}
	return all
}

func TestEventsAreSentUntilTheyAreAccepted(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	receiver := &shop{refuse: func() bool { return random.IntN(2) == 0 }}
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	b := open(t, simulatedprovider.Options{Webhooks: server.URL, Retry: time.Millisecond, Copies: simulatedprovider.Shuffled(3, 20*time.Millisecond), Faults: func(operation string) simulatedprovider.Fault {
		if operation == simulatedprovider.OpRefund {
			return simulatedprovider.Fault{Pending: 5 * time.Millisecond, Decline: "account_closed"}
		}
		return simulatedprovider.Fault{}
	}})
	for range 10 {
		payment := b.paid()
		b.post("/v1/refunds", `{"payment_intent":"`+payment+`","amount":400}`)
		dispute := b.post("/v1/disputes", `{"payment_intent":"`+payment+`","amount":600,"reason":"fraudulent"}`)
		b.post("/v1/disputes/"+dispute+"/close", `{"payment_intent":"`+payment+`","outcome":"won"}`)
	}
	var seen map[string]string
	until(t, "the arrival of all events", func() bool {
		seen = map[string]string{}
		receiver.mu.Lock()
		defer receiver.mu.Unlock()
		for _, event := range receiver.got {
			seen[event.ID] = event.Type
		}
		return len(seen) == 60 && b.Idle()
	})
	count := map[string]int{}
	for _, typ := range seen {
		count[typ]++
	}
	for _, typ := range []string{"authorize.succeeded", "capture.succeeded", "refund.pending", "refund.failed", "dispute.pending", "dispute.failed"} {
		if count[typ] != 10 {
			t.Errorf("%d events are %s, want 10", count[typ], typ)
		}
	}
	if types := receiver.types(); len(types) <= 60 {
		t.Errorf("%d events came, want some of them twice", len(types))
	}
	if len(receiver.odd) > 0 {
		t.Errorf("%d messages are not signed, the first: %s", len(receiver.odd), receiver.odd[0])
	}
	ids := func(events []simulatedprovider.Event) (ids []string) {
		for _, event := range events {
			ids = append(ids, event.ID)
		}
		return ids
	}
	if slices.IsSorted(ids(receiver.got)) {
		t.Error("all events came in their order")
	}
}

func TestAnEventThatNobodyAcceptsIsGivenUp(t *testing.T) {
	t.Parallel()
	receiver := &shop{refuse: func() bool { return true }}
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	b := open(t, simulatedprovider.Options{Webhooks: server.URL, Retry: time.Nanosecond})
	b.post("/v1/payment_intents", `{"amount":1000,"currency":"eur","capture_method":"manual","confirm":true}`)
	until(t, "the end of the tries", func() bool { return b.Counts().Dropped == 1 && b.Idle() })
	if refused := b.Counts().Refused; refused != 20 {
		t.Errorf("it was sent %d times, want 20", refused)
	}
}

func TestTheOldestPaymentIsForgotten(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{MaxPayments: 3})
	var made []string
	for range 5 {
		made = append(made, b.paid())
	}
	var kept []string
	for _, payment := range b.Payments() {
		kept = append(kept, payment.ID)
	}
	if !slices.Equal(kept, made[2:]) {
		t.Errorf("of %q it knows %q, want the last three", made, kept)
	}
	b.refused("/v1/refunds", `{"payment_intent":"`+made[0]+`","amount":1}`, 404, "resource_missing")
}

func TestAPaymentTakesABoundedNumberOfRequests(t *testing.T) {
	t.Parallel()
	b := open(t, simulatedprovider.Options{})
	payment := b.paid()
	for range 98 {
		b.post("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1}`)
	}
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1}`, 400, "too_many_transactions")
	for range 100 {
		b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1}`, 400, "too_many_transactions")
	}
	b.refused("/v1/refunds", `{"payment_intent":"`+payment+`","amount":1}`, 400, "too_many_requests")
}

func TestASeedMakesTheSameBadDays(t *testing.T) {
	t.Parallel()
	days := func(seed uint64) (all []simulatedprovider.Fault) {
		next := simulatedprovider.BadDays(seed, 0.5, time.Second)
		for range 200 {
			all = append(all, next(simulatedprovider.OpRefund))
		}
		return all
	}
	if !slices.Equal(days(1), days(1)) {
		t.Error("one seed made two rows of days")
	}
	if slices.Equal(days(1), days(2)) {
		t.Error("two seeds made the same days")
	}
	kinds := map[simulatedprovider.Fault]bool{}
	for _, fault := range days(1) {
		fault.Delay, fault.Pending = 0, min(fault.Pending, 1)
		kinds[fault] = true
	}
	if len(kinds) != 8 { // nothing, refused, lost in three ways, declined, pending with two ends
		t.Errorf("%d kinds of days came: %+v", len(kinds), kinds)
	}
}
