package readapi

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"daybook/domain/access"
	"daybook/internal/personal"
	"daybook/internal/problem"
)

// A caller without the permission personal.read gets responses without personal data (package
// personal). Here is the rest: such a caller cannot ask in a way whose answer would tell personal
// data, and gets histories and events without it.

// seesPersonal tells whether the sender of a request sees the personal data in what it reads with a
// permission.
func seesPersonal(ctx context.Context, needs access.Permission) bool {
	return problem.RequestOf(ctx).Who.SeesPersonal(needs)
}

// mayAsk refuses parameters that are personal data, such as a filter by customer, if the caller
// must not see personal data. Otherwise the caller could find out a text by guessing. The tag class
// of a member of the input says what the parameter is, and the tag personalSorts names the values
// of a sort that would tell the order of personal texts.
func mayAsk(ctx context.Context, needs access.Permission, in any) error {
	if seesPersonal(ctx, needs) {
		return nil
	}
	if refused := personalParameters(reflect.ValueOf(in).Elem()); len(refused) > 0 {
		return problem.FieldsForbidden(refused...)
	}
	return nil
}

const faultPersonal = "it tells personal data, so it needs the permission personal.read"

// personalParameters lists the parameters of a request that are personal data.
func personalParameters(in reflect.Value) (found []problem.Invalid) {
	for i := range in.NumField() {
		field, value := in.Type().Field(i), in.Field(i)
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			found = append(found, personalParameters(value)...)
			continue
		}
		class := personal.Class(field.Tag.Get("class"))
		sorts := field.Tag.Get("personalSorts")
		tells := class != "" && class != personal.Open && !value.IsZero() ||
			sorts != "" && slices.Contains(strings.Split(sorts, ","), value.String())
		if !tells {
			continue
		}
		if name := field.Tag.Get("path"); name != "" {
			found = append(found, problem.InParameter("path", name, faultPersonal))
		} else {
			found = append(found, problem.InParameter("query", field.Tag.Get("query"), faultPersonal))
		}
	}
	return found
}

// openCursorFor does what openCursor does. The cursors of a caller who must not see personal data
// are encrypted, and the order of the list does not tell personal data either.
func (a *api) openCursorFor(ctx context.Context, r route, in any) (seal func(string) string, err error) {
	if seesPersonal(ctx, r.needs) {
		return openCursor(r.id, in)
	}
	sealed, err := openCursor(r.id+" without personal data", in)
	if err != nil || sealed == nil {
		return nil, err
	}
	page := in.(lister).paging() //nolint:forcetypeassert // else there would be no seal
	page.secret = a.Withhold.OrderSecret()
	if page.Cursor != "" {
		if page.Cursor, err = a.Withhold.DecryptCursor(page.Cursor); err != nil {
			return nil, problem.NotValid(problem.InParameter("query", "cursor", faultCursor))
		}
	}
	return func(cursor string) string { return sealed(a.Withhold.EncryptCursor(cursor)) }, nil
}

// errNotWithheld means that the program has no log without personal data.
var errNotWithheld = errors.New("this program cannot withhold personal data from events")

// log returns the log as the sender of a request sees it.
func (a *api) log(ctx context.Context) (Log, error) {
	switch {
	case seesPersonal(ctx, access.ReadEvents):
		return a.Log, nil
	case a.WithheldLog == nil:
		return nil, errNotWithheld
	}
	return a.WithheldLog, nil
}

// history returns histories as the sender of a request sees them.
func (a *api) history(ctx context.Context, needs access.Permission) (History, error) {
	switch {
	case seesPersonal(ctx, needs):
		return a.History, nil
	case a.WithheldHistory == nil:
		return nil, errNotWithheld
	}
	return a.WithheldHistory, nil
}
