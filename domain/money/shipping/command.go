package shipping

// Command is what can be asked of a shipping method.
//
//sumtype:decl
type Command interface{ shippingCommand() }

// Define makes a method, or changes one that exists.
type Define struct {
	ID     string
	Active bool
	Terms
}

// End ends a method for good.
type End struct {
	Reason string
}

func (Define) shippingCommand() {}
func (End) shippingCommand()    {}
