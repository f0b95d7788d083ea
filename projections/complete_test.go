package projections_test

import (
	"slices"
	"testing"

	"daybook/projections"
)

func TestAViewIsCompleteOnceItHasBeenAtTheHeadAndLaterOnlyLags(t *testing.T) {
	b := newBench(t)
	head := b.append("number.v1", 3000)
	turn := make(chan struct{})
	held := tally(func(v *projections.View) {
		decode := v.Decode
		v.Decode = func(eventType string, data []byte) (any, error) {
			if string(data) == `{"n":2999}` || string(data) == `{"n":77777}` {
				<-turn
			}
			return decode(eventType, data)
		}
	})
	r, stop := b.run(projections.Config{Views: []projections.View{held}})
	t.Cleanup(func() {
		select {
		case <-turn:
		default:
			close(turn)
		}
	})
	b.until("all but the last is posted", func() bool { return b.status(r, true).Events == 2999 })
	if s := b.status(r, true); s.Complete || s.State != projections.CatchingUp || s.Lag != 1 || s.Share >= 1 || s.Share < 0.99 {
		t.Errorf("while it is built for the first time: %+v", s)
	}
	turn <- struct{}{}
	b.wait(r, head)
	b.until("complete", func() bool { return b.status(r, true).Complete })
	if s := b.status(r, true); s.State != projections.Live || s.Share != 1 || s.Lag != 0 || s.AgeSeconds != 0 {
		t.Errorf("at the head: %+v", s)
	}

	// The view is behind, and another node sees that. The view is still complete.
	b.write("number.v1", "s-1", `{"n":77777}`)
	head = b.append("other.v1", 6000)
	other, stopOther := b.run(projections.Config{Views: []projections.View{held}, Guest: true})
	for _, node := range []*projections.Runner{r, other} {
		if s := b.status(node, true); !s.Complete || s.State != projections.Live || s.Share >= 0.5 || s.Lag < 6000 {
			t.Errorf("when it lags by some thousand events of this moment: %+v", s)
		}
	}
	close(turn)
	b.wait(r, head)
	stopOther()
	stop()
	later, _ := b.run(projections.Config{Views: []projections.View{held}})
	if s := b.status(later, true); !s.Complete {
		t.Errorf("after a restart: %+v", s)
	}
}

func TestABuildBesideTheOneInUseIsCompleteWhenItIsSwitchedTo(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 10))
	b.until("complete", func() bool { return b.status(r, true).Complete })
	if err := r.Rebuild(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	all, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || slices.ContainsFunc(all, func(s projections.Status) bool { return !s.Complete }) {
		t.Errorf("got %+v, want two builds that are complete", all)
	}
}
