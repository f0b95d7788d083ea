package walk

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/racetest"
)

// walker takes the steps of a walk and keeps a list of them.
type walker struct {
	*shop
	*requestMaker
	all         []operation
	taken       []step
	done        []sentRequest // requests that may be repeated
	tally       map[string]*[2]int
	lastInvalid *request // the latest invalid request, and its response
	why         answer
	sales       []*sale
	sold        int // sales so far
}

// sentRequest is a request that changed something, with its response.
type sentRequest struct {
	request
	answer
	start int // how many times the program had been started; a restart loses the answers that were kept only in memory
}

func newWalker(w *shop, seed uint64) *walker {
	k := &walker{
		shop: w, requestMaker: newRequestMaker(seed, w.api.OpenAPI().Components.Schemas, w.clock.now),
		all: operations(w.api.OpenAPI()), tally: map[string]*[2]int{},
	}
	for _, op := range k.all {
		k.tally[op.OperationID] = &[2]int{}
	}
	return k
}

// opening returns the requests that every walk begins with: products with stock, and a sale with a
// return. The walk learns from them what such requests look like.
func opening() []request {
	var all []request
	put := func(method, operation, target, body string) {
		r := request{Operation: operation, Method: method, Target: target, Body: body, Headers: map[string]string{headerKey: "opening-" + strconv.Itoa(len(all))}}
		if body != "" {
			r.Headers["Content-Type"] = "application/json"
		}
		all = append(all, r)
	}
	for _, p := range []struct{ sku, kind, price string }{
		{"shirt", "stocked", "20.00"}, {"mug", "stocked", "7.50"}, {"coat", "stocked", "49.99"}, {"cup", "stocked", "3.33"}, {"sample", "stocked", "0"}, {"post", "service", "4.95"}, {"wrap", "service", "0.50"},
	} {
		put(http.MethodPut, "list-product", "/v1/products/"+p.sku, fmt.Sprintf(`{"title":"%s","kind":"%s","prices":[{"amount":"%s","currency":"GBP"}]}`, p.sku, p.kind, p.price))
		if p.kind == "stocked" {
			put(http.MethodPost, "receive-stock", "/v1/stock/"+p.sku+"/main/receipts", `{"quantity":30}`)
		}
	}
	post := func(operation, target, body string) { put(http.MethodPost, operation, target, body) }
	put(http.MethodPut, "list-product", "/v1/products/voucher", `{"title":"voucher","kind":"service","gift_card":true,"prices":[{"amount":"25.00","currency":"GBP"}]}`)
	put(http.MethodPut, "define-promotion", "/v1/promotions/spring", `{"title":"Spring","kind":"coupon","class":"order","action":{"type":"percent_off","percent":"10"},"active":true,"limits":{"uses":2}}`)
	post("give-codes", "/v1/promotions/spring/codes", `{"codes":["SPRING10"]}`)
	put(http.MethodPut, "define-promotion", "/v1/promotions/always", `{"title":"Always","kind":"coupon","class":"order","action":{"type":"percent_off","percent":"5"},"active":true}`)
	post("give-codes", "/v1/promotions/always/codes", `{"codes":["ALWAYS5"]}`)
	post("issue-gift-card", "/v1/gift-cards", `{"amount":{"amount":"30.00","currency":"GBP"}}`)
	post("open-cart", "/v1/carts", `{"cart_id":"cart-0","currency":"GBP","lines":[{"sku":"shirt","quantity":3},{"sku":"post","quantity":1}]}`)
	post("open-cart", "/v1/carts", `{"cart_id":"guest-0","currency":"GBP","lines":[{"sku":"shirt","quantity":1}]}`)
	put(http.MethodPut, "give-cart-discount", "/v1/carts/cart-0/discounts/discount-0", `{"amount":{"amount":"3.00","currency":"GBP"},"reason_code":"regular"}`)
	post("merge-cart", "/v1/carts/cart-0/merge", `{"from":"guest-0"}`)
	post("checkout-cart", "/v1/carts/cart-0/checkout", `{"order_id":"order-0","accept_lower":true,"payment":{},"confirm":true}`)
	post("ship-order", "/v1/orders/order-0/shipments", `{"shipment_id":"shipment-0"}`)
	post("request-return", "/v1/returns", `{"return_id":"return-0","order_id":"order-0","lines":[{"order_line":1,"quantity":1}]}`)
	put(http.MethodPost, "approve-return", "/v1/returns/return-0/approve", "")
	post("receive-return", "/v1/returns/return-0/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`)
	post("refund-return", "/v1/returns/return-0/refunds", `{"amount":{"amount":"5.00","currency":"GBP"}}`)
	return all
}

// walk takes this many steps. It stops earlier at the time until, but not before it has taken least
// steps. It returns what is wrong after the last step.
func (k *walker) walk(steps int, until time.Time) error {
	for _, r := range opening() {
		if err := k.takeStep(step{Request: &r}); err != nil {
			return err
		}
	}
	for n := 1; n <= steps && (n <= least || until.IsZero() || time.Now().Before(until)); n++ {
		if err := k.takeStep(k.choose()); err != nil {
			return err
		}
		if n%20 == 0 {
			if err := k.verifyViews(); err != nil {
				return err
			}
		}
	}
	if err := k.takeStep(step{Pass: 40 * 24 * time.Hour, Restart: true}); err != nil {
		return err
	}
	return k.verifyViews()
}

// takeStep takes a step and learns from its response.
func (k *walker) takeStep(s step) error {
	k.taken = append(k.taken, s)
	var before map[string]string
	if s.Request != nil {
		before = k.statuses(*s.Request)
	}
	a, err := k.take(s)
	if err != nil || s.Request == nil {
		return err
	}
	if os.Getenv("DAYBOOK_WALK_TRACE") != "" {
		k.Logf("%s: %d %.300s", s, a.status, a.text)
	}
	tally := k.tally[s.Request.Operation]
	k.noteOutcome(*s.Request, before, a.ok())
	if !a.ok() {
		tally[1]++
		k.forget(*s.Request, a.status == http.StatusNotFound)
		k.lastInvalid, k.why = s.Request, a
		return k.checkRepeated(*s.Request, a, s)
	}
	tally[0]++
	k.learnFrom(*s.Request, a.body)
	if etag := a.header.Get("ETag"); etag != "" {
		k.etags = append(k.etags[max(0, len(k.etags)-3):], etag)
	}
	if err := k.checkRepeated(*s.Request, a, s); err != nil {
		return err
	}
	if a.appended && !s.Cut && !s.Restart {
		k.done = append(k.done, sentRequest{*s.Request, a, k.starts()})
	}
	return nil
}

func (k *walker) starts() (n int) {
	for _, s := range k.taken {
		if s.Restart {
			n++
		}
	}
	return n
}

// checkRepeated checks a request whose key was used before. The same request must get the first
// response, and another request must be refused.
func (k *walker) checkRepeated(r request, a answer, s step) error {
	key := r.Headers[headerKey]
	i := slices.IndexFunc(k.done, func(p sentRequest) bool { return key != "" && p.Headers[headerKey] == key })
	if i < 0 || s.Cut {
		return nil
	}
	first := k.done[i]
	same := first.String() == r.String()
	switch {
	case same && !a.ok():
		return fmt.Errorf("repeated under its key, %s answers %d %s; first it was %d %s", r, a.status, a.text, first.status, first.text)
	case same && first.start == k.starts() && a.text != first.text:
		return fmt.Errorf("repeated under its key, %s answers %s; first it was %s", r, a.text, first.text)
	case same && a.appended:
		return fmt.Errorf("repeated under its key, %s was done again: %s", r, a.text)
	case !same && first.start == k.starts() && a.ok():
		return fmt.Errorf("another request under the key of %s is taken: %s: %s", first.request, r, a.text)
	}
	return nil
}

// clockSteps are the times by which the clock moves. Few of them are longer than the deadline of an
// order, and fewer still are longer than that of a cart.
var clockSteps = []time.Duration{
	time.Second, time.Second, time.Second, time.Minute, time.Minute, time.Minute, time.Minute, 16 * time.Minute, 16 * time.Minute, 26 * time.Hour, 31 * 24 * time.Hour,
}

// choose chooses the next step.
func (k *walker) choose() step {
	if wrong := k.lastInvalid; wrong != nil {
		k.lastInvalid = nil
		if k.hopeless(wrong.Operation) && k.chance(90) {
			return k.choose()
		}
		if better, ok := k.repair(k.described(wrong.Operation), *wrong, k.why); ok && k.chance(80) {
			return step{Request: &better}
		}
	}
	if k.chance(60) {
		r := k.ask()
		return step{Request: &r, Cut: k.chance(12), After: k.IntN(4), Lose: k.chance(30), Restart: k.chance(3)}
	}
	switch n := k.IntN(100); {
	case n < 4 && len(k.done) > 0: // a request that was sent before
		before := pick(k.requestMaker, k.done...).request
		return step{Request: &before}
	case n < 6 && len(k.done) > 0: // another request under its key
		other := k.newRequest(true)
		if k.described(other.Operation).keyed { // the others do not look at the header
			other.Headers[headerKey] = pick(k.requestMaker, k.done...).Headers[headerKey]
		}
		return step{Request: &other}
	case n < 10:
		return step{Pass: pick(k.requestMaker, clockSteps...)}
	case n < 18:
		r := k.newRequest(true)
		return step{Request: &r, Cut: true, After: k.IntN(4), Lose: k.chance(30), Restart: k.chance(50)}
	case n < 19:
		return step{Restart: true}
	case n < 28 && !k.light:
		r := k.newRequest(false)
		return step{Request: &r}
	}
	r := k.newRequest(true)
	return step{Request: &r}
}

// newRequest makes a new request. It seldom makes one whose path needs an id if no such thing
// exists yet.
func (k *walker) newRequest(writes bool) request {
	for {
		op := k.operation(writes)
		missing := slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool {
			pool := poolOf(p.Name)
			if p.In != "path" || pool == "" {
				return false
			}
			if pool == idOf(request{Target: op.Path}, "") {
				return !k.hasKnownStatus(pool)
			}
			return len(k.pools[pool]) == 0
		})
		if missing && !k.chance(10) {
			continue
		}
		return k.request(op)
	}
}

