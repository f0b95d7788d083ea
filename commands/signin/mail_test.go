package signin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"daybook/domain/access"
)

// postBox is a Mailer that keeps what it is given. If refuses is set, it takes nothing.
type postBox struct {
	mu      sync.Mutex
	refuses error
	to      []string
	texts   []string
}

func (p *postBox) Send(_ context.Context, to, _, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses != nil {
		return p.refuses
	}
	p.to, p.texts = append(p.to, to), append(p.texts, text)
	return nil
}

// last returns to whom the last mail went, and the token in it.
func (p *postBox) last(t *testing.T) (to, token string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.to) == 0 {
		t.Fatal("there is no mail")
	}
	text := p.texts[len(p.texts)-1]
	_, rest, found := strings.Cut(text, "https://shop.example/set-password#token=")
	if !found || strings.Contains(text, "NAME") || strings.Contains(text, "UNTIL") {
		t.Fatalf("the mail: %s", text)
	}
	token, _, _ = strings.Cut(rest, "\n")
	return p.to[len(p.to)-1], token
}

func (p *postBox) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.to)
}

// newPostOffice is an office that sends mail. log is what it logs.
func newPostOffice(t *testing.T) (o *office, mails *postBox, log *bytes.Buffer) {
	t.Helper()
	o, mails, log = newOffice(t), &postBox{}, &bytes.Buffer{}
	o.mailer, o.publicURL, o.logger = mails, "https://shop.example", slog.New(slog.NewTextHandler(log, nil))
	return o, mails, log
}

// With mail, a token goes to the person and to nobody else. If the mail is not sent, the invitation
// stays, and the token can be sent again.
func TestTokensGoByMail(t *testing.T) {
	t.Parallel()
	o, mails, log := newPostOffice(t)
	ctx := t.Context()
	mails.refuses = errors.New("the mail server replied 421")
	eve, shown, err := o.Invite(ctx, o.admin(), Contact{Email: "eve@shop.example", Name: "Eve"}, access.Operator)
	if err != nil || shown.Text != "" || shown.Delivery != NotSent || shown.Until.IsZero() {
		t.Fatalf("while the mail server is busy: %+v, %v", shown, err)
	}
	if !strings.Contains(log.String(), "421") || !strings.Contains(log.String(), string(eve.ID)) || strings.Contains(log.String(), "dbt_") || strings.Contains(log.String(), "eve@") {
		t.Errorf("the log: %s", log)
	}
	mails.refuses = nil
	_, shown, err = o.GiveToken(ctx, o.admin(), eve.ID)
	if err != nil || shown.Text != "" || shown.Delivery != Sent {
		t.Fatalf("again: %+v, %v", shown, err)
	}
	to, token := mails.last(t)
	if to != "eve@shop.example" || !strings.Contains(mails.texts[0], "you are invited") || !strings.Contains(mails.texts[0], "Hello Eve,") {
		t.Errorf("to %s: %s", to, mails.texts[0])
	}
	if _, err := o.Redeem(ctx, token, password); err != nil {
		t.Fatal(err)
	}
	o.mustSignIn("eve@shop.example")
	if _, shown, err = o.GiveToken(ctx, o.admin(), eve.ID); err != nil || shown.Text != "" || !strings.Contains(mails.texts[1], "Set a new password") {
		t.Errorf("for who has joined: %+v, %v", shown, err)
	}
	_, token = mails.last(t)
	if _, err := o.Redeem(ctx, token, "another password"); err != nil {
		t.Error(err)
	}
}
