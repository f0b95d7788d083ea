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

// A host that takes connections and says nothing holds up nobody, wherever it
// stands among the hosts.
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
		// The silent host is not given up before the test is.
		open(t, "esdb://"+hosts+"?tls=false&gossipTimeout=3600")
	}
}

// While no node leads there is nobody to append to and nobody who knows what was
// acknowledged last.
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

// What the nodes say of each other may be wrong. In the client it ends the
// process.
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

// A leader that answers once and steps down, amid an election: the client ends
// itself, and says of every call after that that its connection is closed.
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
		if asked.Swap(true) { // the first one to ask is checkLeader
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
