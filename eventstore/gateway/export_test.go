package gateway

// ReceivedIsDone tells whether nothing counts towards the budget of received bytes.
func (s *Server) ReceivedIsDone() bool {
	if !s.received.TryAcquire(s.limits.MaxReceived) {
		return false
	}
	s.received.Release(s.limits.MaxReceived)
	return true
}
