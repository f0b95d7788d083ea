package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/httpapi"
	"daybook/internal/smtptest"
)

// What a client sends must not become a header of a response or of a mail, or a line of the log.
// evil ends a line and begins another one, in the ways in which it can be sent.
const (
	evilText    = "x\r\nSet-Cookie: evil=1"         // as it is, in JSON and in headers
	evilEscaped = "x%0d%0aSet-Cookie:%20evil=1"     // in paths and queries
	evilBare    = "x\rSet-Cookie: evil=1"           // a carriage return alone
	evilFolded  = "x\r\n Set-Cookie: evil=1"        // a header that goes on in the next line
	evilNull    = "x\x00Set-Cookie: evil=1"         // the end of a text in C
	evilUnicode = "x\u2028Set-Cookie: evil=1\u0085" // the ends of lines in Unicode
)

// alwaysSent are headers that the document need not list, and that a server may write somewhere.
var alwaysSent = []string{"X-Request-ID", "X-Correlation-ID", "Traceparent", "Origin", "Cookie", "Accept", "Accept-Encoding", "Content-Type", "If-None-Match", "Daybook-Actor", "Daybook-Act-For", "User-Agent", "Referer", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "Access-Control-Request-Method"}

// checkNoHeader fails if a response has a header that the client has sent.
func checkNoHeader(t *testing.T, what string, response *http.Response, text string) {
	t.Helper()
	for name, values := range response.Header {
		all := strings.Join(values, "\n")
		if strings.Contains(all, "evil") || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") || strings.Contains(strings.ToLower(all), "%0d") {
			t.Errorf("%s: %s: %q", what, name, values)
		}
	}
	if response.StatusCode/100 == 5 {
		t.Errorf("%s: %d %s", what, response.StatusCode, text)
	}
}

// checkLog fails if a line of a log was not begun by the log itself, or has a control character.
func checkLog(t *testing.T, log string) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "time=") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 }) {
			t.Errorf("the log has the line %q", line)
		}
		lines++
	}
	if lines < 100 {
		t.Errorf("the log has %d lines", lines)
	}
}

// Nothing that a client sends in the path, the query or a header becomes a header of the response,
// at any route. Each is sent byte by byte, because a client of net/http would refuse to.
func TestNoHeaderIsInjected(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := "Authorization: Bearer " + s.keys["admin"] + "\r\n"
	routes, err := httpapi.Routes(apiParts()...)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, route := range routes {
		if route.Path == "/v1/events/live" { // its messages have a test of their own (hostile_test.go)
			continue
		}
		for name, value := range map[string]string{"escaped": evilEscaped, "as it is": evilText, "bare": evilBare, "null": evilNull} {
			path := filledWith(route.Path, value)
			for _, query := range []string{"", "?cursor=" + value + "&reason=" + value} {
				if name != "escaped" && path+query == route.Path {
					continue // there is no place for it
				}
				what := fmt.Sprintf("%s %q (%s)", route.Method, path+query, name)
				response, text := sendRaw(t, s.url, route.Method+" "+path+query+" HTTP/1.1\r\n"+admin+"Content-Type: application/json\r\nContent-Length: 0\r\n")
				checkNoHeader(t, what, response, text)
				if name != "escaped" && response.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %d %s", what, response.StatusCode, text)
				}
				checked++
			}
		}
	}
	for _, route := range walkedRoutes(t) {
		if route.path == "/v1/events/live" {
			continue
		}
		for _, header := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(route.headers, alwaysSent)))) {
			for value, refused := range map[string]bool{evilText: false, evilBare: true, evilFolded: false, evilNull: true} {
				what := fmt.Sprintf("%s %s with %s: %q", route.method, route.path, header, value)
				response, text := sendRaw(t, s.url, route.method+" "+filled(route.path, nil)+" HTTP/1.1\r\n"+admin+header+": "+value+"\r\nContent-Length: 0\r\n")
				checkNoHeader(t, what, response, text)
				if refused && response.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %d %s", what, response.StatusCode, text)
				}
				checked++
			}
		}
	}
	if checked < 6000 {
		t.Errorf("%d requests were checked", checked)
	}
	checkLog(t, s.log.String())
}

// filledWith fills each parameter of a path with one value.
func filledWith(template, value string) string {
	steps := strings.Split(template, "/")
	for i, step := range steps {
		if strings.HasPrefix(step, "{") {
			steps[i] = value
		}
	}
	return strings.Join(steps, "/")
}

