package gateway

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"daybook/eventstore/memory"
)

// A method that does not state what a caller needs stops the program at its start. Each method that
// is stated is served, so that no line is left of a method that is gone.
func TestAMethodWithoutAStatedNeedStopsTheProgram(t *testing.T) {
	t.Parallel()
	s, err := New(memory.New(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	served, _ := s.Methods()
	if len(served) != len(needs) {
		t.Errorf("%d methods are served, and %d state what they need", len(served), len(needs))
	}
	for _, kind := range []grpc.ServiceDesc{
		{ServiceName: "test.Unary", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Do"}}},
		{ServiceName: "test.Streams", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{StreamName: "Do", ServerStreams: true}}},
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, kind.ServiceName+"/Do does not say what a caller needs") {
					t.Errorf("%s: panic %s", kind.ServiceName, said)
				}
			}()
			s.register(kind, s)
		}()
	}
}
