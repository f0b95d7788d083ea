// Package gateway serves the EventStoreDB gRPC protocol over any engine of the log. So the
// official clients of EventStoreDB and KurrentDB, in any language, can read the log, follow
// it, and write streams of their own.
//
// It does not know what an event means. Options say what only the program itself may write. Only
// the state of groups of consumers is not in the log. It has its own store.
//
// It differs from the real servers in four ways. Regular expressions have RE2's syntax.
// Content that is not a JSON object counts a third more towards an append's limit. A soft
// delete and its check of the revision are two steps. If one node changes a stream's metadata
// or deletes the stream, other nodes see that a moment later.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

const (
	maxCalls      = 1000     // at a time on one connection
	maxHeaders    = 16 << 10 // bytes of a call's headers
	readBuffer    = 32 << 10 // of each connection
	writeBuffer   = 128 << 10
	streamWindow  = 64 << 10 // bytes of a call that a client may send before they are asked for
	connectWindow = 1 << 20  // the same, for all calls of a connection together

	// minClientPing is the least time between a client's pings while nothing is sent to it.
	// Most clients ping an idle connection every ten seconds. Clients with the HTTP/2 library
	// of Rust, such as the newer one for Node, also use pings to measure the connection. They
	// ping every 100 ms while they read what was already sent.
	minClientPing = 50 * time.Millisecond
	serverPing    = 10 * time.Second
	pingTimeout   = 10 * time.Second

	closeGrace = 500 * time.Millisecond // for calls that were cut off to end
)

// Options say who may do what, and what clients learn about the node. With the zero Options
// everybody may do everything, in plain text.
type Options struct {
	Logger *slog.Logger
	// TLS is nil for plain text. Clients send no credentials over plain text.
	TLS *tls.Config
	// Users says who the callers are. If it is nil, every caller is an administrator. If it is a
	// TokenUsers, callers may send tokens, too.
	Users Users
	// Refused is called before a caller is refused. cause is ErrNoCredentials if there are no
	// credentials, and otherwise the error of Users. If it returns an error that wraps ErrTooMany,
	// the caller gets this error. nil: nobody is told.
	Refused func(ctx context.Context, cause error) error
	// Readers are the groups whose members may read $all and the streams that Protected names.
	// Everybody else needs a right of its own to read $all, and cannot read those streams. If it is
	// nil, they are read as other streams are. $admins may always read them.
	Readers []string
	// Protected tells whether only the program itself may write an event, by stream and event
	// type. The type is empty if the question is about the whole stream. nil protects
	// nothing.
	Protected func(stream, eventType string) bool
	// ReservedID tells whether only the program itself may use an event id. nil reserves
	// none.
	ReservedID func(id uuid.UUID) bool
	// Cluster is nil if this node is alone.
	Cluster Cluster
	// Groups stores the state of groups of consumers, and Node tells whether this node serves
	// them. Both are nil if the node is alone and may forget them at its end.
	Groups groups.Store
	Node   groups.Node
	// Limits bound the resources that callers can use.
	Limits Limits
}

// Users knows the callers.
type Users interface {
	// Authenticate is called for each call. An error that wraps *eventstore.UnavailableError,
	// ErrBusy or the context's error means that the caller could not be checked. ErrTooMany means
	// that the caller must pause. Any other error refuses the caller. If the name is that of a user
	// whose password was wrong, the User has it, and the log names the user. Otherwise the User is
	// empty.
	Authenticate(ctx context.Context, name, password string) (User, error)
}

// TokenUsers also knows callers who send a bearer token in place of a name and a password.
type TokenUsers interface {
	Users
	// AuthenticateToken is called for each call with a bearer token. Its errors are those of
	// Authenticate.
	AuthenticateToken(ctx context.Context, token string) (User, error)
}

// User is a caller. The group $admins may do everything.
type User struct {
	Name   string
	Groups []string
	// ReadOnly means that the user may not change anything: no stream, no metadata and no place of
	// a group of consumers.
	ReadOnly bool
	// Show returns an event as the user sees it; nil: as it was recorded. It must keep the type
	// and the place of the event, and must give the same event the same id each time.
	Show func(eventstore.Recorded) eventstore.Recorded
	// While is nil if the user's rights do not change. Otherwise it returns a context that ends
	// when they do, and then the user's calls end as well. stop must be called.
	While func(ctx context.Context) (_ context.Context, stop func())
}

// Cluster lists the nodes that clients may connect to.
type Cluster interface {
	Members(ctx context.Context) ([]Member, error)
}

// Member is a node. Every node accepts writes. Clients that ask for the leader go to the node
// that is marked as leader.
type Member struct {
	ID     uuid.UUID
	Host   string // as clients reach it, and as its certificate names it
	Port   int
	Leader bool
	Alive  bool
	SeenAt time.Time
}

// Server serves the protocol.
type Server struct {
	store     eventstore.Store
	options   Options
	logger    *slog.Logger
	now       func() time.Time
	id        uuid.UUID // of this node, while it runs
	cached    cache
	headReads singleflight.Group // at the log's head, for the cache
	grpc      *grpc.Server
	groups    *groups.Service
	limits    Limits
	hearing   *semaphore.Weighted
	// received is the budget for bytes that were received and are still in use.
	received    *semaphore.Weighted
	connections *connectionLimits
	served      served
	// refusedLines bounds the lines in the log about refused callers, and refusedQuiet counts the
	// callers who have had none since the last line.
	refusedLines *rate.Limiter
	refusedQuiet atomic.Uint64

	closing    context.Context // ends when the server is to close
	close      context.CancelFunc
	watching   sync.Once
	background sync.WaitGroup
	halted     chan struct{} // closed when the groups that were served have stopped

	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
}

