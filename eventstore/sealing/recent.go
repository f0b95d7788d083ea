package sealing

import "bytes"

// recentBytes bounds the events that a node has in both forms.
const recentBytes = 8 << 20

// recent has the events that this node sealed or opened last, in both forms. Each of the node's
// subscriptions gets every event, so without it each of them would open the same event. It is
// forgotten as a whole when a key is destroyed. Its methods need the lock of Keys.
type recent struct {
	// Two generations bound the memory, as for keys.
	young, old map[[16]byte]bothForms
	bytes      int // of young
	forgotten  int // how often everything was forgotten
}

// bothForms is the data of an event. Nobody changes it.
type bothForms struct {
	stream        string // to which the envelopes are bound
	sealed, clear []byte
}

func (r *recent) forget() {
	r.young, r.old, r.bytes = nil, nil, 0
	r.forgotten++
}

func (r *recent) put(event [16]byte, forms bothForms) {
	if r.bytes >= recentBytes/2 {
		r.old, r.young, r.bytes = r.young, nil, 0
	}
	if r.young == nil {
		r.young = make(map[[16]byte]bothForms)
	}
	r.young[event] = forms
	r.bytes += len(forms.sealed) + len(forms.clear)
}

// timesForgotten is taken before an event is decrypted. keepClear keeps nothing if it has changed
// since then, because the key may have been destroyed meanwhile.
func (k *Keys) timesForgotten() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recent.forgotten
}

// keepClear keeps both forms of an event in memory.
func (k *Keys) keepClear(event [16]byte, stream string, sealed, clear []byte, forgotten int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recent.forgotten == forgotten {
		k.recent.put(event, bothForms{stream, sealed, clear})
	}
}

// clearOf returns the clear text of an event that is in memory, or nil. The caller has compared
// which keys were destroyed.
func (k *Keys) clearOf(event [16]byte, stream string, sealed []byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	forms, found := k.recent.young[event]
	if !found {
		forms = k.recent.old[event]
	}
	if forms.stream != stream || !bytes.Equal(forms.sealed, sealed) {
		return nil
	}
	return forms.clear
}
