package gateway

import (
	"fmt"

	"google.golang.org/grpc"
)

// need is what a caller needs for a method.
type need int

const (
	_ need = iota // not stated: register panics
	// needsNothing: the method answers every caller, because clients send it no credentials. Its
	// request is an empty message and is not read.
	needsNothing
	// needsUser: the caller must be a user. The method asks the list of the stream what the user
	// may do there (authorize, mayWrite).
	needsUser
	// needsOperator: the caller must also be in one of the groups that manage the server (manages).
	needsOperator
)

// needs states what a caller needs for each method. A method that is not here cannot be registered,
// so nobody can open a new one to everyone by mistake.
var needs = map[string]need{
	"/event_store.client.streams.Streams/Read":        needsUser,
	"/event_store.client.streams.Streams/Append":      needsUser,
	"/event_store.client.streams.Streams/BatchAppend": needsUser,
	"/event_store.client.streams.Streams/Delete":      needsUser,
	"/event_store.client.streams.Streams/Tombstone":   needsUser,

	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read":             needsUser,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create":           needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Update":           needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Delete":           needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/GetInfo":          needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/List":             needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/ReplayParked":     needsOperator,
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/RestartSubsystem": needsOperator,

	"/event_store.client.gossip.Gossip/Read":                                 needsNothing,
	"/event_store.client.server_features.ServerFeatures/GetSupportedMethods": needsNothing,
}

// isAnonymous tells whether a method answers callers without credentials.
func isAnonymous(method string) bool { return needs[method] == needsNothing }

// register adds a service. It panics if a method is missing in needs.
func (s *Server) register(service grpc.ServiceDesc, server any) {
	all := streamed(service)
	for _, method := range all.Streams {
		if name := "/" + all.ServiceName + "/" + method.StreamName; needs[name] == 0 {
			panic(fmt.Sprintf("the method %s does not say what a caller needs", name))
		}
	}
	s.grpc.RegisterService(all, server)
}
