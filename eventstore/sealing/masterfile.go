package sealing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// AddMasterKey writes a new random master key to the end of a file. When it returns, the key is on
// the disk, so it may wrap data keys.
func AddMasterKey(file string) (id string, err error) {
	text, err := readMasterFile(file)
	if err != nil {
		return "", err
	}
	line, id := NewMasterKey()
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	return id, writeMasterFile(file, int64(len(text)), line+"\n")
}

// ErrNoSuchMasterKey means that a file has no master key of an id.
var ErrNoSuchMasterKey = errors.New("the file has no master key of this id")

// DropMasterKey writes # over each digit of a master key. So the file has the key no longer, and
// the line counts as a comment. The file keeps its owner and its mode. The last key cannot be
// dropped, because a file without keys is refused.
func DropMasterKey(file, id string) error {
	text, err := readMasterFile(file)
	if err != nil {
		return err
	}
	if keys, err := masterKeysIn(text); err != nil {
		return err
	} else if keyOf(keys, id) == nil {
		return ErrNoSuchMasterKey
	}
	dropped := bytes.Clone(text)
	begin, left := 0, 0
	for line := range bytes.Lines(text) {
		key, err := hex.DecodeString(strings.TrimSpace(string(line)))
		if err == nil && len(key) == dataKeySize {
			if newMasterKey(key).id == id {
				copy(dropped[begin+bytes.IndexByte(line, bytes.TrimSpace(line)[0]):], strings.Repeat("#", hex.EncodedLen(dataKeySize)))
			} else {
				left++
			}
		}
		begin += len(line)
	}
	if left == 0 {
		return errors.New("it is the only master key of the file")
	}
	return writeMasterFile(file, 0, string(dropped))
}

// writeMasterFile writes text into a file at an offset, and waits until it is on the disk. The file
// is not replaced, so that its owner, its mode and links to it stay.
func writeMasterFile(file string, at int64, text string) error {
	open, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return plainPath(err)
	}
	_, err = open.WriteAt([]byte(text), at)
	err = errors.Join(err, open.Sync(), open.Close())
	if err != nil {
		return plainPath(err)
	}
	return nil
}

func readMasterFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, plainPath(err)
	}
	if info.Size() > maxMasterFile {
		return nil, fmt.Errorf("it is longer than %d bytes", maxMasterFile)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, plainPath(err)
	}
	return text, nil
}
