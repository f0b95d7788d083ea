package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
)

const (
	drainAtOnce = 16              // refused appends whose rest is read at the same time
	drainMax    = 2 * time.Second // how long the rest of each is read
)

// errClosing answers calls while the server closes: new calls, and calls that would never end
// by themselves.
var errClosing = fail(codes.Unavailable, "the server is closing")

type userKey struct{}

// userOf is the caller. known is false if no caller was authenticated.
func userOf(ctx context.Context) (user User, known bool) {
	user, known = ctx.Value(userKey{}).(User)
	return user, known
}

// serveCall wraps every call. It reads nothing that the caller sends before it knows who the
// caller is.
func (s *Server) serveCall(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ctx := stream.Context()
	s.served.calls.Add(1)
	defer func() { err = s.finish(ctx, info.FullMethod, recover(), err) }()
	// Answers are not compressed, even if the call is, because an answer that a slow reader
	// has not taken would be in memory twice.
	if err := grpc.SetSendCompressor(ctx, encoding.Identity); err != nil {
		return err
	}
	caller, stop, err := s.admit(ctx, info.FullMethod)
	defer stop()
	appends := info.IsClientStream && !info.IsServerStream
	switch {
	case err != nil:
		if appends {
			s.drain(stream)
		}
		return err
	case isAnonymous(info.FullMethod):
		return handle(srv, emptyRequest{stream})
	case needs[info.FullMethod] == needsOperator:
		if err := s.manages(caller); err != nil {
			return err
		}
	}
	under := &call{budget: s.received, roomTime: s.limits.RoomTime}
	defer under.end()
	caller = context.WithValue(caller, callKey{}, under)
	err = handle(srv, &openStream{ServerStream: stream, ctx: caller, server: s, call: under, skips: appends})
	if err != nil && caller.Err() != nil && ctx.Err() == nil {
		return errRightsChanged
	}
	return err
}

// errRightsChanged ends the calls of a user whose rights have changed. The user may have other
// rights now, so it can try again.
var errRightsChanged = fail(codes.Unauthenticated, "the rights of the caller have changed or ended")

// admit authenticates the caller and returns the context of the call, which ends when the caller's
// rights change. stop must be called.
func (s *Server) admit(ctx context.Context, method string) (_ context.Context, stop func(), _ error) {
	stop = func() {}
	if s.closing.Err() != nil {
		return nil, stop, errClosing
	}
	if s.options.Users == nil || isAnonymous(method) {
		return ctx, stop, nil
	}
	user, err := s.identify(ctx)
	switch {
	case err == nil:
		noteCaller(ctx)
		if user.While != nil {
			ctx, stop = user.While(ctx)
		}
		return context.WithValue(ctx, userKey{}, user), stop, nil
	case errors.Is(err, ErrBusy):
		return nil, stop, fail(codes.ResourceExhausted, err.Error())
	case isUnavailable(err) || ctx.Err() != nil:
		return nil, stop, err
	}
	return nil, stop, s.refusal(ctx, method, user.Name, err)
}

// Reasons why a caller is refused before Users is asked.
var (
	// ErrNoCredentials means that a call has no credentials.
	ErrNoCredentials = errors.New("credentials are missing")
	// errManyCredentials means that a call has the header several times, so it is not clear who
	// calls.
	errManyCredentials = errors.New("there are several headers " + headerAuthorization)
	// errNotTaken does not quote the scheme, because a client that leaves it out sends a secret in
	// that place.
	errNotTaken = errors.New("the credentials are not of a scheme that this server takes")
)

