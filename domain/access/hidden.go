package access

// HiddenError means that a thing exists, but does not belong to the caller. The caller gets only
// Cause, which says that there is no such thing. The program itself can tell a hidden thing from a
// missing one, so that it can count these errors.
type HiddenError struct{ Cause error }

func (e *HiddenError) Error() string { return e.Cause.Error() }

func (e *HiddenError) Unwrap() error { return e.Cause }

// Hide wraps notFound in a HiddenError. Example: Hide(cart.ErrNotFound) for the cart of somebody
// else.
func Hide(notFound error) error { return &HiddenError{notFound} }
