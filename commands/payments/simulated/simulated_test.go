package simulated_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands/payments"
	"daybook/commands/payments/simulated"
	"daybook/domain/unit"
	"daybook/internal/pause"
	"daybook/internal/simulatedprovider"
)

const secret = "a secret of the tests"

func money(t *testing.T, amount, currency string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, currency)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bank is the simulated provider, with the next fault and with what it has sent.
type bank struct {
	*simulatedprovider.Provider
	client *simulated.Client
	next   atomic.Pointer[simulatedprovider.Fault]

	mu   sync.Mutex
	sent []sent
}

type sent struct {
	signature string
	body      []byte
}

func (b *bank) all() []sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]sent(nil), b.sent...)
}

func open(t *testing.T) *bank {
	t.Helper()
	b := &bank{}
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sent = append(b.sent, sent{r.Header.Get(simulated.SignatureHeader), body})
	}))
	t.Cleanup(shop.Close)
	b.Provider = simulatedprovider.New(simulatedprovider.Options{Secret: secret, Webhooks: shop.URL, Faults: func(string) simulatedprovider.Fault {
		if fault := b.next.Swap(nil); fault != nil {
			return *fault
		}
		return simulatedprovider.Fault{}
	}})
	server := httptest.NewServer(b.Provider)
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.Run(ctx) // it ends with ctx
	}()
	t.Cleanup(func() { stop(); <-ended })
	var err error
	if b.client, err = simulated.New(server.URL, secret); err != nil {
		t.Fatal(err)
	}
	return b
}

// pay makes a payment at the provider, as a customer's browser does.
func (b *bank) pay(t *testing.T, amount int64, currency, capture string) (payment, authorization string) {
	t.Helper()
	body := `{"amount":` + strconv.FormatInt(amount, 10) + `,"currency":"` + currency + `","capture_method":"` + capture + `","confirm":true,"metadata":{"order_id":"o-1"}}`
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/payment_intents", strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+simulatedprovider.APIKey(secret))
	request.Header.Set(simulatedprovider.HeaderKey, "pay-"+strconv.FormatInt(amount, 10)+currency)
	recorder := httptest.NewRecorder()
	b.ServeHTTP(recorder, request)
	var made simulatedprovider.Payment
	if err := json.Unmarshal(recorder.Body.Bytes(), &made); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("pay: %d %s", recorder.Code, recorder.Body)
	}
	return made.ID, made.Transactions[0].ID
}

func TestInstructionsMoveMoney(t *testing.T) {
	t.Parallel()
	b, ctx := open(t), t.Context()
	payment, authorization := b.pay(t, 100_00, "eur", "manual")
	capture := payments.Instruction{Key: "c/1", OrderID: "o-1", Payment: payment, Transaction: authorization, Amount: money(t, "60", "EUR")}
	captured := b.client.Capture(ctx, capture)
	if captured.State != payments.Succeeded || captured.Reference == "" {
		t.Fatalf("capture: %+v", captured)
	}
	refund := payments.Instruction{Key: "r/1", OrderID: "o-1", Payment: payment, Transaction: captured.Reference, Amount: money(t, "12.34", "EUR")}
	if found := b.client.LookUp(ctx, refund); found.State != payments.Unseen {
		t.Errorf("before the refund, the look-up finds %+v", found)
	}
	refunded := b.client.Refund(ctx, refund)
	if refunded.State != payments.Succeeded {
		t.Fatalf("refund: %+v", refunded)
	}
	if again, found := b.client.Refund(ctx, refund), b.client.LookUp(ctx, refund); again != refunded || found != refunded {
		t.Errorf("the refund is %+v, asked again %+v, looked up %+v", refunded, again, found)
	}
	voided := b.client.Void(ctx, payments.Instruction{Key: "v/1", OrderID: "o-1", Payment: payment, Transaction: authorization, Amount: money(t, "40", "EUR")})
	if voided.State != payments.Succeeded {
		t.Errorf("void: %+v", voided)
	}
	all := b.Payments()[0].Transactions
	if len(all) != 4 || all[1].Amount != 60_00 || all[2].Amount != 12_34 || all[3].Amount != 40_00 {
		t.Errorf("the provider has %+v", all)
	}
	if late := b.client.Void(ctx, payments.Instruction{Key: "v/2", OrderID: "o-1", Payment: payment, Amount: money(t, "40", "EUR")}); late.State != payments.Failed || late.Reason == "" {
		t.Errorf("a second void: %+v, want it failed with a reason", late)
	}
}

