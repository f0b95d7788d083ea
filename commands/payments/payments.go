// Package payments is the port to those who move money: the providers of payments. It has the
// interface that the shop needs of a provider, the words of both sides, and the provider that is a
// person (Manual). The client of each other provider is a package below this one.
//
// A provider moves money when it is told to, and it reports what happened, also what nobody told it
// to do. What a provider says has happened is a fact. So both ways end in the same words: an
// Outcome of an instruction names the same transaction as the Report that comes later.
package payments

import (
	"context"
	"errors"
	"time"

	"daybook/domain/unit"
)

// Provider moves money.
//
// Each method returns within the time limit of its context. It has no error: if nobody knows what
// became of an instruction, its outcome is Unknown. The money may have moved then. Only the same
// instruction under the same key may be sent after that, because a provider carries out a key once.
type Provider interface {
	// Capture takes money that was authorized.
	Capture(ctx context.Context, i Instruction) Outcome
	// Void gives up what is left of an authorization. Its amount is what is left, as far as the
	// shop knows.
	Void(ctx context.Context, i Instruction) Outcome
	// Refund gives captured money back.
	Refund(ctx context.Context, i Instruction) Outcome
	// LookUp asks what became of an instruction, and tells the provider to do nothing. The outcome
	// is Unseen if the provider has no instruction under the key.
	LookUp(ctx context.Context, i Instruction) Outcome
}

// Reporter reads the messages (webhooks) that a provider sends by itself.
type Reporter interface {
	// Read checks who has written a message, and when, and reads it. header returns the values of a
	// header, joined by commas. Its errors are ErrForged, ErrUnreadable and ErrUnneeded.
	Read(header func(name string) string, body []byte, now time.Time) (Report, error)
}

var (
	// ErrForged means that a message is not signed by the provider, or that its signature is too
	// old. The sender is to be refused.
	ErrForged = errors.New("the message is not signed by the provider, or too old")
	// ErrUnreadable means that a message of the provider does not have the form that is known.
	ErrUnreadable = errors.New("the message of the provider cannot be read")
	// ErrUnneeded means that a message of the provider is about nothing that the shop records.
	ErrUnneeded = errors.New("the message is about nothing that is recorded")
)

// Instruction is what a provider is to do, or was told to do. All members must be the same when it
// is sent again.
type Instruction struct {
	// Key is the idempotency key. The provider carries out one instruction under a key.
	Key string
	// OrderID is told to the provider, which repeats it in its reports.
	OrderID unit.OrderID
	// Payment is the provider's name of the payment that the money belongs to. Transaction is its
	// name of the authorization that is captured or voided, or of the capture that is refunded.
	// Transaction may be empty; then the provider chooses.
	Payment, Transaction string
	Amount               unit.Money // > 0, and no finer than its currency
	// Final says that the rest of an authorization is given up after this capture.
	Final bool
}

// State is what is known of an instruction.
type State string

const (
	// Succeeded and Failed are final. After Failed the money has not moved, and will not.
	Succeeded State = "succeeded"
	Failed    State = "failed"
	// Pending means that the provider has accepted the instruction and will report how it ends.
	Pending State = "pending"
	// Unknown means that the provider was asked and nobody knows the answer.
	Unknown State = "unknown"
	// Unseen means that the provider has not carried out the instruction, and does not know it.
	// Only LookUp returns it.
	Unseen State = "unseen"
)

// Known tells whether the provider has the instruction and has told how it stands.
func (s State) Known() bool { return s == Succeeded || s == Failed || s == Pending }

// Outcome is what became of an instruction.
type Outcome struct {
	State State
	// Reference is the provider's name of the transaction. It is empty if there is none.
	Reference string
	// Reason says in words why an instruction has failed, or why its outcome is unknown. It has no
	// secrets and nothing about a person. It has at most MaxReason bytes.
	Reason string
}

// MaxReason bounds Outcome.Reason, in bytes.
const MaxReason = 200

// Kind is what a transaction does.
type Kind string

const (
	Authorize Kind = "authorize"
	Capture   Kind = "capture"
	Void      Kind = "void"
	Refund    Kind = "refund"
	// Dispute moves no money. While it is pending, the bank asks. It succeeds if the shop has lost
	// it, and fails if the shop has won it.
	Dispute    Kind = "dispute"
	Chargeback Kind = "chargeback" // the bank takes the money of a capture back
	Reversal   Kind = "reversal"   // a chargeback is undone
)

// Transaction is a transaction as the provider reports it. Its identity is (provider, Reference,
// Kind): the same three are the same transaction, whoever tells of it.
type Transaction struct {
	Kind      Kind
	State     State // Pending, Succeeded or Failed
	Reference string
	// Parent is the provider's name of the transaction that this one is about: the authorization of
	// a capture or a void, the capture of a refund, of a dispute or of a chargeback, the chargeback
	// of a reversal. It may be empty.
	Parent string
	// Amount is > 0. It is as fine as the provider wrote it.
	Amount unit.Money
	// Key is the key of the instruction that began the transaction. It is empty if the shop has not
	// told the provider to do it.
	Key string
	// Reason is that of a failure or of a dispute.
	Reason string
	// RespondBy is when the shop must have responded to a dispute. Zero: nobody knows.
	RespondBy time.Time
}

// Report is what a provider has told of a payment: all its transactions so far, in the order in
// which they happened. A later report has the same ones and perhaps more. So reports may come in
// any order, and any number of times.
type Report struct {
	Event   string // the provider's name of the message
	Payment string // the provider's name of the payment
	// OrderID is the order that the payment is for, as the shop has told the provider. Empty: the
	// provider was not told.
	OrderID      unit.OrderID
	Transactions []Transaction
}
