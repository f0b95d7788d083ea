package embeddedpg

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func TestServerLogKeepsWhatItIsAbout(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"postmaster|LOG:  database system is ready to accept connections": "level=DEBUG msg=\"PostgreSQL: database system is ready to accept connections\" severity=LOG process=postmaster",
		"client backend|ERROR:  duplicate key value":                      "level=DEBUG msg=\"PostgreSQL: duplicate key value\" severity=ERROR process=\"client backend\"",
		"checkpointer|ERROR:  could not write to file: No space left":     "level=ERROR msg=\"PostgreSQL: could not write to file: No space left\" severity=ERROR process=checkpointer",
		"client backend|PANIC:  could not write to file":                  "level=ERROR msg=\"PostgreSQL: could not write to file\" severity=PANIC process=\"client backend\"",
		"client backend|WARNING:  there is no transaction in progress":    "level=WARN msg=\"PostgreSQL: there is no transaction in progress\" severity=WARNING process=\"client backend\"",
		"\tcontinued a|b: c": "level=DEBUG msg=\"PostgreSQL: continued a|b: c\" severity=\"\" process=\"\"",
	} {
		var out bytes.Buffer
		log := newServerLog(textLogger(&out))
		// The text is written in pieces, because a pipe delivers it so.
		for _, piece := range []string{line[:5], line[5:], "\n"} {
			if _, err := io.WriteString(log, piece); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.TrimSpace(out.String()); got != want {
			t.Errorf("%q\n is logged as %s\n       want %s", line, got, want)
		}
	}
}

func TestLastWordsAreTheLast(t *testing.T) {
	t.Parallel()
	log := newServerLog(slog.New(slog.DiscardHandler))
	for range 100 {
		io.WriteString(log, "postmaster|LOG:  chatter\n") //nolint:errcheck // Write of serverLog never fails
	}
	io.WriteString(log, "postmaster|FATAL:  the reason\n\n") //nolint:errcheck // Write of serverLog never fails
	words := strings.Split(log.lastLines(), "\n")
	if got, want := len(words), linesKept; got != want {
		t.Errorf("%d lines are kept, want %d", got, want)
	}
	if got, want := words[len(words)-1], "FATAL: the reason"; got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}
}

func textLogger(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
