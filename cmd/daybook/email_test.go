package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/domain/access"
	"daybook/internal/smtptest"
)

// emailTokenIn is the token in the link of a mail to a new address.
func emailTokenIn(t *testing.T, m smtptest.Mail) string {
	t.Helper()
	_, rest, found := strings.Cut(m.Text, "https://shop.example/confirm-email#token=")
	token, _, _ := strings.Cut(rest, "\n")
	if !found || !strings.HasPrefix(token, "dbe_") || !m.Secured {
		t.Fatalf("the mail has no link: %+v", m)
	}
	return token
}

// mailsTo takes n mails, and returns them by their receivers.
func mailsTo(t *testing.T, mails *smtptest.Server, n int) map[string]smtptest.Mail {
	t.Helper()
	found := map[string]smtptest.Mail{}
	for range n {
		m := mails.Next(t)
		found[m.To] = m
	}
	return found
}

// A person changes their e-mail address in a session. The response is the same if somebody else has
// the new address. An admin changes it by the API and on the command line.
func TestAnAddressIsChangedByMail(t *testing.T) {
	t.Parallel()
	mails := openMailServer(t)
	s := openKeyed(t, withMail(mails)...)
	hire := func(email string, role access.Role) (id string) {
		text := s.must(s.keys["admin"], http.MethodPost, "/v1/staff", fmt.Sprintf(`{"email":%q,"name":"Eve","role":%q}`, email, role))
		s.redeem(tokenIn(t, mails.Next(t)))
		return member(t, text, "person", "person_id")
	}
	hire("ann@shop.example", access.Operator)
	id := hire("eve@shop.example", access.Operator)
	session := s.mustSignIn("eve@shop.example")
	ask := func(email, password string) answer {
		return s.as(session, http.MethodPost, "/v1/auth/email", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	}
	if got := ask("eve@home.example", "a wrong password"); got.status != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %+v", got)
	}
	if status, text := s.ask(s.keys["admin"], http.MethodPost, "/v1/auth/email", fmt.Sprintf(`{"email":"x@home.example","password":%q}`, goodPassword)); status != http.StatusForbidden || !strings.Contains(text, "session-required") {
		t.Errorf("an API key: %d %s", status, text)
	}
	taken := ask("ann@shop.example", goodPassword)
	if got := mails.Next(t); got.To != "eve@shop.example" || strings.Contains(got.Text, "dbe_") {
		t.Errorf("about an address of somebody else: %+v", got)
	}
	free := ask("eve@home.example", goodPassword)
	if free.status != http.StatusAccepted || free.status != taken.status || free.text != taken.text || len(free.cookies) != 0 {
		t.Errorf("a free address: %+v, and one of somebody else: %+v", free, taken)
	}
	sent := mailsTo(t, mails, 2)
	token := emailTokenIn(t, sent["eve@home.example"])
	if notice := sent["eve@shop.example"].Text; !strings.Contains(notice, "somebody has asked to change the address") || strings.Contains(notice, "dbe_") {
		t.Errorf("the notice: %s", notice)
	}
	if got := s.signIn("eve@home.example", goodPassword); got.status == http.StatusOK {
		t.Errorf("before the address is confirmed: %+v", got)
	}
	s.mustSignIn("eve@shop.example")
	for n, want := range []int{http.StatusOK, http.StatusConflict} {
		if got := s.plain(http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, token)); got.status != want {
			t.Errorf("the token, time %d: %+v", n+1, got)
		}
	}
	if got := s.as(session, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %+v", got)
	}
	if got := s.signIn("eve@shop.example", goodPassword); got.status != http.StatusUnauthorized {
		t.Errorf("with the old address: %+v", got)
	}
	s.mustSignIn("eve@home.example")

	change := "/v1/staff/" + id + "/email"
	if status, text := s.ask(s.keys["admin"], http.MethodPost, change, `{"email":"ann@shop.example"}`); status != http.StatusConflict || !strings.Contains(text, "person-exists") {
		t.Errorf("an admin, an address of somebody else: %d %s", status, text)
	}
	text := s.must(s.keys["admin"], http.MethodPost, change, `{"email":"eve@work.example"}`)
	if member(t, text, "mail") != "sent" || strings.Contains(text, "dbe_") {
		t.Errorf("an admin: %s", text)
	}
	sent = mailsTo(t, mails, 2)
	first := emailTokenIn(t, sent["eve@work.example"])
	code, stdout, stderr := s.console("staff", "email", id, "eve@desk.example") // without a mail server
	second := member(t, stdout, "token")
	if code != exitOK || !strings.HasPrefix(second, "dbe_") {
		t.Fatalf("on the command line: %d %s %s", code, stdout, stderr)
	}
	if got := s.plain(http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, first)); got.status != http.StatusConflict {
		t.Errorf("the link before the last: %+v", got)
	}
	if got := s.plain(http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, second)); got.status != http.StatusOK || member(t, got.text, "email") != "eve@desk.example" {
		t.Errorf("the last link: %+v", got)
	}
	s.mustSignIn("eve@desk.example")
	events := s.must(s.keys["auditor"], http.MethodGet, "/v1/events?limit=500", "")
	if strings.Count(events, `"shopstaff.email_changed.v1"`) != 2 || strings.Contains(events, "@") {
		t.Errorf("the events: %s", events)
	}
	if log := s.log.String(); strings.Contains(log, "dbe_") || strings.Contains(log, "eve@") {
		t.Errorf("the log: %s", log)
	}
	if verified := s.verify(); verified != "" {
		t.Error(verified)
	}
}

