package hostabi

import (
	"encoding/base64"
	"net/url"
	"strings"
)

const redacted = "[secret]"

// Redact replaces the secrets that the guest was given in s, also where they stand in
// base64 or in a URL. A secret of fewer than 4 bytes is left: replacing it would only
// garble the text.
func (c *Call) Redact(s string) string {
	for _, secret := range c.SecretValues {
		if len(secret) < 4 {
			continue
		}
		for _, form := range []string{
			secret,
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.URLEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
			url.QueryEscape(secret),
			url.PathEscape(secret),
		} {
			s = strings.ReplaceAll(s, form, redacted)
		}
	}
	return s
}

// RedactBytes is Redact for bytes. Those of a call that was given no secret come back
// as they are.
func (c *Call) RedactBytes(b []byte) []byte {
	if len(c.SecretValues) == 0 {
		return b
	}
	return []byte(c.Redact(string(b)))
}
