package gateway

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"daybook/eventstore/memory"
)

// listened is a stream that counts what is read from a caller. The caller ends at once.
type listened struct {
	grpc.ServerStream
	times int
}

// transport is the gRPC stream under a listened stream.
type transport struct {
	grpc.ServerTransportStream
	of *listened
}

func (l *listened) Context() context.Context {
	return grpc.NewContextWithServerTransportStream(context.Background(), transport{of: l})
}

func (t transport) ReadMessageHeader([]byte) error  { t.of.times++; return errors.New("the end") }
func (transport) Read(int) (mem.BufferSlice, error) { return nil, errors.New("the end") }
func (transport) RecvCompress() string              { return "" }

// Reading the rest of a refused append takes time, and everybody can cause it. So it is done for
// only a few appends at a time.
func TestFewRefusedAppendsAreHeardOut(t *testing.T) {
	t.Parallel()
	s, err := New(memory.New(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for taken, want := range map[int64]int{drainAtOnce: 0, drainAtOnce - 1: 1} {
		if err := s.hearing.Acquire(t.Context(), taken); err != nil {
			t.Fatal(err)
		}
		for range 2 { // one after the other
			caller := &listened{}
			if s.drain(caller); caller.times != want {
				t.Errorf("with %d of %d places taken, %d messages were heard, want %d", taken, drainAtOnce, caller.times, want)
			}
		}
		s.hearing.Release(taken)
	}
}

// A client may send a key or a password as the name of the user. The log has only names of users,
// and only a few lines, so that nobody can fill it.
func TestTheLogOfRefusedCallersHasNoSecrets(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users, err := ReadPasswordFile(strings.NewReader("ann:" + string(hash)))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s, err := New(memory.New(), Options{Users: users, TLS: new(tls.Config), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	call := func(credentials string) {
		t.Helper()
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
		_, stop, err := s.admit(metadata.NewIncomingContext(t.Context(), metadata.Pairs(headerAuthorization, header)), "/a/method")
		stop()
		if err == nil {
			t.Errorf("%s is admitted", credentials)
		}
	}
	call("ann:wrong")
	if !strings.Contains(log.String(), "user=ann") {
		t.Errorf("the log does not name the user: %s", log.String())
	}
	call("dbk_k1_secret:")
	if got := log.String(); strings.Contains(got, "dbk_") || !strings.Contains(got, "user=-") {
		t.Errorf("after a key as the name of the user: %s", got)
	}
	s.refusedLines.SetLimit(0) // no time passes for the limit
	for range refusedAtOnce {
		call("eve:")
	}
	if lines := strings.Count(log.String(), "\n"); lines > refusedAtOnce || s.refusedQuiet.Load() == 0 {
		t.Errorf("the log has %d lines, and %d refused callers have none", lines, s.refusedQuiet.Load())
	}
	s.refusedLines.SetLimit(rate.Inf)
	call("eve:")
	if !strings.Contains(log.String(), "more_without_a_line=") || s.refusedQuiet.Load() != 0 {
		t.Error("the next line does not say how many callers had none")
	}
}
