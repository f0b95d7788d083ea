// Package smtptest is a mail server for tests. It listens on a loopback address and keeps each mail
// until the test takes it. It can refuse commands, and it can stop answering.
package smtptest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Security is which TLS the server has.
type Security int

// The kinds of TLS.
const (
	Plain    Security = iota // none
	StartTLS                 // after STARTTLS
	Implicit                 // from the first byte
)

// Options are how a server behaves.
type Options struct {
	Security Security
	// User and Password are needed before a mail; empty: none are.
	User, Password string
	// Login means that the server offers LOGIN and not PLAIN.
	Login bool
}

// Mail is a mail that the server has taken.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Text     string // decoded
	Secured  bool   // it came over TLS
	User     string // who signed in
}

// Server is a mail server. It ends with its test.
type Server struct {
	Address string // host:port
	CAFile  string // the certificate of the server; empty: it has none

	options  Options
	config   *tls.Config
	mails    chan Mail
	listener net.Listener

	mu          sync.Mutex
	refusals    map[string]string
	hangs       string
	connections []net.Conn
}

// Open starts a server.
func Open(t testing.TB, options Options) *Server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: listener.Addr().String(), options: options, mails: make(chan Mail, 100), listener: listener, refusals: map[string]string{}}
	if options.Security != Plain {
		s.certify(t)
	}
	var working sync.WaitGroup
	working.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections = append(s.connections, connection)
			s.mu.Unlock()
			working.Go(func() { s.serve(connection) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, connection := range s.connections {
			_ = connection.Close()
		}
		s.mu.Unlock()
		working.Wait()
	})
	return s
}

// Refuse lets the server reply to a command, such as RCPT, with a line such as "550 5.1.1 unknown".
// The command "." stands for the end of a mail, and "" for the greeting. An empty line takes it
// back.
func (s *Server) Refuse(command, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals[command] = line
}

// Hang lets the server not answer a command any more. See Refuse for the names.
func (s *Server) Hang(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = command + "!"
}

// Next returns the next mail, and waits for it.
func (s *Server) Next(t testing.TB) Mail {
	t.Helper()
	select {
	case next := <-s.mails:
		return next
	case <-time.After(30 * time.Second):
		t.Fatal("no mail has come")
		return Mail{}
	}
}

// Waiting is how many mails the test has not taken.
func (s *Server) Waiting() int { return len(s.mails) }

// Connections is how many clients have connected.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connections)
}

// conversation is one client of the server.
type conversation struct {
	*Server

	connection net.Conn
	lines      *bufio.Reader
	mail       Mail
	secured    bool
	user       string
}

func (s *Server) serve(connection net.Conn) {
	defer connection.Close()
	c := &conversation{Server: s, connection: connection}
	if s.options.Security == Implicit {
		c.connection, c.secured = tls.Server(connection, s.config), true
	}
	c.lines = bufio.NewReader(c.connection)
	if !c.replies("", "220 smtptest") {
		return
	}
	for {
		line, err := c.line()
		if err != nil || !c.handle(line) {
			return
		}
	}
}

