package mailer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/internal/smtptest"
)

const secretText = "the link is https://shop.example/set-password#token=dbt_p1_5ec7e7"

func open(t *testing.T, address string) *Server {
	t.Helper()
	s, err := Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.From("Mug shop <no-reply@shop.example>"); err != nil {
		t.Fatal(err)
	}
	return s
}

// A mail is sent in each way in which a mail server can be reached.
func TestMailsAreSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options smtptest.Options
		address func(s *smtptest.Server) string
	}{
		"STARTTLS": {
			smtptest.Options{Security: smtptest.StartTLS, User: "ann", Password: "p@ss/word"},
			func(s *smtptest.Server) string {
				return "smtp://ann:p%40ss%2Fword@" + s.Address + "?tlsCAFile=" + s.CAFile
			},
		},
		"TLS from the start": {
			smtptest.Options{Security: smtptest.Implicit, User: "ann", Password: "secret"},
			func(s *smtptest.Server) string { return "smtps://ann:secret@" + s.Address + "?tlsCAFile=" + s.CAFile },
		},
		"LOGIN": {
			smtptest.Options{Security: smtptest.Implicit, User: "ann", Password: "secret", Login: true},
			func(s *smtptest.Server) string { return "smtps://ann:secret@" + s.Address + "?tlsCAFile=" + s.CAFile },
		},
		"this machine without TLS": {
			smtptest.Options{},
			func(s *smtptest.Server) string { return "smtp://" + s.Address + "?tls=false" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Open(t, c.options)
			text := "Grüße!\n\n.\n" + strings.Repeat("long ", 50) + "\n" + secretText + "\n"
			if err := open(t, c.address(server)).Send(t.Context(), "eve@shop.example", "Grüße", text); err != nil {
				t.Fatal(err)
			}
			got := server.Next(t)
			if got.To != "eve@shop.example" || got.From != "no-reply@shop.example" || got.User != c.options.User || got.Secured != (c.options.Security != smtptest.Plain) {
				t.Errorf("the envelope: %+v", got)
			}
			if got.Text != text && got.Text != text+"\n" {
				t.Errorf("the text: %q", got.Text)
			}
			if got.Header.Get("To") != "<eve@shop.example>" || !strings.Contains(got.Header.Get("From"), "no-reply@shop.example") || got.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("the headers: %v", got.Header)
			}
		})
	}
}

// If a mail is not sent, the error says why. It has neither words of the mail server, nor the
// address, nor the text of the mail.
func TestMailsThatAreNotSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options smtptest.Options
		address string // ADDRESS and CERT are filled in
		prepare func(s *smtptest.Server)
		want    string
	}{
		"the server has no STARTTLS":    {smtptest.Options{}, "smtp://ADDRESS", nil, "does not offer STARTTLS"},
		"nobody knows the certificate":  {smtptest.Options{Security: smtptest.StartTLS}, "smtp://ADDRESS", nil, "certificate"},
		"nor that of TLS from start":    {smtptest.Options{Security: smtptest.Implicit}, "smtps://ADDRESS", nil, "certificate"},
		"TLS where there is none":       {smtptest.Options{}, "smtps://ADDRESS", nil, "TLS handshake"},
		"a wrong password":              {smtptest.Options{Security: smtptest.Implicit, User: "ann", Password: "right"}, "smtps://ann:wr0ng@ADDRESS?tlsCAFile=CERT", nil, "replied 535"},
		"a password is missing":         {smtptest.Options{Security: smtptest.Implicit, User: "ann", Password: "right"}, "smtps://ADDRESS?tlsCAFile=CERT", nil, "MAIL FROM command: the mail server replied 530 5.7.0"},
		"no way to sign in":             {smtptest.Options{Security: smtptest.Implicit}, "smtps://ann:wr0ng@ADDRESS?tlsCAFile=CERT", nil, "neither PLAIN nor LOGIN"},
		"the recipient is refused":      {smtptest.Options{}, "smtp://ADDRESS?tls=false", func(s *smtptest.Server) { s.Refuse("RCPT", "550 5.1.1 <eve@shop.example> is unknown") }, "RCPT TO command: the mail server replied 550 5.1.1"},
		"the mail is refused":           {smtptest.Options{}, "smtp://ADDRESS?tls=false", func(s *smtptest.Server) { s.Refuse(".", "554 5.7.1 spam: "+secretText) }, "replied 554 5.7.1"},
		"the greeting is a refusal":     {smtptest.Options{}, "smtp://ADDRESS?tls=false", func(s *smtptest.Server) { s.Refuse("", "421 too busy for eve@shop.example") }, "replied 421"},
		"a closed port":                 {smtptest.Options{}, "smtp://127.0.0.1:1?tls=false", nil, "connection refused"},
		"the server refuses to say bye": {smtptest.Options{}, "smtp://ADDRESS?tls=false", func(s *smtptest.Server) { s.Refuse("RSET", "500 no"); s.Refuse("QUIT", "500 no") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Open(t, c.options)
			if c.prepare != nil {
				c.prepare(server)
			}
			address := strings.NewReplacer("ADDRESS", server.Address, "CERT", server.CAFile).Replace(c.address)
			err := open(t, address).Send(t.Context(), "eve@shop.example", "Hello", secretText)
			if c.want == "" {
				if err != nil || server.Next(t).To != "eve@shop.example" {
					t.Errorf("the mail was taken, but: %v", err)
				}
				return
			}
			if _, is := errors.AsType[*Error](err); !is || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, private := range []string{"eve@", "dbt_", "wr0ng", "spam", "unknown to"} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("the error has %q: %v", private, err)
				}
			}
			if server.Waiting() != 0 {
				t.Error("a mail was sent all the same")
			}
		})
	}
}

