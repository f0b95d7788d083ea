package commands

import (
	"context"
	"time"
)

// Answers keeps the responses to requests with an idempotency key. A repeated request then
// gets its first response again. Only responses to requests that changed something are kept. A
// refusal is not kept, so a repeated request is decided again. A repetition is harmless even
// without Answers, because the command id derives from the key, and the log records a command
// once. So an answer may be lost, for example if a node dies before it writes the answer. The
// repeated request then gets a new response, made from what the log holds.
type Answers interface {
	// Find returns the answer kept under a caller's key, or nil.
	Find(ctx context.Context, scope, key string) (*KeptAnswer, error)
	// Keep keeps an answer. It does not wait until the answer is durable, but Find on the same
	// node returns the answer at once. The first answer under a key stays. There is one
	// exception: earlier versions kept refusals, and a new answer replaces such a refusal.
	Keep(answer KeptAnswer)
}

// KeptAnswer is one answer that is kept. It is shared and must not be changed.
type KeptAnswer struct {
	Scope string // who asked; the same key of another caller is another key
	Key   string
	// RequestHash differs if another request comes under the same key.
	RequestHash []byte
	Status      int
	Headers     map[string]string
	Body        []byte
	AnsweredAt  time.Time // by the database's clock; zero until the answer is in the database
}
