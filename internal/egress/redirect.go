package egress

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// redirectTo returns where the answer redirects to, "" if it does not.
func redirectTo(answer *http.Response) string {
	switch answer.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return answer.Header.Get("Location")
	}
	return ""
}

// resolve reads a Location header, which may be relative, as strictly as the
// URL of a request.
func resolve(from *target, location string) (*target, error) {
	if strings.ContainsAny(location, "\\\t\r\n ") {
		return nil, refuse("the server redirects to a URL that cannot be read")
	}
	ref, err := url.Parse(location)
	if err != nil {
		return nil, refuse("the server redirects to a URL that cannot be read")
	}
	// A host is read from the text as it came, because url.Parse decodes it.
	raw := location
	switch {
	case ref.Scheme != "":
	case strings.HasPrefix(location, "//"):
		raw = from.url.Scheme + ":" + location
	default:
		raw = from.url.ResolveReference(ref).String()
	}
	return parseTarget(raw)
}

// redirected returns the method and body after a redirect, as net/http and
// browsers have them.
func redirected(status int, method string, body []byte) (string, []byte) {
	switch status {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return method, body
	}
	if method != http.MethodHead {
		method = http.MethodGet
	}
	return method, nil
}

// discard ends an answer whose body nobody wants. A short one is read, so that
// the connection can be used again.
func discard(answer *http.Response) {
	_, _ = io.CopyN(io.Discard, answer.Body, 2<<10)
	_ = answer.Body.Close()
}
