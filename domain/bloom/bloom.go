// Package bloom remembers that a name has been seen, in a few bytes, for ever.
//
// A Filter never says of a name that was added that it was not: a no is certain.
// A yes is right but for one time in millions; who needs to be sure looks where
// the whole history is. What a name means is not this package's business.
package bloom

// Filter is a set of names that only grows. Its zero value is empty. The same
// names added in the same order always give the same Filter, so that it can be
// part of a folded state and of its snapshot.
//
// It costs 5 bytes a name when its newest part is full, and at most twice as much
// just after a part was added; the smallest is 128 bytes. A name that was not added is
// reported as seen with a probability below 2e-8 for each part; a filter of ten million
// names has 19 parts, so that is less than once in two million questions.
type Filter struct {
	Parts []Part `json:"parts,omitempty"` // the oldest first; each twice as large as the one before
}

// Part is a Bloom filter of a fixed size.
type Part struct {
	Names int    `json:"names"` // how many were added
	Bits  []byte `json:"bits"`
}

const (
	firstBytes  = 128 // a power of two, as every part's size is
	bitsPerName = 40
	probes      = 16
)

// IsZero tells whether nothing was added.
func (f Filter) IsZero() bool { return len(f.Parts) == 0 }

// Has tells whether a name may have been added. The name is given in pieces, which
// count as if they were written one after the other.
func (f Filter) Has(pieces ...string) bool {
	if len(f.Parts) == 0 {
		return false
	}
	return f.has(hash(pieces))
}

func (f Filter) has(start, step uint64) bool {
	for i := len(f.Parts) - 1; i >= 0; i-- { // the largest first: most names are there
		if f.Parts[i].has(start, step) {
			return true
		}
	}
	return false
}

// Add adds a name, given as to Has.
func (f *Filter) Add(pieces ...string) {
	start, step := hash(pieces)
	if f.has(start, step) {
		return
	}
	last := len(f.Parts) - 1
	if last < 0 || f.Parts[last].full() {
		size := firstBytes
		if last >= 0 {
			size = 2 * len(f.Parts[last].Bits)
		}
		f.Parts = append(f.Parts, Part{Bits: make([]byte, size)})
		last++
	}
	part := &f.Parts[last]
	part.Names++
	mask := part.mask()
	for range probes {
		at := start >> 32 & mask
		part.Bits[at>>3] |= 1 << (at & 7)
		start = next(start, step)
	}
}

func (p *Part) mask() uint64 { return uint64(len(p.Bits))*8 - 1 }
func (p *Part) full() bool   { return p.Names >= len(p.Bits)*8/bitsPerName }

func (p *Part) has(start, step uint64) bool {
	mask := p.mask()
	for range probes {
		at := start >> 32 & mask
		if p.Bits[at>>3]&(1<<(at&7)) == 0 {
			return false
		}
		start = next(start, step)
	}
	return true
}

// next goes from a name's bit to its next one: a linear congruential generator, whose
// upper half is used. Equal distances would not do, because a small part has too few of
// them to tell names apart.
func next(at, step uint64) uint64 { return at*6364136223846793005 + step }

// hash is what a name's bits follow from. It and next must never change: their bits are
// in snapshots. (FNV-1a, mixed by the finalizer of SplitMix64.)
func hash(pieces []string) (start, step uint64) {
	h := uint64(14695981039346656037)
	for _, piece := range pieces {
		for i := range len(piece) {
			h = (h ^ uint64(piece[i])) * 1099511628211
		}
	}
	return mix(h), mix(h+0x9e3779b97f4a7c15) | 1
}

func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
