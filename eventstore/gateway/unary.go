package gateway

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// streamed is a service whose methods are all served as streams. For a plain method gRPC
// reads the request before the gateway can check who calls. For a stream it reads nothing
// until it is asked to. Clients see no difference.
func streamed(service grpc.ServiceDesc) *grpc.ServiceDesc {
	all := make([]grpc.StreamDesc, 0, len(service.Streams)+len(service.Methods))
	all = append(all, service.Streams...)
	for _, method := range service.Methods {
		all = append(all, grpc.StreamDesc{StreamName: method.MethodName, Handler: asStream(method)})
	}
	service.Methods, service.Streams = nil, all
	return &service
}

func asStream(method grpc.MethodDesc) grpc.StreamHandler {
	return func(server any, stream grpc.ServerStream) error {
		answer, err := method.Handler(server, stream.Context(), stream.RecvMsg, nil)
		if err != nil {
			return err
		}
		return stream.SendMsg(answer)
	}
}

// notServed answers a call of a method that is not served: the services that manage users,
// scavenge and run projections, and the methods of newer protocols. The page that it names
// says what to use instead.
func notServed(_ any, stream grpc.ServerStream) error {
	const methodMax = 128 // so many characters of the method's name are repeated
	method, _ := grpc.MethodFromServerStream(stream)
	method = strings.TrimPrefix(method, "/")
	return notThere(trailerText(method[:min(len(method), methodMax)]))
}

// notThere names the page that says what to use instead of a missing method.
func notThere(what string) error {
	return fail(codes.Unimplemented, what+" is not served here: docs/kurrentdb.md, \"What is not there\", says what to use instead")
}

// ofGroup refuses to read the stream in which a real server keeps a group's checkpoint,
// unless a client has written one. "Not found" would mean that the group has handled nothing,
// and a subscription would wait for ever.
func (s *Server) ofGroup(ctx context.Context, stream string) error {
	if !strings.HasPrefix(stream, "$persistentsubscription-") || !strings.HasSuffix(stream, "-checkpoint") {
		return nil
	}
	last, err := s.lastRevision(ctx, stream)
	if err == nil && last < 0 {
		err = notThere("stream " + stream)
	}
	return err
}

// emptyRequest is a stream whose request is an empty message, so nothing is read.
type emptyRequest struct{ grpc.ServerStream }

// RecvMsg implements grpc.ServerStream.
func (emptyRequest) RecvMsg(message any) error {
	if m, ok := message.(proto.Message); ok {
		proto.Reset(m)
	}
	return nil
}
