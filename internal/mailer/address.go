package mailer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// security is how a connection to a mail server is encrypted.
type security int

const (
	startTLS     security = iota // it begins without TLS, and goes on only with it
	tlsFromStart                 // TLS from the first byte
	noTLS                        // none; only on this machine
)

// The usual ports.
const (
	portOfSubmission = 587
	portOfSMTPS      = 465
)

// Parse reads the address of a mail server. From must be called before the first mail. The address
// has one of these forms:
//
//   - smtp://user:password@host:587 goes on only after STARTTLS
//   - smtps://user:password@host:465 has TLS from the first byte
//   - smtp://127.0.0.1:25?tls=false has no TLS; the host must be this machine, and no password may
//     be given
//
// User and port may be left out. tlsCAFile=FILE names a file with the certificate (PEM) that must
// have signed the mail server's. Without it, the certificates that the machine trusts count. Parse
// reads this file, and connects to nothing. Its errors show no passwords.
func Parse(address string) (*Server, error) {
	const want = "want smtp://user:password@host:587, or smtps://user:password@host:465"
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New(want + "; escape special characters of the password, such as %40 for @")
	}
	s := &Server{host: u.Hostname(), sendMax: SendMax}
	switch u.Scheme {
	case "smtp":
		s.port = portOfSubmission
	case "smtps":
		s.port, s.security = portOfSMTPS, tlsFromStart
	default:
		return nil, errors.New(want)
	}
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return nil, errors.New("the port must be 1 to 65535")
		}
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return nil, errors.New("a user and a password go together")
	}
	s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the settings after ? cannot be read")
	}
	return s, s.set(query)
}

// set takes over the settings that stand after the question mark.
func (s *Server) set(query url.Values) error {
	for name, values := range query {
		switch value := values[len(values)-1]; {
		case name == "tlsCAFile":
			file, err := os.ReadFile(value)
			if err != nil {
				return fmt.Errorf("tlsCAFile: %w", err)
			}
			if s.tls.RootCAs, err = pool(file); err != nil {
				return fmt.Errorf("tlsCAFile %s: %w", value, err)
			}
		case name == "tls" && value == "true":
		case name == "tls" && value == "false":
			if s.security == tlsFromStart || s.host != "localhost" && !net.ParseIP(s.host).IsLoopback() || s.user != "" {
				return errors.New("tls=false is for smtp:// to a mail server on this machine, without a password, because others could read the mails")
			}
			s.security = noTLS
		default:
			return errors.New("the settings after ? can be tls=false and tlsCAFile=FILE")
		}
	}
	return nil
}

// From sets the sender of all mails, such as "Mug shop <no-reply@shop.example>".
func (s *Server) From(sender string) error {
	address, err := mail.ParseAddress(sender)
	if err != nil || strings.ContainsFunc(sender, isControl) || strings.ContainsFunc(address.Address, unprintable) {
		return errors.New("want one e-mail address, such as no-reply@shop.example, or with a name: Mug shop <no-reply@shop.example>")
	}
	s.from = *address
	return nil
}
