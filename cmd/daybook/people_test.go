package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/pquerna/otp/totp"

	"daybook/domain/access"
	"daybook/internal/problem"
)

const goodPassword = "correct horse battery"

// answer is a response, with the cookies that it sets.
type answer struct {
	status  int
	text    string
	session string // the cookie's value; empty: it was not set
	browser string
	cookies []*http.Cookie
	// challenge is what the response says about the credentials that are missing.
	challenge string
}

// as sends a request in a session; headers are names and values. Like a page of this server, it
// sends X-Requested-With.
func (s *keyedShop) as(session, method, path, body string, headers ...string) answer {
	s.t.Helper()
	if session != "" {
		headers = append([]string{"Cookie", problem.SessionCookie + "=" + session, "X-Requested-With", "test"}, headers...)
	}
	return s.plain(method, path, body, headers...)
}

// plain sends a request without credentials.
func (s *keyedShop) plain(method, path, body string, headers ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header["Authorization"] = nil // otherwise the admin's key would be sent
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := contract.Client(s.t).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	got := answer{status: response.StatusCode, text: string(text), cookies: response.Cookies(), challenge: response.Header.Get("WWW-Authenticate")}
	for _, cookie := range got.cookies {
		switch cookie.Name {
		case problem.SessionCookie:
			got.session = cookie.Value
		case problem.BrowserCookie:
			got.browser = cookie.Value
		}
	}
	return got
}

// member is a text member of a JSON object; steps lead to it.
func member(t *testing.T, text string, steps ...string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, step := range steps {
		if list, is := value.([]any); is {
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(list) {
				return ""
			}
			value = list[i]
			continue
		}
		object, _ := value.(map[string]any)
		value = object[step]
	}
	found, _ := value.(string)
	return found
}

// hire invites a person by the API and sets their password. It returns their id.
func (s *keyedShop) hire(email string, role access.Role) string {
	s.t.Helper()
	return s.hireWith(s.keys["admin"], email, role)
}

// hireWith is hire with a key.
func (s *keyedShop) hireWith(admin, email string, role access.Role) string {
	s.t.Helper()
	text := s.must(admin, http.MethodPost, "/v1/staff", fmt.Sprintf(`{"email":%q,"name":"Eve","role":%q}`, email, role))
	s.redeem(member(s.t, text, "token"))
	return member(s.t, text, "person", "person_id")
}

func (s *keyedShop) redeem(token string) {
	s.t.Helper()
	if got := s.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":%q}`, token, goodPassword)); got.status != http.StatusOK {
		s.t.Fatalf("set a password: %+v", got)
	}
}

func (s *keyedShop) signIn(email, password string, headers ...string) answer {
	s.t.Helper()
	return s.plain(http.MethodPost, "/v1/auth/sign-in", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), headers...)
}

// mustSignIn is the session of a person without a second factor.
func (s *keyedShop) mustSignIn(email string) string {
	s.t.Helper()
	got := s.signIn(email, goodPassword)
	if got.status != http.StatusOK || got.session == "" {
		s.t.Fatalf("sign in: %+v", got)
	}
	return got.session
}

// A person joins, signs in, works with the rights of their role, and signs out. What they did is
// recorded with their name.
func TestAPersonSignsInAndWorks(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	id := s.hire("eve@shop.example", access.Operator)
	got := s.signIn("eve@shop.example", goodPassword)
	for _, cookie := range got.cookies {
		if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || !strings.HasPrefix(cookie.Name, "__Host-") {
			t.Errorf("the cookie %v", cookie)
		}
	}
	if len(got.cookies) != 2 || strings.Contains(got.text, got.session) {
		t.Errorf("signed in: %+v", got)
	}
	session := got.session
	if me := s.as(session, http.MethodGet, "/v1/auth/me", ""); member(t, me.text, "actor") != "staff:"+id || !strings.Contains(me.text, "stock.write") {
		t.Errorf("me: %+v", me)
	}
	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	if got := s.as(session, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":9}`, "Idempotency-Key", "r"); got.status != http.StatusOK {
		t.Errorf("receive: %+v", got)
	}
	if got := s.as(session, http.MethodPut, "/v1/products/MUG", `{"title":"Cup","kind":"stocked"}`); got.status != http.StatusForbidden {
		t.Errorf("an operator changes the catalogue: %+v", got)
	}
	events := s.must(s.keys["auditor"], http.MethodGet, "/v1/events?limit=500", "")
	if !strings.Contains(events, `"staff:`+id+`"`) || !strings.Contains(events, "shopstaff.signed_in.v1") || strings.Contains(events, "eve@") || strings.Contains(events, "argon2") {
		t.Errorf("the events: %s", events)
	}
	if list := s.must(s.keys["auditor"], http.MethodGet, "/v1/staff?person_status=active&count=true", ""); !strings.Contains(list, "eve@shop.example") || strings.Contains(list, "hash") {
		t.Errorf("the people: %s", list)
	}

	other := s.mustSignIn("eve@shop.example")
	sessions := s.as(session, http.MethodGet, "/v1/auth/sessions", "")
	if strings.Count(sessions.text, `"session_id"`) != 2 || strings.Count(sessions.text, `"current":true`) != 1 {
		t.Errorf("two sessions: %s", sessions.text)
	}
	own := member(t, got.text, "session", "session_id")
	if ended := s.as(other, http.MethodPost, "/v1/auth/sessions/"+own+"/end", ""); ended.status != http.StatusOK {
		t.Errorf("end the first session: %+v", ended)
	}
	if got := s.as(session, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the first session: %+v", got)
	}
	if out := s.as(other, http.MethodPost, "/v1/auth/sign-out", ""); out.status != http.StatusOK || len(out.cookies) != 1 || out.cookies[0].MaxAge >= 0 {
		t.Errorf("sign out: %+v", out)
	}
	if got := s.as(other, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("after that: %+v", got)
	}
	for _, path := range []string{"/v1/auth/sign-out", "/v1/auth/sessions/s1/end"} {
		if status, text := s.ask(s.keys["admin"], http.MethodPost, path, ""); status != http.StatusForbidden || !strings.Contains(text, "session-required") {
			t.Errorf("an API key, %s: %d %s", path, status, text)
		}
	}
	if verified := s.verify(); verified != "" {
		t.Error(verified)
	}
}

