// Package mastercommandtest has a command with master keys, as somebody may write it for a service
// that manages keys. A test binary runs it in place of its tests (Main).
package mastercommandtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/eventstore/sealing"
)

// name is the first argument of the command.
const name = "fake-key-service"

// How the command behaves, beside Well.
const (
	Well     = ""
	Dies     = "dies"     // in the middle of an answer
	Hangs    = "hangs"    // it reads a request and does not answer
	Nonsense = "nonsense" // it answers what is no answer
	Chats    = "chats"    // it sends two lines for one request
	Refuses  = "refuses"  // it answers with an error
	Swaps    = "swaps"    // it unwraps another key than it has wrapped
)

// Main runs the command, if args, which are those of the process, ask for it. If they do not, it
// returns false.
func Main(args []string, in io.Reader, out, stderr io.Writer) bool {
	if len(args) != 3 || args[1] != name {
		return false
	}
	if err := serve(args[2], in, out, stderr); err != nil {
		fmt.Fprintln(stderr, err)
	}
	return true
}

// Fake is a command of a test.
type Fake struct {
	Args   []string // the program and its arguments
	folder string
	t      *testing.T
}

// New makes a command that has one master key. Its key is not in a file that Daybook knows.
func New(t *testing.T) *Fake {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{Args: []string{program, name, t.TempDir()}, t: t}
	f.folder = f.Args[2]
	line, _ := sealing.NewMasterKey()
	f.write("keys", line+"\n")
	f.write("mode", Well)
	f.write("started", "")
	return f
}

// Behave changes how the command behaves, from its next request on.
func (f *Fake) Behave(mode string) { f.write("mode", mode) }

// ID is the id of the master key.
func (f *Fake) ID() string {
	keys, err := sealing.ReadMasterKeys(filepath.Join(f.folder, "keys"))
	if err != nil {
		f.t.Fatal(err)
	}
	return prefix + keys.IDs()[0]
}

// Starts is how often the command was started.
func (f *Fake) Starts() int {
	text, err := os.ReadFile(filepath.Join(f.folder, "started"))
	if err != nil {
		f.t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func (f *Fake) write(file, text string) {
	f.t.Helper()
	part := filepath.Join(f.folder, file+".part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(f.folder, file)); err != nil {
		f.t.Fatal(err)
	}
}

// prefix begins the ids of the service's keys, as in an address of a key.
const prefix = "kms:eu:key/"

type request struct {
	Op        string `json:"op"`
	MasterKey string `json:"master_key"`
	Data      []byte `json:"data"`
	Context   []byte `json:"context"`
}

type answer struct {
	MasterKeys []string `json:"master_keys,omitempty"`
	MasterKey  string   `json:"master_key,omitempty"`
	Data       []byte   `json:"data,omitempty"`
	Error      string   `json:"error,omitempty"`
}

// serve answers requests until they end.
func serve(folder string, in io.Reader, out, stderr io.Writer) error {
	started, err := os.OpenFile(filepath.Join(folder, "started"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintln(started, "started")
	if err := started.Close(); err != nil {
		return err
	}
	keys, err := sealing.ReadMasterKeys(filepath.Join(folder, "keys"))
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "logged in with the token s.0123456789abcdefghijklmnop")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		mode, err := os.ReadFile(filepath.Join(folder, "mode"))
		if err != nil {
			return err
		}
		switch string(mode) {
		case Hangs:
			continue
		case Nonsense:
			fmt.Fprintln(out, "OK")
			continue
		case Dies:
			fmt.Fprint(out, `{"master_key":`)
			return nil
		}
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		text, err := json.Marshal(answerTo(keys, asked, string(mode)))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", text)
		if string(mode) == Chats {
			fmt.Fprintln(out, "done")
		}
	}
	return nil
}

func answerTo(keys *sealing.MasterKeys, asked request, mode string) (a answer) {
	var err error
	id := strings.TrimPrefix(asked.MasterKey, prefix)
	switch {
	case mode == Refuses:
		err = fmt.Errorf("403 for the token s.0123456789abcdefghijklmnop") //nolint:perfsprint // as of a client
	case asked.Op == "list":
		return answer{MasterKeys: []string{prefix + keys.IDs()[0]}}
	case asked.Op == "wrap":
		a.Data, err = keys.Wrap(context.Background(), id, asked.Data, asked.Context)
	default:
		a.Data, err = keys.Unwrap(context.Background(), id, asked.Data, asked.Context)
		if mode == Swaps && err == nil {
			a.Data[0] ^= 1
		}
	}
	a.MasterKey = asked.MasterKey
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}
