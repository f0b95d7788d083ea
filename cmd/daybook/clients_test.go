package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Two clients have types that were generated from the API's document alone. Each buys, meets a
// shortage, pays, and returns goods, against a server in a process of its own. make client builds
// the clients.
func TestMadeClientsBuyAndGiveBack(t *testing.T) {
	t.Parallel()
	const room = "../../internal/httpapi/client/"
	clients := map[string][]string{
		"typescript": {"node", room + "typescript/build/shop.js"},
		"go":         {room + "go/build/client"},
	}
	for name, command := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if os.Getenv("DAYBOOK_CLIENTS") != "all" {
				t.Skip("make client makes the clients, and runs this test")
			}
			server := startChild(t, build(t), t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			client := exec.CommandContext(ctx, command[0], append(command[1:], server.url)...)
			client.Env = append(os.Environ(), "DAYBOOK_KEY="+keyOf(server.url))
			client.WaitDelay = 5 * time.Second
			out, err := client.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			t.Logf("%s", out)
			if code := server.terminate(t); code != 0 {
				t.Errorf("the server ended with %d", code)
			}
		})
	}
}
