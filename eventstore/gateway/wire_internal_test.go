package gateway

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The gateway reads messages by methods of an internal type of gRPC. If another version of gRPC
// lacks them, every other test of this package fails, and this test says why.
func TestTheVersionOfGRPCIsTheOneThatWasTried(t *testing.T) {
	t.Parallel()
	if grpc.Version != triedGRPC {
		t.Errorf("gRPC is %s, and was tried with %s: when all tests of this package pass, change triedGRPC and the comment in go.mod", grpc.Version, triedGRPC)
	}
}

// If the methods are missing, the caller gets an error that says so at its first message.
func TestAStreamThatIsNoWireIsAClearError(t *testing.T) {
	t.Parallel()
	_, _, err := (&openStream{ctx: t.Context()}).begin()
	if status.Code(failureOf(err)) != codes.Internal || !strings.Contains(err.Error(), triedGRPC) {
		t.Errorf("%v, want an internal error that names the version", err)
	}
}
