package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// This attack once worked: 16 bodies of 340,000 empty objects at once took 2.5 GB of memory. Each
// took 11 s of processor time and got an answer of 37 MB. Here each body is as large as a route
// allows, and the bodies come again and again.
func TestAttacksDoNotGrowTheServer(t *testing.T) {
	t.Parallel()
	server := startChild(t, build(t), dataDir(t))
	largest := `{"currency":"GBP","lines":[` + strings.Repeat(`{},`, (512<<10-100)/3) + `{}]}`
	bodies := []string{
		largest,
		`{"currency":"GBP","lines":[` + strings.Repeat(`{},`, 1999) + `{}]}`,
		`{"x":` + strings.Repeat(`[`, 500_000) + `}`,
		strings.Repeat(largest, 10), // over the limit
	}
	refused := make([]atomic.Int64, len(bodies)) // answers to each
	before := residentMax(t, server.cmd.Process.Pid)
	var all sync.WaitGroup
	for attacker := range 16 {
		all.Go(func() {
			for i := range 8 {
				attack := (attacker + i) % len(bodies)
				body := bodies[attack]
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/v1/carts", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					continue // the server closes the connection of a client that sends far too much
				}
				size, _ := io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if size > 8<<10 || answer.StatusCode != 422 && answer.StatusCode != 413 && answer.StatusCode != 503 {
					t.Errorf("answer %d of %d bytes, want a small refusal", answer.StatusCode, size)
					continue
				}
				refused[attack].Add(1)
			}
		})
	}
	all.Wait()
	for attack := range refused {
		if refused[attack].Load() == 0 {
			t.Errorf("no request of attack %d (%.40s) was answered, want one at least", attack, bodies[attack])
		}
	}
	if grown := residentMax(t, server.cmd.Process.Pid) - before; grown > 320<<20 {
		t.Errorf("the server grew by %d MiB, want at most 320", grown>>20)
	}
}

// This attack once worked, too: 200 bodies at once, each within all bounds and with two faults in
// every line. After 90 s, 195 of them had no answer, and the server had grown by 264 MB.
func TestFaultyBodiesAtOnceAreAllAnswered(t *testing.T) {
	t.Parallel()
	server := startChild(t, build(t), dataDir(t))
	body := `{"currency":"GBP","lines":[` + strings.Repeat(`{"x":1,"y":1},`, 1989) + `{"x":1,"y":1}]}`
	before := residentMax(t, server.cmd.Process.Pid)
	client := &http.Client{Timeout: 30 * time.Second}
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+"/v1/carts", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/json")
			answer, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			size, err := io.Copy(io.Discard, answer.Body)
			if err != nil || size > 8<<10 || answer.StatusCode != http.StatusUnprocessableEntity && answer.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("answer %d of %d bytes, %v, want a small refusal", answer.StatusCode, size, err)
			}
		})
	}
	all.Wait()
	if grown := residentMax(t, server.cmd.Process.Pid) - before; grown > 96<<20 {
		t.Errorf("the server grew by %d MiB, want at most 96", grown>>20)
	}
}

// residentMax is the most memory that a process ever had, in bytes.
func residentMax(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("this system does not tell")
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in the status of the process")
	return 0
}
