package main

import (
	"net"
	"net/url"
	"strings"

	"daybook/commands/signin"
	"daybook/internal/mailer"
)

// mailFlags say how mail is sent. Without --smtp-url none is.
type mailFlags struct {
	SMTPURL     string `name:"smtp-url" placeholder:"URL" from:"DAYBOOK_SMTP_URL" secret:"" help:"The mail server that sends invitations and links for new passwords: smtp://user:password@host:587 with STARTTLS, or smtps://user:password@host:465. Needs --mail-from and --public-url. By default no mail is sent, and an admin gets the tokens."`
	SMTPURLFile string `name:"smtp-url-file" placeholder:"FILE" from:"DAYBOOK_SMTP_URL_FILE" help:"Read --smtp-url from this file, so that no list of processes shows its password."`
	MailFrom    string `name:"mail-from" placeholder:"ADDRESS" from:"DAYBOOK_MAIL_FROM" help:"The sender of the mails, such as no-reply@shop.example."`
	PublicURL   string `name:"public-url" placeholder:"URL" from:"DAYBOOK_PUBLIC_URL" help:"Where people open the links in the mails, such as https://shop.example. A link is this address with /set-password, /sign-up or /confirm-email, and #token=..."`
}

// mailConfig is how a node sends mail. The zero value sends none.
type mailConfig struct {
	mailer    signin.Mailer
	publicURL string
}

func (f mailFlags) config() (mailConfig, error) {
	address, flag := f.SMTPURL, "--smtp-url"
	if f.SMTPURLFile != "" {
		// The command line was checked before, so both come from environment variables.
		if address != "" {
			return mailConfig{}, usagef("the environment gives both --smtp-url and --smtp-url-file: give one of them")
		}
		var err error
		if address, err = readSecretFile(f.SMTPURLFile); err != nil {
			return mailConfig{}, usagef("--smtp-url-file %s: %v", f.SMTPURLFile, err)
		}
		flag = "--smtp-url-file"
	}
	if address == "" {
		for flag, value := range map[string]string{"--mail-from": f.MailFrom, "--public-url": f.PublicURL} {
			if value != "" {
				return mailConfig{}, usagef("%s does nothing without --smtp-url", flag)
			}
		}
		return mailConfig{}, nil
	}
	server, err := mailer.Parse(address)
	if err != nil {
		return mailConfig{}, usagef("%s: %v", flag, err)
	}
	if f.MailFrom == "" || f.PublicURL == "" {
		return mailConfig{}, usagef("%s needs --mail-from and --public-url", flag)
	}
	if err := server.From(f.MailFrom); err != nil {
		return mailConfig{}, usagef("--mail-from %q: %v", f.MailFrom, err)
	}
	public, err := parsePublicURL(f.PublicURL)
	if err != nil {
		return mailConfig{}, err
	}
	return mailConfig{mailer: server, publicURL: public}, nil
}

// parsePublicURL returns the address with which links begin, without a slash at the end. A link has
// a token, so other machines reach it only by TLS.
func parsePublicURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
		return "", usagef("--public-url %q: want an address such as https://shop.example", text)
	}
	ownMachine := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !ownMachine) {
		return "", usagef("--public-url %q: want an address that begins with https://, because the links have tokens", text)
	}
	return strings.TrimRight(text, "/"), nil
}
