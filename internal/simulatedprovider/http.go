package simulatedprovider

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/internal/pause"
)

const (
	maxBody = 16 << 10
	maxKey  = 255 // bytes
	maxKeys = 200 // of one payment
)

// HeaderKey makes repeating a request harmless.
const HeaderKey = "Idempotency-Key"

// request is a request that was carried out under an idempotency key, with its answer.
type request struct {
	path   string
	body   []byte
	status int
	answer []byte
}

// operation carries out a request with the lock held. It returns the payment that the request is
// about, if it is known, and the answer.
type operation func(r *http.Request, body []byte, key string, fault Fault, now time.Time) (changed *Payment, answer any, err error)

func (p *Provider) mux() http.Handler {
	mux := http.NewServeMux()
	post := func(path, name string, do operation) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { p.change(w, r, name, do) })
	}
	post("/v1/payment_intents", OpCreate, p.create)
	post("/v1/payment_intents/{id}/confirm", OpConfirm, p.confirm)
	post("/v1/payment_intents/{id}/capture", OpCapture, p.capture)
	post("/v1/payment_intents/{id}/cancel", OpCancel, p.cancel)
	post("/v1/refunds", OpRefund, p.refund)
	post("/v1/disputes", OpDispute, p.dispute)
	post("/v1/disputes/{id}/close", OpClose, p.close)
	mux.HandleFunc("GET /v1/payment_intents/{id}", p.read(func(r *http.Request) (any, error) {
		found, err := p.ledger.payment(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return found.clone(), nil
	}))
	mux.HandleFunc("GET /v1/transactions", p.read(func(r *http.Request) (any, error) {
		key := r.URL.Query().Get("idempotency_key")
		if key == "" {
			return nil, invalid("parameter_missing", "Say which idempotency_key.")
		}
		return p.ledger.under(key), nil
	}))
	return mux
}

// List is the answer to a search.
type List struct {
	Object string        `json:"object"` // list
	Data   []Transaction `json:"data"`
}

// under are the transactions that began with a request under a key.
func (l *ledger) under(key string) List {
	list := List{Object: "list", Data: []Transaction{}}
	for _, payment := range slices.Backward(l.payments) {
		if !slices.Contains(payment.keys, key) {
			continue
		}
		for _, t := range payment.Transactions {
			if t.Key == key {
				list.Data = append(list.Data, t)
			}
		}
		break // a key belongs to one payment
	}
	return list
}

// forgetKeys forgets the keys of a payment that is forgotten. The caller holds the lock.
func (p *Provider) forgetKeys(payment *Payment) {
	for _, key := range payment.keys {
		delete(p.keys, key)
	}
}

// admitted refuses requests without the provider's key.
func (p *Provider) admitted(w http.ResponseWriter, r *http.Request) bool {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+p.apiKey)) == 1 {
		return true
	}
	answerError(w, http.StatusUnauthorized, "authentication_error", "api_key_invalid", "Send the key as Authorization: Bearer.")
	return false
}

// stand waits for the delay of a fault. refused tells whether the request is not carried out.
func (p *Provider) stand(w http.ResponseWriter, r *http.Request, fault Fault) (refused bool) {
	pause.For(context.WithoutCancel(r.Context()), min(fault.Delay, lateMax)) // a provider goes on if its caller has gone
	if fault.Refuse {
		answerError(w, http.StatusServiceUnavailable, "api_error", "unavailable", "Try again later. Nothing was done.")
	}
	return fault.Refuse
}

func (p *Provider) read(find func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.admitted(w, r) || p.stand(w, r, p.options.Faults(OpRead)) {
			return
		}
		p.mu.Lock()
		found, err := find(r)
		p.mu.Unlock()
		status, answer := answerOf(found, err)
		write(w, status, answer)
	}
}

