package groups

import (
	"errors"
	"fmt"
)

// ErrFenced means that another node has taken over the groups.
var ErrFenced = errors.New("another node leads the groups")

// ErrNotReady means that no node serves the groups at the moment.
var ErrNotReady = errors.New("the groups are not ready")

// NotLeaderError means that another node serves the groups.
type NotLeaderError struct {
	Host string
	Port int
}

func (e *NotLeaderError) Error() string {
	return fmt.Sprintf("the groups are served by %s:%d", e.Host, e.Port)
}

// NotFoundError means there is no such group.
type NotFoundError struct{ Key }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("Subscription group %s on stream %s does not exist.", e.Name, e.Source)
}

// ExistsError means there is such a group already.
type ExistsError struct{ Key }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("Subscription group %s on stream %s exists.", e.Name, e.Source)
}

// FullError means that the group has as many consumers as its settings allow.
type FullError struct{ Key }

func (e *FullError) Error() string {
	return fmt.Sprintf("Maximum subscriptions reached for subscription group %s on stream %s.", e.Name, e.Source)
}

// DroppedError means that the group no longer serves this consumer.
type DroppedError struct{ Key }

func (e *DroppedError) Error() string {
	return fmt.Sprintf("Subscription group %s on stream %s was dropped.", e.Name, e.Source)
}

// InvalidError means that a group cannot be made, or changed, in the way that was asked for.
type InvalidError struct {
	Key
	Reason string
	// Argument means that a number in the request is wrong for every group.
	Argument bool
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("Subscription group %s on stream %s failed: '%s'", e.Name, e.Source, e.Reason)
}
