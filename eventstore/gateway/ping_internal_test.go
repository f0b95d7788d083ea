package gateway

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"daybook/eventstore/memory"
)

// Clients ping every ten seconds, even on connections without calls, and some ping every 100 ms
// while they read. The server must allow this, but must still have a bound.
func TestIdleClientsMayPing(t *testing.T) {
	t.Parallel()
	if minClientPing <= 0 || minClientPing > 50*time.Millisecond {
		t.Errorf("clients may ping every %s, want 50 ms or less", minClientPing)
	}
	const pings = 10
	if answered, cut := ping(t, time.Nanosecond, pings); answered != pings || cut != nil {
		t.Errorf("an idle connection was cut off after %d pings in good time: %v", answered, cut)
	}
	_, cut := ping(t, minClientPing, pings)
	if cut == nil || cut.ErrCode != http2.ErrCodeEnhanceYourCalm || string(cut.DebugData()) != "too_many_pings" {
		t.Errorf("a client that pings all the time was told %v", cut)
	}
}

// ping sends pings to a server, one after the other, on a connection without calls. It returns how
// many were answered, and the message that ended the connection.
func ping(t *testing.T, minPing time.Duration, pings int) (answered int, cut *http2.GoAwayFrame) {
	t.Helper()
	server, err := newServer(memory.New(), Options{}, minPing)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.Close()
		if err := errors.Join(server.Close(t.Context()), <-ended); err != nil {
			t.Error(err)
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for answered < pings {
		if err := framer.WritePing(false, [8]byte{}); err != nil {
			return answered, cut
		}
		for answers := answered; answered == answers; {
			frame, err := framer.ReadFrame()
			if err != nil {
				return answered, cut
			}
			switch frame := frame.(type) {
			case *http2.PingFrame:
				if frame.IsAck() {
					answered++
				}
			case *http2.GoAwayFrame:
				return answered, frame
			}
		}
	}
	return answered, nil
}
