package commandapi

import (
	"context"
	"reflect"
	"strconv"
	"strings"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// guardedField is a member of a body, or a parameter, that needs a permission of its own. The
// request's type marks it with the tag needs, such as
//
//	Confirm bool `json:"confirm,omitzero" needs:"fields.trusted"`
//
// The permission of the route is not enough for it. Example: a customer may check out, but may not
// say that the order is paid.
type guardedField struct {
	index []int // see reflect.Value.FieldByIndexErr
	needs access.Permission
	name  problem.Invalid // where it is in the request
	// within are the guarded fields of the elements, if this one is a list.
	within []guardedField
	list   bool
}

// guardedFields returns the guarded fields of a request type.
func guardedFields(of reflect.Type) []guardedField {
	var fields []guardedField
	for i := range of.NumField() {
		field := of.Field(i)
		switch {
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			for _, f := range guardedFields(field.Type) {
				fields = append(fields, f.under(i))
			}
		case field.Name == "Body":
			for _, f := range guardedMembers(field.Type, "") {
				fields = append(fields, f.under(i))
			}
		case field.Tag.Get("needs") != "":
			fields = append(fields, guardedField{index: []int{i}, needs: permission(field.Tag), name: parameter(field.Tag)})
		}
	}
	return fields
}

// guardedMembers returns the guarded members of an object in a body. pointer says where the object
// is.
func guardedMembers(of reflect.Type, pointer string) []guardedField {
	var fields []guardedField
	if of.Kind() == reflect.Pointer { // a body that may be left out
		of = of.Elem()
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Tag.Get("needs") != "" {
			fields = append(fields, guardedField{index: []int{i}, needs: permission(field.Tag), name: problem.InBody(pointer+"/"+name, "")})
			continue
		}
		if field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
			if within := guardedMembers(field.Type.Elem(), ""); len(within) > 0 {
				fields = append(fields, guardedField{index: []int{i}, name: problem.InBody(pointer+"/"+name, ""), within: within, list: true})
			}
		}
	}
	return fields
}

func (f guardedField) under(i int) guardedField {
	f.index = append([]int{i}, f.index...)
	return f
}

// permission returns the permission that a tag names.
func permission(tag reflect.StructTag) access.Permission {
	needs := access.Permission(tag.Get("needs"))
	if !needs.Known() {
		panic("there is no permission " + string(needs))
	}
	return needs
}

// parameter returns the place of a parameter, for a fault that names it.
func parameter(tag reflect.StructTag) problem.Invalid {
	for _, in := range []string{"header", "query"} {
		if name := tag.Get(in); name != "" {
			return problem.InParameter(in, name, "")
		}
	}
	panic("a field with the tag needs is neither a member of the body nor a parameter")
}

// forbidden returns the fields of a request that its sender may not send.
func forbidden(fields []guardedField, request reflect.Value, who access.Principal) (found []problem.Invalid) {
	for _, field := range fields {
		value, err := request.FieldByIndexErr(field.index)
		if err != nil {
			continue // the body is left out
		}
		if field.list {
			for i := range value.Len() {
				for _, f := range forbidden(field.within, value.Index(i), who) {
					f.Pointer = field.name.Pointer + "/" + strconv.Itoa(i) + strings.TrimPrefix(f.Pointer, "#")
					found = append(found, f)
				}
			}
			continue
		}
		if !value.IsZero() && !who.May(field.needs) && !isDefault(field, value, who) {
			refused := field.name
			refused.Detail = "needs the permission " + string(field.needs)
			found = append(found, refused)
		}
	}
	return found
}

// isDefault tells whether a header has the value that it also has if it is left out.
func isDefault(field guardedField, value reflect.Value, who access.Principal) bool {
	channel := value.String()
	return field.name.Parameter == headerChannel && (channel == defaultChannel || channel == who.Scope.Channel(defaultChannel))
}

// checkFields refuses a request with members that its sender may not send.
func checkFields(ctx context.Context, fields []guardedField, in any) error {
	if len(fields) == 0 {
		return nil
	}
	found := forbidden(fields, reflect.ValueOf(in).Elem(), problem.RequestOf(ctx).Who)
	if len(found) == 0 {
		return nil
	}
	return problem.FieldsForbidden(found...)
}

// customer reads the customer whose thing a request makes or changes. A caller who reaches only the
// things of one customer may not name another customer. If such a caller names no customer, its own
// is meant.
func (c call) customer(bad *check, pointer, given string) unit.CustomerID {
	id := optional(bad, pointer, given, unit.ParseCustomerID)
	own := c.Who.Customer
	if c.Who.ActsFor != "" {
		own = c.Who.ActsFor
	}
	switch {
	case c.Owner() == "":
		return id
	case id != "" && id != own:
		bad.forbidden = append(bad.forbidden, problem.InBody(pointer, "a customer can make things only for themselves"))
	}
	return own
}
