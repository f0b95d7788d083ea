package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/commands/payments/simulated"
	"daybook/internal/resource"
	"daybook/internal/simulatedprovider"
)

// exampleBank is the simulated provider of the examples. Its messages wait until deliver is called.
type exampleBank struct {
	*servedProvider

	mu       sync.Mutex
	messages []exampleMessage
}

type exampleMessage struct {
	signature string
	body      string
}

func openExampleBank(t *testing.T) *exampleBank {
	t.Helper()
	b := &exampleBank{}
	mailbox := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.messages = append(b.messages, exampleMessage{r.Header.Get(simulated.SignatureHeader), string(body)})
	}))
	t.Cleanup(mailbox.Close)
	provider := simulatedprovider.New(simulatedprovider.Options{
		Secret: providerSecret, Webhooks: mailbox.URL,
		Faults: func(operation string) (f simulatedprovider.Fault) {
			if operation == simulatedprovider.OpRefund {
				f.Pending = time.Millisecond // its end is told later
			}
			return f
		},
	})
	var err error
	if b.servedProvider, err = serveProvider(t.Context(), "--listen", "127.0.0.1:0", provider); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// flags let a shop have this provider.
func (b *exampleBank) flags(t *testing.T) []string {
	t.Helper()
	return []string{"--payments", simulated.Name, "--payments-url", b.url, "--payments-secret-file", secretFile(t, providerSecret)}
}

// deliver sends all messages so far to the shop's route for them: the latest first, and each twice.
func (b *exampleBank) deliver(o *exampleOrder) {
	o.t.Helper()
	eventually(o.t, patience, "the provider has told all", b.Idle)
	b.mu.Lock()
	all := slices.Clone(b.messages)
	b.mu.Unlock()
	slices.Reverse(all)
	for _, m := range slices.Concat(all, all) {
		response, text := o.send("", http.MethodPost, "/v1/payments/webhooks/"+simulated.Name, m.body, simulated.SignatureHeader, m.signature)
		if response.StatusCode != http.StatusOK {
			o.t.Fatalf("a message of the provider: %d %s", response.StatusCode, text)
		}
	}
}

// pay lets the customer pay at the provider, and returns the provider's names of the payment and of
// its capture.
func (b *exampleBank) pay(o *exampleOrder, name string, cents int) (payment, capture string) {
	o.t.Helper()
	payer(o.t, b.url, "/v1/payment_intents", name, fmt.Sprintf(`{"amount":%d,"currency":"eur","confirm":true,"metadata":{"order_id":%q}}`, cents, o.id))
	all := b.Payments()
	paid := all[len(all)-1]
	at := slices.IndexFunc(paid.Transactions, func(t simulatedprovider.Transaction) bool { return t.Kind == "capture" })
	return paid.ID, paid.Transactions[at].ID
}

// disputedAtItsProvider is example 15 with a real provider: what it does comes to the shop by its
// messages only, late, twice and in the wrong order.
func disputedAtItsProvider(b *exampleBank) func(r *exampleRow) {
	return func(r *exampleRow) {
		o := r.order()
		o.checkOutWith(object{"confirm": true})
		first, capture := b.pay(o, "pi_1", 2500)
		o.do(http.MethodPost, "/v1/orders/"+o.id+"/transactions", object{"type": "capture", "provider": simulated.Name, "reference": capture, "amount": o.euros("25.00")})
		o.stands("25.00", "0.00", "0.00", "paid")
		b.deliver(o)
		o.stands("25.00", "0.00", "0.00", "paid")
		_, capture = b.pay(o, "pi_2", 2500)
		b.deliver(o)
		o.stands("50.00", "25.00", "0.00", "overpaid")
		payer(o.t, b.url, "/v1/disputes", "dispute", `{"payment_intent":"`+first+`","amount":2500,"reason":"fraudulent"}`)
		var dispute string
		for _, t := range b.Payments()[0].Transactions {
			if t.Kind == "dispute" {
				dispute = t.ID
			}
		}
		end := func(n int, outcome string) {
			payer(o.t, b.url, "/v1/disputes/"+dispute+"/close", fmt.Sprint("close ", n), `{"payment_intent":"`+first+`","outcome":"`+outcome+`"}`)
			b.deliver(o)
		}
		end(1, "lost")
		o.stands("25.00", "0.00", "0.00", "paid")
		end(2, "won")
		o.stands("50.00", "25.00", "0.00", "overpaid")
		at := slices.IndexFunc(o.shown.Payments, func(p resource.Payment) bool { return p.Reference == capture })
		o.ask("settlement", "25.00", object{"payment": o.shown.Payments[at].TransactionID, "amount": o.euros("25.00")})
		eventually(o.t, patience, "the refund is sent to the provider", func() bool {
			return strings.Contains(fmt.Sprintf("%+v", b.Payments()[1].Transactions), "Kind:refund")
		})
		o.stands("50.00", "0.00", "0.00", "overpaid")
		b.deliver(o)
		o.stands("25.00", "0.00", "0.00", "paid")
		end(3, "lost")
		o.stands("0.00", "0.00", "25.00", "due")
	}
}