// A final capture has a void after it, under the same key. The look-up finds the capture.
func TestAFinalCaptureIsLookedUpAsACapture(t *testing.T) {
	t.Parallel()
	b, ctx := open(t), t.Context()
	payment, _ := b.pay(t, 100_00, "eur", "manual")
	final := payments.Instruction{Key: "c/1", OrderID: "o-1", Payment: payment, Amount: money(t, "60", "EUR"), Final: true}
	captured := b.client.Capture(ctx, final)
	if found := b.client.LookUp(ctx, final); found != captured || captured.State != payments.Succeeded {
		t.Errorf("captured %+v, looked up %+v", captured, found)
	}
	if all := b.Payments()[0].Transactions; len(all) != 3 || all[2].Kind != "void" || all[2].Amount != 40_00 {
		t.Errorf("the provider has %+v", all)
	}
}

// An amount that the provider cannot pay is never rounded.
func TestAnAmountIsNeverRounded(t *testing.T) {
	t.Parallel()
	b := open(t)
	payment, _ := b.pay(t, 1000, "jpy", "automatic")
	for _, amount := range []unit.Money{money(t, "100.5", "JPY"), money(t, "1.001", "EUR")} {
		if done := b.client.Refund(t.Context(), payments.Instruction{Key: "r/" + amount.String(), Payment: payment, Amount: amount}); done.State != payments.Failed {
			t.Errorf("refund of %s: %+v, want it failed", amount, done)
		}
	}
	if done := b.client.Refund(t.Context(), payments.Instruction{Key: "r/1", Payment: payment, Amount: money(t, "100", "JPY")}); done.State != payments.Succeeded {
		t.Errorf("refund of 100 JPY: %+v", done)
	}
	if refunded := b.Payments()[0].Transactions[2].Amount; refunded != 100 {
		t.Errorf("the provider refunded %d, want 100", refunded)
	}
}

// Whatever the answer is, an instruction that may have been carried out is not called failed.
func TestOnlyARefusalOfTheRequestIsAFailure(t *testing.T) {
	t.Parallel()
	b, ctx := open(t), t.Context()
	payment, _ := b.pay(t, 1000, "eur", "automatic")
	for i, test := range []struct {
		fault             simulatedprovider.Fault
		first, found, end payments.State
	}{
		{simulatedprovider.Fault{Refuse: true}, payments.Unknown, payments.Unseen, payments.Succeeded},
		{simulatedprovider.Fault{Lose: simulatedprovider.LostBad}, payments.Unknown, payments.Succeeded, payments.Succeeded},
		{simulatedprovider.Fault{Decline: "account_closed"}, payments.Failed, payments.Failed, payments.Failed},
		{simulatedprovider.Fault{Pending: time.Hour}, payments.Pending, payments.Pending, payments.Pending},
	} {
		refund := payments.Instruction{Key: "r/" + strconv.Itoa(i), Payment: payment, Amount: money(t, "1", "EUR")}
		b.next.Store(&test.fault)
		if done := b.client.Refund(ctx, refund); done.State != test.first {
			t.Errorf("%+v: %+v, want %s", test.fault, done, test.first)
		}
		if found := b.client.LookUp(ctx, refund); found.State != test.found {
			t.Errorf("%+v: the look-up finds %+v, want %s", test.fault, found, test.found)
		}
		if done := b.client.Refund(ctx, refund); done.State != test.end {
			t.Errorf("%+v: again %+v, want %s", test.fault, done, test.end)
		}
	}
	b.next.Store(&simulatedprovider.Fault{Refuse: true})
	if found := b.client.LookUp(ctx, payments.Instruction{Key: "r/0"}); found.State != payments.Unknown {
		t.Errorf("the look-up of a provider that does not answer: %+v", found)
	}
	if reused := b.client.Refund(ctx, payments.Instruction{Key: "r/0", Payment: payment, Amount: money(t, "2", "EUR")}); reused.State != payments.Unknown {
		t.Errorf("another refund under a key: %+v, want that nothing is known of it", reused)
	}
	if strange := b.client.Refund(ctx, payments.Instruction{Key: "r/9", Payment: "pi_none", Amount: money(t, "2", "EUR")}); strange.State != payments.Failed {
		t.Errorf("a payment that the provider does not know: %+v", strange)
	}
}

