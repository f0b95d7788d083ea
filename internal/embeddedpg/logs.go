package embeddedpg

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// logLinePrefix puts the kind of server process before each entry. An error in a client's
// statement also reaches that client, and any other error reaches only the log.
const logLinePrefix = "%b|"

// wordsKept is how many of the last lines of the log are kept for error messages.
const linesKept = 8

// serverLog turns the server's standard error into log entries.
type serverLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	partial []byte
	lines   []string // the last lines, oldest first
}

func newServerLog(logger *slog.Logger) *serverLog { return &serverLog{logger: logger} }

// Write takes a piece of the output. Entries are logged line by line.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		end := bytes.IndexByte(l.partial, '\n')
		if end < 0 {
			return len(p), nil
		}
		l.line(string(l.partial[:end]))
		l.partial = l.partial[end+1:]
	}
}

func (l *serverLog) line(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	kind, severity, text := parseLogLine(line)
	words := text
	if severity != "" {
		words = severity + ": " + text
	}
	if l.lines = append(l.lines, words); len(l.lines) > linesKept {
		l.lines = l.lines[1:]
	}
	l.logger.Log(context.Background(), logLevel(kind, severity), "PostgreSQL: "+text, "severity", severity, "process", kind)
}

// lastLines are the last lines the server wrote.
func (l *serverLog) lastLines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// parseLogLine splits "client backend|ERROR:  text". A line that continues an entry, or does
// not come from the server's logging, has only text.
func parseLogLine(line string) (kind, severity, text string) {
	kind, entry, ok := strings.Cut(line, "|")
	if !ok || strings.HasPrefix(line, "\t") {
		return "", "", strings.TrimSpace(line)
	}
	severity, text, ok = strings.Cut(entry, ":  ")
	if !ok {
		return "", "", line
	}
	return kind, severity, text
}

func logLevel(kind, severity string) slog.Level {
	switch severity {
	case "PANIC":
		return slog.LevelError
	case "FATAL", "ERROR":
		// "FATAL" also says that one connection was refused or ended.
		if kind == "client backend" || kind == "not initialized" {
			return slog.LevelDebug
		}
		return slog.LevelError
	case "WARNING":
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
