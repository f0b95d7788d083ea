package racetest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m, TestNamed)) }

func TestNamed(t *testing.T) { t.Log(Few("all", "few")) }

func TestNotNamed(*testing.T) {}

func TestSkipped(t *testing.T) { Skip(t, "it is an example") }

// With -short only the tests that Main names are run, and those that the call asks for.
func TestWhichTestsRun(t *testing.T) {
	t.Parallel()
	const all = "TestNamed|TestNotNamed|TestSkipped"
	for name, c := range map[string]struct {
		flags     []string
		has, lack string
	}{
		"short":                {[]string{"-test.short"}, "PASS: TestNamed", "TestNotNamed"},
		"short, the length":    {[]string{"-test.short"}, "few", "all"},
		"short, and asked for": {[]string{"-test.short", "-test.run", all}, "PASS: TestNotNamed", "PASS: TestSkipped"},
		"long":                 {[]string{"-test.run", all}, "PASS: TestSkipped", "SKIP"},
		"long, the length":     {[]string{"-test.run", all}, "all", "few"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), os.Args[0], append(c.flags, "-test.v")...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.has) || strings.Contains(string(out), c.lack) {
				t.Errorf("want %q and not %q (%v):\n%s", c.has, c.lack, err, out)
			}
		})
	}
}
