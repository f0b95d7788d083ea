// Package rule holds the one way the domain says no.
//
// A Rejection is a business answer, not a fault: the command was understood and
// a rule refuses it. Its code is public contract (it becomes the problem type
// of the HTTP API), so a code is never renamed. Faults (a broken log, a bad
// program) are ordinary errors and never Rejections.
package rule

import "maps"

// Rejection is a refusal by a rule. Declare one beside the rule as a package
// variable, and return it as it is or with the particulars of the case (With).
type Rejection struct {
	// Code is stable and unique: "stock-insufficient".
	Code string
	// Detail is one sentence for a person.
	Detail string
	// Facts are particulars for a program, such as "available": 3. Keys are
	// snake_case; values are JSON-encodable.
	Facts map[string]any
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Detail }

// With is the same refusal with this case's sentence and facts.
func (r *Rejection) With(detail string, facts map[string]any) *Rejection {
	return &Rejection{Code: r.Code, Detail: detail, Facts: maps.Clone(facts)}
}

// Is makes errors.Is compare refusals by code, so that a test or a process can
// ask for the declared variable.
func (r *Rejection) Is(target error) bool {
	other, ok := target.(*Rejection)
	return ok && other.Code == r.Code
}

// ForgottenError asks the caller to look something up in the stream and decide again.
// It is neither a refusal nor an answer: the state has forgotten something that the
// rules need, and only the stream's events still say it.
type ForgottenError struct {
	// Name is what was forgotten, in the words of the aggregate: "reservation/r1".
	Name string
}

func (e *ForgottenError) Error() string { return "the state has forgotten " + e.Name }
