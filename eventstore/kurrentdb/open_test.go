package kurrentdb_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"iter"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
)

// Open says what is wrong, and never shows a password.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	plain := serve(t, memory.New(), "127.0.0.1:0").at
	secure, authority := serveTLS(t)
	for name, c := range map[string]struct {
		url, want string
	}{
		"no scheme":                  {"localhost:2113", "esdb://"},
		"another scheme":             {"http://admin:s3cret@localhost:2113", "esdb://"},
		"no host":                    {"esdb://admin:s3cret@", "host"},
		"an unknown setting":         {"esdb://admin:s3cret@h?tlsVerifyCrt=false", `"tlsVerifyCrt"`},
		"a wrong value":              {"esdb://admin:s3cret@h?tls=perhaps", "true or false"},
		"a deadline with a unit":     {"esdb://admin:s3cret@h?defaultDeadline=5s", "milliseconds"},
		"no gossip timeout":          {"esdb://admin:s3cret@h?gossipTimeout=0", "gossipTimeout"},
		"another node preference":    {"esdb://admin:s3cret@h?nodePreference=follower", "leader"},
		"a certificate without key":  {"esdb://admin:s3cret@h?userCertFile=/x", "userKeyFile"},
		"a slash in the password":    {"esdb://admin:s3cret/s3cret@h", "percent-encoded"},
		"a sign that is none":        {"esdb://admin:s3cret%zz@h", "percent-encoded"},
		"a comma and a bad port":     {"esdb://admin:s3cret,1@h:1,h2:x", "port"},
		"a user without a password":  {"esdb://admin@h", "password"},
		"no server":                  {"esdb://admin:s3cret@" + freePort(t) + "?tls=false", "no server answers"},
		"plain text, asked for TLS":  {"esdb://admin:s3cret@" + plain, "tls=false"},
		"TLS, asked for plain text":  {"esdb://admin:s3cret@" + secure + "?tls=false", "the server speaks TLS"},
		"TLS, a cluster in plain":    {"esdb://admin:s3cret@" + secure + "," + secure + "?tls=false", "the server speaks TLS"},
		"an authority not known":     {"esdb://admin:s3cret@" + secure, "tlsCaFile"},
		"another password":           {"esdb://admin:s3cret2@" + secure + "?tlsCaFile=" + authority, "does not take these credentials"},
		"no right to read the log":   {"esdb://guest:s3cret@" + secure + "?tlsCaFile=" + authority, "no right"},
		"no credentials with rights": {"esdb://" + secure + "?tlsCaFile=" + authority, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := kurrentdb.Open(within(t, patience), c.url, kurrentdb.Options{Wait: 5 * time.Second})
			if err == nil {
				closeIn(t, store.Close)
				t.Fatal("it opened")
			}
			if text := err.Error(); !strings.Contains(text, c.want) || strings.Contains(text, "s3cret") {
				t.Errorf("%q should name %q and no password", text, c.want)
			}
		})
	}
	t.Run("and opens when nothing is", func(t *testing.T) {
		store := open(t, "esdb://admin:s3cret@"+secure+"?tlsCaFile="+authority)
		if _, err := store.Append(t.Context(), "a", eventstore.NoStream, newEvents(1)); err != nil {
			t.Error(err)
		}
	})
}

// A password may have any characters.
func TestPasswordIsDecoded(t *testing.T) {
	at, authority := serveTLS(t)
	open(t, "esdb://odd:a%2Fb%40c%3A%2Cd@"+at+"?tlsCaFile="+authority)
}

// KurrentDB's documentation writes other schemes than EventStoreDB's; they mean
// the same.
func TestSchemes(t *testing.T) {
	at := serve(t, memory.New(), "127.0.0.1:0").at
	for _, scheme := range []string{"esdb", "kurrentdb", "kurrent", "kdb"} {
		open(t, scheme+"://"+at+"?tls=false")
		if _, err := kurrentdb.Open(within(t, patience), scheme+"+discover://"+at+"?tls=false&defaultDeadline=0", kurrentdb.Options{}); err == nil || !strings.Contains(err.Error(), "defaultDeadline") {
			t.Errorf("%s+discover: error %v, want one that comes after the scheme", scheme, err)
		}
	}
}

func TestACallAfterCloseIsRefused(t *testing.T) {
	at := address(serve(t, memory.New(), "127.0.0.1:0"))
	store, err := kurrentdb.Open(t.Context(), at, kurrentdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	live := make(chan struct{})
	go func() {
		for item, err := range store.Subscribe(context.WithoutCancel(t.Context()), eventstore.Start, eventstore.Filter{}) {
			if err != nil {
				ended <- err
				return
			}
			if item.CaughtUp {
				close(live)
			}
		}
	}()
	<-live
	closeIn(t, store.Close)
	_, appendErr := store.Append(t.Context(), "a", eventstore.NoStream, newEvents(1))
	_, headErr := store.Head(t.Context())
	for what, err := range map[string]error{"append": appendErr, "head": headErr, "subscription": <-ended} {
		if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); !unavailable {
			t.Errorf("%s: error %v, want an UnavailableError", what, err)
		}
	}
	closeIn(t, store.Close) // again is fine
}

// Close does not wait for the consumers of subscriptions, and leaves no goroutine running for them.
func TestCloseEndsWhatFeedsSubscriptions(t *testing.T) {
	store, err := kurrentdb.Open(t.Context(), address(serve(t, memory.New(), "127.0.0.1:0")), kurrentdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}))
	defer stop()
	if item, err, _ := next(); err != nil || !item.CaughtUp {
		t.Fatalf("%+v, error %v; want a caught-up mark", item, err)
	}
	closeIn(t, store.Close)
	eventually(t, "end of what feeds the subscription", func() bool {
		all := make([]byte, 8<<20)
		return !bytes.Contains(all[:runtime.Stack(all, true)], []byte("kurrentdb.(*Store).feed("))
	})
	if _, err, _ := next(); err == nil {
		t.Error("a subscription of a closed store goes on")
	}
}

// users of the secure gateway.
type users map[string]gateway.User

func (u users) Authenticate(_ context.Context, name, password string) (gateway.User, error) {
	user, known := u[name+":"+password]
	if !known {
		return gateway.User{}, errors.New("no such user, or another password")
	}
	return user, nil
}

// serveTLS has a gateway with users and a certificate of its own, and returns
// its address and a file with the certificate's authority.
func serveTLS(t *testing.T) (at, authority string) {
	t.Helper()
	certificate, file := newCertificate(t)
	server, err := gateway.New(memory.New(), gateway.Options{
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		Users: users{
			"admin:s3cret": {Name: "admin", Groups: []string{"$admins"}},
			"odd:a/b@c:,d": {Name: "odd", Groups: []string{"$admins"}},
			"guest:s3cret": {Name: "guest"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t, "127.0.0.1:0")
	go server.Serve(listener) //nolint:errcheck // its clients tell
	t.Cleanup(func() { closeIn(t, server.Close) })
	return listener.Addr().String(), file
}

func newCertificate(t *testing.T) (certificate tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
