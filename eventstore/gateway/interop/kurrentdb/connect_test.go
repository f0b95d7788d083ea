// Code generated from ../connect_test.go by go test -update. DO NOT EDIT.

package kurrentdb_test

import (
	"testing"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// The users of the gateway with TLS, none of them an administrator, and the
// password of both.
const (
	writer   = "writer"
	reader   = "reader"
	password = "password-1"
)

// protectedStream is one of the domain's, which foreigners only read.
const protectedStream = "order-interop"

func connecting() []scenario {
	return []scenario{
		{"connect-seeds", connectSeeds},
		{"connect-discover", connectDiscover},
		{"credentials", credentials},
		{"credentials-of-a-call", credentialsOfACall},
		{"credentials-wrong", credentialsWrong},
		{"credentials-none", credentialsNone},
		{"access-by-list", accessByList},
		{"access-denied", accessDenied},
	}
}

// connectSeeds has several addresses; that one of them is dead does not matter.
func connectSeeds(t *testing.T, s *session) {
	s.Client = s.dial(t, s.at.Seeds)
	s.wantWorking(t)
}

// connectDiscover asks for the cluster, with TLS too, where it has no credentials
// for that question.
func connectDiscover(t *testing.T, s *session) {
	for _, address := range []string{s.at.Discover, "esdb+discover://" + writer + ":" + password + "@" + s.at.Secure} {
		s.Client = s.dial(t, address)
		s.name += "-again"
		s.wantWorking(t)
	}
}

// notLeader asks a node for what only the leader does: the client goes there.
func notLeader(t *testing.T, s *session) {
	s.Client = s.dial(t, s.at.Follower)
	s.wantWorking(t)
	options := kurrentdb.PersistentStreamSubscriptionOptions{StartFrom: kurrentdb.Start{}}
	wantCode(t, "create a group elsewhere", s.CreatePersistentSubscription(s.ctx, s.name, group, options), kurrentdb.ErrorCodeNotLeader)
	s.createGroup(t, kurrentdb.SubscriptionSettingsDefault())
	sub := s.join(t)
	ack(t, sub, wantDelivered(t, sub, 0, 0, 1)...)
	s.wantInFlight(t, 0)
}

func credentials(t *testing.T, s *session) {
	s.Client = s.dial(t, s.as(writer))
	s.wantWorking(t)
}

func credentialsOfACall(t *testing.T, s *session) {
	s.Client = s.dial(t, "esdb://"+s.at.Secure)
	given := &kurrentdb.Credentials{Login: writer, Password: password}
	_, err := s.AppendToStream(s.ctx, s.name, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.NoStream{}, Authenticated: given}, events("a", 1)...)
	if err != nil {
		t.Fatalf("append with credentials: %v", err)
	}
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{Authenticated: given}, everything), 0)
}

func credentialsWrong(t *testing.T, s *session) {
	s.Client = s.dial(t, "esdb://"+writer+":wrong@"+s.at.Secure)
	s.wantRefused(t, kurrentdb.ErrorCodeUnauthenticated)
}

func credentialsNone(t *testing.T, s *session) {
	s.Client = s.dial(t, "esdb://"+s.at.Secure)
	s.wantRefused(t, kurrentdb.ErrorCodeAccessDenied)
}

// accessByList has a stream whose metadata lists who may use it.
func accessByList(t *testing.T, s *session) {
	s.Client = s.dial(t, s.as(writer))
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 1)...)
	var own kurrentdb.Acl
	own.AddReadRoles(writer)
	own.AddWriteRoles(writer)
	var keep kurrentdb.StreamMetadata
	keep.SetAcl(own)
	s.keep(t, kurrentdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 0)

	s.Client = s.dial(t, s.as(reader))
	s.wantRefused(t, kurrentdb.ErrorCodeAccessDenied)
	s.name += "-open"
	s.wantWorking(t)
}

// accessDenied reads a stream of the domain, but may not write to it.
func accessDenied(t *testing.T, s *session) {
	s.Client = s.dial(t, s.as(writer))
	wantRevisions(t, s.read(t, protectedStream, kurrentdb.ReadStreamOptions{}, everything), 0)
	_, err := s.AppendToStream(s.ctx, protectedStream, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.Any{}}, events("a", 2_000)...)
	wantCode(t, "append to a stream of the domain", err, kurrentdb.ErrorCodeAccessDenied)
	_, err = s.DeleteStream(s.ctx, protectedStream, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Any{}})
	wantCode(t, "delete a stream of the domain", err, kurrentdb.ErrorCodeAccessDenied)
	wantRevisions(t, s.read(t, protectedStream, kurrentdb.ReadStreamOptions{}, everything), 0)
	_, err = collect(s.ReadAll(s.ctx, kurrentdb.ReadAllOptions{}, 1))
	wantCode(t, "read $all, which is for administrators", err, kurrentdb.ErrorCodeAccessDenied)
}

// as is the address of the gateway with TLS for one of its users.
func (s *session) as(user string) string {
	return "esdb://" + user + ":" + password + "@" + s.at.Secure
}

func (s *session) wantWorking(t *testing.T) {
	t.Helper()
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 0, 1)
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	wantNext(t, sub, place{s.name, 0}, place{s.name, 1})
}

func (s *session) wantRefused(t *testing.T, want kurrentdb.ErrorCode) {
	t.Helper()
	_, err := s.tryRead(s.name, kurrentdb.ReadStreamOptions{}, everything)
	wantCode(t, "read", err, want)
	_, err = s.SubscribeToStream(s.ctx, s.name, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	wantCode(t, "subscribe", err, want)
	// Many: a client that is still sending loses the status of an early refusal.
	_, err = s.AppendToStream(s.ctx, s.name, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.Any{}}, events("a", 2_000)...)
	wantCode(t, "append", err, want)
}