// weights say how often an operation is drawn. An operation without a weight has 1. Operations that
// begin or continue a sale have high weights, and operations that end something have low ones, so
// that walks get far. Every operation is drawn.
var weights = map[string]float64{
	"open-cart": 5, "add-cart-lines": 2, "checkout-cart": 6,
	"confirm-order": 3, "ship-order": 5, "deliver-shipment": 2, "report-shipment": 2, "take-shipment-back": 2, "resend-shipment": 2, "credit-shipment": 2, "record-transaction": 3, "settle-transaction": 2, "cancel-order": 2,
	"request-return": 4, "approve-return": 3, "receive-return": 3, "refund-return": 2,
	"retire-product": 0.2, "abandon-cart": 0.2, "expire-cart": 0.3, "set-price": 0.4, "set-stock-policy": 0.5, "hold-order": 0.5,
	"decline-return": 0.5, "cancel-return": 0.5, "note-credit": 0.4,
	"request-refund": 4, "settle-refund": 2, "retry-refund": 2, "reduce-price": 2, "write-off": 0.5, "extend-order": 0.5, "add-cart-coupon": 4, "give-cart-discount": 2,
	"end-promotion": 0.1, "withdraw-codes": 0.2, "disable-gift-card": 0.2, "end-legal-entity": 0.3, "define-legal-entity": 0.2,
}

