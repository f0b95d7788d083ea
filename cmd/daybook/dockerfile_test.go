package main

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// step is an instruction of a Dockerfile.
type step struct {
	word  string            // such as COPY
	flags map[string]string // such as from
	rest  string            // what comes after the flags
}

// list reads the JSON form of ENTRYPOINT and CMD.
func (s step) list(t *testing.T) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.rest), &words); err != nil {
		t.Fatalf("%s %s: want a list in JSON, because there may be no shell: %v", s.word, s.rest, err)
	}
	return words
}

// stage is a part of a Dockerfile that begins with FROM.
type stage struct {
	base, name string
	steps      []step
}

// find is the last instruction of a kind.
func (s stage) find(t *testing.T, word string) step {
	t.Helper()
	for i := len(s.steps) - 1; i >= 0; i-- {
		if s.steps[i].word == word {
			return s.steps[i]
		}
	}
	t.Fatalf("the stage %s has no %s", s.name, word)
	return step{}
}

// environ is the environment that a container of the stage has.
func (s stage) environ() []string {
	all := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, one := range s.steps {
		if one.word == "ENV" {
			all = append(all, one.rest)
		}
	}
	return all
}

// knownSteps are the instructions that the tests can carry out or may ignore. With another one the
// tests would not show what the image does.
const knownSteps = " ARG CMD COPY ENTRYPOINT ENV EXPOSE RUN USER VOLUME WORKDIR "

// stagesOf reads the Dockerfile.
func stagesOf(t *testing.T) (stages []stage) {
	t.Helper()
	text := strings.ReplaceAll(deployFile(t, "Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			base, name, named := strings.Cut(rest, " AS ")
			if !named {
				t.Fatalf("%s: the stage has no name", line)
			}
			stages = append(stages, stage{base: base, name: name})
			continue
		}
		if len(stages) == 0 || !strings.Contains(knownSteps, " "+word+" ") {
			t.Fatalf("%s: the tests do not know this instruction", line)
		}
		one := step{word: word, flags: map[string]string{}}
		for strings.HasPrefix(rest, "--") {
			flag, after, _ := strings.Cut(rest, " ")
			name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
			one.flags[name], rest = value, after
		}
		one.rest = rest
		last := &stages[len(stages)-1]
		last.steps = append(last.steps, one)
	}
	return stages
}
