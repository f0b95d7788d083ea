package sealing

import (
	"strconv"
	"testing"
	"time"
)

// However many keys are used, a node has only some in memory. A key that is used all the time
// stays there.
func TestTheMemoryForKeysIsBounded(t *testing.T) {
	t.Parallel()
	keys := NewKeys(nil, nil, time.Now)
	aead, err := newAEAD(make([]byte, dataKeySize))
	if err != nil {
		t.Fatal(err)
	}
	keys.keep(&dataKey{id: "used", subject: "used", aead: aead}, 0)
	for i := range 3 * mostKeys {
		name := strconv.Itoa(i)
		keys.keep(&dataKey{id: name, subject: name, aead: aead}, 0)
		if keys.inMemory("used") == nil {
			t.Fatalf("a key in use was forgotten after %d others", i)
		}
	}
	if kept := len(keys.young) + len(keys.old); kept > 2*mostKeys+2 {
		t.Errorf("%d names in memory", kept)
	}
}

// A key whose row was fetched before keys were destroyed is not kept, because it may be one of
// them. That it is destroyed is kept.
func TestAKeyThatMayBeDestroyedIsNotKept(t *testing.T) {
	t.Parallel()
	keys := NewKeys(nil, nil, time.Now)
	aead, err := newAEAD(make([]byte, dataKeySize))
	if err != nil {
		t.Fatal(err)
	}
	before := keys.timesForgotten()
	keys.Drop("k1")
	keys.keep(&dataKey{id: "k1", subject: "customer:1", aead: aead}, before)
	if keys.inMemory("k1") != nil || keys.inMemory("of customer:1") != nil {
		t.Error("the key is in memory")
	}
	keys.keep(&dataKey{id: "k1", subject: "customer:1"}, before)
	if key := keys.inMemory("k1"); key == nil || key.aead != nil {
		t.Errorf("the destroyed key is %v", key)
	}
}
