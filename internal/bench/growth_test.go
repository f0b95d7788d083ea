package bench

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

func TestAFigureIsMarkedIfItCostsAFifthMore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, unit string
		values     []float64
		cost       float64
		costsMore  bool
	}{
		{"a rate that falls", unitRate, []float64{1000, 800}, 1.25, true},
		{"a rate that falls a little", unitRate, []float64{1000, 900}, 1000. / 900, false},
		{"a rate that rises", unitRate, []float64{1000, 2000}, 0.5, false},
		{"a time that rises", unitMillis, []float64{10, 15}, 1.5, true},
		{"a time that falls", unitMillis, []float64{10, 5}, 0.5, false},
		{"a time that rises a little", unitMillis, []float64{10, 11}, 1.1, false},
		{"nothing to compare with", unitMillis, []float64{0, 11}, 0, false},
	} {
		f := Figure{Unit: test.unit}
		for _, value := range test.values {
			f.Points = append(f.Points, Point{Value: value})
		}
		f.compare()
		if last := f.Points[len(f.Points)-1]; last.Cost != test.cost || last.CostsMore != test.costsMore || f.Points[0].CostsMore {
			t.Errorf("%s: %+v, want a cost of %v and costs more %v", test.name, f.Points, test.cost, test.costsMore)
		}
	}
}

func TestGrowthBeginsWithAnEmptyLog(t *testing.T) {
	t.Parallel()
	env := openNode(t, asItIs)
	if _, err := env.Store.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{freshEvent()}); err != nil {
		t.Fatal(err)
	}
	if _, err := Growth(t.Context(), always(env)); err == nil || !strings.Contains(err.Error(), "this one has 1 events") {
		t.Errorf("got %v, want a log with an event refused", err)
	}
}

// grown is a log that was filled. Each call of settle is counted, and then meanwhile is called.
func grown(t *testing.T, meanwhile func(env Env, g *growth, settled int64) error) *growth {
	t.Helper()
	env := openNode(t, asItIs)
	g := &growth{}
	var settled atomic.Int64
	env.Settle = func(context.Context) error { return meanwhile(env, g, settled.Add(1)) }
	g.env, g.fill = env, newFilling(env)
	return g
}

func TestAnEventThatTheFillingDoesNotKnowIsAFault(t *testing.T) {
	t.Parallel()
	g := grown(t, func(env Env, _ *growth, _ int64) error {
		_, err := env.Store.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{freshEvent()})
		return err
	})
	if err := g.fillTo(t.Context(), 1000); err == nil || !strings.Contains(err.Error(), "after it was filled") {
		t.Errorf("got %v, want another number of events", err)
	}
}

func TestDecisionsThatAreNotRecordedAreAFault(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]bool{"as it is": false, "with an event more": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := grown(t, func(env Env, g *growth, settled int64) error {
				if settled < 3 || !more { // after the log was filled, before and after the measurement
					return nil
				}
				_, err := env.Service.MoveStock(t.Context(), commands.Call{Who: access.System("bench"), Meta: newMeta()}, g.fill.hot(), stock.Receive{At: env.Service.At(g.fill.hot()), Quantity: 1})
				return err
			})
			if err := g.fill.grow(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
			figures, err := g.deciding(t.Context())
			if more != (err != nil) || !more && figures[0].value == 0 {
				t.Errorf("%+v, %v", figures, err)
			}
		})
	}
}

func TestExpiriesAreCountedExactly(t *testing.T) {
	t.Parallel()
	for recorded, right := range map[int]bool{1: false, 2: true, 3: false} {
		env := openNode(t, asItIs)
		for range recorded {
			event := freshEvent()
			event.Type = expiredEvent + "v1"
			if _, err := env.Store.Append(t.Context(), "s", eventstore.Any, []eventstore.Event{event}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := (&growth{env: env}).awaitExpiries(ctx, eventstore.Start, 2)
		cancel()
		if right != (err == nil) {
			t.Errorf("%d expiries of 2: %v", recorded, err)
		}
	}
}

func TestAReadBeforeItsPositionIsAFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want, got string
		right     bool
	}{{"10", "10", true}, {"10", "11", true}, {"10", "9", false}, {"10", "", false}} {
		if err := reached(test.want, test.got); test.right != (err == nil) {
			t.Errorf("position %q for %q: %v", test.got, test.want, err)
		}
	}
}

// Goods of a filled log have reservations and allocations already. The check must not take them for
// those of the measurement, and must still find an order that was not recorded.
func TestCheckoutsAreCheckedAgainstWhatWasPromisedBefore(t *testing.T) {
	t.Parallel()
	for name, lies := range map[string]bool{"honest": false, "with an order that is not recorded": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lied atomic.Bool
			env := openNode(t, func(honest http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if lies && strings.HasSuffix(r.URL.Path, "/checkout") && !lied.Swap(true) {
						w.WriteHeader(http.StatusCreated)
						return
					}
					honest.ServeHTTP(w, r)
				})
			})
			goods, err := listGoods(t.Context(), env, cartLines, ampleUnits)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := env.Service.MoveStock(t.Context(), newCall(), goods[0], reservation(env.Service, goods[0], unit.OrderID("before"), time.Hour)); err != nil {
				t.Fatal(err)
			}
			shoppers, err := dial(t.Context(), env.BaseURL, env.Key, 2)
			if err != nil {
				t.Fatal(err)
			}
			shop, err := openShop(t.Context(), env, goods, shoppers)
			if err != nil {
				t.Fatal(err)
			}
			if row, err := shop.sell(t.Context(), env, 0); lies != (err != nil) {
				t.Errorf("%+v, %v", row, err)
			}
			if err := closeAll(shoppers); err != nil {
				t.Error(err)
			}
		})
	}
}

// If something of the earlier node was kept, its memory would be counted with that of the new node.
func TestNothingOfTheNodeBeforeAStartIsKept(t *testing.T) {
	t.Parallel()
	g := grown(t, func(Env, *growth, int64) error { return nil })
	again := openNode(t, withReads("confirmed"))
	again.ReactorIdle = func() bool { return true }
	g.env.Restart = func(context.Context) (Restarted, error) { return Restarted{Env: again, Node: time.Second}, nil }
	g.sample.orders = []string{"o-1"}
	if _, err := g.starting(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g.env.Service != again.Service || g.fill.env.Service != again.Service {
		t.Error("the service of the node before is still there")
	}
}
