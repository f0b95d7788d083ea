// Package rule holds the one type by which the domain refuses a command.
//
// A Rejection is a business answer, not a fault: the command was understood and
// a rule refuses it. Its code is public contract (it becomes the problem type
// of the HTTP API), so a code is never renamed. Faults (a broken log, a bad
// program) are ordinary errors and never Rejections.
package rule

import "maps"

// Rejection is a refusal by a rule. Declare it as a package variable beside the rule. Return
// it as it is, or with the details of the case (With).
type Rejection struct {
	// Code is stable and unique: "stock-insufficient".
	Code string
	// Detail is one sentence for a person.
	Detail string
	// Facts are details for a program, such as "available": 3. Keys are in snake_case, and
	// values can be encoded as JSON.
	Facts map[string]any
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Detail }

// With returns the same refusal with the sentence and the facts of this case.
func (r *Rejection) With(detail string, facts map[string]any) *Rejection {
	return &Rejection{Code: r.Code, Detail: detail, Facts: maps.Clone(facts)}
}

// Is makes errors.Is compare refusals by code. So a test or a process can compare with the
// declared variable.
func (r *Rejection) Is(target error) bool {
	other, ok := target.(*Rejection)
	return ok && other.Code == r.Code
}

// ForgottenError asks the caller to look something up in the stream and then decide again. It
// is neither a refusal nor an answer. The rules need something that the state has forgotten
// and only the stream's events still hold.
type ForgottenError struct {
	// Name is what was forgotten, as the aggregate names it: "reservation/r1".
	Name string
}

func (e *ForgottenError) Error() string { return "the state has forgotten " + e.Name }
