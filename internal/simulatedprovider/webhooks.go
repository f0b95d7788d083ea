package simulatedprovider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// SignatureHeader has the time and the signature of a webhook, as Stripe writes them: t=1700000000,
// and v1= with the HMAC-SHA256 of the time, a point and the body, in hexadecimal digits.
const SignatureHeader = "Simulated-Signature"

const (
	sendMax    = 10 * time.Second
	sendTries  = 20
	retryMax   = time.Minute
	maxSending = 8
	maxDue     = 10_000
	lateMax    = time.Minute // an answer that does not come ends then
)

// Event is what a webhook has in its body.
type Event struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // event
	Type    string `json:"type"`   // kind and status of the transaction, such as refund.succeeded
	Created int64  `json:"created"`
	Data    struct {
		// Object is the payment as it was when the event happened.
		Object Payment `json:"object"`
	} `json:"data"`
}

// task is something to do later: to send an event, or to end a pending refund.
type task struct {
	at time.Time
	// send is the body of an event.
	send  []byte
	tries int
	// payment and refund name a pending refund that ends. failed says why it then fails.
	payment, refund, failed string
}

// Sign returns the value of SignatureHeader.
func Sign(secret string, body []byte, at time.Time) string { return sign(signingKey(secret), body, at) }

func sign(key, body []byte, at time.Time) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// note makes an event of what has just happened to a payment. The caller holds the lock.
func (p *Provider) note(payment *Payment, t Transaction, now time.Time) {
	if p.options.Webhooks == "" {
		return
	}
	event := Event{ID: p.ledger.name("evt"), Object: "event", Type: t.Kind + "." + t.Status, Created: now.Unix()}
	event.Data.Object = payment.clone()
	body, err := json.Marshal(event, json.Deterministic(true))
	if err != nil {
		panic(err) // these types can always be written
	}
	for _, after := range p.options.Copies() {
		p.plan(task{at: now.Add(after), send: body})
	}
}

// plan puts a task into the queue. If there are too many, the oldest one is given up: whoever waits
// for it can look the payment up. The caller holds the lock.
func (p *Provider) plan(t task) {
	if len(p.due) >= maxDue {
		p.due = slices.Delete(p.due, 0, 1)
		p.count.Dropped++
	}
	i, _ := slices.BinarySearchFunc(p.due, t, func(a, b task) int { return cmp.Or(a.at.Compare(b.at), -1) })
	p.due = slices.Insert(p.due, i, t)
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// nextTask takes the next task that is due out of the queue. If none is due, wait says how long it
// is until the next one.
func (p *Provider) nextTask(now time.Time) (next task, wait time.Duration, some bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return task{}, 0, false
	}
	if wait = p.due[0].at.Sub(now); wait > 0 {
		return task{}, wait, true
	}
	next = p.due[0]
	p.due = slices.Delete(p.due, 0, 1)
	p.taken++
	return next, 0, true
}

// end ends a pending refund.
func (p *Provider) end(t task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	payment := p.ledger.settleRefund(t.payment, t.refund, t.failed)
	if payment == nil {
		return
	}
	ended, _ := payment.find(t.refund)
	p.note(payment, ended, time.Now())
}

// send sends an event. If it is not accepted, it is sent again later.
func (p *Provider) send(ctx context.Context, t task) {
	err := p.post(ctx, t.send)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if err == "" {
		p.count.Sent++
		return
	}
	p.count.Refused++
	p.options.Logger.DebugContext(ctx, "webhook not accepted", "error", err, "tries", t.tries+1)
	if t.tries++; t.tries >= sendTries {
		p.count.Dropped++
		p.options.Logger.WarnContext(ctx, "webhook given up", "error", err, "tries", t.tries)
		return
	}
	t.at = time.Now().Add(min(p.options.Retry<<min(t.tries-1, 16), retryMax))
	p.plan(t)
}

// post sends a body once. It returns what is wrong, or an empty text.
func (p *Provider) post(ctx context.Context, body []byte) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhooks(), bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(SignatureHeader, sign(p.signKey, body, time.Now()))
	response, err := p.options.Client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection can be used again
	if response.StatusCode/100 != 2 {
		return response.Status
	}
	return ""
}