// identify returns who calls.
func (s *Server) identify(ctx context.Context) (User, error) {
	given := metadata.ValueFromIncomingContext(ctx, headerAuthorization)
	switch {
	case len(given) > 1:
		return User{}, errManyCredentials
	case len(given) == 0 || given[0] == "":
		return User{}, ErrNoCredentials
	}
	if scheme, token, _ := strings.Cut(given[0], " "); strings.EqualFold(scheme, "Bearer") {
		if users, take := s.options.Users.(TokenUsers); take {
			return users.AuthenticateToken(ctx, strings.TrimSpace(token))
		}
		return User{}, errNotTaken
	}
	name, password, ok := parseCredentials(given[0])
	if !ok {
		return User{}, errNotTaken
	}
	return s.options.Users.Authenticate(ctx, name, password)
}

// refusal is what a caller gets who is refused. name is as for noteRefused. A call without
// credentials has no line in the log. Otherwise many such calls would leave no room for the lines
// about wrong credentials.
func (s *Server) refusal(ctx context.Context, method, name string, cause error) *failure {
	told := cause
	if s.options.Refused != nil {
		if err := s.options.Refused(ctx, cause); errors.Is(err, ErrTooMany) {
			told = err
		}
	}
	if !errors.Is(cause, ErrNoCredentials) {
		s.noteRefused(ctx, method, name, cause)
	}
	switch {
	case errors.Is(told, ErrTooMany):
		return fail(codes.ResourceExhausted, told.Error())
	case errors.Is(told, ErrNoCredentials), errors.Is(told, errManyCredentials), errors.Is(told, errNotTaken):
		return fail(codes.Unauthenticated, told.Error())
	}
	return fail(codes.Unauthenticated, "the credentials are not good")
}

// How many lines the log has of refused callers. Further ones are only counted, so that nobody can
// fill the log.
const (
	refusedPerSecond = 5
	refusedAtOnce    = 20
)

// noteRefused logs that a caller was refused. name is that of a user, and empty if there is no such
// user. A client may have sent a password or a key as the name, so the log has only names of users.
func (s *Server) noteRefused(ctx context.Context, method, name string, err error) {
	if !s.refusedLines.Allow() {
		s.refusedQuiet.Add(1)
		return
	}
	if name == "" {
		name = "-"
	}
	client, _ := AddressOf(ctx)
	attributes := []any{"method", method, "user", name, "client", client, "error", err}
	if quiet := s.refusedQuiet.Swap(0); quiet > 0 {
		attributes = append(attributes, "more_without_a_line", quiet)
	}
	s.logger.WarnContext(ctx, "gateway: a caller was refused", attributes...)
}

const headerAuthorization = "authorization"

// parseCredentials reads the header of HTTP's basic authentication.
func parseCredentials(authorization string) (name, password string, ok bool) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}

// header is the first value of a request header, empty if there is none.
func header(ctx context.Context, name string) string {
	if values := metadata.ValueFromIncomingContext(ctx, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// finish turns a call's error into what the client gets, including trailers. A panic ends the
// call and not the server.
func (s *Server) finish(ctx context.Context, method string, panicked any, err error) error {
	if panicked != nil {
		err = s.panicked(ctx, method, panicked)
	}
	if err == nil {
		return nil
	}
	s.served.failed.Add(1)
	told := failureOf(err)
	if s.closing.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		told = errClosing
	}
	level := slog.LevelDebug
	if told.status.Code() == codes.Internal {
		level = slog.LevelError
	}
	s.logger.Log(ctx, level, "gateway: a call failed", "method", method, "connection", header(ctx, "connection-name"), "error", err)
	if len(told.trailers) > 0 {
		if err := grpc.SetTrailer(ctx, told.trailers); err != nil {
			s.logger.ErrorContext(ctx, "gateway: trailers were not set", "method", method, "error", err)
		}
	}
	return told
}

// panicked logs a panic with the stack of its goroutine, and returns the error of its call.
func (s *Server) panicked(ctx context.Context, method string, value any) error {
	s.logger.ErrorContext(ctx, "gateway: a call panicked", "method", method, "connection", header(ctx, "connection-name"),
		"panic", value, "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", value)
}

// untilClosing is a context that ends with the call, and also when the server begins to
// close. It is for calls that would go on for ever.
func (s *Server) untilClosing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}
