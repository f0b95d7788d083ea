package sealing

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
)

// ErrMoved means that a box was changed, or that it was sealed for something else. A repetition
// does not help.
var ErrMoved = errors.New("a sealed box was changed, or moved from another place")

// SealBox seals a value that is kept outside the log, with the data key of a subject. The key is
// made if there is none. about says what the box belongs to, such as "invoice o-1": only OpenBox
// with the same text opens it. SealBox returns the id of the key and the box.
//
// The errors are ErrSubjectErased, and *KeyAwayError as the cause of an
// *eventstore.UnavailableError.
func (k *Keys) SealBox(ctx context.Context, subject, about string, value []byte) (key string, box []byte, err error) {
	with, err := k.ofSubject(ctx, subject)
	if err != nil {
		return "", nil, err
	}
	box = make([]byte, nonceSize, nonceSize+len(value)+tagSize)
	_, _ = rand.Read(box) // it never fails
	return with.id, with.aead.Seal(box, box, value, bindBox(subject, about)), nil
}

// OpenBox returns the value of a box. ok is false if its key is destroyed. The errors are ErrMoved,
// and *KeyAwayError as the cause of an *eventstore.UnavailableError.
func (k *Keys) OpenBox(ctx context.Context, key, about string, box []byte) (value []byte, ok bool, err error) {
	with, err := k.ofID(ctx, key)
	if err != nil || with.aead == nil {
		return nil, false, err
	}
	if len(box) < nonceSize {
		return nil, false, ErrMoved
	}
	value, err = with.aead.Open(nil, box[:nonceSize], box[nonceSize:], bindBox(with.subject, about))
	if err != nil {
		return nil, false, ErrMoved
	}
	return value, true, nil
}

// bindBox is the associated data of a box. It differs from that of each field of the log.
func bindBox(subject, about string) []byte {
	return []byte("daybook box 1 " + strconv.Itoa(len(subject)) + " " + subject + about)
}
