package simulated

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands/payments"
)

// SignatureHeader has the time and the signature of a message: t=1700000000,v1=... with the
// HMAC-SHA256 of the time, a point and the body, in hexadecimal digits.
const SignatureHeader = "Simulated-Signature"

// tolerance is how old a signature may be, and how far the clocks may differ. Somebody who has got
// hold of a message can send it again within this time, which changes nothing.
const tolerance = 5 * time.Minute

// Read implements payments.Reporter. An event has the whole payment as it was then.
func (c *Client) Read(header func(string) string, body []byte, now time.Time) (payments.Report, error) {
	if err := c.verify(header(SignatureHeader), body, now); err != nil {
		return payments.Report{}, err
	}
	var event struct {
		ID   string `json:"id"`
		Data struct {
			Object struct {
				ID           string            `json:"id"`
				Object       string            `json:"object"`
				Currency     string            `json:"currency"`
				Metadata     map[string]string `json:"metadata"`
				Transactions []transaction     `json:"transactions"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return payments.Report{}, fmt.Errorf("%w: %w", payments.ErrUnreadable, err)
	}
	of := event.Data.Object
	if of.Object != "payment_intent" {
		return payments.Report{}, payments.ErrUnneeded
	}
	return report(event.ID, of.ID, of.Metadata["order_id"], of.Currency, of.Transactions)
}

// verify checks a signature. It is compared in constant time, so that nobody can guess it digit by
// digit.
func (c *Client) verify(signature string, body []byte, now time.Time) error {
	var stamp string
	var given [][]byte
	for _, part := range strings.Split(signature, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil && len(given) < 4 {
				given = append(given, mac)
			}
		}
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > tolerance {
		return payments.ErrForged
	}
	mac := hmac.New(sha256.New, c.signKey)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, each := range given {
		if hmac.Equal(each, want) {
			return nil
		}
	}
	return payments.ErrForged
}