// A server that does not answer keeps nobody waiting for long, wherever it stops.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run("at "+command, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Open(t, smtptest.Options{})
			server.Hang(command)
			s := open(t, "smtp://"+server.Address+"?tls=false")
			s.sendMax = 200 * time.Millisecond
			err := s.Send(t.Context(), "eve@shop.example", "Hello", secretText)
			if err == nil || !strings.Contains(err.Error(), "did not take the mail within 200ms") {
				t.Error(err)
			}
		})
	}
	server := smtptest.Open(t, smtptest.Options{})
	server.Hang("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, "smtp://"+server.Address+"?tls=false").Send(ctx, "eve@shop.example", "Hello", secretText); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone: %v", err)
	}
}

// What could begin another header is refused before anything is sent.
func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	server := smtptest.Open(t, smtptest.Options{})
	s := open(t, "smtp://"+server.Address+"?tls=false")
	for _, c := range []struct{ to, subject string }{
		{"eve@shop.example\r\nBcc: all@shop.example", "Hello"},
		{"eve@shop.example>\r\nRCPT TO:<all@shop.example", "Hello"},
		{"eve@shop.example, all@shop.example", "Hello"},
		{"Eve <eve@shop.example>", "Hello"},
		{"\"a b\"@shop.example", "Hello"},
		{"", "Hello"},
		{"größe@shop.example", "Hello"},
		{"eve@shop.example", "Hello\r\nBcc: all@shop.example"},
		{"eve@shop.example", "Hello\nBcc: all@shop.example"},
		{"eve@shop.example", "Hello\x00"},
	} {
		if err := s.Send(t.Context(), c.to, c.subject, "text"); err == nil {
			t.Errorf("%q, %q: sent", c.to, c.subject)
		}
	}
	if n := server.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestAddressesOfMailServers(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]Server{
		"smtp://mail.shop.example":                     {host: "mail.shop.example", port: 587, security: startTLS},
		"smtps://mail.shop.example":                    {host: "mail.shop.example", port: 465, security: tlsFromStart},
		"smtp://a%40b:c%3Ad@mail.shop.example:25":      {host: "mail.shop.example", port: 25, security: startTLS, user: "a@b", password: "c:d"},
		"smtp://localhost?tls=false":                   {host: "localhost", port: 587, security: noTLS},
		"smtp://[::1]:25?tls=false":                    {host: "::1", port: 25, security: noTLS},
		"smtps://u:p@mail.shop.example:1465/?tls=true": {host: "mail.shop.example", port: 1465, security: tlsFromStart, user: "u", password: "p"},
	} {
		got, err := Parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if got.host != want.host || got.port != want.port || got.security != want.security || got.user != want.user || got.password != want.password || got.tls.ServerName != want.host {
			t.Errorf("%s: %+v", address, got)
		}
	}
	for _, address := range []string{
		"", "mail.shop.example", "http://mail.shop.example", "smtp://", "smtp://u:geheim@h:0", "smtp://u:geheim@h:99999", "smtp://u:geheim@h:x", "smtp://geheim@h", "smtp://:geheim@h",
		"smtp://u:geheim@h/path", "smtp://u:ge/heim@h", "smtp://u:geheim@h?tls=false", "smtp://h?tls=false", "smtps://localhost?tls=false", "smtp://u:geheim@localhost?tls=false",
		"smtp://h?tls=maybe", "smtp://h?starttls=no", "smtp://h?tlsCAFile=/not/there", "smtp://h?tlsCAFile=" + empty, "smtp://h#x", "smtp://h?%zz", "smtp:h",
	} {
		if _, err := Parse(address); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := open(t, "smtp://h")
	for _, sender := range []string{"", "nobody", "a@b.c, d@e.f", "Shop\r\nBcc: x <a@b.c>", "a@b.c\r\n", "Größe <a@bü.c>"} {
		if err := s.From(sender); err == nil {
			t.Errorf("the sender %q is accepted", sender)
		}
	}
}
