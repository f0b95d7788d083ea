package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/internal/smtptest"
)

// withMail are the arguments of a server that sends mail to a mail server.
func withMail(s *smtptest.Server) []string {
	return []string{"--smtp-url", "smtp://daybook:geheim@" + s.Address + "?tlsCAFile=" + s.CAFile, "--mail-from", "Mug shop <no-reply@shop.example>", "--public-url", "https://shop.example/"}
}

func openMailServer(t *testing.T) *smtptest.Server {
	t.Helper()
	return smtptest.Open(t, smtptest.Options{Security: smtptest.StartTLS, User: "daybook", Password: "geheim"})
}

// tokenIn is the token in the link of a mail.
func tokenIn(t *testing.T, m smtptest.Mail) string {
	t.Helper()
	_, rest, found := strings.Cut(m.Text, "https://shop.example/set-password#token=")
	token, _, _ := strings.Cut(rest, "\n")
	if !found || token == "" || !m.Secured {
		t.Fatalf("the mail has no link: %+v", m)
	}
	return token
}

// A server with a mail server sends invitations. The admin does not see the token. A mail that
// fails loses nothing.
func TestInvitationsAreSentByMail(t *testing.T) {
	t.Parallel()
	mails := openMailServer(t)
	s := openKeyed(t, withMail(mails)...)
	admin := s.keys["admin"]
	mails.Refuse("RCPT", "550 5.1.1 <eve@shop.example> unknown")
	text := s.must(admin, http.MethodPost, "/v1/staff", `{"email":"eve@shop.example","name":"Eve","role":"operator"}`)
	if member(t, text, "mail") != "not-sent" || strings.Contains(text, "dbt_") || strings.Contains(text, "5.1.1") {
		t.Fatalf("while the mail server refuses: %s", text)
	}
	mails.Refuse("RCPT", "")
	id := member(t, text, "person", "person_id")
	again := s.must(admin, http.MethodPost, "/v1/staff/"+id+"/token", "")
	if member(t, again, "mail") != "sent" || strings.Contains(again, "dbt_") {
		t.Fatalf("again: %s", again)
	}
	got := mails.Next(t)
	if got.To != "eve@shop.example" || got.From != "no-reply@shop.example" {
		t.Errorf("the mail: %+v", got)
	}
	token := tokenIn(t, got)
	s.redeem(token)
	s.mustSignIn("eve@shop.example")

	code, stdout, stderr := s.console(append([]string{"staff", "invite", "--email", "ann@shop.example", "--name", "Ann", "--role", "auditor"}, withMail(mails)...)...)
	if code != exitOK || member(t, stdout, "mail") != "sent" || strings.Contains(stdout, "dbt_") {
		t.Fatalf("on the command line: %d %s %s", code, stdout, stderr)
	}
	s.redeem(tokenIn(t, mails.Next(t)))
	mails.Refuse("DATA", "451 4.3.0 later")
	code, stdout, _ = s.console(append([]string{"staff", "token", member(t, stdout, "person", "person_id")}, withMail(mails)...)...)
	if code != exitFailure || member(t, stdout, "mail") != "not-sent" {
		t.Errorf("a mail that fails on the command line: %d %s", code, stdout)
	}
	if log := s.log.String(); strings.Contains(log, "dbt_") || strings.Contains(log, "eve@") || strings.Contains(log, "geheim") || !strings.Contains(log, "550 5.1.1") {
		t.Errorf("the log: %s", log)
	}
	config := call(t, nil, append([]string{"serve", "--print-config"}, withMail(mails)...)...)
	if config.code != exitOK || strings.Contains(config.stdout, "geheim") || !strings.Contains(config.stdout, "smtp://daybook:xxxxx@") {
		t.Errorf("the configuration: %+v", config)
	}
}

