package shares_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/domain/money/shares"
	"daybook/internal/racetest"
)

func TestAllocateGivesTheRestToTheLargestFractions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		total   int64
		weights []int64
		want    []int64
	}{
		"a code on three lines":           {1000, []int64{1999, 1000, 3333}, []int64{316, 158, 526}},
		"ties go to the first":            {1, []int64{5, 5, 5}, []int64{1, 0, 0}},
		"a weight of 0 gets nothing":      {2, []int64{0, 1, 0, 1}, []int64{0, 1, 0, 1}},
		"nothing of nothing":              {0, []int64{0, 0}, []int64{0, 0}},
		"everything":                      {30, []int64{10, 20}, []int64{10, 20}},
		"more than the weights":           {7, []int64{1, 2}, []int64{2, 5}},
		"products beyond 63 bits":         {999_999_999_999_999, []int64{1e15, 1e15}, []int64{500_000_000_000_000, 499_999_999_999_999}},
		"a reduction over three accounts": {500, []int64{4000, 1500, 490}, []int64{334, 125, 41}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := shares.Allocate(test.total, test.weights); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// The shares add up to the total, differ from the exact share by less than 1, and are at most the
// weight if the total is at most the sum of the weights. The exact form gives the same.
func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int64Range(0, 100_000), 1, 8).Draw(t, "weights")
		var sum int64
		exact := make([]*big.Int, len(weights))
		for i, w := range weights {
			sum += w
			exact[i] = new(big.Int).Mul(big.NewInt(w), big.NewInt(1_000_003))
		}
		if sum == 0 {
			return
		}
		total := rapid.Int64Range(0, 2*sum).Draw(t, "total")
		got := shares.Allocate(total, weights)
		var given int64
		for i, share := range got {
			given += share
			if off := share*sum - total*weights[i]; off >= sum || off <= -sum {
				t.Errorf("share %d is %d of %d", i, share, weights[i])
			}
			if total <= sum && share > weights[i] || weights[i] == 0 && share > 0 {
				t.Errorf("share %d is %d, above its weight %d", i, share, weights[i])
			}
		}
		if given != total {
			t.Errorf("%d given of %d", given, total)
		}
		if other := shares.AllocateExact(total, exact); !slices.Equal(got, other) {
			t.Errorf("%v, and with large weights %v", got, other)
		}
	})
}

func TestRoundIsHalfAwayFromZero(t *testing.T) {
	t.Parallel()
	for _, test := range [][4]int64{
		{1, 1, 2, 1},
		{1, 1, 3, 0},
		{2, 1, 3, 1},
		{5, 1, 10, 1},
		{4, 1, 10, 0},
		{0, 5, 7, 0},
		{2997, 21, 121, 520},
		{1_000_000_000_000_000, 999_999_999, 1_000_000_000, 999_999_999_000_000},
	} {
		if got := shares.Round(test[0], test[1], test[2]); got != test[3] {
			t.Errorf("%d * %d / %d is %d, want %d", test[0], test[1], test[2], got, test[3])
		}
	}
}

// A frame begins anew with a delivery: the second parcel joins what is left of the first.
func TestDeliveredUnitsShareTheirMoneyAnew(t *testing.T) {
	t.Parallel()
	a := shares.NewAccount(shares.Part{Units: 10, Money: 3731, Tax: []int64{596}})
	steps := []shares.Part{a.Deliver(4), a.Open.Take(1), a.Delivered.Take(2), a.Deliver(5), a.Delivered.Take(3), a.Delivered.Take(4)}
	want := []shares.Part{
		{4, 1492, []int64{238}},
		{1, 374, []int64{60}},
		{2, 746, []int64{119}},
		{5, 1865, []int64{298}},
		{3, 1119, []int64{179}},
		{4, 1492, []int64{238}},
	}
	for i, part := range steps {
		if !part.Equal(want[i]) {
			t.Errorf("step %d: %+v, want %+v", i, part, want[i])
		}
	}
	if !a.Left().IsZero() {
		t.Errorf("left %+v", a.Left())
	}
}

// A pool gives no more than it has, and nothing for nothing.
func TestAPoolGivesWhatItHas(t *testing.T) {
	t.Parallel()
	p := shares.NewPool(shares.Part{Units: 2, Money: 5, Tax: []int64{1}})
	for _, part := range []shares.Part{p.Take(0), p.Take(-1), p.TakeMoney(0), p.TakeMoney(-3)} {
		if !part.IsZero() {
			t.Errorf("%+v for nothing", part)
		}
	}
	if part := p.Take(9); part.Units != 2 || part.Money != 5 || !p.Left.IsZero() {
		t.Errorf("%+v taken, %+v left", part, p.Left)
	}
	if part := p.TakeMoney(9); !part.IsZero() {
		t.Errorf("%+v taken of an empty pool", part)
	}
}

// walker takes units and money off the lines of one order in a random order, and keeps the books by
// itself.
type walker struct {
	accounts []*shares.Account
	whole    []shares.Part
	taken    []shares.Part
	steps    []string
}

func newWalker(random *rand.Rand) *walker {
	w := &walker{}
	for range 1 + random.IntN(4) {
		part := shares.Part{Units: 1 + random.Int64N(12), Money: random.Int64N(20_000)}
		if random.IntN(8) == 0 {
			part.Money = random.Int64N(4)
		}
		rest := part.Money
		for range random.IntN(3) {
			tax := random.Int64N(rest/4 + 1)
			part.Tax, rest = append(part.Tax, tax), rest-tax
		}
		account := shares.NewAccount(part)
		w.accounts, w.whole = append(w.accounts, &account), append(w.whole, part)
		w.taken = append(w.taken, shares.Part{})
	}
	return w
}

