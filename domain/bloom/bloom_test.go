package bloom

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestAFilterHasEveryNameThatWasAdded(t *testing.T) {
	t.Parallel()
	var f Filter
	if !f.IsZero() || f.Has("") {
		t.Error("a new filter has a name")
	}
	const names = 100_000
	for i := range names {
		f.Add("name/", fmt.Sprint(i))
	}
	for i := range names {
		if !f.Has(fmt.Sprint("name/", i)) { // in one piece: the same name
			t.Fatalf("name %d was added and is denied", i)
		}
	}
}

func TestAFilterRarelyHasANameThatWasNotAdded(t *testing.T) {
	t.Parallel()
	var f Filter
	for i := range 100_000 {
		f.Add("name/", fmt.Sprint(i))
	}
	wrong := 0
	for i := range 1_000_000 {
		if f.Has("other/", fmt.Sprint(i)) {
			wrong++
		}
	}
	if wrong > 3 {
		t.Errorf("%d of a million names that were not added are reported as seen", wrong)
	}
}

func TestAFilterCostsAFewBytesAName(t *testing.T) {
	t.Parallel()
	var f Filter
	for i := range 200_000 {
		f.Add(fmt.Sprint(i))
		size := 0
		for _, part := range f.Parts {
			size += len(part.Bits)
		}
		if limit := blockBytes + 11*(i+1); size > limit {
			t.Fatalf("%d bytes for %d names, want at most %d", size, i+1, limit)
		}
	}
}

// A filter is part of snapshots. After it is written and read back, it must answer and grow as
// before.
func TestAFilterReadBackGoesOnAsBefore(t *testing.T) {
	t.Parallel()
	var f, back Filter
	for i := range 5_000 {
		f.Add(fmt.Sprint(i))
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	for i := range 5_000 {
		f.Add(fmt.Sprint("more ", i))
		back.Add(fmt.Sprint("more ", i))
	}
	if !reflect.DeepEqual(f, back) {
		t.Error("the filter that was read back is another one")
	}
}

// Stored snapshots contain the bits of names, so the bits of a name must stay at their places.
func TestThePlacesOfANameAreForEver(t *testing.T) {
	t.Parallel()
	var f Filter
	f.Add("reservation/", "r1")
	var at []int
	for bit := range blockBytes * 8 {
		if f.Parts[0].Bits[bit/8]&(1<<(bit%8)) != 0 {
			at = append(at, bit)
		}
	}
	if want := []int{190, 250, 252, 380, 382, 388, 429, 448, 479, 563, 669, 700, 791, 938, 1005, 1011}; !slices.Equal(at, want) {
		t.Errorf("bits %d, want %d", at, want)
	}
}
