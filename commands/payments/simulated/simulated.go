// Package simulated is the client of the simulated provider of payments, which daybook
// simulated-provider serves. It shows what the client of a real provider has to do: to send each
// instruction under its key, to tell a failure from an answer that nobody has got, to check who has
// signed a message, and to convert amounts.
package simulated

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands/payments"
	"daybook/domain/unit"
)

// Name is the name of the provider in the shop.
const Name = "simulated"

const (
	askMax    = 10 * time.Second // for one request
	maxAnswer = 1 << 20          // bytes
)

// MinSecret is how many characters a secret has at least, because whoever guesses it can report
// payments that never were.
const MinSecret = 16

// Client is the provider, as the shop sees it.
type Client struct {
	base    string
	apiKey  string
	signKey []byte
	http    *http.Client
}

var _ interface {
	payments.Provider
	payments.Reporter
} = (*Client)(nil)

// New makes a client for the provider at an address. secret is what the provider and the shop
// share. Without https the address must be of this machine.
func New(address, secret string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%q: want an address such as https://payments.example", address)
	}
	ownMachine := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !ownMachine) {
		return nil, fmt.Errorf("%q: want an address that begins with https://, because the requests have a secret", address)
	}
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret has %d characters, and must have at least %d", len(secret), MinSecret)
	}
	return &Client{
		base:   u.Scheme + "://" + u.Host,
		apiKey: "sk_simulated_" + hex.EncodeToString(derive(secret, "api key")), signKey: derive(secret, "webhooks"),
		http: &http.Client{Timeout: askMax, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// derive makes a key of the secret that is good for one purpose only.
func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("daybook simulated provider: " + purpose))
	return mac.Sum(nil)
}

// transaction is a transaction as the provider writes it.
type transaction struct {
	ID        string `json:"id"`
	Kind      string `json:"type"`
	Status    string `json:"status"`
	Amount    int64  `json:"amount"`
	Parent    string `json:"parent"`
	Key       string `json:"idempotency_key"`
	Reason    string `json:"reason"`
	RespondBy int64  `json:"respond_by"`
}

// Capture implements payments.Provider.
func (c *Client) Capture(ctx context.Context, i payments.Instruction) payments.Outcome {
	amount, err := payments.ToMinor(i.Amount, i.Amount.Currency.Digits())
	if err != nil {
		return failed(err.Error())
	}
	return c.instruct(ctx, i, "/v1/payment_intents/"+url.PathEscape(i.Payment)+"/capture", map[string]any{"amount_to_capture": amount, "final_capture": i.Final})
}

// Void implements payments.Provider. The provider voids all that is left.
func (c *Client) Void(ctx context.Context, i payments.Instruction) payments.Outcome {
	return c.instruct(ctx, i, "/v1/payment_intents/"+url.PathEscape(i.Payment)+"/cancel", map[string]any{})
}

// Refund implements payments.Provider.
func (c *Client) Refund(ctx context.Context, i payments.Instruction) payments.Outcome {
	amount, err := payments.ToMinor(i.Amount, i.Amount.Currency.Digits())
	if err != nil {
		return failed(err.Error())
	}
	body := map[string]any{"payment_intent": i.Payment, "amount": amount}
	if i.Transaction != "" {
		body["charge"] = i.Transaction
	}
	return c.instruct(ctx, i, "/v1/refunds", body)
}

// instruct sends an instruction. The body must be the same for the same instruction, because the
// provider compares what comes under a key.
func (c *Client) instruct(ctx context.Context, i payments.Instruction, path string, body map[string]any) payments.Outcome {
	if i.Payment == "" {
		return failed("the provider's name of the payment is not known")
	}
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return failed(err.Error())
	}
	status, answer, err := c.ask(ctx, http.MethodPost, path, i.Key, text)
	if err != nil {
		return unknown(err)
	}
	if status != http.StatusOK {
		return refused(status, answer)
	}
	var t transaction
	if err := json.Unmarshal(answer, &t); err != nil {
		return unknown(fmt.Errorf("the answer cannot be read: %w", err))
	}
	return outcome(t)
}