func (w *walker) open() bool {
	return slices.ContainsFunc(w.accounts, func(a *shares.Account) bool { return a.Left().Units > 0 })
}

func (w *walker) took(i int, part shares.Part, most int64) error {
	if part.Money < 0 || part.Money > most {
		return fmt.Errorf("line %d: %d of %d taken", i, part.Money, most)
	}
	for _, tax := range part.Tax {
		if tax < 0 || tax > part.Money {
			return fmt.Errorf("line %d: a tax of %d in %d", i, tax, part.Money)
		}
	}
	w.taken[i] = w.taken[i].Plus(part)
	if sum := w.taken[i].Plus(w.accounts[i].Left()); !sum.Equal(w.whole[i]) {
		return fmt.Errorf("line %d: taken and left are %+v, want %+v", i, sum, w.whole[i])
	}
	return nil
}

func (w *walker) step(random *rand.Rand) error {
	i := random.IntN(len(w.accounts))
	a := w.accounts[i]
	before := a.Money()
	what := random.IntN(8)
	w.steps = append(w.steps, fmt.Sprint(what, " on ", i))
	units := func(p shares.Pool) int64 { return 1 + random.Int64N(max(1, p.Left.Units)) }
	switch what {
	case 0, 1, 2:
		return w.took(i, a.Open.Take(units(a.Open)), before)
	case 3, 4:
		a.Deliver(units(a.Open))
		return w.took(i, shares.Part{}, before)
	case 5, 6:
		return w.took(i, a.Delivered.Take(units(a.Delivered)), before)
	}
	moneys := make([]int64, len(w.accounts))
	var sum int64
	for j, other := range w.accounts {
		moneys[j] = other.Money()
		sum += moneys[j]
	}
	amount := random.Int64N(sum/3 + 1)
	var reduced int64
	for j, part := range shares.Reduce(w.accounts, amount) {
		reduced += part.Money
		if err := w.took(j, part, moneys[j]); err != nil {
			return err
		}
	}
	if reduced != amount {
		return fmt.Errorf("reduced by %d, want %d", reduced, amount)
	}
	return nil
}

// Whatever comes in which order, each line ends at zero, for each component of tax, and at each
// moment what was taken and what is left are the whole.
func TestEveryOrderOfStepsEndsAtZero(t *testing.T) {
	t.Parallel()
	for seed := range racetest.Few(uint64(100_000), 2_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWalker(random)
		for w.open() {
			if err := w.step(random); err != nil {
				t.Fatalf("seed %d, after %q: %v", seed, w.steps, err)
			}
		}
		for i, a := range w.accounts {
			if !a.Left().IsZero() {
				t.Fatalf("seed %d, after %q: line %d has %+v left", seed, w.steps, i, a.Left())
			}
		}
	}
}

// Any number of units is within half a minor unit of its exact share of the frame.
func TestEachPartialResultIsNearlyExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := shares.Part{Units: rapid.Int64Range(1, 50).Draw(t, "units"), Money: rapid.Int64Range(0, 10_000).Draw(t, "money")}
		p := shares.NewPool(whole)
		var taken shares.Part
		for p.Left.Units > 0 {
			taken = taken.Plus(p.Take(rapid.Int64Range(1, p.Left.Units).Draw(t, "take")))
			if off := 2 * (taken.Money*whole.Units - whole.Money*taken.Units); off > whole.Units || off < -whole.Units {
				t.Fatalf("%d units of %d are worth %d of %d", taken.Units, whole.Units, taken.Money, whole.Money)
			}
		}
	})
}

// Old events may have any amounts. No number makes the arithmetic fail, and what a pool has given
// and what it has left are still what it had.
func TestNoNumberMakesSharesFail(t *testing.T) {
	t.Parallel()
	extremes := []int64{math.MinInt64, -1_000_000_000_000_000, -7, -1, 0, 1, 3, 100, 1_000_000_000_000_000, math.MaxInt64}
	pick := func(random *rand.Rand) int64 { return extremes[random.IntN(len(extremes))] }
	random := rand.New(rand.NewPCG(1, 2))
	part := func() shares.Part {
		p := shares.Part{Units: pick(random), Money: pick(random)}
		for range random.IntN(4) {
			p.Tax = append(p.Tax, pick(random))
		}
		return p
	}
	for range 50_000 {
		shares.Round(pick(random), pick(random), pick(random))
		shares.Allocate(pick(random), []int64{pick(random), pick(random), pick(random)})
		whole := part()
		account, other := shares.NewAccount(whole), shares.NewAccount(part())
		var gone shares.Part
		for range 6 {
			switch random.IntN(6) {
			case 0:
				gone = gone.Plus(account.Open.Take(pick(random)))
			case 1:
				account.Deliver(pick(random))
			case 2:
				gone = gone.Plus(account.Delivered.TakeFor(pick(random), pick(random)))
			case 3:
				back := part()
				account.Delivered.Add(back)
				whole = whole.Plus(back)
			case 4:
				gone = gone.Plus(shares.Reduce([]*shares.Account{&account, &other}, pick(random))[0])
			case 5:
				gone = gone.Plus(account.Open.TakeMoney(pick(random)))
			}
		}
		if sum := gone.Plus(account.Left()); !sum.Equal(whole) {
			t.Fatalf("taken and left are %+v, want %+v", sum, whole)
		}
	}
	if got := shares.Round(-1001, 1, 2); got != -501 {
		t.Errorf("half of -1001 is %d, want -501", got)
	}
	if got := shares.Round(math.MaxInt64, 4, 1); got != math.MaxInt64 {
		t.Errorf("%d, want the largest number", got)
	}
}
