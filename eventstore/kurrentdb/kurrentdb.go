// Package kurrentdb is the log in KurrentDB, in EventStoreDB, or in any other server of their
// gRPC protocol. It uses their official client. README.md says which faults of the client are
// handled where.
//
// It does not set the server up: cluster, certificates, users and rights must exist before
// the log is opened.
package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// Options of a store; the zero value of each is its default.
type Options struct {
	Logger *slog.Logger // default: discards
	// InFlight bounds the calls that are under way at once; default 512.
	InFlight int
	// Wait bounds how long a call waits for a connection and for a slot before it is refused
	// as unavailable. It also bounds how long Open waits for a server; for a cluster, Open
	// waits a gossipTimeout longer. Default: 5 s.
	Wait time.Duration
}

const (
	defaultInFlight = 512
	defaultWait     = 5 * time.Second
	// defaultTimeout bounds a call to the server if the connection string has no
	// defaultDeadline. It must be longer than the server's own write timeout.
	defaultTimeout = 10 * time.Second
	// patience is how long a read is repeated while the server is away.
	patience = 10 * time.Second
)

// Store is the log on one server or cluster. Several programs may use the same.
type Store struct {
	logger     *slog.Logger
	supervisor *supervisor
	live       live
	head       knownHead
	idLocks    idLocks
	admit      func(context.Context) (upTo uint64, err error) // nil: appends may be sent over every connection
	pulse      eventstore.PulseRecorder
	proving    sync.WaitGroup
	closed     chan struct{} // ends subscriptions
	close      sync.Once
}

var _ eventstore.Store = (*Store)(nil)

// Open connects by a connection string, such as
// esdb://user:password@host1:2113,host2:2113?tlsCaFile=/etc/ca.crt, and makes
// sure that the server answers and lets this user read the log. The error is
// *eventstore.UnavailableError if waiting can help.
//
// Without TLS (?tls=false) no credentials are sent. defaultDeadline bounds each
// call, in milliseconds; it is 10,000 if not set. nodePreference is leader and
// cannot be changed. maxDiscoverAttempts and discoveryInterval have no effect:
// the store looks for a server until it is closed.
func Open(ctx context.Context, address string, options Options) (*Store, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.InFlight <= 0 {
		options.InFlight = defaultInFlight
	}
	if options.Wait <= 0 {
		options.Wait = defaultWait
	}
	config, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("connection string: %w", err)
	}
	if config.Username != "" && config.DisableTLS {
		options.Logger.WarnContext(ctx, "credentials are not sent without TLS")
	}
	s := &Store{
		logger:     options.Logger,
		supervisor: newSupervisor(*config, options),
		idLocks:    idLocks{held: make(map[uuid.UUID]chan struct{})},
		closed:     make(chan struct{}),
	}
	s.live.store = s
	go s.supervisor.run()
	if err := s.check(ctx); err != nil {
		done, cancel := context.WithCancel(ctx)
		cancel() // waiting would not help
		return nil, errors.Join(fmt.Errorf("open the event store: %w", err), ignoreContext(s.Close(done)))
	}
	s.proving.Go(s.prove)
	return s, nil
}

// Calls is how many calls this store has made to its server so far, including repetitions.
// Items of a subscription do not count.
func (s *Store) Calls() uint64 { return s.supervisor.made.Load() }

// check waits until a server answers, or is known not to.
func (s *Store) check(ctx context.Context) error {
	wait := s.supervisor.wait
	if clustered(&s.supervisor.config) { // the leader may just have changed
		wait += gossipTimeout(&s.supervisor.config)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := s.supervisor.first(ctx); err != nil {
		hint, hopeless := diagnosis(err)
		err = fmt.Errorf("%s: %w", hint, err)
		if hopeless {
			return err
		}
		return &eventstore.UnavailableError{Cause: err}
	}
	if _, err := s.Head(ctx); err != nil {
		return err
	}
	return nil
}

// diagnosis says what is wrong, and whether waiting cannot help.
func diagnosis(err error) (hint string, hopeless bool) {
	if all, of := errors.AsType[refusals](err); of {
		hopeless = true
		for _, one := range all { // another host may still work
			also, never := diagnosis(one)
			if hint == "" || never {
				hint = also
			}
			hopeless = hopeless && never
		}
		return hint, hopeless
	}
	text := err.Error()
	for _, cause := range []struct {
		text, hint string
		hopeless   bool
	}{
		{"first record does not look like a TLS handshake", "the server speaks plain text, and the connection string asks for TLS (tls=false turns it off)", true},
		{"x509:", "the server's certificate is not trusted (tlsCaFile names the file with the authority's certificate)", true},
		{errSpeaksTLS.Error(), "the server speaks TLS, and the connection string asks for plain text (leave tls=false out)", true},
		{errAddress.Error(), "a node advertises itself by an address that cannot be used", true},
		{"invalid EventStoreDB server version", "the server's version is not one the client can read", true},
		{saysNoPreface, "the program that answers there does not speak EventStoreDB's protocol", false},
	} {
		if strings.Contains(text, cause.text) {
			return cause.hint, cause.hopeless
		}
	}
	return "no server answers", judge(err) == denied
}

// Close takes no more calls, lets those under way finish, and ends subscriptions. Calls that
// have not finished when ctx ends are cut off.
func (s *Store) Close(ctx context.Context) error {
	var err error
	s.close.Do(func() {
		close(s.closed)
		s.live.close()
		s.proving.Wait()
		if cut := s.supervisor.close(ctx); cut != nil {
			err = fmt.Errorf("close the event store: %w", cut)
		}
	})
	return err
}

func ignoreContext(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// knownHead is the latest position that the store knows to be in the log.
type knownHead struct {
	mu        sync.Mutex
	at        eventstore.Position
	moves     int // appends that may have moved the head without the store's knowledge
	readMoves int // how many of these appends came before the last read of the head
}

func (h *knownHead) advance(position eventstore.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Before(position) {
		h.at = position
	}
}

// mayHaveMoved notes that an append may have moved the head without the store's knowledge.
func (h *knownHead) mayHaveMoved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moves++
}

// mustRead tells whether the head must be read. After the caller has read it, it passes moves to
// wasRead.
func (h *knownHead) mustRead() (moves int, must bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moves, h.moves > h.readMoves
}

// wasRead notes that the head was read after so many moves.
func (h *knownHead) wasRead(moves int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readMoves = max(h.readMoves, moves)
}

func (h *knownHead) get() eventstore.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// place is a position in the form of the client.
func place(p eventstore.Position) esdb.Position {
	commit, prepare := p.Pair()
	return esdb.Position{Commit: commit, Prepare: prepare}
}
