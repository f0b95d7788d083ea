package commands_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments"
	"daybook/commands/payments/simulated"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
	"daybook/internal/racetest"
	"daybook/internal/simulatedprovider"
)

const bankSecret = "a secret of the tests"

// bank is the simulated provider. Its messages wait in a list until a test delivers them.
type bank struct {
	*simulatedprovider.Provider
	t      *testing.T
	client *simulated.Client
	url    string

	mu       sync.Mutex
	fault    func(operation string) simulatedprovider.Fault // nil: nothing goes wrong
	messages []message
}

type message struct {
	signature string
	body      []byte
}

func openBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{t: t}
	mailbox := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.messages = append(b.messages, message{r.Header.Get(simulated.SignatureHeader), body})
	}))
	t.Cleanup(mailbox.Close)
	b.Provider = simulatedprovider.New(simulatedprovider.Options{Secret: bankSecret, Webhooks: mailbox.URL, Faults: func(operation string) simulatedprovider.Fault {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.fault == nil {
			return simulatedprovider.Fault{}
		}
		return b.fault(operation)
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
	b.url = server.URL
	var err error
	if b.client, err = simulated.New(server.URL, bankSecret); err != nil {
		t.Fatal(err)
	}
	return b
}

// onBadDays sets what goes wrong from now on.
func (b *bank) onBadDays(fault func(operation string) simulatedprovider.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// next sets what goes wrong with the next request of an operation.
func (b *bank) next(operation string, fault simulatedprovider.Fault) {
	done := false
	b.onBadDays(func(now string) simulatedprovider.Fault {
		if done || now != operation {
			return simulatedprovider.Fault{}
		}
		done = true
		return fault
	})
}

// send sends a request to the provider, as a shop's page or the provider's own desk does.
func (b *bank) send(path, key, body string) (id string) {
	b.t.Helper()
	if id = b.try(path, key, body); id == "" {
		b.t.Fatalf("%s %s is refused", path, body)
	}
	return id
}

// try sends a request that the provider may refuse. Then the id is empty.
func (b *bank) try(path, key, body string) (id string) {
	b.t.Helper()
	request := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+simulatedprovider.APIKey(bankSecret))
	request.Header.Set(simulatedprovider.HeaderKey, key)
	recorder := httptest.NewRecorder()
	b.ServeHTTP(recorder, request)
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &made); err != nil {
		b.t.Fatalf("%s %s: %d %s", path, body, recorder.Code, recorder.Body)
	}
	return made.ID
}

// pay pays for an order: the customer's browser speaks to the provider.
func (b *bank) pay(id unit.OrderID, pence int) (payment string) {
	b.t.Helper()
	return b.send("/v1/payment_intents", "pay for "+string(id)+" at "+fmt.Sprint(len(b.Payments())), fmt.Sprintf(`{"amount":%d,"currency":"gbp","confirm":true,"metadata":{"order_id":%q}}`, pence, id))
}

// delivered waits until the messages of all transactions are there, and returns them.
func (b *bank) delivered() []message {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for !b.Idle() && ctx.Err() == nil {
		pause.For(ctx, time.Millisecond)
	}
	if ctx.Err() != nil {
		b.t.Fatal("the messages did not arrive")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// read reads a message.
func (b *bank) read(m message) (payments.Report, error) {
	return b.client.Read(func(string) string { return m.signature }, m.body, time.Now())
}

// deliver gives a message to a shop.
func (b *bank) deliver(s *shop, m message) error {
	b.t.Helper()
	report, err := b.read(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.RecordReport(b.t.Context(), shoptest.NewCall().Meta, simulated.Name, report)
}

// openShopAt opens a shop whose provider is the bank.
func (b *bank) openShopAt(log eventstore.Store) *shop {
	b.t.Helper()
	s := open(b.t, log, commands.DefaultPolicy())
	all, err := payments.NewProviders(map[string]payments.Provider{simulated.Name: b.client})
	if err != nil {
		b.t.Fatal(err)
	}
	s.Payments = all
	return s
}

// order places an order of two units at 2.50.
func (s *shop) order(id unit.OrderID) {
	s.T.Helper()
	s.Must(s.FillCart("cart-"+unit.CartID(id), map[unit.SKU]unit.Quantity{"MUG": 2}))
	s.Must(s.PlaceOrder("cart-"+unit.CartID(id), id))
}

// refunded are the refunds of a state at the provider, by payment and in pence.
func (b *bank) refunded(status string) (pence int64, times int) {
	for _, payment := range b.Payments() {
		for _, t := range payment.Transactions {
			if t.Kind == "refund" && t.Status == status {
				pence, times = pence+t.Amount, times+1
			}
		}
	}
	return pence, times
}

// compare compares the money of the provider's payments with that of the orders, which must be the
// same to the penny.
func (b *bank) compare(s *shop) {
	b.t.Helper()
	of := map[unit.OrderID]map[string]int64{}
	for _, payment := range b.Payments() {
		id := unit.OrderID(payment.Order())
		if of[id] == nil {
			of[id] = map[string]int64{}
		}
		for _, t := range payment.Transactions {
			if t.Status == "succeeded" {
				of[id][t.Kind] += t.Amount
			}
		}
	}
	for id, moved := range of {
		recorded := map[string]int64{}
		for _, t := range s.OrderState(id).Transactions {
			if t.State == order.Succeeded {
				pence, err := payments.ToMinor(t.Amount, 2)
				if err != nil {
					b.t.Fatal(err)
				}
				recorded[string(t.Type)] += pence
			}
		}
		for _, kind := range []string{"authorize", "capture", "void", "refund", "chargeback", "reversal"} {
			if moved[kind] != recorded[kind] {
				b.t.Errorf("order %s: the provider has %s of %d, and the log %d\n%+v", id, kind, moved[kind], recorded[kind], s.OrderState(id).Transactions)
			}
		}
	}
}

func TestACanceledOrderIsRefundedAtItsProvider(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	s := b.openShopAt(memory.New())
	s.Sell("MUG", 10)
	s.order("o1")
	b.pay("o1", 500)
	for range 2 { // messages may come twice
		for _, m := range b.delivered() {
			s.Must(b.deliver(s, m))
		}
	}
	paid := s.OrderState("o1")
	if paid.PaymentState() != order.Paid || len(paid.Transactions) != 2 {
		t.Fatalf("the order is %s with %+v", paid.PaymentState(), paid.Transactions)
	}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Cancel{Reason: "no"})
	s.Must(err)
	if pence, _ := b.refunded("succeeded"); pence != 0 {
		t.Errorf("the request itself has refunded %d", pence)
	}
	recoverFrom(t, s)
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	now := s.OrderState("o1")
	part := now.Refunds[0].Parts[0]
	refund, _ := now.Transaction(part.Transaction)
	if part.State != order.RefundSucceeded || part.Attempt != 1 || len(now.Transactions) != 3 || refund.Reference == "" {
		t.Errorf("the part is %+v, its transaction %+v of %d", part, refund, len(now.Transactions))
	}
	if pence, times := b.refunded("succeeded"); pence != 500 || times != 1 {
		t.Errorf("the provider has refunded %d in %d refunds", pence, times)
	}
	b.compare(s)
	s.Audit()
	actors := map[string]bool{}
	for e, err := range s.Log.ReadStream(t.Context(), order.Stream("o1"), 0, 0) {
		s.Must(err)
		meta, err := eventstore.DecodeMetadata(e.Meta)
		s.Must(err)
		if strings.HasPrefix(e.Type, "order.refund_s") || strings.HasPrefix(e.Type, "order.transaction") {
			actors[strings.TrimSuffix(e.Type, ".v1")+" by "+meta.Actor] = true
		}
	}
	for _, want := range []string{"order.transaction_recorded by system:payment-provider", "order.refund_submitted by system:refunds", "order.refund_settled by system:refunds"} {
		if !actors[want] {
			t.Errorf("there is no %s, only %v", want, actors)
		}
	}
}

// TestWhateverDiesARefundIsMadeOnce lets nodes die after each number of appends, and the provider
// have bad days. Messages come in any order, several times, to any node.
func TestWhateverDiesARefundIsMadeOnce(t *testing.T) {
	t.Parallel()
	for seed := range racetest.Few[uint64](60, 8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			refundOnBadDays(t, rand.New(rand.NewPCG(seed, 9)))
		})
	}
}

func refundOnBadDays(t *testing.T, random *rand.Rand) {
	t.Helper()
	b, log := openBank(t), memory.New()
	well := b.openShopAt(log)
	well.Sell("MUG", 100)
	ids := []unit.OrderID{"o1", "o2", "o3"}
	for _, id := range ids {
		well.order(id)
		for _, pence := range [][]int{{500}, {200, 300}, {700}}[random.IntN(3)] {
			b.pay(id, pence)
		}
	}
	for _, m := range shuffled(random, b.delivered()) {
		well.Must(b.deliver(well, m))
	}
	b.compare(well)
	lock, days := sync.Mutex{}, simulatedprovider.BadDays(random.Uint64(), 0.6, 0)
	b.onBadDays(func(operation string) simulatedprovider.Fault {
		lock.Lock()
		defer lock.Unlock()
		fault := days(operation)
		if fault.Lose == simulatedprovider.LostLate {
			fault.Lose = simulatedprovider.LostLine // the same for the shop, and quicker
		}
		return fault
	})
	// Nodes that die after a few appends cancel the orders, send the refunds and get messages.
	for range 6 {
		mortal := &shoptest.MortalGroups{Mortal: shoptest.Mortal{Store: log, Left: random.IntN(6)}}
		dying := b.openShopAt(mortal)
		id := ids[random.IntN(len(ids))]
		_, _ = dying.Order(t.Context(), shoptest.NewCall(), id, order.Cancel{Reason: "no"})
		for _, refund := range well.OrderState(id).Refunds {
			for _, part := range refund.Parts {
				_ = dying.FinishRefund(t.Context(), shoptest.NewCall().Meta, id, part.ID)
			}
		}
		for _, m := range shuffled(random, b.delivered())[:random.IntN(4)] {
			_ = b.deliver(dying, m)
		}
	}
	// Two nodes finish what is left at the same time.
	for _, id := range ids {
		_, err := well.Order(t.Context(), shoptest.NewCall(), id, order.Cancel{Reason: "no"})
		well.Must(err)
	}
	var nodes sync.WaitGroup
	for range 2 {
		nodes.Go(func() { recoverFrom(t, b.openShopAt(log)) })
	}
	nodes.Wait()
	for range 2 {
		for _, m := range shuffled(random, b.delivered()) {
			after := b.openShopAt(log)
			after.Must(b.deliver(after, m))
		}
	}
	after := b.openShopAt(log)
	b.compare(after)
	for _, id := range ids {
		state := after.OrderState(id)
		if atBank, here := b.refunds(id), refundsOf(state); atBank != here {
			t.Errorf("order %s: the provider has %d refunds, and the log %d: %+v", id, atBank, here, state.Transactions)
		}
		for _, refund := range state.Refunds {
			for _, part := range refund.Parts {
				if part.Open() || part.Attempt != 1 {
					t.Errorf("order %s: part %+v is still open, or was sent several times", id, part)
				}
				if times := b.under(order.RefundKey(part.ID, 1)); times > 1 {
					t.Errorf("order %s: the provider has refunded part %s %d times", id, part.ID, times)
				}
			}
		}
	}
	for _, payment := range b.Payments() {
		if n := len(payment.Transactions); n > 3 { // an authorization, a capture and a refund
			t.Errorf("payment %s has %d transactions: %+v", payment.ID, n, payment.Transactions)
		}
	}
	after.Audit()
}

// refunds counts the refunds of an order, also those that have failed.
func (b *bank) refunds(id unit.OrderID) (times int) {
	for _, payment := range b.Payments() {
		for _, t := range payment.Transactions {
			if t.Kind == "refund" && payment.Order() == string(id) {
				times++
			}
		}
	}
	return times
}

func refundsOf(state order.State) (times int) {
	for _, t := range state.Transactions {
		if t.Type == order.Refund {
			times++
		}
	}
	return times
}

// under counts the refunds under a key.
func (b *bank) under(key string) (times int) {
	for _, payment := range b.Payments() {
		for _, t := range payment.Transactions {
			if t.Kind == "refund" && t.Key == key {
				times++
			}
		}
	}
	return times
}

func shuffled(random *rand.Rand, all []message) []message {
	all = append(slices.Clone(all), all[random.IntN(len(all)):]...) // some come twice
	random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

// In each order of messages, and with each of them twice, an order ends with the same transactions.
func TestMessagesComeInAnyOrder(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	first := b.openShopAt(memory.New())
	first.Sell("MUG", 10)
	first.order("o1")
	payment := b.pay("o1", 500)
	b.next(simulatedprovider.OpRefund, simulatedprovider.Fault{Pending: time.Millisecond})
	b.send("/v1/refunds", "desk", `{"payment_intent":"`+payment+`","amount":120}`)
	dispute := b.send("/v1/disputes", "dispute", `{"payment_intent":"`+payment+`","amount":380,"reason":"fraudulent"}`)
	for i, outcome := range []string{"lost", "won", "lost"} {
		b.send("/v1/disputes/"+dispute+"/close", fmt.Sprint("close ", i), `{"payment_intent":"`+payment+`","outcome":"`+outcome+`"}`)
	}
	all := b.delivered()
	for _, m := range all {
		first.Must(b.deliver(first, m))
	}
	b.compare(first)
	want := facts(first)
	if len(all) < 8 || len(want) != 7 {
		t.Fatalf("%d messages made %q", len(all), want)
	}
	for seed := range racetest.Few[uint64](40, 5) {
		random := rand.New(rand.NewPCG(seed, 3))
		s := b.openShopAt(memory.New())
		s.Sell("MUG", 10)
		s.order("o1")
		for _, m := range shuffled(random, all) {
			s.Must(b.deliver(s, m))
		}
		if got := facts(s); !slices.Equal(got, want) {
			t.Errorf("seed %d: the order has\n%q, want\n%q", seed, got, want)
		}
		s.Audit()
	}
}

// facts are the transactions of order o1, in words.
func facts(s *shop) (all []string) {
	state := s.OrderState("o1")
	for _, t := range state.Transactions {
		parent, _ := state.Transaction(t.Parent)
		all = append(all, fmt.Sprint(t.ID, " ", t.Type, " ", t.State, " ", t.Amount, " of ", parent.Reference))
	}
	slices.Sort(all)
	return all
}

// The customer's browser and the provider tell of the same payment at the same time.
func TestTheShopAndTheProviderRecordOneFact(t *testing.T) {
	t.Parallel()
	for round := range racetest.Few[uint64](30, 5) {
		b := openBank(t)
		s := b.openShopAt(memory.New())
		s.Sell("MUG", 10)
		s.order("o1")
		payment := b.pay("o1", 500)
		capture := b.Payments()[0].Transactions[1]
		id := unit.TransactionID(unit.ProviderTransaction.Of(simulated.Name, capture.ID, "capture").ID())
		record := order.RecordTransaction{TransactionID: id, Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o1").Owed(), Provider: simulated.Name, Reference: capture.ID, Payment: payment}
		if round%2 == 1 { // the shop's page knows only the payment
			record.TransactionID, record.Reference, record.Payment = "mine", payment, ""
		}
		var both sync.WaitGroup
		both.Go(func() {
			// If the provider was first, the order has the capture with its authorization.
			if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", record); err != nil && !errors.Is(err, order.ErrTransactionDiffers) {
				t.Error(err)
			}
		})
		messages := b.delivered()
		if round%2 == 1 {
			both.Wait()
		}
		for _, m := range messages {
			both.Go(func() {
				if err := b.deliver(s, m); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		captures := 0
		for _, t := range s.OrderState("o1").Transactions {
			if t.Type == order.Capture {
				captures++
			}
		}
		if captures != 1 {
			t.Fatalf("round %d: there are %d captures: %+v", round, captures, s.OrderState("o1").Transactions)
		}
	}
}

// A message about an order that is not there yet is refused, so that the provider sends it again.
func TestAMessageMayBeFasterThanItsOrder(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	s := b.openShopAt(memory.New())
	s.Sell("MUG", 10)
	b.pay("o1", 500)
	all := b.delivered()
	for _, m := range all {
		if err := b.deliver(s, m); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("before the order: %v, want %v", err, order.ErrNotFound)
		}
	}
	s.order("o1")
	for _, m := range all {
		s.Must(b.deliver(s, m))
	}
	b.compare(s)
	for name, report := range map[string]payments.Report{
		"for no order":                      {Payment: "pi_1"},
		"for another order, without events": {Payment: "pi_1", OrderID: "o2"},
	} {
		if err := s.RecordReport(t.Context(), shoptest.NewCall().Meta, simulated.Name, report); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("a payment %s: %v", name, err)
		}
	}
}

// After a failure that is known, the money is free and nothing is tried again, until a person wants
// it. A second attempt has a key of its own.
func TestAFailedRefundWaitsForAPerson(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	s := b.openShopAt(memory.New())
	s.Sell("MUG", 10)
	s.order("o1")
	b.pay("o1", 500)
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	b.next(simulatedprovider.OpRefund, simulatedprovider.Fault{Decline: "account_closed"})
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Cancel{Reason: "no"})
	s.Must(err)
	recoverFrom(t, s)
	recoverFrom(t, s)
	refund := s.OrderState("o1").Refunds[0]
	if part := refund.Parts[0]; part.State != order.RefundHasFailed || part.Code != "account_closed" || part.Attempt != 1 {
		t.Fatalf("the part is %+v", part)
	}
	if state := s.OrderState("o1"); !state.NeedsAttention() || state.ToReturn().String() != "5.00 GBP" {
		t.Errorf("attention: %t, to return: %s", state.NeedsAttention(), state.ToReturn())
	}
	if _, times := b.refunded("failed"); times != 1 {
		t.Errorf("it was tried %d times", times)
	}
	old := b.delivered() // the message about the first attempt comes after the second one has begun
	_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", order.SubmitRefund{RefundID: refund.ID, PartID: refund.Parts[0].ID, Attempt: 2})
	s.Must(err)
	for _, m := range old {
		s.Must(b.deliver(s, m))
	}
	if part := s.OrderState("o1").Refunds[0].Parts[0]; part.State != order.RefundIsSubmitted || part.Attempt != 2 {
		t.Fatalf("after the message about the first attempt, the part is %+v", part)
	}
	recoverFrom(t, s)
	if part := s.OrderState("o1").Refunds[0].Parts[0]; part.State != order.RefundSucceeded || part.Attempt != 2 {
		t.Errorf("after the second attempt, the part is %+v", part)
	}
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	b.compare(s)
	s.Audit()
}

// While nobody knows what became of a refund, its money is not free, and the order needs attention.
func TestAnUnknownOutcomeIsAskedForUnderTheSameKey(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	s := b.openShopAt(memory.New())
	s.Sell("MUG", 10)
	s.order("o1")
	b.pay("o1", 500)
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Cancel{Reason: "no"})
	s.Must(err)
	part := s.OrderState("o1").Refunds[0].Parts[0]
	away := func(operation string) simulatedprovider.Fault {
		if operation == simulatedprovider.OpRefund {
			return simulatedprovider.Fault{Lose: simulatedprovider.LostBad}
		}
		return simulatedprovider.Fault{Refuse: true} // so that it cannot be looked up
	}
	b.onBadDays(away)
	for range 3 {
		err := s.FinishRefund(t.Context(), shoptest.NewCall().Meta, "o1", part.ID)
		if unknown, is := errors.AsType[*commands.RefundUnknownError](err); !is || unknown.PartID != part.ID || unknown.Attempt != 1 {
			t.Fatalf("while nobody knows: %v", err)
		}
	}
	state := s.OrderState("o1")
	if part = state.Refunds[0].Parts[0]; part.State != order.RefundIsUnknown || !state.NeedsAttention() || state.ToReturn().Sign() != 0 {
		t.Errorf("the part is %+v, attention: %t, to return: %s", part, state.NeedsAttention(), state.ToReturn())
	}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.SubmitRefund{RefundID: state.Refunds[0].ID, PartID: part.ID, Attempt: 2}); err == nil {
		t.Error("a second attempt was taken while the first one is unknown")
	}
	b.onBadDays(nil)
	recoverFrom(t, s)
	if part = s.OrderState("o1").Refunds[0].Parts[0]; part.State != order.RefundSucceeded || part.Attempt != 1 {
		t.Errorf("when it is known, the part is %+v", part)
	}
	if pence, times := b.refunded("succeeded"); pence != 500 || times != 1 {
		t.Errorf("the provider has refunded %d in %d refunds", pence, times)
	}
	b.compare(s)
}