func weight(op operation) float64 {
	if w, known := weights[op.OperationID]; known {
		return w
	}
	return 1
}

// hopeless tells whether an operation was refused often in this walk, and never accepted. Most of
// these need something that the walk does not have, such as a letter or a session.
func (k *walker) hopeless(id string) bool {
	tally := k.tally[id]
	return tally[0] == 0 && tally[1] >= 4
}

// operation draws an operation.
func (k *walker) operation(writes bool) operation {
	for {
		op := pick(k.requestMaker, k.all...)
		if op.writes != writes || k.hopeless(op.OperationID) && !k.chance(10) {
			continue
		}
		if k.Float64()*5 < weight(op) {
			return op
		}
	}
}

// report describes a failure with all steps up to it.
func report(seed uint64, err error, taken []step) string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d, after %d steps: %v\n", seed, len(taken), err)
	for i, s := range taken {
		fmt.Fprintf(&text, "%4d %s\n", i+1, s)
	}
	return text.String()
}

// replay takes steps in a new shop. It returns what is wrong after the last one.
func replay(t *testing.T, s settings, steps []step) (err error) {
	t.Helper()
	t.Run("again", func(t *testing.T) {
		w := newShop(t, s)
		for _, s := range steps {
			if _, err = w.take(s); err != nil {
				return
			}
		}
		err = w.verifyViews()
	})
	return err
}

