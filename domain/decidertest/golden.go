package decidertest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"daybook/domain/wire"
)

var update = flag.Bool("update", false, "write golden files that are missing or differ")

// Codec is an aggregate's wire form as its package exports it.
type Codec[E any] struct {
	Encode func(E) (typ string, data []byte, err error)
	Decode func(typ string, data []byte) (E, error)
}

// Golden compares the stored form of every event of the package under test with the files
// testdata/<wire name>.json. A second sample of one type is in <wire name>~2.json. It fails
// if
//
//   - a type of the package's Event has no sample,
//   - a sample is not written as its file says, or the file is not read as the
//     sample,
//   - a file can no longer be read because its type has disappeared,
//   - an event with an unknown member is refused, or an unknown type is accepted.
//
// go test -update writes the files; it never deletes one.
func (c Codec[E]) Golden(t *testing.T, samples []E) {
	t.Helper()
	everyTypeHasASample(t, samples)
	count := map[string]int{}
	for _, sample := range samples {
		typ, data, err := c.Encode(sample)
		if err != nil {
			t.Errorf("encode %T: %v", sample, err)
			continue
		}
		count[typ]++
		name := typ
		if n := count[typ]; n > 1 {
			name = fmt.Sprintf("%s~%d", typ, n)
		}
		t.Run(name, func(t *testing.T) {
			c.checkGolden(t, filepath.Join("testdata", name+".json"), typ, data, sample)
		})
	}
	c.everyFileIsStillRead(t)
	unknown, isUnknown := errors.AsType[*wire.UnknownTypeError](second(c.Decode("never.happened.v1", []byte(`{}`))))
	if !isUnknown || unknown.Type != "never.happened.v1" {
		t.Error("want *wire.UnknownTypeError with its type for an unknown type")
	}
}

func (c Codec[E]) checkGolden(t testing.TB, file, typ string, data []byte, sample E) {
	t.Helper()
	written := append(bytes.Clone(data), '\n')
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, written, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if !bytes.Equal(golden, written) {
		t.Errorf("the wire form changed; old logs hold the old one\n got %s\nwant %s", written, golden)
	}
	future := append([]byte(`{"a_member_of_the_future":[1],`), bytes.TrimPrefix(golden, []byte(`{`))...)
	future = bytes.Replace(future, []byte(`,}`), []byte(`}`), 1)
	for _, form := range [][]byte{golden, future} {
		back, err := c.Decode(typ, form)
		if err != nil {
			t.Errorf("decode: %v", err)
			continue
		}
		compareEvents(t, []E{back}, []E{sample})
	}
}

func (c Codec[E]) everyFileIsStillRead(t testing.TB) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Errorf("no golden files: %v", err)
	}
	for _, file := range files {
		typ, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := c.Decode(typ, golden); err != nil {
			t.Errorf("%s: %v; a type once written must be readable for ever", file, err)
		}
	}
}

var marker = regexp.MustCompile(`^[a-z]\w*(Event|Command)$`)

// everyTypeHasASample finds the types of Event in the package's source by their marker
// methods, such as func (Listed) productEvent() {}.
func everyTypeHasASample[E any](t testing.TB, samples []E) {
	t.Helper()
	var sampled []string
	for _, sample := range samples {
		_, name, _ := strings.Cut(fmt.Sprintf("%T", sample), ".")
		sampled = append(sampled, name)
	}
	for _, name := range Sealed(t, "Event") {
		if !slices.Contains(sampled, name) {
			t.Errorf("event %s has no sample", name)
		}
	}
}

// Sealed finds the types of the Event or the Command of the package under test. kind is
// "Event" or "Command". It reads the package's source for marker methods, such as func (List)
// productCommand() {}.
func Sealed(t testing.TB, kind string) []string {
	t.Helper()
	var sealed []string
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if name, ok := sealedType(declaration, kind); ok {
				sealed = append(sealed, name)
			}
		}
	}
	if len(sealed) == 0 {
		t.Errorf("found no %s types in the package's source", kind)
	}
	return sealed
}

func sealedType(declaration ast.Decl, kind string) (string, bool) {
	f, ok := declaration.(*ast.FuncDecl)
	if !ok || f.Recv == nil || !marker.MatchString(f.Name.Name) || !strings.HasSuffix(f.Name.Name, kind) || len(f.Body.List) > 0 {
		return "", false
	}
	receiver, ok := f.Recv.List[0].Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return receiver.Name, true
}

func second[A, B any](_ A, b B) B { return b }
