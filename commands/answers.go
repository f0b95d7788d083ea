package commands

import (
	"context"
	"time"
)

// Answers keeps what was answered to requests with an idempotency key, so that
// a request that is repeated gets its first answer. Only answers of requests
// that changed something are kept: a refusal is decided anew. It is not what
// makes a repetition harmless: that is the command id, which derives from the
// key and with which the log records a command once. So an answer may be lost
// (with a node that dies before it is written), and the repetition is then
// answered anew from what is recorded.
type Answers interface {
	// Find returns the answer kept under a caller's key, or nil.
	Find(ctx context.Context, scope, key string) (*KeptAnswer, error)
	// Keep keeps an answer. It does not wait until that is durable, but Find on
	// the same node knows it at once. The first answer under a key stands; that of a
	// refusal, which earlier versions kept, gives way.
	Keep(answer KeptAnswer)
}

// KeptAnswer is one answer that is kept. It is shared and must not be changed.
type KeptAnswer struct {
	Scope string // who asked: keys of different callers are different keys
	Key   string
	// RequestHash tells another request under the same key from the same one.
	RequestHash []byte
	Status      int
	Headers     map[string]string
	Body        []byte
	AnsweredAt  time.Time // by the database's clock; zero until the answer is in the database
}