// change carries out a request that changes something: once under a key.
func (p *Provider) change(w http.ResponseWriter, r *http.Request, name string, do operation) {
	if !p.admitted(w, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	key := r.Header.Get(HeaderKey)
	switch {
	case err != nil:
		answerError(w, http.StatusBadRequest, "invalid_request_error", "body_invalid", "The body cannot be read, or is too large.")
		return
	case key == "" || len(key) > maxKey:
		answerError(w, http.StatusBadRequest, "invalid_request_error", "idempotency_key_missing", fmt.Sprintf("Send %s, of at most %d bytes.", HeaderKey, maxKey))
		return
	}
	fault := p.options.Faults(name)
	if p.stand(w, r, fault) {
		return
	}
	status, answer, repeated := p.once(r, body, key, fault, do)
	if fault.Lose != NotLost {
		p.lose(w, r, fault.Lose)
		return
	}
	if repeated {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	write(w, status, answer)
}

// once carries out a request, or returns the answer of the one that had its key.
func (p *Provider) once(r *http.Request, body []byte, key string, fault Fault, do operation) (status int, answer []byte, repeated bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.Requests++
	if fault.Lose != NotLost {
		p.count.Lost++
	}
	if before := p.keys[key]; before != nil {
		p.count.Repeated++
		if before.path != r.URL.Path || !bytes.Equal(before.body, body) {
			status, answer = errorAnswer(http.StatusBadRequest, "idempotency_error", "idempotency_key_reused", "The key was sent with another request before.")
			return status, answer, false
		}
		return before.status, before.answer, true
	}
	changed, result, err := do(r, body, key, fault, time.Now())
	status, answer = answerOf(result, err)
	if changed != nil {
		changed.keys = append(changed.keys, key)
		p.keys[key] = &request{path: r.URL.Path, body: body, status: status, answer: answer}
	}
	return status, answer, false
}

// lose loses an answer.
func (p *Provider) lose(w http.ResponseWriter, r *http.Request, how Loss) {
	switch how {
	case LostBad:
		answerError(w, http.StatusInternalServerError, "api_error", "internal", "Something went wrong.")
	case LostLate:
		pause.For(r.Context(), lateMax)
		panic(http.ErrAbortHandler) // breaks the connection
	case LostLine:
		panic(http.ErrAbortHandler)
	case NotLost:
	}
}

// changes carries out a change of a payment, and notes an event for each transaction that came to
// it or that ended.
// Also a refused request belongs to its payment, so its key is kept with the payment's.
func (p *Provider) changes(payment *Payment, now time.Time, change func() (any, error)) (*Payment, any, error) {
	if len(payment.keys) >= maxKeys {
		return nil, nil, invalid("too_many_requests", "A payment takes at most %d requests.", maxKeys)
	}
	before := len(payment.Transactions)
	result, err := change()
	for _, t := range payment.Transactions[before:] {
		p.note(payment, t, now)
	}
	if ended, is := result.(Transaction); is && err == nil && len(payment.Transactions) == before {
		p.note(payment, ended, now) // the end of a dispute that moves no money
	}
	return payment, result, err
}

func (p *Provider) create(_ *http.Request, body []byte, key string, fault Fault, now time.Time) (*Payment, any, error) {
	var b createBody
	if err := decode(body, &b); err != nil {
		return nil, nil, err
	}
	confirm := b.Confirm
	b.Confirm = false
	payment, err := p.ledger.create(b, key, now)
	if err != nil {
		return nil, nil, err
	}
	if !confirm {
		return payment, payment.clone(), nil
	}
	return p.confirmed(payment, key, fault, now)
}

func (p *Provider) confirmed(payment *Payment, key string, fault Fault, now time.Time) (*Payment, any, error) {
	return p.changes(payment, now, func() (any, error) {
		if err := p.ledger.confirm(payment, key, fault.Decline, now); err != nil {
			return nil, err
		}
		if fault.Decline != "" {
			return nil, &refusedError{http.StatusPaymentRequired, "card_declined", "The payment was declined: " + fault.Decline}
		}
		return payment.clone(), nil
	})
}

// with finds the payment of a request and decodes the body.
func with[B any](p *Provider, id string, body []byte, b *B) (*Payment, error) {
	if err := decode(body, b); err != nil {
		return nil, err
	}
	return p.ledger.payment(id)
}

func (p *Provider) confirm(r *http.Request, body []byte, key string, fault Fault, now time.Time) (*Payment, any, error) {
	var b struct{}
	payment, err := with(p, r.PathValue("id"), body, &b)
	if err != nil {
		return nil, nil, err
	}
	return p.confirmed(payment, key, fault, now)
}

func (p *Provider) capture(r *http.Request, body []byte, key string, fault Fault, now time.Time) (*Payment, any, error) {
	var b captureBody
	payment, err := with(p, r.PathValue("id"), body, &b)
	if err != nil {
		return nil, nil, err
	}
	return p.changes(payment, now, func() (any, error) { return p.ledger.capture(payment, b, key, fault.Decline, now) })
}

func (p *Provider) cancel(r *http.Request, body []byte, key string, fault Fault, now time.Time) (*Payment, any, error) {
	var b struct{}
	payment, err := with(p, r.PathValue("id"), body, &b)
	if err != nil {
		return nil, nil, err
	}
	return p.changes(payment, now, func() (any, error) { return p.ledger.cancel(payment, key, fault.Decline, now) })
}

func (p *Provider) refund(_ *http.Request, body []byte, key string, fault Fault, now time.Time) (*Payment, any, error) {
	var b refundBody
	if err := decode(body, &b); err != nil {
		return nil, nil, err
	}
	payment, err := p.ledger.payment(b.Payment)
	if err != nil {
		return nil, nil, err
	}
	return p.changes(payment, now, func() (any, error) {
		t, err := p.ledger.refund(payment, b, key, fault, now)
		if err == nil && t.Status == statusPending {
			p.plan(task{at: now.Add(fault.Pending), payment: payment.ID, refund: t.ID, failed: fault.Decline})
		}
		return t, err
	})
}

func (p *Provider) dispute(_ *http.Request, body []byte, _ string, _ Fault, now time.Time) (*Payment, any, error) {
	var b disputeBody
	if err := decode(body, &b); err != nil {
		return nil, nil, err
	}
	payment, err := p.ledger.payment(b.Payment)
	if err != nil {
		return nil, nil, err
	}
	return p.changes(payment, now, func() (any, error) { return p.ledger.dispute(payment, b, now) })
}

func (p *Provider) close(r *http.Request, body []byte, _ string, _ Fault, now time.Time) (*Payment, any, error) {
	var b closeBody
	if err := decode(body, &b); err != nil {
		return nil, nil, err
	}
	payment, err := p.ledger.payment(b.Payment)
	if err != nil {
		return nil, nil, err
	}
	return p.changes(payment, now, func() (any, error) { return p.ledger.closeDispute(payment, r.PathValue("id"), b, now) })
}

// decode reads a body strictly: a member that is not known is a mistake.
func decode(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return invalid("body_invalid", "The body cannot be read: %.120s", err)
	}
	return nil
}

// failure is the body of an answer to a request that was refused.
type failure struct {
	Error struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func errorAnswer(status int, kind, code, message string) (int, []byte) {
	var f failure
	f.Error.Type, f.Error.Code, f.Error.Message = kind, code, message
	return status, mustMarshal(f)
}

func answerError(w http.ResponseWriter, status int, kind, code, message string) {
	status, body := errorAnswer(status, kind, code, message)
	write(w, status, body)
}

// answerOf makes an answer of a result or an error.
func answerOf(result any, err error) (int, []byte) {
	if refused, is := errors.AsType[*refusedError](err); is {
		kind := "invalid_request_error"
		if refused.status == http.StatusPaymentRequired {
			kind = "card_error"
		}
		return errorAnswer(refused.status, kind, refused.code, refused.message)
	}
	if err != nil {
		return errorAnswer(http.StatusInternalServerError, "api_error", "internal", err.Error())
	}
	return http.StatusOK, mustMarshal(result)
}

func mustMarshal(value any) []byte {
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		panic(err) // these types can always be written
	}
	return body
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have gone
}
