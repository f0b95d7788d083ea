package coupon

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is whose code it is. Promotion is empty if it is nobody's.
type State struct {
	Code      string `json:"code,omitempty"`
	Promotion string `json:"promotion,omitempty"`
}

// Evolve is the state after one more event.
func Evolve(_ State, e Event) State {
	switch e := e.(type) {
	case Given:
		return State(e)
	case Withdrawn:
		return State{Code: e.Code}
	}
	panic("coupon: unknown event")
}
