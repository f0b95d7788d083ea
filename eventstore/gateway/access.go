package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/eventstore"
)

// administrators is the group whose members may do everything.
const administrators = "$admins"

// operation is what is done to a stream. Its text is the member of an $acl that lists who may
// do it.
type operation string

const (
	toRead      operation = "$r"
	toWrite     operation = "$w"
	toDelete    operation = "$d"
	toReadMeta  operation = "$mr"
	toWriteMeta operation = "$mw"
)

// onMetadata is the right that a caller needs to do this to a stream's metadata.
func (op operation) onMetadata() operation {
	if op == toRead {
		return toReadMeta
	}
	return toWriteMeta
}

var operations = []operation{toRead, toWrite, toDelete, toReadMeta, toWriteMeta}

// Roles of an $acl that are neither a user nor a group, and the names of the two lists that
// apply to streams without a list of their own.
const (
	everybody  = "$all"
	userACL    = "$userStreamAcl"
	systemACL  = "$systemStreamAcl"
	systemMark = "$" // what the names of system streams begin with
)

// acl lists who may do what: names of users and groups, or $all. If an operation is missing,
// the default list applies. An empty list means nobody.
type acl struct {
	roles map[operation][]string
	// defaultList is the name of the default list that the stream chose, if it chose one.
	defaultList string
}

// parseACL reads the value of $acl. A value of another form counts as no list.
func parseACL(value jsontext.Value) acl {
	var name string
	if json.Unmarshal(value, &name) == nil {
		return acl{defaultList: name}
	}
	var lists map[string]jsontext.Value
	if json.Unmarshal(value, &lists) != nil {
		return acl{}
	}
	parsed := acl{roles: make(map[operation][]string)}
	for _, op := range operations {
		if roles, ok := parseRoles(lists[string(op)]); ok {
			parsed.roles[op] = roles
		}
	}
	return parsed
}

// parseRoles reads one role or a list of them.
func parseRoles(value jsontext.Value) (roles []string, ok bool) {
	var role string
	if json.Unmarshal(value, &role) == nil && value.Kind() == '"' {
		return []string{role}, true
	}
	if json.Unmarshal(value, &roles) == nil && value.Kind() == '[' {
		return roles, true
	}
	return nil, false
}

// may tells whether the user has one of the roles.
func (u User) may(roles []string) bool {
	return slices.ContainsFunc(roles, func(role string) bool {
		return role == everybody || role == u.Name || slices.Contains(u.Groups, role)
	})
}

// sees returns an event as the user sees it.
func (u User) sees(e *eventstore.Recorded) *eventstore.Recorded {
	if u.Show == nil || e == nil {
		return e
	}
	seen := u.Show(*e)
	return &seen
}

// isOf tells whether the user is in one of the groups.
func (u User) isOf(groups []string) bool {
	return slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(u.Groups, group) })
}

// owns tells whether a stream is one of the program's own.
func (s *Server) owns(stream string) bool {
	return s.options.Protected != nil && s.options.Protected(stream, "")
}

// authorize returns nil if the caller may do this to the stream, and otherwise a refusal.
func (s *Server) authorize(ctx context.Context, stream string, op operation) error {
	if s.options.Users == nil {
		return nil
	}
	user, known := userOf(ctx)
	if known && slices.Contains(user.Groups, administrators) {
		return nil
	}
	if user.ReadOnly && op != toRead && op != toReadMeta {
		return denied("%s on stream %s: %s may only read", op, stream, user.Name)
	}
	switch reads := user.isOf(s.options.Readers); {
	case s.options.Readers == nil || op != toRead:
	case reads && (stream == allStream || s.owns(stream)):
		return nil
	case s.owns(stream):
		return denied("%s on stream %s: only a member of %s may read the streams of the program", op, stream, strings.Join(s.options.Readers, ", "))
	}
	if of, ok := isMetastream(stream); ok {
		stream, op = of, op.onMetadata()
	}
	roles, err := s.roles(ctx, stream, op)
	if err != nil {
		return err
	}
	if !known || !user.may(roles) {
		return denied("%s on stream %s", op, stream)
	}
	return nil
}

// roles lists who may do this to the stream: its own list or the default list says so.
func (s *Server) roles(ctx context.Context, stream string, op operation) ([]string, error) {
	m, err := s.metadata(ctx, stream)
	if err != nil {
		return nil, err
	}
	if roles, ok := m.acl.roles[op]; ok {
		return roles, nil
	}
	name := userACL
	if m.acl.defaultList == systemACL || m.acl.defaultList != userACL && strings.HasPrefix(stream, systemMark) {
		name = systemACL
	}
	s.renew(ctx)
	defaults, err := s.cached.ofSettings(func() (defaultACLs, error) { return s.readDefaults(ctx) })
	if err != nil {
		return nil, err
	}
	if roles, ok := defaults[name].roles[op]; ok {
		return roles, nil
	}
	if name == systemACL {
		return []string{administrators}, nil
	}
	return []string{everybody}, nil
}

// defaultACLs are the lists of $settings by name.
type defaultACLs map[string]acl

func (s *Server) readDefaults(ctx context.Context) (defaultACLs, error) {
	settings, err := s.readMetadata(ctx, settingsStream)
	if err != nil {
		return nil, err
	}
	lists := make(defaultACLs)
	for _, name := range []string{userACL, systemACL} {
		lists[name] = parseACL(settings.members[name])
	}
	return lists, nil
}

// mayWrite returns nil if the caller may append events of these types to the stream.
func (s *Server) mayWrite(ctx context.Context, stream string, events []eventstore.Event) error {
	if err := s.protected(stream, ""); err != nil {
		return err
	}
	for i := range events {
		if err := s.protected(stream, events[i].Type); err != nil {
			return err
		}
		if reserved := s.options.ReservedID; reserved != nil && reserved(events[i].ID) {
			return denied("event id %s: only the program itself may use ids of this kind", events[i].ID)
		}
		if events[i].Type == eventstore.TombstoneType {
			return invalid("an event of the type %s would end stream %s for good: call Tombstone for that, and give your event another type",
				eventstore.TombstoneType, stream)
		}
	}
	if err := s.authorize(ctx, stream, toWrite); err != nil {
		return err
	}
	return checkDocuments(stream, events)
}

// protected refuses writes that only the program itself may make: to its streams, to their
// metadata, and of its event types. Nobody may write to $all, or to a stream whose name no
// log accepts.
func (s *Server) protected(stream, eventType string) error {
	if stream == allStream {
		return denied("%s cannot be written: append to a stream instead", allStream)
	}
	of, _ := isMetastream(stream)
	if s.options.Protected != nil && s.options.Protected(of, eventType) {
		if eventType == "" {
			return denied("only the program itself may write to stream %s", stream)
		}
		return denied("only the program itself may write events of type %q to stream %s", eventType, stream)
	}
	return checkText("stream name", stream)
}