// texts calls visit with each text of a JSON value, after it was replaced. Then the text is put
// back.
func texts(value any, replace string, at string, visit func(at string)) {
	each := func(name string, inner any, set func(any)) {
		if text, is := inner.(string); is {
			set(replace)
			visit(at + "/" + name)
			set(text)
			return
		}
		texts(inner, replace, at+"/"+name, visit)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			each(name, inner, func(other any) { value[name] = other })
		}
	case []any:
		for i, inner := range value {
			each(fmt.Sprint(i), inner, func(other any) { value[i] = other })
		}
	}
}

// No text of a body becomes a header of the response, such as Location and ETag, nor of a mail, nor
// a line of the log. The walk replaces each text of each route's example, one after the other. A
// mail has only the headers that the program writes, and one recipient.
func TestNoTextOfABodyIsInjected(t *testing.T) {
	t.Parallel()
	mails := openMailServer(t)
	s := openKeyed(t, withMail(mails)...)
	s.hireByMail(mails, "eve@shop.example", "operator")
	session := s.signIn("eve@shop.example", goodPassword).session
	replaced := map[string]bool{}
	for _, route := range walkedRoutes(t) {
		for _, evil := range []string{evilText, evilBare, evilFolded, evilNull, evilUnicode, "eve@shop.example\r\nBcc: all@shop.example", "Eve\r\n.\r\nMAIL FROM:<evil@shop.example>"} {
			texts(route.body, evil, "", func(at string) {
				body, err := json.Marshal(route.body)
				if err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("%s with %s: %q", route.id, at, evil)
				response, text := s.send(s.keys["admin"], route.method, filled(route.path, nil), string(body), "Content-Type", route.content, "Idempotency-Key", fmt.Sprint("k", len(replaced), evil == evilText))
				checkNoHeader(t, what, response, text)
				if contact := strings.Contains(at, "email") || strings.HasSuffix(at, "/name") && strings.HasPrefix(route.path, "/v1/staff"); contact {
					status := response.StatusCode
					if route.id == "ask-email" { // it is for people
						got := s.as(session, route.method, route.path, string(body))
						if status = got.status; strings.Contains(fmt.Sprint(got.cookies), "evil") {
							t.Errorf("%s: %v", what, got.cookies)
						}
					}
					// A sign-in does not say that a text is no address.
					if refused := status == http.StatusUnprocessableEntity || route.id == "sign-in" && (status == http.StatusUnauthorized || status == http.StatusTooManyRequests); !refused {
						t.Errorf("%s: %d %s", what, status, text)
					}
				}
				replaced[route.id+at] = true
			})
		}
	}
	if len(replaced) < 100 || !replaced["invite-staff/email"] || !replaced["invite-staff/name"] || !replaced["request-reset/email"] || !replaced["ask-email/email"] || !replaced["change-email/email"] {
		t.Errorf("%d texts were replaced", len(replaced))
	}
	// A name may have other unusual characters. It is in the text of the mail only.
	const unusual = `Ève "=?utf-8?q?Bcc:?=" <all@shop.example>; Bcc: x`
	name, err := json.Marshal(unusual)
	if err != nil {
		t.Fatal(err)
	}
	s.must(s.keys["admin"], http.MethodPost, "/v1/staff", fmt.Sprintf(`{"email":"ann@shop.example","name":%s,"role":"operator"}`, name))
	var last smtptest.Mail
	for last.To != "ann@shop.example" {
		last = mails.Next(t)
		checkMail(t, last)
	}
	if !strings.Contains(last.Text, unusual) {
		t.Errorf("the mail: %+v", last)
	}
	checkLog(t, s.log.String())
}

// hireByMail is hire for a server that sends mail.
func (s *keyedShop) hireByMail(mails *smtptest.Server, email, role string) {
	s.t.Helper()
	s.must(s.keys["admin"], http.MethodPost, "/v1/staff", fmt.Sprintf(`{"email":%q,"name":"Eve","role":%q}`, email, role))
	s.redeem(tokenIn(s.t, mails.Next(s.t)))
}

// checkMail fails if a mail has a header that the program does not write, or another recipient.
func checkMail(t *testing.T, m smtptest.Mail) {
	t.Helper()
	written := []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	for name, values := range m.Header {
		if !slices.Contains(written, name) || len(values) != 1 || strings.Contains(values[0], "evil") || strings.Contains(values[0], "Bcc") {
			t.Errorf("the mail has the header %s: %q", name, values)
		}
	}
	if len(m.Header) != len(written) || strings.Count(m.To, "@") != 1 || m.Header.Get("To") != "<"+m.To+">" || m.From != "no-reply@shop.example" {
		t.Errorf("the mail: %+v", m)
	}
}
