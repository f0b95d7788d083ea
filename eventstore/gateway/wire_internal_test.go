package gateway

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Messages are read by methods of an internal type of gRPC. Another version that lacks
// them fails every other test of this package; this one says why.
func TestTheVersionOfGRPCIsTheOneThatWasTried(t *testing.T) {
	t.Parallel()
	if grpc.Version != triedGRPC {
		t.Errorf("gRPC is %s, and was tried with %s: when all tests of this package pass, change triedGRPC and the comment in go.mod", grpc.Version, triedGRPC)
	}
}

// Where the methods are missing, the caller is told so at the first message.
func TestAStreamThatIsNoWireIsAClearError(t *testing.T) {
	t.Parallel()
	_, _, err := (&openStream{ctx: t.Context()}).begin()
	if status.Code(failureOf(err)) != codes.Internal || !strings.Contains(err.Error(), triedGRPC) {
		t.Errorf("%v, want an internal error that names the version", err)
	}
}
