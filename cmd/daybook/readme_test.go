package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README's tour has commands in blocks of sh. It shows their answers in comment lines among the
// commands, or in the plain block after them. In these, … stands for parts that are left out.
// Chance decides who buys the last mug; the README shows bob.
var (
	codeBlock  = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	assignment = regexp.MustCompile(`(?m)^(?:[a-z]+=|curl\(\)).*$`)
	oneCall    = regexp.MustCompile(`(?m)^curl `)
	shownLine  = regexp.MustCompile(`(?m)^# (.*)$`)
	leftOut    = regexp.MustCompile(`…|\n`)
	placed     = regexp.MustCompile(`"order":{"order_id":"order-(\w+)"`)
)

// printAnswers is a curl that prints each answer whole and with its status, even if several calls
// run at once. CURL is the real one.
const printAnswers = `#!/bin/sh
answer=$(CURL -i "$@") || exit; printf '%s\n' "$answer"
`

// installCurl puts printAnswers into a folder, which it returns.
func installCurl(t *testing.T) string {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("the tour is run by curl, which is not installed")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "curl"), []byte(strings.Replace(printAnswers, "CURL", curl, 1)), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return folder
}

func TestTheReadmesTourIsWhatHappens(t *testing.T) {
	t.Parallel()
	tools := installCurl(t)
	const api = "api=http://127.0.0.1:8080/"
	_, tour, _ := strings.Cut(document(t, "README.md"), "\n## A tour\n")
	tour, _, _ = strings.Cut(tour, "\n## ")
	if strings.Count(tour, api) != 1 {
		t.Fatalf("the README's tour does not say %q once", api)
	}
	folder := filepath.Dir(dataDir(t))
	server := serve(t, "--data", filepath.Join(folder, "shop"))
	tour = strings.Replace(tour, api, "api="+server.url+"/", 1)

	settings, buyer := "PATH="+tools+":$PATH\n", "bob"
	blocks := append(codeBlock.FindAllStringSubmatch(tour, -1), []string{"", "sh", ""})
	for i, block := range blocks {
		if block[1] != "sh" || !oneCall.MatchString(block[2]) {
			continue // a block that shows an answer, or that starts the server
		}
		var shown []string
		for _, line := range shownLine.FindAllStringSubmatch(block[2], -1) {
			shown = append(shown, line[1])
		}
		if after := blocks[i+1]; after[1] == "" {
			shown = append(shown, strings.Split(after[2], "\n\n")...)
		}
		commands := strings.ReplaceAll(block[2], "bob", buyer)
		answers := answersTo(t, folder, settings+commands)
		if calls := len(oneCall.FindAllString(commands, -1)); len(answers) != calls {
			t.Fatalf("%d answers to %d calls:\n%s\n%s", len(answers), calls, commands, strings.Join(answers, "\n"))
		}
		if bought := placed.FindStringSubmatch(strings.Join(answers, "\n")); bought != nil {
			buyer = bought[1]
		}
		for j := range shown {
			shown[j] = strings.ReplaceAll(shown[j], "bob", buyer)
		}
		compareShown(t, answers, shown)
		settings += strings.Join(assignment.FindAllString(commands, -1), "\n") + "\n"
	}
}

// answersTo runs commands in a folder and returns the answer to each call of curl.
func answersTo(t *testing.T, folder, commands string) []string {
	t.Helper()
	sh := exec.CommandContext(t.Context(), "sh", "-euc", commands)
	sh.Dir = folder
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v:\n%s", commands, err, out)
	}
	return strings.Split(string(out), "HTTP/1.1 ")[1:]
}

// compareShown fails if an answer is an error that the README does not show, or if the README shows
// something that no answer has.
func compareShown(t *testing.T, answers, shown []string) {
	t.Helper()
	for _, answer := range answers {
		told := slices.ContainsFunc(shown, func(text string) bool { return strings.HasPrefix(text, "HTTP/1.1") && reads(answer, text) })
		if !strings.HasPrefix(answer, "2") && !told {
			t.Errorf("this is not what the README shows:\n%s", answer)
		}
	}
	for _, text := range shown {
		if !slices.ContainsFunc(answers, func(answer string) bool { return reads(answer, text) }) {
			t.Errorf("the README shows\n%s\nbut these are the answers:\n%s", text, strings.Join(answers, "\n"))
		}
	}
}

