package problem

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/stock"
)

// A problem about a text names the field. The schema of the problem lists the fields that the code
// of its aggregate names, and no others.
func TestProblemsAboutTextsListTheirFields(t *testing.T) {
	t.Parallel()
	for aggregate, refusal := range map[string]*rule.Rejection{
		"product": product.ErrTextTooLong, "cart": cart.ErrTextTooLong, "stock": stock.ErrTextTooLong, "order": order.ErrTextInvalid, "returns": returns.ErrTextInvalid,
	} {
		member, _ := facts[refusal.Code].FieldByName("Field")
		named := fieldsNamed(t, aggregate)
		if len(named) == 0 {
			t.Errorf("%s names no field", aggregate)
		}
		pattern := member.Tag.Get("pattern")
		listed := strings.Split(member.Tag.Get("enum"), ",")
		for _, field := range named {
			if pattern != "" && !regexp.MustCompile(pattern).MatchString(field) || pattern == "" && !slices.Contains(listed, field) {
				t.Errorf("%s names the field %q, which the schema of %s does not allow", aggregate, field, refusal.Code)
			}
		}
		for _, field := range listed {
			if pattern == "" && !slices.Contains(named, field) {
				t.Errorf("the schema of %s lists %q, which %s does not name", refusal.Code, field, aggregate)
			}
		}
	}
}

// checkers are the functions of the aggregates that refuse a text. Their first argument is the
// field's name.
var checkers = []string{"textFault", "note", "line", "noteText", "lineText"}

func fieldsNamed(t *testing.T, aggregate string) (named []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "domain", aggregate, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.CallExpr:
				if function, is := n.Fun.(*ast.Ident); is && slices.Contains(checkers, function.Name) && !isName(n.Args[0], "field") {
					named = append(named, textOf(n.Args[0]))
				}
			case *ast.KeyValueExpr:
				if textOf(n.Key) == "field" && !isName(n.Value, "field") {
					named = append(named, textOf(n.Value))
				}
			}
			return true
		})
	}
	return named
}

func isName(e ast.Expr, name string) bool {
	identifier, is := e.(*ast.Ident)
	return is && identifier.Name == name
}

// textOf is the text that an expression of the code makes. A part that is known only at run time is
// replaced by an example: the call that writes a number is "0", and the variable with the place of
// a line is "lines/0".
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strings.Trim(e.Value, `"`)
	case *ast.BinaryExpr:
		return textOf(e.X) + textOf(e.Y)
	case *ast.Ident:
		return "lines/0"
	case *ast.CallExpr:
		return "0"
	}
	return reflect.TypeOf(e).String()
}
