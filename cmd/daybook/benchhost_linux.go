package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ticksPerSecond is the unit of /proc/PID/stat on all of Go's Linux platforms.
const ticksPerSecond = 100

// cpu is the processor time in seconds that this process and its own PostgreSQL have taken. For a
// server that is not our own it is not known.
func (d database) cpu() (seconds float64, known bool) {
	if d.server == nil {
		return 0, false
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0, false
	}
	seconds = float64(own.Utime.Nano()+own.Stime.Nano()) / 1e9
	self := strconv.Itoa(os.Getpid())
	stats := processStats()
	for pid, server := range stats {
		if server.parent != self || server.name != "postgres" {
			continue
		}
		seconds += server.seconds + server.ended
		for _, backend := range stats {
			if backend.parent == pid {
				seconds += backend.seconds
			}
		}
	}
	return seconds, true
}

type processStat struct {
	name, parent string
	seconds      float64
	ended        float64 // processor time of its children that have ended
}

// processStats reads what /proc tells of every process, by its id.
func processStats() map[string]processStat {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil // the pattern is right
	}
	stats := make(map[string]processStat, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// 12 (name) S 1 ...: the name may hold anything, so its end is the last ')'.
		before, after, _ := cutLast(string(text), ") ")
		_, name, _ := strings.Cut(before, "(")
		fields := strings.Fields(after)
		if len(fields) < 15 {
			continue
		}
		stats[filepath.Base(filepath.Dir(file))] = processStat{
			name: name, parent: fields[1], seconds: ticks(fields[11], fields[12]), ended: ticks(fields[13], fields[14]),
		}
	}
	return stats
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

func ticks(texts ...string) (seconds float64) {
	for _, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			seconds += float64(n) / ticksPerSecond
		}
	}
	return seconds
}

// inMemory tells whether a data directory is in memory and not on a disk. The directory need not
// exist yet.
func inMemory(cfg databaseConfig) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	for dir := cfg.DataDir; cfg.URL == "" && dir != ""; dir = filepath.Dir(dir) {
		var found syscall.Statfs_t
		if err := syscall.Statfs(dir, &found); err == nil {
			return int64(found.Type) == tmpfs || int64(found.Type) == ramfs //nolint:unconvert // narrower on some platforms
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
	return false
}
