package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"

	"daybook/eventstore/gateway/groups"
)

// operators is the group whose members may manage the running server, as administrators may.
const operators = "$ops"

// Trailers of errors of groups, and the values by which clients tell the errors apart.
const (
	trailerGroup      = "group-name"
	trailerReason     = "reason"
	trailerLeaderHost = "leader-endpoint-host"
	trailerLeaderPort = "leader-endpoint-port"

	notLeader    = "not-leader"
	groupMissing = "persistent-subscription-does-not-exist"
	groupExists  = "persistent-subscription-exists"
	groupFailed  = "persistent-subscription-failed"
	groupDropped = "persistent-subscription-dropped"
	groupFull    = "maximum-subscribers-reached"
)

// persistentServer is a type of its own because of its method Read: Streams has one with the
// same name.
type persistentServer struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	server *Server
}

// groupFailure turns an error of groups into the protocol's form. It returns other errors as
// they are.
func groupFailure(err error) error {
	if err == nil {
		return nil
	}
	about := func(code codes.Code, exception string, key groups.Key, more ...string) error {
		trailers := append([]string{trailerException, exception, trailerStream, trailerText(key.Source)}, more...)
		if key.Name != "" {
			trailers = append(trailers, trailerGroup, trailerText(key.Name))
		}
		return fail(code, err.Error(), trailers...)
	}
	if e, ok := errors.AsType[*groups.NotFoundError](err); ok {
		return about(codes.NotFound, groupMissing, e.Key)
	}
	if e, ok := errors.AsType[*groups.ExistsError](err); ok {
		return about(codes.AlreadyExists, groupExists, e.Key)
	}
	if e, ok := errors.AsType[*groups.FullError](err); ok {
		return about(codes.FailedPrecondition, groupFull, e.Key)
	}
	if e, ok := errors.AsType[*groups.DroppedError](err); ok {
		return about(codes.Canceled, groupDropped, e.Key)
	}
	if e, ok := errors.AsType[*groups.InvalidError](err); ok {
		if e.Argument {
			return invalid("%s", e.Reason)
		}
		return about(codes.Internal, groupFailed, e.Key, trailerReason, trailerText(e.Reason))
	}
	if e, ok := errors.AsType[*groups.NotLeaderError](err); ok {
		return fail(codes.NotFound, "Leader info available", trailerException, notLeader,
			trailerLeaderHost, trailerText(e.Host), trailerLeaderPort, strconv.Itoa(e.Port))
	}
	if errors.Is(err, groups.ErrNotReady) || errors.Is(err, groups.ErrFenced) {
		return fail(codes.Unavailable, "Server Is Not Ready")
	}
	return err
}

// manages is asked before each method that needs an operator (needs). It returns nil if the caller
// may make and change groups and see their state. The state shows who reads what, and from which
// address.
func (s *Server) manages(ctx context.Context) error {
	user, known := userOf(ctx)
	if s.options.Users == nil || known && (slices.Contains(user.Groups, administrators) || slices.Contains(user.Groups, operators)) {
		return nil
	}
	return denied("only %s and %s may manage groups of consumers or see their state", administrators, operators)
}

// sourced is a message that names a stream or $all.
type sourced interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetAll() *shared.Empty
}

// source is the stream a message names, or $all.
func source(from sourced) (string, error) {
	if from.GetAll() != nil {
		return groups.All, nil
	}
	return parseStream(from.GetStreamIdentifier())
}

// Create makes a group.
func (p persistentServer) Create(ctx context.Context, req *persistent.CreateReq) (*persistent.CreateResp, error) {
	definition, err := newDefinition(req.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := p.server.groups.Create(ctx, definition); err != nil {
		return nil, groupFailure(err)
	}
	return &persistent.CreateResp{}, nil
}

// Update changes a group's settings and drops its consumers. Where there is a
// checkpoint, the group goes on from there.
func (p persistentServer) Update(ctx context.Context, req *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	key, settings, err := newSettings(req.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := p.server.groups.Update(ctx, key, settings); err != nil {
		return nil, groupFailure(err)
	}
	return &persistent.UpdateResp{}, nil
}

// Delete removes a group and all that is kept of it.
func (p persistentServer) Delete(ctx context.Context, req *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	from, err := source(req.GetOptions())
	if err != nil {
		return nil, err
	}
	key := groups.Key{Source: from, Name: req.GetOptions().GetGroupName()}
	if err := p.server.groups.Delete(ctx, key); err != nil {
		return nil, groupFailure(err)
	}
	return &persistent.DeleteResp{}, nil
}

// ReplayParked hands parked events out again: those with numbers below stop_at.
func (p persistentServer) ReplayParked(ctx context.Context, req *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	options := req.GetOptions()
	from, err := source(options)
	if err != nil {
		return nil, err
	}
	key := groups.Key{Source: from, Name: options.GetGroupName()}
	stopAt := int64(-1)
	if to, ok := options.GetStopAtOption().(*persistent.ReplayParkedReq_Options_StopAt); ok {
		if stopAt = to.StopAt; stopAt < 0 {
			return nil, groupFailure(&groups.InvalidError{Key: key, Reason: "Cannot stop replaying parked message at a negative version."})
		}
	}
	if err := p.server.groups.Replay(ctx, key, stopAt); err != nil {
		return nil, groupFailure(err)
	}
	return &persistent.ReplayParkedResp{}, nil
}

// RestartSubsystem stops all groups and loads them again.
func (p persistentServer) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	if err := p.server.groups.Restart(ctx); err != nil {
		return nil, groupFailure(err)
	}
	return &shared.Empty{}, nil
}
