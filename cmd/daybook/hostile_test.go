package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"

	"daybook/readapi"
)

// hostileName is a name that an old log or a foreign server may have: such names are refused today.
// It has line breaks, a forged event, two characters that control a terminal (escape and U+009B),
// and a mark that turns the direction of text.
const hostileName = "x\r\nid: 9\nevent: order.placed.v1\ndata: {\"forged\":true}\n\n\x1b[31m\u009b2J\u0085\u2028\u202eNothing is off: 0 events"

// steering finds a character that must not be sent to a reader.
func steering(text string) (rune, bool) {
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return r, true
		}
	}
	return 0, false
}

// hostileLog makes a data directory whose log has events with hostile names. They are written
// without the checks. Types and streams have such names, foreign ones and ones that look like the
// shop's.
func hostileLog(t *testing.T, streams, types []string) (dir string) {
	t.Helper()
	dir = dataDir(t)
	if got := call(t, nil, "migrate", "--data", dir); got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	for i, stream := range streams {
		query(t, dir, fmt.Sprintf(`SELECT eventstore.append(ARRAY[%s], ARRAY[-2::bigint], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[gen_random_uuid()],
			ARRAY[%s], ARRAY['{}'::json], ARRAY['{}'::json], true)`, literal(stream), literal(types[i])))
	}
	return dir
}

// literal is a text in SQL.
func literal(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\U%08x`, r)
	}
	return "E'" + b.String() + "'"
}

func TestANameInTheLogForgesNothingOverHTTP(t *testing.T) {
	t.Parallel()
	streams := []string{hostileName, "foreign", "foreign", "foreign", "order-" + hostileName, "foreign"}
	types := []string{"t.v1", hostileName, "caught_up", "error", "order.confirmed.v1", "end.v1"}
	server := serve(t, "--data", hostileLog(t, streams, types))

	for _, path := range []string{"/v1/projections", "/readyz", "/v1/events", "/v1/streams/" + url.PathEscape(hostileName), "/v1/streams/" + url.PathEscape(hostileName+"?"), "/v1/events?type=" + url.QueryEscape(hostileName)} {
		answer, text := fetch(t, server.url+path)
		for name, values := range answer.Header {
			if r, found := steering(strings.Join(values, "")); found {
				t.Errorf("%.40s: header %s holds %U", path, name, r)
			}
		}
		if r, found := steering(text); found {
			t.Errorf("%.40s: the answer holds %U: %q", path, r, text)
		}
		for line := range strings.Lines(text) { // each line is a JSON document
			var event readapi.Event
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Errorf("%.40s: line %q: %v", path, line, err)
			}
		}
	}
	if _, text := fetch(t, server.url+"/v1/streams/"+url.PathEscape(hostileName)); !strings.Contains(text, url.PathEscape(hostileName)) || !strings.Contains(text, `x\\u000d\\u000aid: 9`) {
		t.Errorf("the stream is shown as %s, want its exact name as source, and as subject with the characters written out", text)
	}

	var ids, names []string
	for line := range liveLines(t, server.url+"/v1/events/live?after=0", "event: end.v1") {
		if r, found := steering(line); found {
			t.Errorf("the live stream holds %U: %q", r, line)
		}
		if id, is := strings.CutPrefix(line, "id: "); is {
			ids = append(ids, id)
		}
		if name, is := strings.CutPrefix(line, "event: "); is {
			names = append(names, name)
		}
	}
	if len(ids) != 6 || len(names) != 6 || names[0] != "t.v1" || !strings.HasPrefix(names[1], `x\u000d\u000aid: 9`) || names[2] != "message" || names[3] != "message" {
		t.Errorf("the live stream has the ids %q and the events %q, want those of 6 events", ids, names)
	}
}

// New names with control characters are refused, and the error names the character.
func TestTheGatewayTakesNoNameWithControlCharacters(t *testing.T) {
	t.Parallel()
	client := dialGateway(t, serve(t, "--data", dataDir(t), "--gateway", "127.0.0.1:0").gateway)
	for _, name := range []string{hostileName, "a\nb", "a\x1bb", "a\u202eb"} {
		for stream, typ := range map[string]string{name: "t.v1", "foreign": name} {
			_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, esdb.EventData{EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte("{}")})
			if err == nil || !strings.Contains(err.Error(), "InvalidArgument") || !strings.Contains(err.Error(), "control character U+") {
				t.Errorf("stream %q, type %q: %v; want InvalidArgument and which character", stream, typ, err)
			}
		}
	}
}

func fetch(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := contract.Client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// liveLines yields the lines of a live stream up to the line last.
func liveLines(t *testing.T, address, last string) func(func(string) bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			if !yield(lines.Text()) || lines.Text() == last {
				return
			}
		}
		t.Errorf("the live stream ended before %q: %v", last, lines.Err())
	}
}

// If a stream has such a name and looks like an order, verify and the read models report it. They
// print its name without control characters.
func TestANameInTheLogSteersNoTerminal(t *testing.T) {
	t.Parallel()
	dir := hostileLog(t, []string{"order-" + hostileName, "stock-" + hostileName, "product-a"}, []string{"order.placed.v1", "stock.received.v1", hostileName})
	named := false
	for _, command := range []string{"verify", "verify --json", "rebuild orders", "rebuild stock --json"} {
		for _, form := range []string{"text", "json"} {
			args := append(strings.Fields(command), "--data", dir, "--log-format", form, "--log-level", "debug")
			got := call(t, nil, args...)
			for where, text := range map[string]string{"stdout": got.stdout, "stderr": got.stderr} {
				if r, found := steering(text); found {
					t.Errorf("%s, log as %s: %s holds %U: %q", command, form, where, r, text)
				}
				if strings.Contains(text, "\nNothing is off: 0 events") || strings.Contains(text, "\nevent: ") {
					t.Errorf("%s, log as %s: %s has a forged line: %q", command, form, where, text)
				}
				named = named || strings.Contains(text, `x\u000d\u000aid: 9`) || strings.Contains(text, `x\\u000d\\u000aid: 9`)
			}
		}
	}
	if !named {
		t.Error("the name is written nowhere, so this proves nothing")
	}
}