// shrink leaves out steps while the walk still fails, at most until a time. In a shorter walk the
// program makes other random ids. So if later steps have such an id, the steps before them can
// seldom be left out.
func shrink(t *testing.T, s settings, steps []step, until time.Time) []step {
	t.Helper()
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(steps) && time.Now().Before(until); {
			shorter := append(slices.Clone(steps[:at]), steps[at+size:]...)
			if replay(t, s, shorter) != nil {
				steps = shorter
			} else {
				at += size
			}
		}
	}
	return steps
}

// reportFailure reports a walk that found a fault, with as few steps as it can.
func reportFailure(t *testing.T, seed uint64, s settings, err error, taken []step) {
	t.Helper()
	t.Error(report(seed, err, taken))
	if s.postgres {
		return // it uses the real clock, so it cannot be repeated
	}
	shorter := shrink(t, s, taken, time.Now().Add(30*time.Second))
	if err := replay(t, s, shorter); err != nil {
		t.Log("shorter: " + report(seed, err, shorter))
	}
}

// How long the walks of `make test` are: there is one walk for each of the seeds, with this number
// of steps. On a slow machine the walks stop after the time bounded, but each walk has at least as
// many steps as the constant least says.
const (
	seeds           = 8
	racedSeeds      = 2 // of make race
	steps           = 200
	least           = 50
	bounded         = 40 * time.Second
	stepsOfLongWalk = 1000 // steps of each walk of `make walk`
)

func TestARandomWalkLeavesTheBooksTrue(t *testing.T) {
	t.Parallel()
	first, last, length, until, far := uint64(1), racetest.Few[uint64](seeds, racedSeeds), steps, time.Now().Add(bounded), false
	if duration, err := time.ParseDuration(os.Getenv("DAYBOOK_WALK")); err == nil {
		first, last, length, until, far = uint64(time.Now().Unix()), 1<<62, stepsOfLongWalk, time.Now().Add(duration), true
	}
	if seed, err := strconv.ParseUint(os.Getenv("DAYBOOK_WALK_SEED"), 10, 64); err == nil {
		first, last = seed, seed
	}
	tally := map[string]*[2]int{}
	walked, started := 0, time.Now()
	for seed := first; seed <= last && (!far || time.Now().Before(until)) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := settings{light: seed%4 > 1, postgres: seed%8 == 0, recording: recording((seed + 1) % 3)}
			k := newWalker(newShop(t, s), seed)
			err := k.walk(length, until)
			walked += len(k.taken)
			for id, n := range k.tally {
				if tally[id] == nil {
					tally[id] = &[2]int{}
				}
				tally[id][0] += n[0]
				tally[id][1] += n[1]
			}
			if err != nil {
				reportFailure(t, seed, s, err, k.taken)
			} else if len(k.taken) < least {
				t.Errorf("only %d steps, want at least %d", len(k.taken), least)
			}
		})
	}
	t.Logf("%d steps in %.1f s", walked, time.Since(started).Seconds())
	for _, id := range slices.Sorted(maps.Keys(tally)) {
		t.Logf("%-26s %4d done %4d refused", id, tally[id][0], tally[id][1])
	}
}
