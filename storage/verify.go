package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// verifiedReader reads a content file and gives its last bytes out only when
// the whole had the right hash.
type verifiedReader struct {
	f    *os.File
	sum  hash.Hash
	want *Object
	left int64
	err  error // sticky; io.EOF after the end
}

func newVerifiedReader(f *os.File, want *Object) (*verifiedReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != want.Size {
		return nil, fmt.Errorf("%w: its file has %d bytes instead of %d", ErrCorrupt, info.Size(), want.Size)
	}
	// The reader keeps a copy: the caller may change its Object.
	o := *want
	return &verifiedReader{f: f, sum: sha256.New(), want: &o, left: o.Size}, nil
}

func (r *verifiedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = io.EOF
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.sum.Write(p[:n])
	r.left -= int64(n)
	switch {
	case r.left == 0:
		if hex.EncodeToString(r.sum.Sum(nil)) != r.want.ETag {
			clear(p[:n])
			r.err = r.corrupt("its file does not have the recorded SHA-256")
			return 0, r.err
		}
		return n, nil
	case err == io.EOF:
		r.err = r.corrupt("its file ends early")
	case err != nil:
		r.err = failed("read", r.want.Bucket, r.want.Key, err)
	}
	return n, r.err
}

func (r *verifiedReader) corrupt(how string) error {
	return failed("read", r.want.Bucket, r.want.Key, fmt.Errorf("%w: %s", ErrCorrupt, how))
}

func (r *verifiedReader) Close() error { return r.f.Close() }