func (c *conversation) line() (string, error) {
	line, err := c.lines.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// replies sends a reply to a command, unless the command is refused. It returns false if the
// conversation ends.
func (c *conversation) replies(command, usual string) bool {
	c.mu.Lock()
	refusal, hangs := c.refusals[command], c.hangs == command+"!"
	c.mu.Unlock()
	if hangs {
		_, _ = io.Copy(io.Discard, c.lines) // until the client gives up
		return false
	}
	if refusal != "" {
		usual = refusal
	}
	_, err := io.WriteString(c.connection, usual+"\r\n")
	return err == nil && (command != "" || refusal == "")
}

// refused tells whether the next reply to a command is a refusal.
func (c *conversation) refused(command string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusals[command] != ""
}

func (c *conversation) handle(line string) bool {
	command, rest, _ := strings.Cut(line, " ")
	switch command = strings.ToUpper(command); command {
	case "EHLO", "HELO":
		return c.replies(command, strings.Join(c.offers(), "\r\n"))
	case "STARTTLS":
		if c.options.Security != StartTLS || !c.replies(command, "220 go on") {
			return false
		}
		c.connection, c.secured = tls.Server(c.connection, c.config), true
		c.lines = bufio.NewReader(c.connection)
		return true
	case "AUTH":
		return c.signIn(rest)
	case "MAIL":
		if c.options.User != "" && c.user == "" {
			return c.replies(command, "530 5.7.0 sign in first")
		}
		c.mail = Mail{From: between(rest), Secured: c.secured, User: c.user}
		return c.replies(command, "250 ok")
	case "RCPT":
		c.mail.To += between(rest) // a mail to several addresses shows all of them
		return c.replies(command, "250 ok")
	case "DATA":
		if c.refused(command) {
			return c.replies(command, "")
		}
		return c.replies(command, "354 go on") && c.take()
	case "QUIT":
		c.replies(command, "221 bye")
		return false
	}
	return c.replies(command, "250 ok")
}

// offers are the lines of the reply to EHLO.
func (c *conversation) offers() []string {
	offers := []string{"smtptest", "ENHANCEDSTATUSCODES"}
	if c.options.Security == StartTLS && !c.secured {
		offers = append(offers, "STARTTLS")
	}
	if c.options.User != "" && c.options.Login {
		offers = append(offers, "AUTH LOGIN")
	} else if c.options.User != "" {
		offers = append(offers, "AUTH PLAIN")
	}
	for i := range offers {
		offers[i] = "250-" + offers[i]
	}
	offers[len(offers)-1] = strings.Replace(offers[len(offers)-1], "-", " ", 1)
	return offers
}

func (c *conversation) signIn(rest string) bool {
	mechanism, first, _ := strings.Cut(rest, " ")
	given := first
	if mechanism == "LOGIN" {
		var parts []string
		for _, question := range []string{"Username:", "Password:"} {
			if _, err := io.WriteString(c.connection, "334 "+base64.StdEncoding.EncodeToString([]byte(question))+"\r\n"); err != nil {
				return false
			}
			line, err := c.line()
			if err != nil {
				return false
			}
			parts = append(parts, decoded(line))
		}
		given = base64.StdEncoding.EncodeToString([]byte("\x00" + strings.Join(parts, "\x00")))
	}
	if decoded(given) != "\x00"+c.options.User+"\x00"+c.options.Password {
		return c.replies("AUTH", "535 5.7.8 wrong: "+decoded(given))
	}
	c.user = c.options.User
	return c.replies("AUTH", "235 welcome")
}

func decoded(text string) string {
	plain, _ := base64.StdEncoding.DecodeString(text)
	return string(plain)
}

// take reads a mail up to the line with a single dot.
func (c *conversation) take() bool {
	var text strings.Builder
	for {
		line, err := c.line()
		if err != nil {
			return false
		}
		if line == "." {
			break
		}
		text.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	if c.refused(".") {
		return c.replies(".", "")
	}
	parsed, err := mail.ReadMessage(strings.NewReader(text.String()))
	if err != nil {
		return c.replies(".", "554 5.6.0 "+err.Error())
	}
	body := io.Reader(parsed.Body)
	if parsed.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	plain, err := io.ReadAll(body)
	if err != nil {
		return c.replies(".", "554 5.6.0 "+err.Error())
	}
	c.mail.Header, c.mail.Text = parsed.Header, strings.ReplaceAll(string(plain), "\r\n", "\n")
	if !c.replies(".", "250 taken") {
		return false
	}
	c.mails <- c.mail
	return true
}

// between is the text between angle brackets.
func between(text string) string {
	_, text, _ = strings.Cut(text, "<")
	text, _, _ = strings.Cut(text, ">")
	return text
}

// certify makes a certificate for 127.0.0.1.
func (s *Server) certify(t testing.TB) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smtptest"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	s.config = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, MinVersion: tls.VersionTLS12}
	s.CAFile = filepath.Join(t.TempDir(), "mail.crt")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