// The command line lists the sessions of a person and ends one or all of them, while a server runs.
// The server refuses them at once.
func TestTheCommandLineEndsSessions(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	id := s.hire("eve@shop.example", access.Operator)
	other := s.hire("ann@shop.example", access.Operator)
	theirs := s.mustSignIn("ann@shop.example")
	first := s.signIn("eve@shop.example", goodPassword)
	rest := []string{s.mustSignIn("eve@shop.example"), s.mustSignIn("eve@shop.example")}
	code, stdout, stderr := s.console("staff", "sessions", id)
	named := member(t, first.text, "session", "session_id")
	if code != exitOK || strings.Count(stdout, `"session_id"`) != 3 || !strings.Contains(stdout, named) || strings.Contains(stdout, "dbs_") {
		t.Fatalf("the sessions: %d %s %s", code, stdout, stderr)
	}
	if code, stdout, stderr = s.console("staff", "end-session", id, named); code != exitOK || !strings.Contains(stdout, `"ended": 1`) && !strings.Contains(stdout, `"ended":1`) {
		t.Fatalf("end one: %d %s %s", code, stdout, stderr)
	}
	refused := func(session string) bool {
		return s.as(session, http.MethodGet, "/v1/auth/me", "").status == http.StatusUnauthorized
	}
	if !refused(first.session) || refused(rest[0]) || refused(rest[1]) {
		t.Error("not exactly the session that was named has ended")
	}
	for _, unknown := range [][]string{{"staff", "end-session", other, named}, {"staff", "end-session", id, "s0"}} {
		if code, stdout, stderr := s.console(unknown...); code != exitFailure || stdout != "" || !strings.Contains(stderr, "has no session") {
			t.Errorf("%q: %d %s %s", unknown, code, stdout, stderr)
		}
	}
	if code, _, stderr := s.console("staff", "end-session", id, "--all"); code != exitOK {
		t.Errorf("end all: %d %s", code, stderr)
	}
	if !refused(rest[0]) || !refused(rest[1]) || refused(theirs) {
		t.Error("not exactly the sessions of the person have ended")
	}
	for _, unknown := range [][]string{{"staff", "sessions", "p0"}, {"staff", "end-session", "p0", "--all"}} {
		if code, _, stderr := s.console(unknown...); code != exitFailure || !strings.Contains(stderr, "no such person") {
			t.Errorf("%q: %d %s", unknown, code, stderr)
		}
	}
	s.mustSignIn("eve@shop.example")
	events := s.must(s.keys["auditor"], http.MethodGet, "/v1/events?limit=500", "")
	if strings.Count(events, `"shopstaff.signed_out.v1"`) != 3 || !strings.Contains(events, `"system:console"`) {
		t.Errorf("the events: %s", events)
	}
}
