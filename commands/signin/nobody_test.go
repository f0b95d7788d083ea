package signin

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"daybook/commands"
)

// Each method of the desk that takes a call refuses the call of nobody.
func TestNobodyCanChangePeople(t *testing.T) {
	t.Parallel()
	d := newOffice(t)
	walked := 0
	desk := reflect.ValueOf(d.Desk)
	for i := range desk.NumMethod() {
		method, arguments, takesCall := desk.Method(i).Type(), []reflect.Value(nil), false
		for j := range method.NumIn() {
			switch in := method.In(j); in {
			case reflect.TypeFor[context.Context]():
				arguments = append(arguments, reflect.ValueOf(t.Context()))
			case reflect.TypeFor[commands.Call]():
				takesCall = true
				arguments = append(arguments, reflect.Zero(in))
			default:
				arguments = append(arguments, reflect.Zero(in))
			}
		}
		if !takesCall {
			continue
		}
		walked++
		results := desk.Method(i).Call(arguments)
		if err, _ := results[len(results)-1].Interface().(error); !errors.Is(err, commands.ErrNobody) {
			t.Errorf("%s: %v", desk.Type().Method(i).Name, err)
		}
	}
	if walked < 6 {
		t.Errorf("only %d methods take a call", walked)
	}
}
