package storage

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxBucketBytes      = 63
	maxKeyBytes         = 1024
	maxContentTypeBytes = 255
	maxPage             = 1000
	defaultContentType  = "application/octet-stream"
	reservedPrefix      = "flagbase-"
)

// Reserved reports whether bucket is flagbase's own, which adapters serve but
// functions and the HTTP API refuse.
func Reserved(bucket string) bool { return strings.HasPrefix(bucket, reservedPrefix) }

// CheckBucket returns an error that matches [ErrInvalidName] when bucket is
// not a bucket's name.
func CheckBucket(bucket string) error {
	if bucket == "" || len(bucket) > maxBucketBytes {
		return fmt.Errorf("%w: a bucket's name has 1 to %d characters, not %d", ErrInvalidName, maxBucketBytes, len(bucket))
	}
	for i := range len(bucket) {
		c := bucket[i]
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("%w: bucket %q: use a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit", ErrInvalidName, bucket)
		}
	}
	return nil
}

// CheckKey returns an error that matches [ErrInvalidName] when key is not an
// object's key.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKeyBytes {
		return fmt.Errorf("%w: a key has 1 to %d bytes, not %d", ErrInvalidName, maxKeyBytes, len(key))
	}
	return checkText("key", key)
}

func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s %q is not valid UTF-8", ErrInvalidName, what, s)
	}
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("%w: %s %q contains NUL", ErrInvalidName, what, s)
	}
	return nil
}

// checkObject checks the names of an operation and says which it was.
func checkObject(op, bucket, key string) error {
	err := CheckBucket(bucket)
	if err == nil {
		err = CheckKey(key)
	}
	if err != nil {
		return fmt.Errorf("%s object: %w", op, err)
	}
	return nil
}

func contentType(opts *PutOptions) (string, error) {
	if opts == nil || opts.ContentType == "" {
		return defaultContentType, nil
	}
	// It goes into an HTTP header later: a line break would add headers.
	if len(opts.ContentType) > maxContentTypeBytes || !utf8.ValidString(opts.ContentType) ||
		strings.ContainsFunc(opts.ContentType, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", fmt.Errorf("put object: %w: content type %.300q: at most %d bytes, no control characters", ErrInvalidName, opts.ContentType, maxContentTypeBytes)
	}
	return opts.ContentType, nil
}

// page normalises the options of a List.
func page(bucket string, opts *ListOptions) (ListOptions, error) {
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	err := CheckBucket(bucket)
	if err == nil {
		err = checkText("prefix", o.Prefix)
	}
	if err == nil {
		err = checkText("after", o.After)
	}
	if err != nil {
		return o, fmt.Errorf("list objects: %w", err)
	}
	if o.Limit <= 0 || o.Limit > maxPage {
		o.Limit = maxPage
	}
	return o, nil
}

// failed names the operation and the object an error is about.
func failed(op, bucket, key string, err error) error {
	return fmt.Errorf("%s object %q in bucket %q: %w", op, key, bucket, err)
}
