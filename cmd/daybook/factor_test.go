package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/pquerna/otp/totp"

	"daybook/domain/access"
)

// withFactor signs a person in who sets up a second factor. It returns the session and a recovery
// code.
func (s *keyedShop) withFactor(email string) (session, recovery string) {
	s.t.Helper()
	first := s.plain(http.MethodPost, "/v1/auth/sign-in", fmt.Sprintf(`{"email":%q,"password":%q,"set_up_factor":true}`, email, goodPassword))
	step := member(s.t, first.text, "step_token")
	app := s.plain(http.MethodPost, "/v1/auth/factor", fmt.Sprintf(`{"step_token":%q}`, step))
	done := s.plain(http.MethodPost, "/v1/auth/factor/confirm", fmt.Sprintf(`{"step_token":%q,"code":%q}`, step, shownCode(s.t, member(s.t, app.text, "app_secret"))))
	if done.session == "" {
		s.t.Fatalf("set up: %+v", done)
	}
	return done.session, recoveryCodesIn(s.t, done.text)[0]
}

// shownCode is what an app shows now.
func shownCode(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func recoveryCodesIn(t *testing.T, text string) []string {
	t.Helper()
	var got struct {
		Recovery []string `json:"recovery_codes"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Recovery) != 10 {
		t.Fatalf("%v: %s", err, text)
	}
	return got.Recovery
}

// A person gets new recovery codes, and replaces their second factor. A program with an API key has
// none.
func TestAPersonReplacesTheirFactor(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	s.hire("eve@shop.example", access.Operator)
	session, recovery := s.withFactor("eve@shop.example")
	if got := s.as(session, http.MethodPost, "/v1/auth/recovery-codes", fmt.Sprintf(`{"password":"wrong","code":%q}`, recovery)); got.status != http.StatusUnauthorized || !strings.Contains(got.text, "sign-in-refused") {
		t.Errorf("with a wrong password: %+v", got)
	}
	renewed := s.as(session, http.MethodPost, "/v1/auth/recovery-codes", fmt.Sprintf(`{"password":%q,"code":%q}`, goodPassword, recovery))
	codes := recoveryCodesIn(t, renewed.text)
	fresh := s.as(session, http.MethodPost, "/v1/auth/new-factor", "")
	step, secret := member(t, fresh.text, "step_token"), member(t, fresh.text, "app_secret")
	confirm := func(code string) answer {
		return s.as(session, http.MethodPost, "/v1/auth/new-factor/confirm", fmt.Sprintf(`{"step_token":%q,"password":%q,"code":%q,"new_code":%q}`, step, goodPassword, code, shownCode(t, secret)))
	}
	if got := confirm(recovery); got.status != http.StatusUnauthorized {
		t.Errorf("with a recovery code that was replaced: %+v", got)
	}
	replaced := confirm(codes[0])
	last := recoveryCodesIn(t, replaced.text)
	if len(replaced.cookies) != 1 || replaced.cookies[0].MaxAge >= 0 {
		t.Errorf("the cookies: %+v", replaced.cookies)
	}
	if got := s.as(session, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %+v", got)
	}
	next := s.signIn("eve@shop.example", goodPassword)
	if got := s.plain(http.MethodPost, "/v1/auth/second-factor", fmt.Sprintf(`{"step_token":%q,"code":%q}`, member(t, next.text, "step_token"), last[0])); got.session == "" {
		t.Errorf("sign in with a new recovery code: %+v", got)
	}
	for path, body := range map[string]string{
		"/v1/auth/new-factor":         "",
		"/v1/auth/new-factor/confirm": fmt.Sprintf(`{"step_token":%q,"password":"x","code":"123456","new_code":"123456"}`, step),
		"/v1/auth/recovery-codes":     `{"password":"x","code":"123456"}`,
	} {
		if status, text := s.ask(s.keys["admin"], http.MethodPost, path, body); status != http.StatusForbidden || !strings.Contains(text, "session-required") {
			t.Errorf("an API key, %s: %d %s", path, status, text)
		}
	}
	s.hire("bob@shop.example", access.Operator)
	if got := s.as(s.mustSignIn("bob@shop.example"), http.MethodPost, "/v1/auth/new-factor", ""); got.status != http.StatusConflict || !strings.Contains(got.text, "factor-missing") {
		t.Errorf("who has no second factor: %+v", got)
	}
	if verified := s.verify(); verified != "" {
		t.Error(verified)
	}
}

// An admin sees the sessions of a person and ends one of them. On the command line, a person gets
// another role and loses their second factor.
func TestAnAdminEndsSessionsAndChangesPeople(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	id := s.hire("eve@shop.example", access.Operator)
	first, second := s.mustSignIn("eve@shop.example"), s.mustSignIn("eve@shop.example")
	var list struct {
		Items []struct {
			ID      string `json:"session_id"`
			Current bool   `json:"current"`
		} `json:"items"`
	}
	sessions := func() int {
		t.Helper()
		if err := json.Unmarshal([]byte(s.must(s.keys["auditor"], http.MethodGet, "/v1/staff/"+id+"/sessions", "")), &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	if sessions() != 2 || list.Items[0].Current {
		t.Fatalf("the sessions: %+v", list)
	}
	if text := s.must(admin, http.MethodPost, "/v1/staff/"+id+"/sessions/"+list.Items[0].ID+"/end", ""); member(t, text, "person_id") != id {
		t.Errorf("end the first: %s", text)
	}
	if got := s.as(first, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the first session: %+v", got)
	}
	if got := s.as(second, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusOK || sessions() != 1 {
		t.Errorf("the second session: %+v, of %+v", got, list)
	}
	for _, path := range []string{"/v1/staff/nobody/sessions", "/v1/staff/NO/sessions"} {
		if status, text := s.ask(admin, http.MethodGet, path, ""); status != http.StatusNotFound || !strings.Contains(text, "no such person") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := s.ask(admin, http.MethodPost, "/v1/staff/nobody/sessions/s1/end", ""); status != http.StatusNotFound || !strings.Contains(text, "person-not-found") {
		t.Errorf("a session of nobody: %d %s", status, text)
	}

	code, stdout, stderr := s.console("staff", "role", id, "auditor")
	if code != exitOK || member(t, stdout, "role") != "auditor" {
		t.Errorf("role: %d %s %s", code, stdout, stderr)
	}
	if got := s.as(second, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("with another role: %+v", got)
	}
	if code, _, stderr := s.console("staff", "role", id, "customer"); code != exitFailure || !strings.Contains(stderr, "is for customers") {
		t.Errorf("a role of customers: %d %s", code, stderr)
	}
	for _, args := range [][]string{{"role", id, "KING"}, {"role", "NO", "auditor"}, {"unenroll", "NO"}} {
		if code, _, stderr := s.console(append([]string{"staff"}, args...)...); code != exitUsage {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
	session, _ := s.withFactor("eve@shop.example")
	if code, stdout, stderr := s.console("staff", "unenroll", id); code != exitOK || !strings.Contains(stdout, `"second_factor": false`) {
		t.Errorf("unenroll: %d %s %s", code, stdout, stderr)
	}
	if got := s.as(session, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("without the second factor: %+v", got)
	}
	s.mustSignIn("eve@shop.example")
}

// A role that a person has is not removed, and does not become one of customers.
func TestARoleOfPeopleStays(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	const looks, own = `{"grants":[{"permission":"orders.read","reach":"all"}]}`, `{"grants":[{"permission":"orders.read","reach":"own"}]}`
	s.must(admin, http.MethodPut, "/v1/roles/picker", looks)
	id := s.hire("eve@shop.example", "picker")
	for _, c := range []struct{ method, body string }{{http.MethodDelete, ""}, {http.MethodPut, own}} {
		if status, text := s.ask(admin, c.method, "/v1/roles/picker", c.body); status != http.StatusConflict || !strings.Contains(text, "role-in-use") {
			t.Errorf("%s: %d %s", c.method, status, text)
		}
	}
	s.must(admin, http.MethodPut, "/v1/roles/picker", `{"grants":[{"permission":"orders.ship","reach":"all"}]}`)
	s.must(admin, http.MethodPost, "/v1/staff/"+id+"/disable", `{}`)
	s.must(admin, http.MethodDelete, "/v1/roles/picker", "")
}