// Refunds of payments that no provider moves wait for a person.
func TestAPersonRefundsWhatNoProviderCan(t *testing.T) {
	t.Parallel()
	for provider, state := range map[string]order.RefundState{payments.ManualName: order.RefundIsSubmitted, "": order.RefundIsRequested, "stripe": order.RefundIsRequested} {
		s := open(t, memory.New(), commands.DefaultPolicy())
		s.Sell("MUG", 10)
		s.order("o1")
		paid := order.RecordTransaction{TransactionID: "cash", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o1").Owed(), Provider: provider}
		_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", paid, order.Cancel{Reason: "no"})
		s.Must(err)
		recoverFrom(t, s)
		part := s.OrderState("o1").Refunds[0].Parts[0]
		if part.State != state {
			t.Errorf("provider %q: the part is %+v, want it %s", provider, part, state)
		}
		_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", order.SettleTransaction{TransactionID: part.ID, State: order.Succeeded})
		s.Must(err)
		recoverFrom(t, s)
		if part = s.OrderState("o1").Refunds[0].Parts[0]; part.State != order.RefundSucceeded {
			t.Errorf("provider %q: after the person has paid, the part is %+v", provider, part)
		}
	}
}

// A refund that somebody makes at the provider's own desk, while the executor makes the same one,
// is a fact of its own: the customer has got the money twice, and the log says so.
func TestARefundAtTheDeskIsNotLost(t *testing.T) {
	t.Parallel()
	b := openBank(t)
	s := b.openShopAt(memory.New())
	s.Sell("MUG", 10)
	s.order("o1")
	payment := b.pay("o1", 1000) // twice what is owed
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	refund := order.RequestRefund{RefundID: "over", Purpose: order.Settlement, Amount: pounds("5.00")}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", refund)
	s.Must(err)
	b.send("/v1/refunds", "desk", `{"payment_intent":"`+payment+`","amount":500}`)
	recoverFrom(t, s)
	for _, m := range b.delivered() {
		s.Must(b.deliver(s, m))
	}
	b.compare(s)
	if pence, times := b.refunded("succeeded"); pence != 1000 || times != 2 {
		t.Errorf("the provider has refunded %d in %d refunds", pence, times)
	}
	if !s.OrderState("o1").NeedsAttention() {
		t.Error("the order needs no attention")
	}
}

// The refund of a canceled order waits to be sent when the bank asks about its payment. Nothing is
// sent to the provider, and the order needs attention. After the shop has won, a person sends it.
func TestNothingIsSentBackWhileABankAsks(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"won", "lost"} {
		b := openBank(t)
		s := b.openShopAt(memory.New())
		s.Sell("MUG", 10)
		s.order("o1")
		payment := b.pay("o1", 500)
		tell := func() {
			for _, m := range b.delivered() {
				s.Must(b.deliver(s, m))
			}
		}
		tell()
		_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Cancel{Reason: "no"})
		s.Must(err)
		dispute := b.send("/v1/disputes", "dispute", `{"payment_intent":"`+payment+`","amount":500,"reason":"fraudulent"}`)
		tell()
		asked := 0
		b.onBadDays(func(operation string) simulatedprovider.Fault {
			if operation == simulatedprovider.OpRefund {
				asked++
			}
			return simulatedprovider.Fault{}
		})
		recoverFrom(t, s)
		state := s.OrderState("o1")
		if part := state.Refunds[0].Parts[0]; asked != 0 || part.State != order.RefundHasFailed || part.Attempt != 0 || part.Code != order.ErrAmountExceeded.Code {
			t.Fatalf("the provider was asked %d times, and the part is %+v", asked, part)
		}
		if !slices.Contains(state.Attention(), order.DisputeOpen) || !slices.Contains(state.Attention(), order.RefundFailed) {
			t.Errorf("attention is %v", state.Attention())
		}
		b.send("/v1/disputes/"+dispute+"/close", "close", `{"payment_intent":"`+payment+`","outcome":"`+outcome+`"}`)
		tell()
		_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", order.SubmitRefund{RefundID: state.Refunds[0].ID, PartID: state.Refunds[0].Parts[0].ID})
		if lost := outcome == "lost"; lost != errors.Is(err, order.ErrAmountExceeded) || !lost && err != nil {
			t.Errorf("%s: sent again: %v", outcome, err)
		}
		recoverFrom(t, s)
		if now := s.OrderState("o1"); now.Kept().Sign() != 0 || now.NeedsAttention() || !now.Returned().Equal(gbp("5.00")) {
			t.Errorf("%s: %s are kept, attention is %v", outcome, now.Kept(), now.Attention())
		}
		b.compare(s)
		s.Audit()
	}
}
