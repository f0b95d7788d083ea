package gateway

// ReceivedIsDone tells whether nothing counts towards the budget of received bytes.
func (s *Server) ReceivedIsDone() bool {
	if !s.received.TryAcquire(s.limits.MaxReceived) {
		return false
	}
	s.received.Release(s.limits.MaxReceived)
	return true
}

// Guests counts the connections that were accepted and are still open.
func (s *Server) Guests() int {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	return len(s.connections.connections)
}

const DefaultHandshakeTime = defaultHandshakeTime
