// Package bucket stores objects: bytes under a key in a named bucket.
//
// Bucket names are 1 to 63 of a-z, 0-9, dot, underscore and hyphen; keys are 1
// to 1024 bytes of UTF-8 without NUL. A Put that returned nil is durable.
package bucket

import (
	"encoding/json"
	"fmt"

	"flagbase.dev/guest/internal/abi"
)

// Get returns the object's bytes. An absent object is an error that matches
// host.ErrNotFound.
func Get(bucket, key string) ([]byte, error) { return abi.BucketGet(bucket, key) }

// Put stores the object, replacing what the key held.
func Put(bucket, key string, data []byte) error { return abi.BucketPut(bucket, key, data) }

// Delete removes the object. Deleting what does not exist is no error.
func Delete(bucket, key string) error { return abi.BucketDelete(bucket, key) }

// List returns the bucket's keys in bytewise order; a bucket without objects
// has none.
func List(bucket string) ([]string, error) {
	b, err := abi.BucketList(bucket)
	if err != nil {
		return nil, err
	}
	var keys []string
	if len(b) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		return nil, fmt.Errorf("bucket_list %q: decode the host's answer: %w", bucket, err)
	}
	return keys, nil
}
