package main

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"daybook/eventstore/sealing"
	"daybook/internal/pgtest"
)

// docs/privacy.md: the master key changes, and customers and guests are erased, as the page says.
func TestThePageOnPrivacyIsWhatHappens(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the page calls curl, which is not installed")
	}
	line, old := sealing.NewMasterKey()
	p := newPage(t, "drop KEY", "drop "+old, "http://127.0.0.1:8080", "http://127.0.0.1:8080")
	p.write("master.key", line+"\n")
	p.env["DATABASE_URL"], p.env["DAYBOOK_MASTER_KEY_FILE"] = pgtest.URL(t), "master.key"
	created, code := p.sh("daybook keys create --role admin --name page 2>/dev/null | head -n 1")
	if code != exitOK {
		t.Fatal(created)
	}
	key := strings.TrimSpace(created)
	p.env["key"] = key
	p.served = func(number int, s *pageServer) {
		if number != 1 {
			return
		}
		for _, cart := range []string{`"cart_id":"c-1"`, `"cart_id":"c-2","customer_id":"17850"`} {
			mustAsk(t, http.MethodPost, s.url+"/v1/carts", key, `{`+cart+`,"currency":"GBP"}`)
		}
		for _, id := range []string{"c-1", "c-2"} {
			mustAsk(t, http.MethodPost, s.url+"/v1/carts/"+id+"/abandon", key, `{"reason":"`+mark+`page"}`)
		}
	}
	said := map[string]string{
		"master-key add": "has the new master key", "master-key rotate": "2 keys of personal texts were wrapped again", "master-key status": old,
		"master-key drop": "no longer has the master key " + old, "erase --customer 17850": "customer:17850", "erase --cart c-1": "cart:c-1", "v1/erasures": `"state":"eras`,
		"17850/export": mark + "page", "c-1/export": "<h1>Personal data</h1>",
	}
	p.ran = func(command, output string, code int) {
		if code != exitOK {
			t.Errorf("%s: exit code %d, %s", command, code, output)
		}
		for part, want := range said {
			if strings.Contains(command, part) {
				delete(said, part)
				if !strings.Contains(output, want) {
					t.Errorf("%s: %s, want %q", command, output, want)
				}
			}
		}
	}
	p.follow("docs/privacy.md")
	if len(said) > 0 || p.number != 3 {
		t.Errorf("the page has no command with %q; it starts %d servers", said, p.number)
	}
	pool := poolOf(t, p.env["DATABASE_URL"])
	if liveKeys(t, pool, "customer:17850")+liveKeys(t, pool, "cart:c-1") > 0 {
		t.Error("keys are left")
	}
}