// The address of the mail server can be in a file or in the environment, and one replaces the
// other.
func TestTheMailServersAddressCanBeInAFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "smtp", "smtp://u:geheim@mail.shop.example\n")
	rest := []string{"serve", "--print-config", "--mail-from", "a@b.c", "--public-url", "http://localhost:8080/shop/"}
	both := map[string]string{"DAYBOOK_SMTP_URL": "http://no", "DAYBOOK_SMTP_URL_FILE": file}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string // of the error; empty: there is none
	}{
		"a file":                         {nil, []string{"--smtp-url-file", file}, ""},
		"a file in the environment":      {map[string]string{"DAYBOOK_SMTP_URL_FILE": file}, nil, ""},
		"the flag before both variables": {both, []string{"--smtp-url", "smtps://mail.shop.example"}, ""},
		"both variables":                 {both, nil, "give one of them"},
		"both flags":                     {nil, []string{"--smtp-url-file", file, "--smtp-url", "smtp://h"}, "exclude each other"},
		"no sender":                      {nil, []string{"--smtp-url-file", file, "--mail-from", ""}, "--smtp-url-file needs --mail-from"},
		"no mail server":                 {nil, nil, "does nothing without --smtp-url"},
	} {
		got := call(t, c.env, append(append([]string{}, rest...), c.args...)...)
		if (got.code == exitOK) != (c.want == "") || !strings.Contains(got.stderr, c.want) || strings.Contains(fmt.Sprint(got), "geheim") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Who has forgotten the password asks for a link. The response is the same for every address.
func TestAForgottenPasswordIsReplacedByMail(t *testing.T) {
	t.Parallel()
	mails := openMailServer(t)
	s := openKeyed(t, withMail(mails)...)
	s.must(s.keys["admin"], http.MethodPost, "/v1/staff", `{"email":"eve@shop.example","name":"Eve","role":"operator"}`)
	s.redeem(tokenIn(t, mails.Next(t)))
	var responses []answer
	for _, email := range []string{"nobody@shop.example", "eve@shop.example", "EVE@shop.example"} {
		got := s.plain(http.MethodPost, "/v1/auth/reset-requests", fmt.Sprintf(`{"email":%q}`, email))
		responses = append(responses, got)
		if got.status != http.StatusAccepted || got.text != responses[0].text || len(got.cookies) != 0 {
			t.Errorf("%s: %+v, and of the first %+v", email, got, responses[0])
		}
	}
	for range 2 {
		if got := mails.Next(t); got.To != "eve@shop.example" || !strings.HasPrefix(tokenIn(t, got), "dbr_") {
			t.Errorf("the mail: %+v", got)
		}
	}
	if got := s.plain(http.MethodPost, "/v1/auth/reset-requests", `{"email":"eve@shop.example"}`); got.status != http.StatusAccepted {
		t.Errorf("a third time: %+v", got)
	}
	token := tokenIn(t, mails.Next(t))
	for n, want := range []int{http.StatusOK, http.StatusConflict} {
		if got := s.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":"a new password"}`, token)); got.status != want {
			t.Errorf("the token, time %d: %+v", n+1, got)
		}
	}
	if got := s.signIn("eve@shop.example", "a new password"); got.status != http.StatusOK || got.session == "" {
		t.Errorf("sign in: %+v", got)
	}
	delayed := 0
	for range 20 {
		if got := s.plain(http.MethodPost, "/v1/auth/reset-requests", `{"email":"ann@shop.example"}`); got.status == http.StatusTooManyRequests && strings.Contains(got.text, "sign-in-delayed") {
			delayed++
		}
	}
	if delayed == 0 || mails.Waiting() != 0 {
		t.Errorf("of 20 more requests %d must wait, and %d mails were sent", delayed, mails.Waiting())
	}
	if log := s.log.String(); strings.Contains(log, "dbr_") || strings.Contains(log, "eve@") {
		t.Errorf("the log: %s", log)
	}
	if verified := s.verify(); verified != "" {
		t.Error(verified)
	}
}

// Without a mail server, the response says so.
func TestWithoutAMailServerNobodyGetsALink(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	got := s.plain(http.MethodPost, "/v1/auth/reset-requests", `{"email":"eve@shop.example"}`)
	if got.status != http.StatusConflict || !strings.Contains(got.text, "mail-not-set-up") || !strings.Contains(got.text, "Ask an admin") {
		t.Errorf("%+v", got)
	}
}
