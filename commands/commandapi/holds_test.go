package commandapi_test

import (
	"fmt"
	"testing"
)

// If a reservation is asked for again with the same hold_seconds, it keeps its first deadline.
// Another hold_seconds is refused, and the refusal shows the first request.
func TestAReservationIsRepeatedWithItsLength(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	reserve := func(deadline string) response {
		header, value := key()
		return s.ask("POST", "/v1/stock/MUG/main/reservations", fmt.Sprintf(`{"reservation_id":"RX","order_id":"e","quantity":1,%s}`, deadline), header, value)
	}
	if got := reserve(`"hold_seconds":3600`); got.status >= 300 {
		t.Fatal(got.text)
	}
	first, before := s.stock("MUG").Reservations["RX"].ExpiresAt, s.lastEvent()
	if got := reserve(`"hold_seconds":3600`); got.status != 200 || s.lastEvent() != before {
		t.Errorf("the same again: %s, last event %s", got.text, s.lastEvent())
	}
	got := reserve(`"hold_seconds":60`)
	got.problem(t, 409, "reservation-differs")
	if got.at("hold_seconds") != 3600.0 || got.at("expires_at") == nil {
		t.Errorf("refusal %s, want the recorded length and deadline", got.text)
	}
	reserve(`"expires_at":"`+first.Add(1).Format("2006-01-02T15:04:05.999999999Z07:00")+`"`).problem(t, 409, "reservation-differs")
	if got := reserve(`"expires_at":"` + first.Format("2006-01-02T15:04:05.999999999Z07:00") + `"`); got.status != 200 || s.lastEvent() != before {
		t.Errorf("with the deadline that was recorded: %s", got.text)
	}
}
