package wire

import (
	"errors"
	"strings"
	"testing"
)

type listed struct {
	Title string `json:"title"`
}

var decoders = Decoders[any]{
	"product.listed.v1": func(data []byte) (any, error) { return Read[listed](data) },
}

func TestDecode(t *testing.T) {
	got, err := decoders.Decode("product.listed.v1", []byte(`{"title":"A lamp","since":2}`))
	if err != nil || got != any(listed{Title: "A lamp"}) {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = decoders.Decode("product.listed.v2", nil)
	if unknown, ok := errors.AsType[*UnknownTypeError](err); !ok || unknown.Type != "product.listed.v2" {
		t.Errorf("unknown type: %v", err)
	}
	for _, broken := range []string{``, `[]`, `{"title":1}`, `{"title":"a","title":"b"}`, `{"title":"a"} x`, "{\"title\":\"\xff\"}"} {
		if got, err := decoders.Decode("product.listed.v1", []byte(broken)); err == nil || !strings.Contains(err.Error(), "product.listed.v1") {
			t.Errorf("%s is read as %v, %v", broken, got, err)
		}
	}
}

func TestWrite(t *testing.T) {
	typ, data, err := Write("product.listed.v1", listed{Title: "A <lamp>"})
	if err != nil || typ != "product.listed.v1" || string(data) != `{"title":"A <lamp>"}` {
		t.Errorf("got %s %s, %v", typ, data, err)
	}
	if _, _, err := Write("product.listed.v1", listed{Title: "\xff"}); err == nil {
		t.Error("text that is not UTF-8 was written")
	}
}