// answers is a provider that always gives the same answer.
func answers(t *testing.T, status int, body string) *simulated.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := simulated.New(server.URL, secret)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	refusal := `{"error":{"type":"invalid_request_error","code":"no"}}`
	for _, test := range []struct {
		status int
		body   string
		want   payments.State
	}{
		{200, `{"id":"re_1","status":"succeeded"}`, payments.Succeeded},
		{200, `{"id":"re_1","status":"requires_action"}`, payments.Unknown},
		{200, `{"status":"succeeded"}`, payments.Unknown},
		{200, `<html>`, payments.Unknown},
		{200, ``, payments.Unknown},
		{200, strings.Repeat(" ", 2<<20), payments.Unknown},
		{204, ``, payments.Unknown},
		{307, refusal, payments.Unknown},
		{400, refusal, payments.Failed},
		{402, refusal, payments.Failed},
		{404, refusal, payments.Failed},
		{404, `<html>a proxy has lost its way`, payments.Unknown},
		{401, refusal, payments.Unknown},
		{403, refusal, payments.Unknown},
		{408, refusal, payments.Unknown},
		{409, refusal, payments.Unknown},
		{429, refusal, payments.Unknown},
		{500, refusal, payments.Unknown},
		{503, refusal, payments.Unknown},
	} {
		refund := payments.Instruction{Key: "r/1", Payment: "pi_1", Amount: money(t, "1", "EUR")}
		if done := answers(t, test.status, test.body).Refund(t.Context(), refund); done.State != test.want {
			t.Errorf("%d %.60s: %+v, want %s", test.status, test.body, done, test.want)
		}
	}
	long := answers(t, 400, `{"error":{"code":"`+strings.Repeat("é", 300)+`\u001b"}}`).Refund(t.Context(), payments.Instruction{Key: "r/1", Payment: "pi_1", Amount: money(t, "1", "EUR")})
	if len(long.Reason) > payments.MaxReason || strings.ContainsFunc(long.Reason, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
		t.Errorf("the reason is %q", long.Reason)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	client, err := simulated.New(gone.URL, secret)
	gone.Close()
	if err != nil {
		t.Fatal(err)
	}
	if done := client.Refund(t.Context(), payments.Instruction{Key: "r/1", Payment: "pi_1", Amount: money(t, "1", "EUR")}); done.State != payments.Unknown {
		t.Errorf("a provider that is away: %+v", done)
	}
}

func TestAnAddressIsSafe(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"https://payments.example": true, "https://payments.example/": true, "http://127.0.0.1:9": true, "http://localhost:9": true,
		"http://payments.example": false, "": false, "payments.example": false, "https://a:b@payments.example": false,
		"https://payments.example/v1": false, "https://payments.example?a": false, "ftp://127.0.0.1": false,
	} {
		if _, err := simulated.New(address, secret); (err == nil) != good {
			t.Errorf("%q: %v, want it good: %t", address, err, good)
		}
	}
	if _, err := simulated.New("https://payments.example", "short"); err == nil {
		t.Error("a short secret is taken")
	}
}

func header(signature string) func(string) string {
	return func(name string) string {
		if name == simulated.SignatureHeader {
			return signature
		}
		return ""
	}
}

