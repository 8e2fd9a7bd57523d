package cachedir

import (
	"context"
	"os"
)

// removePair removes the metadata file first, because a body file alone is not an entry.
func removePair(path string) error {
	if err := remove(path); err != nil {
		return err
	}
	body := path + bodySuffix
	if !exists(body) { // one call; os.Remove would make two
		return nil
	}
	switch err := os.Remove(body); {
	case err != nil:
		return remove(body)
	case exists(path) && !exists(body):
		// A writer has created it meanwhile; see newPair. By now there may be another body, too, which must not
		// be left without its metadata.
		return removePair(path)
	}
	return nil
}

// lockPair takes both locks of an entry. Python holds only one at a time, so any order is safe with it.
func lockPair(ctx context.Context, path string) (unlock func(), err error) {
	unlockHead, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	unlockBody, err := lock(ctx, path+bodySuffix)
	if err != nil {
		unlockHead()
		return nil, err
	}
	return func() { unlockBody(); unlockHead() }, nil
}
