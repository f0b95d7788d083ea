package kurrentdb

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// onceScheme makes gRPC connect once and never again: an address of this scheme serves one
// TCP connection, and every call after the end of that connection fails as unavailable.
// By default gRPC connects again by itself, and sends waiting calls over the new TCP connection. If
// the server was restarted with another log, it would then get appends that were meant for the log
// before. So here each TCP connection belongs to one connection of the engine, and an append waits
// until the log behind that connection was compared (AskBeforeAppend).
const onceScheme = "daybook-once"

// oncePolicy is the name under which gRPC knows the balancer of such an address.
const oncePolicy = "daybook_once"

func init() { //nolint:gochecknoinits // gRPC asks for it: registering is not safe for concurrent use
	resolver.Register(onceResolver{})
	balancer.Register(onceBuilder{})
}

var errConnectedOnce = errors.New("the connection to the server has ended")

// permits are the addresses to which no connection was made yet, by their number.
var permits struct {
	last atomic.Uint64
	left sync.Map // of string, to nothing
}

// onceAddress is an address to which one connection can be made. withdraw removes the permit,
// even if it was not used.
func onceAddress(address string) (once string, withdraw func()) {
	number := strconv.FormatUint(permits.last.Add(1), 10)
	permits.left.Store(number, nil)
	return onceScheme + "://" + number + "/" + address, func() { permits.left.Delete(number) }
}

// onceResolver uses an address as it is. gRPC asks it at the first call, and again after
// thirty minutes without calls. The second time is refused.
type onceResolver struct{}

func (onceResolver) Scheme() string { return onceScheme }

func (onceResolver) Build(target resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if _, left := permits.left.LoadAndDelete(target.URL.Host); !left {
		return nil, errConnectedOnce
	}
	// An error could only mean that the balancer refuses the address, and it refuses none.
	_ = conn.UpdateState(resolver.State{
		Addresses:     []resolver.Address{{Addr: target.Endpoint()}},
		ServiceConfig: conn.ParseServiceConfig(`{"loadBalancingConfig":[{"` + oncePolicy + `":{}}]}`),
	})
	return onceResolver{}, nil
}

func (onceResolver) ResolveNow(resolver.ResolveNowOptions) {}
func (onceResolver) Close()                                {}

type onceBuilder struct{}

func (onceBuilder) Name() string { return oncePolicy }

func (onceBuilder) Build(conn balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	return &onceBalancer{conn: conn}
}

// onceBalancer makes one TCP connection and no other after it.
type onceBalancer struct {
	conn balancer.ClientConn
	line balancer.SubConn
}

// UpdateClientConnState connects. gRPC calls it once, because the resolver always has the
// same one address.
func (b *onceBalancer) UpdateClientConnState(state balancer.ClientConnState) error {
	if b.line != nil {
		return nil
	}
	line, err := b.conn.NewSubConn(state.ResolverState.Addresses, balancer.NewSubConnOptions{StateListener: b.changed}) //nolint:staticcheck // what is deprecated is more than one address
	if err != nil {
		return err
	}
	b.line = line
	line.Connect()
	return nil
}

func (b *onceBalancer) changed(state balancer.SubConnState) {
	switch state.ConnectivityState {
	case connectivity.Connecting:
		b.conn.UpdateState(balancer.State{ConnectivityState: connectivity.Connecting, Picker: oncePicker{err: balancer.ErrNoSubConnAvailable}})
	case connectivity.Ready:
		b.conn.UpdateState(balancer.State{ConnectivityState: connectivity.Ready, Picker: oncePicker{line: b.line}})
	case connectivity.TransientFailure:
		b.fail(state.ConnectionError)
	case connectivity.Idle, connectivity.Shutdown:
		b.fail(nil)
	}
}

// fail makes every further call fail, with the first cause.
func (b *onceBalancer) fail(cause error) {
	if cause == nil {
		cause = errConnectedOnce
	}
	b.conn.UpdateState(balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: oncePicker{err: cause}})
}

func (b *onceBalancer) ResolverError(err error)                                    { b.fail(err) }
func (b *onceBalancer) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}
func (b *onceBalancer) ExitIdle()                                                  {}
func (b *onceBalancer) Close()                                                     {}

type oncePicker struct {
	line balancer.SubConn
	err  error
}

func (p oncePicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: p.line}, p.err
}
