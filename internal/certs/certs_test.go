package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made makes a certificate that ends at a time, and its key.
func made(t *testing.T, name string, ends time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A new certificate is used as soon as both of its files are there. Until then, and if it cannot be
// used, the old one stays, and the log says so once.
func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), new(bytes.Buffer)
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	later := time.Now().Add(time.Hour)
	put := func(certPEM, keyPEM []byte) { write(t, cert, certPEM); write(t, key, keyPEM) }
	firstCert, firstKey := made(t, "first", later)
	put(firstCert, firstKey)
	files, err := Open(cert, key, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	files.every = 0
	present := func() string {
		pair, err := files.Config().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.Subject.CommonName
	}
	warnings := func() int { return strings.Count(log.String(), "level=WARN") }

	nextCert, nextKey := made(t, "next", later)
	endedCert, endedKey := made(t, "ended", time.Now().Add(-time.Hour))
	for _, step := range []struct {
		name      string
		cert, key []byte
		want      string
		warnings  int
	}{
		{"as it was", firstCert, firstKey, "first", 0},
		{"only one file is new", nextCert, firstKey, "first", 1},
		{"both files are new", nextCert, nextKey, "next", 1},
		{"a certificate that has ended", endedCert, endedKey, "next", 2},
		{"no certificate", []byte("hello"), nextKey, "next", 3},
		{"back again", firstCert, firstKey, "first", 3},
	} {
		put(step.cert, step.key)
		for range 2 {
			if got := present(); got != step.want || warnings() != step.warnings {
				t.Errorf("%s: the certificate is %s after %d warnings, want %s after %d\n%s", step.name, got, warnings(), step.want, step.warnings, log)
			}
		}
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if got := present(); got != "first" || warnings() != 4 {
		t.Errorf("without a key the certificate is %s after %d warnings", got, warnings())
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("the log has a key: %s", log)
	}
	put(endedCert, endedKey)
	if _, err := Open(cert, key, slog.Default()); err == nil {
		t.Error("a program starts with a certificate that has ended")
	}
}
