package signin

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/domain/staff"
)

// maxNewApps is how many secrets of a new app a person can have that are not confirmed yet. A new
// one takes the place of the oldest.
const maxNewApps = 3

// BeginNewFactor makes the secret of another second factor for a person who has signed in. The
// person has the factor only after ReplaceFactor.
//
// Errors: staff.ErrFactorMissing, and those of the log and the store.
func (d *Desk) BeginNewFactor(ctx context.Context, id staff.PersonID) (factor Factor, token string, err error) {
	person, err := d.person(ctx, id)
	if err == nil && person.Factor == "" {
		err = staff.ErrFactorMissing
	}
	if err != nil {
		return Factor{}, "", err
	}
	factor, err = d.newSecret(ctx, id)
	if err != nil {
		return Factor{}, "", err
	}
	if err := d.store.KeepNewest(ctx, id, NewApp, maxNewApps-1); err != nil {
		return Factor{}, "", err
	}
	token, step := d.newSession(id, person, NewApp, stepFor)
	step.Pending = factor.Secret
	return factor, token, d.store.SaveSession(ctx, step)
}

// Given is what a person gives to prove that it is them: the password, and a code of the present
// second factor or a recovery code.
type Given struct {
	Client         string // the address of the client
	Password, Code string
}

// ReplaceFactor replaces a person's second factor. token is that of BeginNewFactor, and shown is a
// code of the new app. All sessions of the person end. It returns new recovery codes.
//
// Errors: ErrRefused, *WaitError, ErrBusy, staff.ErrFactorMissing, and those of the log and the
// store.
func (d *Desk) ReplaceFactor(ctx context.Context, id staff.PersonID, given Given, token, shown string) (codes []string, err error) {
	at, err := d.openStep(ctx, token, NewApp)
	if err != nil {
		return nil, err
	}
	confirmed := stepOf(at.Pending, shown, d.service.Now())
	if at.Person != id || confirmed == 0 {
		d.tallies.add(at.Person, wrongCode)
		return nil, ErrRefused
	}
	factor := uuid.NewString()
	codes, hashes := newRecovery()
	err = d.prove(ctx, id, given, func(proof staff.Proof) (staff.Command, error) {
		command := staff.ReplaceFactor{Person: id, Proof: proof, Factor: factor, Recovery: hashes, Confirmed: confirmed}
		return command, d.store.SaveSecret(ctx, Secret{ID: factor, Person: id, Value: at.Pending})
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.store.EndSession(ctx, at.Hash); err != nil {
		return nil, err
	}
	return codes, nil
}

// RenewRecovery gives a person new recovery codes. Those that they had are not good any more.
//
// Errors: as for ReplaceFactor.
func (d *Desk) RenewRecovery(ctx context.Context, id staff.PersonID, given Given) (codes []string, err error) {
	codes, hashes := newRecovery()
	err = d.prove(ctx, id, given, func(proof staff.Proof) (staff.Command, error) {
		return staff.RenewRecovery{Person: id, Proof: proof, Recovery: hashes}, nil
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// prove checks what a person gives, and carries out the command that is made from it. Whoever gives
// something wrong too often must wait.
func (d *Desk) prove(ctx context.Context, id staff.PersonID, given Given, commandOf func(staff.Proof) (staff.Command, error)) error {
	person, err := d.person(ctx, id)
	if err == nil && person.Factor == "" {
		err = staff.ErrFactorMissing
	}
	if err != nil {
		return err
	}
	keys := proofKeys(id, given.Client)
	if wait := d.limits.take(keys); wait > 0 {
		d.tallies.add(id, delayed)
		return &WaitError{After: wait}
	}
	good, err := d.compare(ctx, person, given.Password, !id.IsLogin())
	if err != nil {
		return err
	}
	secret, err := d.store.Secret(ctx, person.Factor)
	if err != nil {
		return err
	}
	proof := staff.Proof{Credential: person.Credential, Factor: person.Factor, Step: stepOf(secret, given.Code, d.service.Now())}
	if proof.Step == 0 {
		proof.Recovery = sum(plainCode(given.Code))
	}
	if !good {
		d.tallies.add(id, wrongPassword)
		return ErrRefused
	}
	if proof.Step == 0 && !slices.Contains(person.Recovery, proof.Recovery) {
		d.tallies.add(id, wrongCode)
		return ErrRefused
	}
	command, err := commandOf(proof)
	if err != nil {
		return err
	}
	if _, err := d.change(ctx, d.callOf(id), id, command); err != nil {
		if refused, is := errors.AsType[*rule.Rejection](err); is && (refused.Code == staff.ErrCodeRefused.Code || refused.Code == staff.ErrChanged.Code) {
			d.tallies.add(id, wrongCode)
			return ErrRefused // the reason would help somebody who guesses
		}
		return err
	}
	d.limits.clear(keys)
	return nil
}