// reads tells whether an answer has all pieces of a shown text, in their order.
func reads(answer, shown string) bool {
	for _, piece := range leftOut.Split(strings.TrimPrefix(shown, "HTTP/1.1 "), -1) {
		_, rest, found := strings.Cut(answer, strings.Trim(piece, " ,"))
		if !found {
			return false
		}
		answer = rest
	}
	return true
}

var (
	// A call of the program: in backticks, in an indented block, or as bin/daybook.
	programCall = regexp.MustCompile("(?m)(?:`|^    |\\bbin/)daybook ([^`#\n]+)")
	subcommand  = regexp.MustCompile(`(?m)^  ([a-z-]+(?: [a-z-]+)?)  `)
	aFlag       = regexp.MustCompile(`(?:^|[^-\w])(--[a-z][a-z-]*)`)
)

func TestTheDocumentsCallTheProgramAsItCanBeCalled(t *testing.T) {
	t.Parallel()
	help := call(t, nil, "--help").stdout
	for _, name := range subcommand.FindAllStringSubmatch(help, -1) {
		help += call(t, nil, append(strings.Fields(name[1]), "--help")...).stdout
	}
	var flags []string
	for _, flag := range aFlag.FindAllStringSubmatch(help, -1) {
		flags = append(flags, flag[1])
	}
	documents := []string{"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"}
	for _, folder := range []string{"docs", "docs/decisions"} {
		found, err := filepath.Glob(filepath.Join("..", "..", folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			documents = append(documents, filepath.Join(folder, filepath.Base(path)))
		}
	}
	invoices := filepath.Join(t.TempDir(), "online_retail.csv") // the program checks that the file exists
	if err := os.WriteFile(invoices, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t)
	// Replaces values that readers choose themselves, and files that must exist.
	filled := strings.NewReplacer("'", "", `"web shop"`, "web", "staff token ID", "staff token k3f9a1c2", "staff disable ID", "staff disable k3f9a1c2", "staff role ID", "staff role k3f9a1c2", "staff unenroll ID", "staff unenroll k3f9a1c2", "staff email ID", "staff email k3f9a1c2", "staff sessions ID", "staff sessions k3f9a1c2", "end-session ID SESSION", "end-session k3f9a1c2 s1", "online_retail.csv.gz", invoices, "--kurrentdb-url …", "--kurrentdb-url esdb://h", "node.crt", cert, "node.key", key, "--passphrase-file passphrase", "--passphrase-file "+writeFile(t, "passphrase", "correct horse"), "--backup-dir backups", "--backup-dir "+t.TempDir(), "admin.token", writeFile(t, "token", strings.Repeat("t", 32)), "provider.secret", writeFile(t, "provider", strings.Repeat("s", 32)), "smtp.url", writeFile(t, "smtp", "smtp://u:p@h"),
		"--master-key-file master.key", "--master-key-file "+writeMasterKey(t),
		"--gateway-users users", "--gateway-users "+writeFile(t, "users", "ann:"+hashed(t, "right")+"\n"))
	calls := 0
	for _, path := range documents {
		text := strings.ReplaceAll(document(t, path), "\\\n", " ") // a long command is one line
		for _, flag := range aFlag.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(flags, flag[1]) {
				t.Errorf("%s names %s, which no subcommand has", path, flag[1])
			}
		}
		for _, line := range programCall.FindAllStringSubmatch(text, -1) {
			args := strings.Fields(filled.Replace(line[1]))
			if len(args) > 1 {
				args = append(args, "--print-config") // then the program only reads the command line
			} else {
				args = append(args, "--help") // the document only names the subcommand
			}
			calls++
			if got := call(t, nil, args...); got.code != exitOK {
				t.Errorf("%s has the call %q: %s", path, line[0], got.stderr)
			}
		}
	}
	if calls < 10 {
		t.Errorf("only %d calls of the program were found in the documents", calls)
	}
}

// document reads one of the project's documents.
func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
