// Package bloom remembers that a name has been seen, in a few bytes, for ever.
//
// If Has returns false, the name was never added. If it returns true, the name was probably
// added: the answer is wrong about once in 400,000 questions. A caller that must be sure
// reads the log. The package does not know what a name means.
package bloom

// Filter is a set of names that only grows. Its zero value is empty. The same
// names added in the same order always give the same Filter, so that it can be
// part of a folded state and of its snapshot.
//
// A filter costs 5 bytes a name when its newest part is full, and at most twice as much just
// after a part was added. The smallest filter is 128 bytes. Each full part wrongly reports
// one in six million of the names that were not added. Example, counted: a filter of 800,000
// names has 15 parts, and wrongly reports one name in 400,000.
type Filter struct {
	Parts []Part `json:"parts,omitempty"` // the oldest first; each twice as large as the one before
}

// Part is a Bloom filter of a fixed size, divided into blocks. All bits of a name are in one block.
// So a question reads two lines of the processor's cache. If the bits were spread over the whole
// part, it would read up to sixteen.
type Part struct {
	Names int    `json:"names"` // how many were added
	Bits  []byte `json:"bits"`
}

const (
	blockBytes  = 128 // a power of two, like the size of each part
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

// Add adds a name. The name is given in pieces, as in Has. If a name is added again and an older
// part has it, it counts again in Part.Names.
func (f *Filter) Add(pieces ...string) {
	start, step := hash(pieces)
	last := len(f.Parts) - 1
	if last >= 0 && f.Parts[last].has(start, step) {
		return
	}
	if last < 0 || f.Parts[last].full() {
		size := blockBytes
		if last >= 0 {
			size = 2 * len(f.Parts[last].Bits)
		}
		f.Parts = append(f.Parts, Part{Bits: make([]byte, size)})
		last++
	}
	part := &f.Parts[last]
	part.Names++
	block := part.block(start)
	for range probes {
		start = next(start, step)
		at := start >> 54 // 10 bits: one of the block's 1,024
		block[at>>3] |= 1 << (at & 7)
	}
}

func (p *Part) full() bool { return p.Names >= len(p.Bits)*8/bitsPerName }

func (p *Part) block(start uint64) *[blockBytes]byte {
	at := start & uint64(len(p.Bits)/blockBytes-1) * blockBytes
	return (*[blockBytes]byte)(p.Bits[at:])
}

func (p *Part) has(start, step uint64) bool {
	block := p.block(start)
	for range probes {
		start = next(start, step)
		at := start >> 54
		if block[at>>3]&(1<<(at&7)) == 0 {
			return false
		}
	}
	return true
}

// next goes from one bit of a name to its next bit. It is a linear congruential generator, and
// the highest bits of its value are used. The distances between the bits must differ: with
// equal distances, too many names of a block would have the same bits.
func next(at, step uint64) uint64 { return at*6364136223846793005 + step }

// hash gives the start and the step from which a name's bits are computed. The functions hash and
// next must never change, because snapshots contain the bits that they computed. (The hash is
// FNV-1a, mixed by the finalizer of SplitMix64.)
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
