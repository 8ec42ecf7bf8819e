package egress_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"flagbase.dev/internal/egress"
)

func TestRedirectMethodAndBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if code := r.URL.Query().Get("code"); code != "" {
			status, _ := strconv.Atoi(code)
			w.Header().Set("Location", "/done")
			w.WriteHeader(status)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		fmt.Fprintf(w, "%s|%s|%s", r.Method, body, r.Header.Get("Content-Type"))
	})
	c := reach(t, egress.Policy{}, s)
	tests := []struct {
		code         int
		method, want string
	}{
		{301, "POST", "GET||"}, {302, "POST", "GET||"}, {303, "POST", "GET||"}, {303, "PUT", "GET||"}, {302, "DELETE", "GET||"},
		{307, "POST", "POST|b|text/x"}, {308, "PUT", "PUT|b|text/x"}, {302, "HEAD", "HEAD"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.code, tt.method), func(t *testing.T) {
			req := &egress.Request{Method: tt.method, URL: fmt.Sprintf("%s/?code=%d", s.URL, tt.code), Header: map[string][]string{"Content-Type": {"text/x"}}}
			if tt.method != "HEAD" {
				req.Body = []byte("b")
			}
			got, err := c.Do(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if tt.method == "HEAD" {
				if got.Header["X-Method"][0] != "HEAD" {
					t.Errorf("the server saw %v", got.Header["X-Method"])
				}
			} else if string(got.Body) != tt.want {
				t.Errorf("the server saw %q, want %q", got.Body, tt.want)
			}
		})
	}
}

func TestRedirectCount(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		if n == 0 {
			fmt.Fprint(w, "there")
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
	})
	c := reach(t, egress.Policy{}, s)
	if got, err := c.Do(t.Context(), &egress.Request{URL: s.URL + "/5"}); err != nil || string(got.Body) != "there" {
		t.Errorf("5 redirects: %v", err)
	}
	if _, err := c.Do(t.Context(), &egress.Request{URL: s.URL + "/6"}); !errors.Is(err, egress.ErrFailed) {
		t.Errorf("6 redirects: %v, want ErrFailed", err)
	}
	c = reach(t, egress.Policy{MaxRedirects: -1}, s)
	if got, err := c.Do(t.Context(), &egress.Request{URL: s.URL + "/1"}); err != nil || got.Status != http.StatusFound || got.Header["Location"] == nil {
		t.Errorf("no redirects: %+v, %v; want the redirect itself", got, err)
	}
}

func TestRedirectWithoutLocationIsTheAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusFound) })
	got, err := reach(t, egress.Policy{}, s).Do(t.Context(), &egress.Request{URL: s.URL})
	if err != nil || got.Status != http.StatusFound {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCredentialsStayWithTheirOrigin(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Mine"))
	}
	other := serve(t, nil)
	home := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/show", http.StatusFound)
		case "/away", "/return":
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		case "/relative":
			w.Header()["Location"] = []string{"//" + strings.TrimPrefix(other.URL, "http://") + "/show"}
			w.WriteHeader(http.StatusFound)
		default:
			show(w, r)
		}
	})
	other.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/return" {
			http.Redirect(w, r, home.URL+"/show", http.StatusFound)
			return
		}
		show(w, r)
	})
	c := reach(t, egress.Policy{}, home, other)
	for path, want := range map[string]string{
		"/same": "Bearer t|a=b|1", "/away": "||1", "/relative": "||1",
		"/return": "||1", // the other server could have chosen where the credentials go
	} {
		got, err := c.Do(t.Context(), &egress.Request{URL: home.URL + path, Header: map[string][]string{
			"authorization": {"Bearer t"}, "cookie": {"a=b"}, "X-Mine": {"1"},
		}})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if string(got.Body) != want {
			t.Errorf("%s: the server saw %q, want %q", path, got.Body, want)
		}
	}
}

// A redirect must not lead to a host that the function was not granted.
func TestRedirectObeysAllowHosts(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the other server was reached") })
	home := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	at, _ := url.Parse(home.URL)
	c := reach(t, egress.Policy{AllowHosts: []string{at.Host}}, home, other)
	if _, err := c.Do(t.Context(), &egress.Request{URL: home.URL}); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("error %v, want it refused", err)
	}
}

func TestRelativeRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.Header.Get("X-To"); r.URL.Path == "/a/b" && r.URL.RawQuery == "" {
			w.Header()["Location"] = []string{to}
			w.WriteHeader(http.StatusFound)
			return
		}
		fmt.Fprint(w, r.URL.String())
	})
	c := reach(t, egress.Policy{}, s)
	for to, want := range map[string]string{
		"c": "/a/c", "../c": "/c", "/x/y?z#f": "/x/y?z", "?q=http://example.com": "/a/b?q=http://example.com", "c?u=http://10.0.0.1/": "/a/c?u=http://10.0.0.1/",
		s.URL + "/abs": "/abs",
	} {
		got, err := c.Do(t.Context(), &egress.Request{URL: s.URL + "/a/b", Header: map[string][]string{"X-To": {to}}})
		if err != nil {
			t.Errorf("redirect to %q: %v", to, err)
		} else if string(got.Body) != want {
			t.Errorf("redirect to %q led to %q, want %q", to, got.Body, want)
		}
	}
}
