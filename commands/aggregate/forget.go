package aggregate

// Forget drops the states that are in memory. A lane that is at work drops its state when its queue
// is empty, so the work is not disturbed.
func (h *Handler[S, C, E]) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lanes {
		if l.queue.isWorking() {
			l.outdated = true
		} else {
			h.remove(l)
		}
	}
}

// dropOutdated removes an idle lane whose state is outdated. The caller holds the lock.
func (h *Handler[S, C, E]) dropOutdated(l *lane[S, C, E]) {
	if l.outdated && h.lanes[l.stream] == l && !l.queue.isWorking() {
		h.remove(l)
	}
}

// remove removes an idle lane from the cache. The caller holds the lock.
func (h *Handler[S, C, E]) remove(l *lane[S, C, E]) {
	h.recent.Remove(l.place)
	delete(h.lanes, l.stream)
	h.bytes -= l.weight
}

// Forget drops all news.
func (n *News) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams, n.arrived, n.bytes = nil, nil, 0
}
