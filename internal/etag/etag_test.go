package etag_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"daybook/internal/etag"
)

func TestATagNamesOneBody(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(etag.Pattern)
	seen := map[string]bool{}
	for _, revision := range []int64{-1, 0, 5, 55} {
		for _, body := range []string{"", "a", "b"} {
			tag := etag.Of(revision, []byte(body))
			if seen[tag] || !pattern.MatchString(tag) || tag != etag.Of(revision, []byte(body)) {
				t.Errorf("revision %d, body %q: %s", revision, body, tag)
			}
			seen[tag] = true
			list, err := etag.Parse(tag)
			if err != nil {
				t.Fatal(err)
			}
			if named, ok := list.Tags[0].Revision(); ok != (revision >= 0) || ok && named != revision {
				t.Errorf("%s names revision %d, %t", tag, named, ok)
			}
		}
	}
}

func TestListsOfTagsAreRead(t *testing.T) {
	t.Parallel()
	made := etag.Of(7, []byte("x"))
	zipped := strings.TrimSuffix(made, `"`) + `-gzip"`
	for header, want := range map[string]struct {
		revisions []int64
		found     bool
	}{
		made: {[]int64{7}, true}, "W/" + made: {[]int64{7}, true}, zipped: {[]int64{7}, true}, "W/" + zipped: {[]int64{7}, true},
		`"7"`: {[]int64{7}, false}, `W/"7"`: {[]int64{7}, false}, `"6", ` + made + `,W/"8.a"`: {[]int64{6, 7, 8}, true},
		`, ,"6" , ,"8",`: {[]int64{6, 8}, false}, `"6"	,	"8"`: {[]int64{6, 8}, false},
		`"-1"`: {nil, false}, `"+1"`: {nil, false}, `"body.abc"`: {nil, false}, `"abc"`: {nil, false}, `""`: {nil, false}, `"a,b"`: {nil, false},
		`"99999999999999999999"`: {nil, false}, `"1e3"`: {nil, false}, `"é"`: {nil, false}, `"."`: {nil, false},
	} {
		list, err := etag.Parse(header)
		if err != nil || list.Any {
			t.Errorf("%s: %+v, %v", header, list, err)
		}
		if got := list.Revisions(); !slices.Equal(got, want.revisions) {
			t.Errorf("%s names revisions %v, want %v", header, got, want.revisions)
		}
		if _, found := list.Find(made); found != want.found {
			t.Errorf("%s names %s: %t", header, made, found)
		}
	}
	for _, header := range []string{"", " ", ",", "7", `"7`, `7"`, `"7""8"`, `"7" "8"`, `w/"7"`, `W/ "7"`, `*, "7"`, `"7", *`, `"a b"`, "**", strings.Repeat(`"1",`, 101)} {
		if list, err := etag.Parse(header); err == nil {
			t.Errorf("%q is read as %+v", header, list)
		}
	}
	if list, err := etag.Parse(" * "); err != nil || !list.Any {
		t.Errorf("*: %+v, %v", list, err)
	}
}

// A cache finds its copy by the tag, so the response must repeat the tag exactly as the request has
// it.
func TestATagIsRepeatedInItsEncoding(t *testing.T) {
	t.Parallel()
	made := etag.Of(7, []byte("x"))
	zipped := strings.TrimSuffix(made, `"`) + `-gzip"`
	for header, want := range map[string]string{made: made, zipped: zipped, "W/" + zipped: zipped, "*": made} {
		list, err := etag.Parse(header)
		if err != nil {
			t.Fatal(err)
		}
		if tag, found := list.Find(made); !found || tag.As(made) != want {
			t.Errorf("%s is answered with %s, want %s", header, tag.As(made), want)
		}
	}
}
