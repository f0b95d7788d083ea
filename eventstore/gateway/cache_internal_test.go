package gateway

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"daybook/internal/racetest"
)

func used() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The cache is bounded in bytes, however many streams there are and whatever their metadata says.
// The test does not run in parallel, because it would count the memory of other tests.
func TestTheCacheIsBounded(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	roles := strings.Repeat(`"r",`, 200) + `"r"`
	var members strings.Builder
	for i := range 60 {
		fmt.Fprintf(&members, `,"%x":1`, i)
	}
	documents := map[string]string{
		"nothing":      `{}`,
		"long roles":   fmt.Sprintf(`{"$acl":{"$r":"%01000d","$w":"%01000d"}}`, 0, 0),
		"many roles":   fmt.Sprintf(`{"$acl":{"$r":[%s],"$w":[%s]}}`, roles, roles),
		"empty lists":  `{"$acl":{"$r":[],"$w":[],"$d":[],"$mr":[],"$mw":[]}}`,
		"empty roles":  `{"$acl":{"$r":[` + strings.Repeat(`"",`, 800) + `""]}}`,
		"a long name":  fmt.Sprintf(`{"$acl":"%01000d"}`, 0),
		"own members":  `{"own":1` + members.String() + `}`,
		"far too much": fmt.Sprintf(`{"$acl":{"$r":"%0100000d"}}`, 0),
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			before := used()
			c := &cache{live: true, proven: time.Now().Add(time.Hour)}
			last := ""
			for i, costs := 0, 0; costs < 2*cacheBytes; i++ {
				last = fmt.Sprintf("%d%0200d", i, 0)
				m, err := c.ofStream(last, func() (streamMetadata, error) {
					return parseMetadata(0, []byte(document)), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				costs += cost(last, m)
			}
			if now := used(); now > before+cacheBytes {
				t.Errorf("it takes %d bytes, want at most %d", now-before, cacheBytes)
			}
			_, known := c.find(last)
			if small := name != "far too much"; known != small {
				t.Errorf("the last stream is kept: %t", known)
			}
			runtime.KeepAlive(c)
		})
	}
}

// A dropped entry no longer counts. Otherwise the cache would hold less and less.
func TestTheCacheCountsWhatItHolds(t *testing.T) {
	t.Parallel()
	c := &cache{live: true, proven: time.Now().Add(time.Hour)}
	keep := func(stream, document string) {
		t.Helper()
		if _, err := c.ofStream(stream, func() (streamMetadata, error) { return parseMetadata(0, []byte(document)), nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		keep("a", `{"$acl":{"$r":["x","y"]}}`)
		keep("b", `{}`)
		c.old, c.young = c.young, half{} // as if the younger half were full
		keep("a", ``)
		c.drop("a")
		c.drop("b")
		c.drop("b")
	}
	if c.young.bytes != 0 || c.old.bytes != 0 {
		t.Errorf("the empty cache counts %d and %d bytes", c.young.bytes, c.old.bytes)
	}
}

// Metadata that was read before the watch began may be out of date when it has begun, so it is not
// kept.
func TestWhatWasReadBeforeTheWatchIsNotKept(t *testing.T) {
	t.Parallel()
	c := &cache{}
	read := func() (streamMetadata, error) {
		c.trust(true)
		return streamMetadata{}, nil
	}
	if _, err := c.ofStream("a", read); err != nil {
		t.Fatal(err)
	}
	if _, known := c.find("a"); known {
		t.Error("it is kept")
	}
}
