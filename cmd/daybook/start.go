package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/internal/problem"
	"daybook/projections"
	"daybook/readapi"
)

// The pauses between two tries to do a part of a start.
const (
	startPauseMin = 100 * time.Millisecond
	startPauseMax = 2 * time.Second
	// startTellEvery is the time after which the log says again that the same thing is still away.
	startTellEvery = time.Minute
)

// start is the opening of a node that serves. It waits for a log or a database that is
// away, and says meanwhile what it waits for.
type start struct {
	log   *slog.Logger
	waits bool // false: if something is away, the start ends with an error

	mu       sync.Mutex
	needs    string
	since    time.Time // when it began to wait for needs
	lastErr  error     // why the last try failed; nil: it is the first
	logged   string    // which reason was logged last
	loggedAt time.Time // when that reason was logged

	store atomic.Pointer[guardedLog] // the log, once it is open
}

// setStore sets the log on which the node is opened. If this log has diverged, reason says so.
func (s *start) setStore(store *guardedLog) {
	if s != nil {
		s.store.Store(store)
	}
}

// openPart opens a part, and tries again while the reason of a failure can go away. It returns an
// error if the reason cannot go away, or when ctx ends. A nil start does not try again.
func (s *start) openPart(ctx context.Context, p part) error {
	if s == nil {
		return p.open(ctx)
	}
	s.beginPart(p.needs)
	for pause := startPauseMin; ; pause = min(2*pause, startPauseMax) {
		err := p.open(ctx)
		if err == nil || ctx.Err() != nil || !s.waits || p.once || !passes(err) {
			return err
		}
		s.noteFailure(ctx, err)
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (s *start) beginPart(needs string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr != nil {
		s.log.Info("the start goes on", "waited_for", s.needs, "after", time.Since(s.since))
	}
	s.needs, s.since, s.lastErr = needs, time.Now(), nil
}

// noteFailure notes why a part failed, and logs each reason once.
func (s *start) noteFailure(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = err
	// Digits are removed, because two errors that differ only in a time or a port have the same
	// reason.
	cause := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
	if cause == s.logged && time.Since(s.loggedAt) < startTellEvery {
		return
	}
	s.logged, s.loggedAt = cause, time.Now()
	s.log.WarnContext(ctx, "the node is not open yet and tries again", "waits_for", s.needs, "error", err)
}

// reason says in words why the node is not open yet.
func (s *start) reason() (reason string, lastErr error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason = "the node is starting"
	if s.needs != "" {
		reason += fmt.Sprintf(" and has waited %.0f s for %s", time.Since(s.since).Seconds(), s.needs)
	}
	return reason, s.lastErr
}

// notYet accepts no API key, because the keys are not read before the node is open.
type notYet struct{ start *start }

// Authenticate implements httpapi.Access.
func (n notYet) Authenticate(context.Context, string) (access.Principal, error) {
	return access.Principal{}, problem.Starting(n.start.reason())
}

// Session implements httpapi.Access.
func (n notYet) Session(context.Context, string) (access.Principal, error) {
	return access.Principal{}, problem.Starting(n.start.reason())
}

// While implements httpapi.Access.
func (notYet) While(ctx context.Context, _ access.Principal) (context.Context, func()) {
	return ctx, func() {}
}

// handler answers probes, and refuses everything else, until the node is open.
func (s *start) handler(web webFlags) (http.Handler, error) {
	options := web.options(s.log)
	options.Refuse = func(path string) error {
		if path == "/livez" || path == "/readyz" {
			return nil
		}
		if store := s.store.Load(); store != nil {
			if err := store.refuse(path); err != nil {
				return err
			}
		}
		return problem.Starting(s.reason())
	}
	if web.Access != accessOff {
		options.Access = notYet{s}
	}
	return httpapi.New(options, func(api huma.API) {
		readapi.RegisterHealth(api, s.health)
	})
}

// health is the health of the node until it is open.
func (s *start) health() readapi.Health {
	reason, lastErr := s.reason()
	if lastErr != nil {
		reason += ": " + eventstore.Visible(lastErr.Error())
	}
	var log []readapi.Component
	if store := s.store.Load(); store != nil {
		log = live.Log{Store: store}.Components()
	}
	return readapi.Starting(reason, log)
}

// passes tells whether the reason why a node does not open can go away by itself. A server that is
// away or does not answer is such a reason. A wrong password, another protocol or a newer database
// is not.
func passes(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return false // an error of TLS
	}
	return projections.Passing(err)
}

// entrance passes requests on to the handler that was set last.
type entrance struct{ handler atomic.Pointer[http.Handler] }

func (e *entrance) set(handler http.Handler) { e.handler.Store(&handler) }

func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*e.handler.Load()).ServeHTTP(w, r)
}