// verify compares the whole log with the read models while the server runs.
func (s *keyedShop) verify() string {
	code, stdout, stderr := s.console("verify")
	if code != exitOK {
		return fmt.Sprint(code, stdout, stderr)
	}
	return ""
}

// Attacks on sessions.
func TestSessionsCannotBeMadeOrTakenOver(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	id := s.hire("eve@shop.example", access.Operator)

	// Fixation: a token that was in the browser before the sign-in is not good after it.
	planted := "dbs_" + strings.Repeat("0", 64)
	got := s.signIn("eve@shop.example", goodPassword, "Cookie", problem.SessionCookie+"="+planted)
	if got.status != http.StatusOK || got.session == "" || got.session == planted {
		t.Fatalf("with a planted cookie: %+v", got)
	}
	session := got.session
	for name, cookie := range map[string]string{
		"planted": planted, "empty": "", "a key": s.keys["admin"], "a browser": got.browser, "cut": session[:len(session)-1], "another digit": session[:len(session)-1] + "x",
	} {
		if got := s.as(cookie, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %+v", name, got)
		}
	}
	two := problem.SessionCookie + "=" + session + "; " + problem.SessionCookie + "=" + planted
	if got := s.plain(http.MethodGet, "/v1/auth/me", "", "Cookie", two); got.status != http.StatusUnauthorized {
		t.Errorf("two sessions: %+v", got)
	}
	// A session's token is no API key.
	if status, _ := s.ask(session, http.MethodGet, "/v1/auth/me", ""); status != http.StatusUnauthorized {
		t.Errorf("a session as a key: %d", status)
	}

	// A page of another site makes the browser send the cookie.
	cookie := []string{"Cookie", problem.SessionCookie + "=" + session}
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"a page of this site":          {[]string{"X-Requested-With", "console", "Sec-Fetch-Site", "same-origin", "Origin", s.url}, http.StatusOK},
		"a program":                    {[]string{"X-Requested-With", "x"}, http.StatusOK},
		"an old browser's form":        {nil, http.StatusForbidden},
		"another site":                 {[]string{"X-Requested-With", "x", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		"another site, no fetch data":  {[]string{"X-Requested-With", "x", "Origin", "https://evil.example"}, http.StatusForbidden},
		"another port":                 {[]string{"X-Requested-With", "x", "Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"}, http.StatusForbidden},
		"without an origin":            {[]string{"X-Requested-With", "x", "Origin", "null"}, http.StatusForbidden},
		"this site without the header": {[]string{"Sec-Fetch-Site", "same-origin", "Origin", s.url}, http.StatusForbidden},
	} {
		got := s.plain(http.MethodPost, "/v1/auth/sessions/s0/end", "", append(c.headers, cookie...)...)
		if got.status != c.want || c.want == http.StatusForbidden && !strings.Contains(got.text, "cross-origin") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// Another site cannot sign somebody in.
	if got := s.signIn("eve@shop.example", goodPassword, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.status != http.StatusForbidden {
		t.Errorf("a sign-in of another site: %+v", got)
	}

	// All sessions of a person end when they get another role or password, and when their access
	// ends.
	admin := s.keys["admin"]
	for name, end := range map[string]func(session string){
		"role": func(string) { s.must(admin, http.MethodPost, "/v1/staff/"+id+"/role", `{"role":"auditor"}`) },
		"password": func(session string) {
			if got := s.as(session, http.MethodPost, "/v1/auth/password", fmt.Sprintf(`{"password":"wrong","new_password":%q}`, goodPassword)); got.status != http.StatusUnauthorized {
				t.Errorf("a wrong present password: %+v", got)
			}
			if got := s.as(session, http.MethodPost, "/v1/auth/password", fmt.Sprintf(`{"password":%q,"new_password":%q}`, goodPassword, goodPassword)); got.status != http.StatusOK {
				t.Errorf("change: %+v", got)
			}
		},
		"reset": func(string) {
			s.redeem(member(t, s.must(admin, http.MethodPost, "/v1/staff/"+id+"/token", ""), "token"))
		},
	} {
		session := s.mustSignIn("eve@shop.example")
		end(session)
		if got := s.as(session, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
			t.Errorf("after another %s: %+v", name, got)
		}
	}
	session = s.mustSignIn("eve@shop.example") // as an auditor, who may follow the events
	ended := s.followWith("Cookie", problem.SessionCookie+"="+session)
	if code, stdout, stderr := s.console("staff", "disable", id, "--reason", "left"); code != exitOK {
		t.Fatalf("disable: %d %s %s", code, stdout, stderr)
	}
	if text := <-ended; !strings.Contains(text, "the session has ended, or its rights") {
		t.Errorf("the stream ended with %q", text)
	}
	if got := s.signIn("eve@shop.example", goodPassword); got.status != http.StatusUnauthorized || !strings.Contains(got.text, "sign-in-refused") {
		t.Errorf("whose access ended: %+v", got)
	}
}

// An admin must set up a second factor, whose codes are good once. Tokens are good once, too.
func TestASecondFactorAndTokens(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	code, stdout, stderr := s.console("staff", "invite", "--email", "owner@shop.example", "--name", "Owner", "--role", "admin")
	if code != exitOK {
		t.Fatalf("invite: %d %s %s", code, stdout, stderr)
	}
	token := member(t, stdout, "token")
	s.redeem(token)
	if got := s.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":%q}`, token, goodPassword)); got.status != http.StatusConflict || !strings.Contains(got.text, "token-refused") {
		t.Errorf("the token again: %+v", got)
	}
	first := s.signIn("owner@shop.example", goodPassword)
	step := member(t, first.text, "step_token")
	if member(t, first.text, "next") != "set-up-factor" || first.session != "" {
		t.Fatalf("an admin without a second factor: %+v", first)
	}
	if got := s.as(step, http.MethodGet, "/v1/auth/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("half a sign-in is a session: %+v", got)
	}
	app := s.plain(http.MethodPost, "/v1/auth/factor", fmt.Sprintf(`{"step_token":%q}`, step))
	shown, err := totp.GenerateCode(member(t, app.text, "app_secret"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	done := s.plain(http.MethodPost, "/v1/auth/factor/confirm", fmt.Sprintf(`{"step_token":%q,"code":%q}`, step, shown))
	var made struct {
		Recovery []string `json:"recovery_codes"`
	}
	if err := json.Unmarshal([]byte(done.text), &made); err != nil || done.session == "" || len(made.Recovery) != 10 {
		t.Fatalf("set up: %v %+v", err, done)
	}
	enter := func(code string) answer {
		next := s.signIn("owner@shop.example", goodPassword)
		if member(t, next.text, "next") != "second-factor" || next.session != "" {
			t.Errorf("with a second factor: %+v", next)
		}
		return s.plain(http.MethodPost, "/v1/auth/second-factor", fmt.Sprintf(`{"step_token":%q,"code":%q}`, member(t, next.text, "step_token"), code))
	}
	for _, c := range []struct {
		code string
		want int
	}{{shown, http.StatusUnauthorized}, {made.Recovery[0], http.StatusOK}, {made.Recovery[0], http.StatusUnauthorized}} {
		if got := enter(c.code); got.status != c.want || (got.session != "") != (c.want == http.StatusOK) {
			t.Errorf("the code %s: %+v", c.code, got)
		}
	}
	if got := s.as(done.session, http.MethodPost, "/v1/staff", "{\"email\":\"a@shop.example\",\"name\":\"A\\r\\nBcc: x\",\"role\":\"operator\"}"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a name of two lines: %+v", got)
	}
	if got := s.as(done.session, http.MethodPost, "/v1/staff", `{"email":"ann@shop.example","name":"Ann","role":"operator"}`); got.status != http.StatusCreated {
		t.Errorf("an admin invites: %+v", got)
	}
	_, listed, _ := s.console("staff", "list")
	if !strings.Contains(listed, "ann@shop.example") || strings.Contains(listed, "dbt_") {
		t.Errorf("the list: %s", listed)
	}
}
