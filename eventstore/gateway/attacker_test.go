package gateway_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// attacker is a connection that sends what no client of gRPC would send, as far as the server's
// windows allow.
type attacker struct {
	tb     testing.TB
	conn   net.Conn
	framer *http2.Framer

	mu      sync.Mutex
	changed *sync.Cond
	window  int            // of the connection
	windows map[uint32]int // of each call
	first   int            // window of a new call
	ended   map[uint32]codes.Code
	gone    error // of the connection
	next    uint32
}

// attack opens a connection from one of this machine's addresses; trust is nil for
// plain text.
func attack(tb testing.TB, from, to string, trust *tls.Config) *attacker {
	tb.Helper()
	conn := dialFrom(tb, from, to)
	if trust != nil {
		conn = tls.Client(conn, alpn(trust))
	}
	return attackOver(tb, conn)
}

func attackOver(tb testing.TB, conn net.Conn) *attacker {
	tb.Helper()
	a := &attacker{
		tb: tb, conn: conn, window: 65535, first: 65535, next: 1,
		windows: map[uint32]int{}, ended: map[uint32]codes.Code{},
	}
	a.changed = sync.NewCond(&a.mu)
	if _, err := a.conn.Write([]byte(http2.ClientPreface)); err != nil {
		tb.Fatal(err)
	}
	a.framer = http2.NewFramer(a.conn, a.conn)
	a.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := a.framer.WriteSettings(); err != nil {
		tb.Fatal(err)
	}
	go a.listen()
	return a
}

func dialFrom(tb testing.TB, from, to string) net.Conn {
	tb.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.DialContext(tb.Context(), "tcp", to)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// listen reads what the server sends.
func (a *attacker) listen() {
	for {
		frame, err := a.framer.ReadFrame()
		a.mu.Lock()
		switch frame := frame.(type) {
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = a.framer.WritePing(true, frame.Data) // the next read returns the error
			}
		case *http2.WindowUpdateFrame:
			if frame.StreamID == 0 {
				a.window += int(frame.Increment)
			} else {
				a.windows[frame.StreamID] += int(frame.Increment)
			}
		case *http2.SettingsFrame:
			if first, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				a.first = int(first)
			}
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				if code, err := strconv.Atoi(field.Value); field.Name == "grpc-status" && err == nil {
					a.ended[frame.StreamID] = codes.Code(code) //nolint:gosec // a small number
				}
			}
		case *http2.RSTStreamFrame:
			if _, told := a.ended[frame.StreamID]; !told {
				a.ended[frame.StreamID] = codes.Unknown
			}
		}
		a.gone = err
		a.changed.Broadcast()
		a.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// call begins a call.
func (a *attacker) call(method, authorization string, more ...[2]string) uint32 {
	a.tb.Helper()
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for _, field := range append([][2]string{
		{":method", "POST"},
		{":scheme", "https"},
		{":path", method},
		{":authority", "localhost"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
		{"authorization", authorization},
	}, more...) {
		if field[1] == "" {
			continue
		}
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			a.tb.Fatal(err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := a.next
	a.next += 2
	a.windows[id] += a.first
	if err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers.Bytes(), EndHeaders: true}); err != nil {
		a.tb.Fatal(err)
	}
	return id
}

// begin sends the first bytes of a message with this length in its header: as many as the server
// accepts, and at most sent bytes. It returns when they are sent or the call has ended.
func (a *attacker) begin(id uint32, length, sent int) {
	header := binary.BigEndian.AppendUint32([]byte{0}, uint32(length)) //nolint:gosec // small
	a.send(id, header)
	piece := make([]byte, 16<<10)
	for left := sent; left > 0 && a.send(id, piece[:min(left, len(piece))]); left -= len(piece) {
		continue
	}
}

// send sends bytes when there is room in the windows; false if the call has ended.
func (a *attacker) send(id uint32, data []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.window < len(data) || a.windows[id] < len(data) {
		if _, over := a.ended[id]; over || a.gone != nil {
			return false
		}
		a.changed.Wait()
	}
	if _, over := a.ended[id]; over || a.gone != nil {
		return false
	}
	a.window, a.windows[id] = a.window-len(data), a.windows[id]-len(data)
	return a.framer.WriteData(id, false, data) == nil
}

// answer waits for a call's end, and returns its status.
func (a *attacker) answer(id uint32) codes.Code {
	a.tb.Helper()
	late := time.AfterFunc(patience, func() { a.conn.Close() })
	defer late.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if code, over := a.ended[id]; over {
			return code
		}
		if a.gone != nil {
			a.tb.Fatalf("the connection ended before the call: %v", a.gone)
		}
		a.changed.Wait()
	}
}
