package kurrentdb_test

import (
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
)

func member(state gossip.MemberInfo_VNodeState, host string, port int) *gossip.MemberInfo {
	return &gossip.MemberInfo{State: state, IsAlive: true, HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)}} //nolint:gosec // a port
}

// If a host accepts connections and never answers, nothing waits for it, whichever place it has in
// the list of hosts.
func TestAHostThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	hole := listen(t, "127.0.0.1:0")
	t.Cleanup(func() { hole.Close() })
	f := &fake{}
	host, port := f.serve(t)
	f.gossip = func() *gossip.ClusterInfo {
		return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{member(gossip.MemberInfo_Leader, host, port)}}
	}
	well, silent := net.JoinHostPort(host, strconv.Itoa(port)), hole.Addr().String()
	for _, hosts := range []string{silent + "," + well, well + "," + silent} {
		// With this timeout, the engine would wait for the silent host longer than the test runs.
		open(t, "esdb://"+hosts+"?tls=false&gossipTimeout=3600")
	}
}

// While no node leads, calls are refused, because no node accepts appends and no node is known to
// have the latest acknowledged events.
func TestOnlyALeaderWillDo(t *testing.T) {
	t.Parallel()
	f := &fake{}
	host, port := f.serve(t)
	var state atomic.Int32
	state.Store(int32(gossip.MemberInfo_Follower))
	asked := make(chan struct{}, 1000)
	f.gossip = func() *gossip.ClusterInfo {
		asked <- struct{}{}
		return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{member(gossip.MemberInfo_VNodeState(state.Load()), host, port)}}
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	go func() {
		for range 4 { // two hosts, twice
			<-asked
		}
		state.Store(int32(gossip.MemberInfo_Leader))
	}()
	open(t, "esdb://"+at+","+at+"?tls=false")
	if leads := state.Load() == int32(gossip.MemberInfo_Leader); !leads {
		t.Error("a node that does not lead was taken")
	}
}

// Nodes may tell wrong addresses of each other. This must be an error. In the client it would end
// the process.
func TestAnAddressThatCannotBeReadIsAnError(t *testing.T) {
	f := &fake{}
	host, port := f.serve(t)
	f.gossip = func() *gossip.ClusterInfo {
		return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{member(gossip.MemberInfo_Leader, "fe80::1%eth0\x7f", port)}}
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	_, err := kurrentdb.Open(within(t, patience), "esdb://"+at+","+at+"?tls=false", kurrentdb.Options{Wait: patience})
	if err == nil || !strings.Contains(err.Error(), "the leader that "+at+" names") {
		t.Errorf("error %v, want one that says who named the leader", err)
	}
}

// A leader answers once and then steps down during an election. The client ends itself, and every
// later call on it fails because its connection is closed. The engine must make a new client.
func TestALeaderThatStepsDownAtOnceIsNotTheEnd(t *testing.T) {
	t.Parallel()
	var asked, election atomic.Bool
	version := func() string {
		if election.Load() {
			return "none" // the client cannot go on
		}
		return "24.10.0"
	}
	leader := &fake{version: func() string {
		if asked.Swap(true) { // the first call comes from checkLeader
			election.Store(true)
		}
		return version()
	}}
	leaderHost, leaderPort := leader.serve(t)
	f := &fake{append: notLeader(leaderHost, leaderPort), version: version}
	store := open(t, f.url(t))
	appends := func() {
		if _, err := store.Append(within(t, time.Second), "a", eventstore.Any, newEvents(1)); err == nil {
			t.Error("an append without a leader succeeds")
		}
	}
	for appends(); !election.Load(); {
		appends()
	}
	appends()
	election.Store(false)
	if _, err := store.Head(within(t, patience)); err != nil {
		t.Errorf("after the election: %v", err)
	}
}
