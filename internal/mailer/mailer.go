// Package mailer sends short texts by SMTP. It does not queue them: a mail is taken by the mail
// server within a time limit, or the caller gets an error. It does not know what the texts are
// about.
//
//   - mailer.go makes a mail and sends it.
//   - address.go reads the address of a mail server.
package mailer

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// SendMax is how long Send takes at most.
const SendMax = 10 * time.Second

// Server is a mail server. Parse makes one. Its methods may be called by several goroutines.
type Server struct {
	host           string
	port           int
	security       security
	user, password string // empty: the server needs none
	from           mail.Address
	tls            *tls.Config
	sendMax        time.Duration
}

// Error says why a mail was not sent. Its text has the code of the mail server's reply, but not the
// words, because mail servers repeat addresses and parts of the mail in them.
type Error struct {
	Reason string
	// Code is the code of the mail server's reply, such as 550; 0: there was none.
	Code  int
	cause error
}

func (e *Error) Error() string { return e.Reason }

// Unwrap is the cause. Its text may have words of the mail server.
func (e *Error) Unwrap() error { return e.cause }

// Send sends a text to one address. It returns when the mail server has taken the mail, or after
// SendMax.
//
// Errors: *Error, also if the address or the subject could begin another header, and the cause of
// the end of ctx.
func (s *Server) Send(ctx context.Context, to, subject, text string) error {
	message, err := s.message(to, subject, text)
	if err != nil {
		return err
	}
	slow := &Error{Reason: fmt.Sprintf("the mail server did not take the mail within %s", s.sendMax)}
	ctx, cancel := context.WithTimeoutCause(ctx, s.sendMax, slow)
	defer cancel()
	client, err := gomail.NewClient(s.host, s.options(ctx)...)
	if err != nil {
		return &Error{Reason: "the settings of the mail server do not work", cause: err}
	}
	err = client.DialAndSendWithContext(ctx, message)
	switch {
	case err == nil, message.IsDelivered(): // a failure after the mail was taken is of no interest
		return nil
	case ctx.Err() != nil:
		return cmp.Or(context.Cause(ctx), err)
	}
	return explained(err)
}

func (s *Server) options(ctx context.Context) []gomail.Option {
	_, domain, _ := strings.Cut(s.from.Address, "@")
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(2 * s.sendMax), gomail.WithHELO(domain),
		gomail.WithTLSConfig(s.tls), gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithDialContextFunc(s.dialUntil(ctx)),
	}
	if s.security == startTLS {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.user != "" {
		options = append(options, gomail.WithSMTPAuthCustom(&chosenAuth{server: s}))
	}
	return options
}

// dialUntil connects. It closes the connection when whole ends, because the library limits only
// single steps, and waits without a limit for the first line of the server.
func (s *Server) dialUntil(whole context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var connection net.Conn
		var err error
		if s.security == tlsFromStart {
			connection, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, network, address)
		} else {
			connection, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		if err != nil {
			return nil, err
		}
		context.AfterFunc(whole, func() { _ = connection.Close() }) // whole always ends, at the latest with Send
		return connection, nil
	}
}

// message makes a mail. It refuses whatever could begin another header or name another recipient.
func (s *Server) message(to, subject, text string) (*gomail.Msg, error) {
	address, err := mail.ParseAddress(to)
	if err != nil || address.Name != "" || address.Address != to || strings.ContainsFunc(to, unprintable) {
		return nil, &Error{Reason: "the recipient is not one e-mail address"}
	}
	if strings.ContainsFunc(subject, isControl) {
		return nil, &Error{Reason: "the subject has a control character"}
	}
	_, domain, _ := strings.Cut(s.from.Address, "@")
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(&s.from)
	message.ToMailAddress(address)
	message.Subject(subject)
	message.SetDate()
	message.SetMessageIDWithValue(rand.Text() + "@" + domain)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // so that nobody's absence note replies
	message.SetBodyString(gomail.TypeTextPlain, text)
	return message, nil
}

// unprintable tells whether a character must not be in an address.
func unprintable(r rune) bool { return r <= ' ' || r > '~' }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// explained returns an error without words of the mail server.
func explained(err error) *Error {
	out := &Error{Reason: "the conversation with the mail server failed", cause: err}
	if sending, is := errors.AsType[*gomail.SendError](err); is {
		out.Code = sending.ErrorCode()
		out.Reason = sending.Reason.String()
		if code := sending.EnhancedStatusCode(); out.Code != 0 && code != "" {
			out.Reason += fmt.Sprintf(": the mail server replied %d %s", out.Code, code)
		} else if out.Code != 0 {
			out.Reason += fmt.Sprintf(": the mail server replied %d", out.Code)
		}
		return out
	}
	if reply, is := errors.AsType[*textproto.Error](err); is {
		out.Code = reply.Code
		out.Reason = fmt.Sprintf("the mail server replied %d before it was given the mail", reply.Code)
		return out
	}
	for _, plain := range []error{errNoMechanism, io.EOF} {
		if errors.Is(err, plain) {
			out.Reason = "connect to the mail server: " + plain.Error()
		}
	}
	if strings.Contains(err.Error(), "does not support STARTTLS") {
		out.Reason = "the mail server does not offer STARTTLS"
	}
	if network, is := errors.AsType[*net.OpError](err); is {
		out.Reason = "connect to the mail server: " + network.Error()
	}
	if certificate, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		out.Reason = "connect to the mail server: " + certificate.Error()
	}
	if header, is := errors.AsType[tls.RecordHeaderError](err); is {
		out.Reason = "connect to the mail server: " + header.Msg
	}
	return out
}

var errNoMechanism = errors.New("it offers neither PLAIN nor LOGIN to sign in")

// chosenAuth signs in to the mail server by PLAIN or LOGIN, whichever it offers. Parse makes sure
// that the connection has TLS.
type chosenAuth struct {
	server *Server
	smtp.Auth
}

// Start implements smtp.Auth.
func (a *chosenAuth) Start(info *smtp.ServerInfo) (mechanism string, first []byte, err error) {
	switch {
	case !info.TLS:
		return "", nil, smtp.ErrUnencrypted
	case slices.Contains(info.Auth, "PLAIN"):
		a.Auth = smtp.PlainAuth("", a.server.user, a.server.password, a.server.host, false)
	case slices.Contains(info.Auth, "LOGIN"):
		a.Auth = smtp.LoginAuth(a.server.user, a.server.password, a.server.host, false)
	default:
		return "", nil, errNoMechanism
	}
	return a.Auth.Start(info)
}

// pool reads the certificates (PEM) that may have signed the mail server's certificate.
func pool(pem []byte) (*x509.CertPool, error) {
	found := x509.NewCertPool()
	if !found.AppendCertsFromPEM(pem) {
		return nil, errors.New("it has no certificate (PEM)")
	}
	return found, nil
}
