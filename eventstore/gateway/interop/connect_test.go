package interop_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// The two users of the gateway with TLS, and the password of both. Neither is an administrator.
const (
	writer   = "writer"
	reader   = "reader"
	password = "password-1"
)

// protectedStream is a stream of the domain, which clients can only read.
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

// connectSeeds connects with several addresses. It must succeed although nothing answers at one of
// them.
func connectSeeds(t *testing.T, s *session) {
	s.Client = s.dial(t, s.at.Seeds)
	s.wantWorking(t)
}

// connectDiscover asks a node for the cluster, without and with TLS. With TLS, the client sends no
// credentials with this question.
func connectDiscover(t *testing.T, s *session) {
	for _, address := range []string{s.at.Discover, "esdb+discover://" + writer + ":" + password + "@" + s.at.Secure} {
		s.Client = s.dial(t, address)
		s.name += "-again"
		s.wantWorking(t)
	}
}

// notLeader asks a node for something that only the leader does. The client must then go to the
// leader.
func notLeader(t *testing.T, s *session) {
	s.Client = s.dial(t, s.at.Follower)
	s.wantWorking(t)
	options := esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}}
	wantCode(t, "create a group elsewhere", s.CreatePersistentSubscription(s.ctx, s.name, group, options), esdb.ErrorCodeNotLeader)
	s.createGroup(t, esdb.SubscriptionSettingsDefault())
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
	given := &esdb.Credentials{Login: writer, Password: password}
	_, err := s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}, Authenticated: given}, events("a", 1)...)
	if err != nil {
		t.Fatalf("append with credentials: %v", err)
	}
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{Authenticated: given}, everything), 0)
}

func credentialsWrong(t *testing.T, s *session) {
	s.Client = s.dial(t, "esdb://"+writer+":wrong@"+s.at.Secure)
	s.wantRefused(t, esdb.ErrorCodeUnauthenticated)
}

func credentialsNone(t *testing.T, s *session) {
	s.Client = s.dial(t, "esdb://"+s.at.Secure)
	s.wantRefused(t, esdb.ErrorCodeUnauthenticated)
}

// accessByList uses a stream whose metadata lists who may use it.
func accessByList(t *testing.T, s *session) {
	s.Client = s.dial(t, s.as(writer))
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	var own esdb.Acl
	own.AddReadRoles(writer)
	own.AddWriteRoles(writer)
	var keep esdb.StreamMetadata
	keep.SetAcl(own)
	s.keep(t, esdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0)

	s.Client = s.dial(t, s.as(reader))
	s.wantRefused(t, esdb.ErrorCodeAccessDenied)
	s.name += "-open"
	s.wantWorking(t)
}

// accessDenied reads a stream of the domain, but may not write to it.
func accessDenied(t *testing.T, s *session) {
	s.Client = s.dial(t, s.as(writer))
	wantRevisions(t, s.read(t, protectedStream, esdb.ReadStreamOptions{}, everything), 0)
	_, err := s.AppendToStream(s.ctx, protectedStream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events("a", 2_000)...)
	wantCode(t, "append to a stream of the domain", err, esdb.ErrorCodeAccessDenied)
	_, err = s.DeleteStream(s.ctx, protectedStream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	wantCode(t, "delete a stream of the domain", err, esdb.ErrorCodeAccessDenied)
	wantRevisions(t, s.read(t, protectedStream, esdb.ReadStreamOptions{}, everything), 0)
	_, err = collect(s.ReadAll(s.ctx, esdb.ReadAllOptions{}, 1))
	wantCode(t, "read $all, which is for administrators", err, esdb.ErrorCodeAccessDenied)
}

// as is the connection string of the gateway with TLS for one of its users.
func (s *session) as(user string) string {
	return "esdb://" + user + ":" + password + "@" + s.at.Secure
}

func (s *session) wantWorking(t *testing.T) {
	t.Helper()
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0, 1)
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	wantNext(t, sub, place{s.name, 0}, place{s.name, 1})
}

func (s *session) wantRefused(t *testing.T, want esdb.ErrorCode) {
	t.Helper()
	_, err := s.tryRead(s.name, esdb.ReadStreamOptions{}, everything)
	wantCode(t, "read", err, want)
	_, err = s.SubscribeToStream(s.ctx, s.name, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	wantCode(t, "subscribe", err, want)
	// There are many events, because a client that is still sending would lose the status of an
	// early refusal.
	_, err = s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events("a", 2_000)...)
	wantCode(t, "append", err, want)
}