func TestAMessageIsSignedByTheProviderAndNew(t *testing.T) {
	t.Parallel()
	client, err := simulated.New("http://127.0.0.1:9", secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	body := []byte(`{"id":"evt_1","data":{"object":{"id":"pi_1","object":"payment_intent","currency":"eur","metadata":{"order_id":"o-1"},"transactions":[]}}}`)
	good := simulatedprovider.Sign(secret, body, now)
	stamp, mac, _ := strings.Cut(good, ",")
	for name, test := range map[string]struct {
		signature string
		body      []byte
		now       time.Time
		forged    bool
	}{
		"good":                        {good, body, now, false},
		"with an older secret's, too": {stamp + ",v1=00," + mac, body, now, false},
		"five minutes old":            {good, body, now.Add(5 * time.Minute), false},
		"older":                       {good, body, now.Add(5*time.Minute + time.Second), true},
		"from the future":             {good, body, now.Add(-6 * time.Minute), true},
		"of another body":             {good, bytes.Replace(body, []byte("o-1"), []byte("o-2"), 1), now, true},
		"of another secret":           {simulatedprovider.Sign("another secret of the tests", body, now), body, now, true},
		"with another time":           {"t=" + strconv.FormatInt(now.Unix()+1, 10) + "," + mac, body, now, true},
		"without a time":              {mac, body, now, true},
		"without a signature":         {stamp, body, now, true},
		"empty":                       {"", body, now, true},
		"with half of a signature":    {good[:len(good)-2], body, now, true},
		"of the other key":            {stamp + ",v1=" + strings.TrimPrefix(simulatedprovider.APIKey(secret), "sk_simulated_"), body, now, true},
	} {
		_, err := client.Read(header(test.signature), test.body, test.now)
		if errors.Is(err, payments.ErrForged) != test.forged || !test.forged && err != nil {
			t.Errorf("%s: %v, want it forged: %t", name, err, test.forged)
		}
	}
}

func TestAnEventHasThePayment(t *testing.T) {
	t.Parallel()
	b := open(t)
	payment, authorization := b.pay(t, 1000, "jpy", "manual")
	captured := b.client.Capture(t.Context(), payments.Instruction{Key: "c/1", Payment: payment, Amount: money(t, "600", "JPY")})
	b.next.Store(&simulatedprovider.Fault{Decline: "account_closed"})
	refunded := b.client.Refund(t.Context(), payments.Instruction{Key: "part/1", Payment: payment, Amount: money(t, "100", "JPY")})
	wait, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(b.all()) < 3 && wait.Err() == nil {
		pause.For(wait, time.Millisecond)
	}
	var last payments.Report
	for _, message := range b.all() {
		r, err := b.client.Read(header(message.signature), message.body, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Transactions) > len(last.Transactions) {
			last = r
		}
	}
	want := []payments.Transaction{
		{Kind: payments.Authorize, State: payments.Succeeded, Reference: authorization, Amount: money(t, "1000", "JPY"), Key: "pay-1000jpy"},
		{Kind: payments.Capture, State: payments.Succeeded, Reference: captured.Reference, Parent: authorization, Amount: money(t, "600", "JPY"), Key: "c/1"},
		{Kind: payments.Refund, State: payments.Failed, Reference: refunded.Reference, Parent: captured.Reference, Amount: money(t, "100", "JPY"), Key: "part/1", Reason: "account_closed"},
	}
	if last.Payment != payment || last.OrderID != "o-1" || last.Event == "" || len(last.Transactions) != len(want) {
		t.Fatalf("the report is %+v", last)
	}
	for i := range want {
		got := last.Transactions[i]
		if !got.Amount.Equal(want[i].Amount) {
			t.Errorf("transaction %d: %s, want %s", i, got.Amount, want[i].Amount)
		}
		got.Amount = want[i].Amount
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("transaction %d is %+v, want %+v", i, got, want[i])
		}
	}
}

func TestStrangeMessages(t *testing.T) {
	t.Parallel()
	client, err := simulated.New("http://127.0.0.1:9", secret)
	if err != nil {
		t.Fatal(err)
	}
	of := func(more string) string {
		return `{"id":"evt_1","data":{"object":{"id":"pi_1","object":"payment_intent","currency":"bhd","metadata":{"order_id":"o-1"},"transactions":[` + more + `]}}}`
	}
	good := `{"id":"ca_1","type":"capture","status":"succeeded","amount":1234}`
	for body, want := range map[string]error{
		of(good): nil,
		of(``):   nil,
		`{`:      payments.ErrUnreadable,
		`{}`:     payments.ErrUnneeded,
		`{"data":{"object":{"id":"re_1","object":"payout"}}}`:             payments.ErrUnneeded,
		strings.Replace(of(good), "bhd", "xyz", 1):                        payments.ErrUnreadable,
		strings.Replace(of(good), "pi_1", "", 1):                          payments.ErrUnreadable,
		strings.Replace(of(good), "pi_1", strings.Repeat("p", 201), 1):    payments.ErrUnreadable,
		strings.Replace(of(good), "ca_1", "", 1):                          payments.ErrUnreadable,
		strings.Replace(of(good), `"capture"`, `"payout"`, 1):             payments.ErrUnreadable,
		strings.Replace(of(good), `"succeeded"`, `"requires_capture"`, 1): payments.ErrUnreadable,
		strings.Replace(of(good), `1234`, `12.34`, 1):                     payments.ErrUnreadable,
	} {
		now := time.Now()
		r, err := client.Read(header(simulatedprovider.Sign(secret, []byte(body), now)), []byte(body), now)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
		if len(r.Transactions) == 1 && !r.Transactions[0].Amount.Equal(money(t, "1.234", "BHD")) {
			t.Errorf("1234 of BHD's smallest unit is %s", r.Transactions[0].Amount)
		}
	}
	other := strings.Replace(of(good), `"o-1"`, `"an invoice of another program"`, 1)
	now := time.Now()
	if r, err := client.Read(header(simulatedprovider.Sign(secret, []byte(other), now)), []byte(other), now); err != nil || r.OrderID != "" {
		t.Errorf("a payment of another program is of order %q, %v", r.OrderID, err)
	}
}