// LookUp implements payments.Provider.
func (c *Client) LookUp(ctx context.Context, i payments.Instruction) payments.Outcome {
	status, answer, err := c.ask(ctx, http.MethodGet, "/v1/transactions?idempotency_key="+url.QueryEscape(i.Key), "", nil)
	if err == nil && status != http.StatusOK {
		err = errors.New("the provider answered " + http.StatusText(status))
	}
	if err != nil {
		return unknown(err)
	}
	var found struct {
		Data []transaction `json:"data"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return unknown(fmt.Errorf("the answer cannot be read: %w", err))
	}
	if len(found.Data) == 0 {
		return payments.Outcome{State: payments.Unseen}
	}
	return outcome(found.Data[0]) // a final capture has a void after it, under the same key
}

// ask sends a request. Its errors have no secret.
func (c *Client) ask(ctx context.Context, method, path, key string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.apiKey)
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if wrapped, is := errors.AsType[*url.Error](err); is {
			err = wrapped.Err // the address is known
		}
		return 0, nil, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("the answer broke off: %w", err)
	case len(answer) > maxAnswer:
		return 0, nil, errors.New("the answer is too large")
	}
	return response.StatusCode, answer, nil
}

// refused is the outcome of an instruction that was not answered with 200. Only a refusal of this
// very request means that nothing was done: 400, 402 and 404. With any other status, such as 401,
// 409 or 500, the instruction may have been carried out, or can be later.
func refused(status int, answer []byte) payments.Outcome {
	var said struct {
		Error struct {
			Type string `json:"type"`
			Code string `json:"code"`
		} `json:"error"`
	}
	err := json.Unmarshal(answer, &said)
	code := short(said.Error.Code)
	switch {
	case err != nil || code == "":
		return unknown(fmt.Errorf("the provider answered %d", status))
	case said.Error.Type == "idempotency_error":
		return unknown(errors.New("the provider has another instruction under the key"))
	case status == http.StatusBadRequest || status == http.StatusPaymentRequired || status == http.StatusNotFound:
		return failed(code)
	}
	return unknown(fmt.Errorf("the provider answered %d %s", status, code))
}

// outcome is the outcome that a transaction shows.
func outcome(t transaction) payments.Outcome {
	state, known := states[t.Status]
	if !known || t.ID == "" {
		return unknown(errors.New("the answer has no transaction"))
	}
	done := payments.Outcome{State: state, Reference: t.ID}
	if state == payments.Failed {
		done.Reason = short(t.Reason)
	}
	return done
}

var states = map[string]payments.State{"pending": payments.Pending, "succeeded": payments.Succeeded, "failed": payments.Failed}

func failed(reason string) payments.Outcome {
	return payments.Outcome{State: payments.Failed, Reason: short(reason)}
}

func unknown(cause error) payments.Outcome {
	return payments.Outcome{State: payments.Unknown, Reason: short(cause.Error())}
}

// short makes a reason of a text that the provider may have chosen.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.ToValidUTF8(text[:min(len(text), payments.MaxReason)], "")
}

// kinds are the provider's words for what the shop records.
var kinds = map[string]payments.Kind{
	"authorize": payments.Authorize, "capture": payments.Capture, "void": payments.Void, "refund": payments.Refund,
	"dispute": payments.Dispute, "chargeback": payments.Chargeback, "reversal": payments.Reversal,
}

// report converts a payment. Amounts are in the currency's smallest unit of ISO 4217.
func report(event, payment, orderID, currency string, all []transaction) (payments.Report, error) {
	of, err := unit.ParseOldCurrency(currency)
	if err != nil {
		return payments.Report{}, fmt.Errorf("%w: %w", payments.ErrUnreadable, err)
	}
	if payment == "" || len(payment) > maxReference {
		return payments.Report{}, fmt.Errorf("%w: the payment has no name, or a long one", payments.ErrUnreadable)
	}
	r := payments.Report{Event: event, Payment: payment}
	if r.OrderID, err = unit.ParseOrderID(orderID); err != nil {
		r.OrderID = "" // the payment is for something else
	}
	for _, t := range all {
		kind, known := kinds[t.Kind]
		state, stands := states[t.Status]
		if !known || !stands || t.ID == "" || len(t.ID) > maxReference || len(t.Parent) > maxReference {
			return payments.Report{}, fmt.Errorf("%w: transaction %.80q has the type %.40q and the status %.40q", payments.ErrUnreadable, t.ID, t.Kind, t.Status)
		}
		converted := payments.Transaction{
			Kind: kind, State: state, Reference: t.ID, Parent: t.Parent, Amount: payments.FromMinor(t.Amount, of, of.Digits()), Key: t.Key, Reason: short(t.Reason),
		}
		if t.RespondBy != 0 {
			converted.RespondBy = time.Unix(t.RespondBy, 0).UTC()
		}
		r.Transactions = append(r.Transactions, converted)
	}
	return r, nil
}

// maxReference bounds the provider's names, in bytes.
const maxReference = 200
