// Package simulatedprovider is a provider of payments whose money is not real: an HTTP service in
// the shape of Stripe's (payment intents, idempotency keys, signed webhooks), for tests and for
// trying the shop. It does what real providers do on bad days: it is slow, refuses, carries out
// what it then does not answer, and sends its webhooks late, twice and in any order.
//
//   - ledger.go has the payments and what may happen to them; it does no I/O.
//   - http.go has the routes and the idempotency keys.
//   - faults.go has the bad days.
//   - webhooks.go signs and sends.
//
// All is in memory and bounded: when there are too many payments, the oldest one is forgotten.
package simulatedprovider

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options are what a provider is made of. Only Secret is needed.
type Options struct {
	// Secret is what the shop and the provider share. The key that requests need, and the key that
	// webhooks are signed with, derive from it.
	Secret string
	// Webhooks is the address to which events are sent. Empty: none are.
	Webhooks string
	// Faults says what goes wrong with a request. nil: nothing does.
	Faults func(operation string) Fault
	// Copies says when an event is sent: once for each delay. nil: at once, and only once.
	Copies func() []time.Duration
	// Retry is the pause before a webhook that failed is sent again (1 s). It doubles each time.
	Retry time.Duration
	// MaxPayments is how many payments are known at most (10,000).
	MaxPayments int
	Client      *http.Client // sends webhooks; nil: one with a time limit
	Logger      *slog.Logger // nil: nothing is logged
}

// Provider is the service. It serves HTTP. Run sends its webhooks and ends what is pending.
type Provider struct {
	options Options
	routes  http.Handler
	apiKey  string
	signKey []byte

	mu     sync.Mutex
	ledger ledger
	keys   map[string]*request // by idempotency key
	due    []task              // in the order of their times
	taken  int                 // how many tasks were taken from due and are not done yet
	woken  chan struct{}
	count  Counts
}

// Counts say what the provider has done.
type Counts struct {
	// Requests are those that change something, Repeated those of them under a known key, and Lost
	// those that were carried out and not answered.
	Requests, Repeated, Lost int64
	// Sent are webhooks that were accepted, and Refused those that were not. Dropped are those that
	// were given up.
	Sent, Refused, Dropped int64
}

// New makes a provider. It knows no payments.
func New(options Options) *Provider {
	if options.Faults == nil {
		options.Faults = func(string) Fault { return Fault{} }
	}
	if options.Copies == nil {
		options.Copies = func() []time.Duration { return []time.Duration{0} }
	}
	if options.Retry == 0 {
		options.Retry = time.Second
	}
	if options.MaxPayments == 0 {
		options.MaxPayments = 10_000
	}
	if options.Client == nil {
		options.Client = &http.Client{Timeout: sendMax}
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Provider{
		options: options, apiKey: APIKey(options.Secret), signKey: signingKey(options.Secret),
		keys: map[string]*request{}, woken: make(chan struct{}, 1),
	}
	p.ledger = ledger{max: options.MaxPayments, run: newRun(), byID: map[string]*Payment{}, forget: p.forgetKeys}
	p.routes = p.mux()
	return p
}

// newRun returns a text that tells the names of this run from those of all others, because the shop
// remembers the names of payments for ever.
func newRun() string { return strings.ToLower(rand.Text()[:8]) }

// APIKey is the key that requests need, as Authorization: Bearer.
func APIKey(secret string) string {
	return "sk_simulated_" + hex.EncodeToString(derive(secret, "api key"))
}

// signingKey is the key of the signatures of webhooks.
func signingKey(secret string) []byte { return derive(secret, "webhooks") }

func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("daybook simulated provider: " + purpose))
	return mac.Sum(nil)
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }

// SendTo sets the address to which events are sent from now on, for a shop whose address is known
// later than the provider's.
func (p *Provider) SendTo(webhooks string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Webhooks = webhooks
}

// webhooks is the address to which events are sent.
func (p *Provider) webhooks() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.options.Webhooks
}

// Payments are all payments that the provider knows, oldest first, as copies.
func (p *Provider) Payments() (all []Payment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, payment := range p.ledger.payments {
		all = append(all, payment.clone())
	}
	return all
}

// Counts say what the provider has done so far.
func (p *Provider) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Run sends webhooks and ends pending transactions, until ctx ends. It then returns nil.
func (p *Provider) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := make(chan struct{}, maxSending)
	for {
		next, wait, some := p.nextTask(time.Now())
		switch {
		case some && wait <= 0:
			if next.send == nil {
				p.end(next)
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			sending.Go(func() {
				defer func() { <-slots }()
				p.send(ctx, next)
			})
			continue
		case !some:
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.woken:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// Idle tells whether nothing is pending, and all webhooks were accepted or given up.
func (p *Provider) Idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.due) == 0 && p.taken == 0
}