// New makes a server over a log; Serve starts it.
func New(store eventstore.Store, options Options) (*Server, error) {
	return newServer(store, options, minClientPing)
}

func newServer(store eventstore.Store, options Options, minPing time.Duration) (*Server, error) {
	if store == nil {
		return nil, errors.New("gateway: no log to serve")
	}
	if options.Users != nil && options.TLS == nil {
		return nil, errors.New("gateway: users need TLS, clients send no credentials over plain text")
	}
	limits := options.Limits.withDefaults(options.Users != nil)
	s := &Server{
		store: store, options: options, logger: options.Logger, now: time.Now, id: uuid.New(), limits: limits,
		hearing: semaphore.NewWeighted(drainAtOnce), received: semaphore.NewWeighted(limits.MaxReceived), halted: make(chan struct{}),
		refusedLines: rate.NewLimiter(refusedPerSecond, refusedAtOnce),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.connections = newConnectionLimits(limits, options.Users != nil, s.logger)
	if (options.Groups == nil) != (options.Node == nil) {
		return nil, errors.New("gateway: the state of groups and the node that serves them go together")
	}
	if options.Groups == nil {
		memory := groups.NewMemory()
		options.Groups, options.Node = memory, memory
	}
	s.groups = groups.New(groupLog{server: s}, options.Groups, options.Node, s.logger)
	s.closing, s.close = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(s.transport(minPing)...)
	s.register(streams.Streams_ServiceDesc, s)
	s.register(gossip.Gossip_ServiceDesc, gossipServer{server: s})
	s.register(serverfeatures.ServerFeatures_ServiceDesc, s)
	s.register(persistent.PersistentSubscriptions_ServiceDesc, persistentServer{server: s})
	return s, nil
}

func (s *Server) transport(minPing time.Duration) []grpc.ServerOption {
	settings := []grpc.ServerOption{
		grpc.ConnectionTimeout(s.limits.HandshakeTime),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		// gRPC's windows that grow by themselves would let each call leave mebibytes unread.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing, Timeout: pingTimeout}),
		grpc.StreamInterceptor(s.serveCall),
		grpc.UnknownServiceHandler(notServed),
		grpc.WaitForHandlers(true),
	}
	if s.options.TLS != nil {
		settings = append(settings, grpc.Creds(boundedHandshakes{credentials.NewTLS(s.options.TLS), s.limits.HandshakeTime}))
	}
	return settings
}

// Serve takes connections until Close, and then returns nil. It closes the listener.
func (s *Server) Serve(listener net.Listener) error {
	s.watching.Do(func() {
		s.background.Go(func() { s.watch(s.closing) })
		s.background.Go(func() { defer close(s.halted); s.groups.Run(s.closing) })
	})
	if err := s.grpc.Serve(s.connections.of(listener)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}

// served counts what callers use.
type served struct {
	calls, failed            atomic.Uint64
	subscriptions, consumers atomic.Int64
}

// Stats are counts of what callers use.
type Stats struct {
	Calls         uint64 // since the start
	Failed        uint64 // calls that ended with an error; the end of a subscription counts, too
	Connections   int
	Refused       uint64 // connections that were closed because there were too many
	Subscriptions int64  // calls that follow a stream or the log now
	Consumers     int64  // calls that are consumers of a group now
}

// Stats returns what callers use now.
func (s *Server) Stats() Stats {
	connections, refused := s.connections.count()
	return Stats{
		Calls: s.served.calls.Load(), Failed: s.served.failed.Load(), Connections: connections, Refused: refused,
		Subscriptions: s.served.subscriptions.Load(), Consumers: s.served.consumers.Load(),
	}
}

// Methods are the full names of all methods that are served, such as
// /event_store.client.streams.Streams/Read, sorted. anonymous tells which of them answer callers
// without credentials, because clients send none there.
func (s *Server) Methods() (methods []string, anonymous func(method string) bool) {
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			methods = append(methods, "/"+service+"/"+method.Name)
		}
	}
	slices.Sort(methods)
	return methods, isAnonymous
}

// Halted is closed when Close has stopped the groups of consumers, even if other calls still
// go on. From then on another node may serve the groups. If Serve was never called, it is not
// closed.
func (s *Server) Halted() <-chan struct{} { return s.halted }

// Close ends subscriptions in such a way that clients reconnect. It takes no new calls and lets the
// other calls finish. Calls that have not finished when ctx ends are cut off. Calls that do not end
// within closeGrace after that are left running, for example because the log hangs. Both cases are
// errors.
func (s *Server) Close(ctx context.Context) error {
	s.close()
	s.connections.shut()
	s.watching.Do(func() {}) // if Serve comes later, it starts nothing to wait for
	calls, all := make(chan struct{}), make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(calls)
		s.background.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
	}
	var err error
	if !isClosed(calls) {
		err = fmt.Errorf("gateway: calls were cut off: %w", context.Cause(ctx))
		go s.grpc.Stop() // cuts the calls off, so that GracefulStop ends; waits for them, so it must not block Close
	}
	select {
	case <-all:
		return err
	case <-time.After(closeGrace):
	}
	left := "groups of consumers, or the watch over metadata,"
	if !isClosed(calls) {
		left = "calls"
	}
	return errors.Join(err, fmt.Errorf("gateway: %s did not end %s after being cut off, and were left behind", left, closeGrace))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
