package customer

// setTaxStatus records the tax status of the customer. Whether the tax id or the certificate was
// checked is for the sender to know.
func setTaxStatus(cmd SetTaxStatus) ([]Event, error) {
	if field, why := cmd.Status.Fault(); field != "" {
		return nil, ErrTaxStatusInvalid.With("The member "+field+" is refused: "+why+".", map[string]any{"field": field})
	}
	return []Event{TaxStatusSet(cmd)}, nil
}

func withdrawTaxStatus(s State) ([]Event, error) {
	if s.TaxStatus == nil {
		return nil, nil
	}
	return []Event{TaxStatusWithdrawn{}}, nil
}
