// Package certs serves a TLS certificate from files, and reads the files again if they change while
// the program runs. It does not make certificates, and does not ask an authority for them.
package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// readEvery is the shortest time between two reads of the files. A handshake within this time after
// a read gets the certificate of that read.
const readEvery = time.Second

// Files is a certificate in two files, which may be replaced at any time. Its methods may be called
// by several goroutines.
type Files struct {
	cert, key string
	logger    *slog.Logger
	every     time.Duration

	mu      sync.Mutex
	current *tls.Certificate
	tried   [sha256.Size]byte // the hash of the contents of both files that are in use
	trouble string            // what is wrong with the files now; it is logged once
	readAt  time.Time
}

// Open reads a certificate (PEM, with its chain) and its private key.
func Open(cert, key string, logger *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, logger: logger, every: readEvery}
	pair, sum, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current, f.tried, f.readAt = pair, sum, time.Now()
	return f, nil
}

// Config is a configuration of TLS that always uses the present certificate.
func (f *Files) Config() *tls.Config {
	return &tls.Config{GetCertificate: f.Certificate, MinVersion: tls.VersionTLS12}
}

// Certificate returns the present certificate. If the files have changed, it reads them first. If
// the new files cannot be used, for example because only one of them has been replaced so far, it
// says so in the log and returns the old certificate. It never fails.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.readAt) >= f.every {
		f.readAt = now
		f.reload()
	}
	return f.current, nil
}

// reload reads the files, and uses the new certificate if they have changed. The caller has the
// lock.
func (f *Files) reload() {
	pair, sum, err := f.read()
	if err != nil {
		if text := err.Error(); text != f.trouble {
			f.trouble = text
			f.logger.Warn("the new certificate cannot be used; the old one stays in use", "certificate", f.cert, "error", err)
		}
		return
	}
	f.trouble = ""
	if sum != f.tried {
		f.current, f.tried = pair, sum
		f.logger.Info("the certificate was replaced", "certificate", f.cert, "ends", pair.Leaf.NotAfter)
	}
}

// read reads both files. sum is the hash of their contents.
func (f *Files) read() (pair *tls.Certificate, sum [sha256.Size]byte, err error) {
	cert, certErr := os.ReadFile(f.cert)
	key, keyErr := os.ReadFile(f.key)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, sum, err
	}
	made, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, sum, fmt.Errorf("%s and %s: %w", f.cert, f.key, err)
	}
	if now := time.Now(); now.After(made.Leaf.NotAfter) {
		return nil, sum, fmt.Errorf("%s: the certificate has ended at %s", f.cert, made.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &made, sha256.Sum256(append(append(cert, 0), key...)), nil
}
