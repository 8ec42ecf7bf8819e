package auth_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"flagbase.dev/auth"
)

func Example() {
	key := auth.GenerateKey()
	keys := auth.NewKeys()
	keys.Add(key, auth.Principal{Name: "ci", Role: auth.RoleAdmin})

	who, ok := keys.Authenticate(key)
	fmt.Println(who.Name, who.Role, ok)
	_, ok = keys.Authenticate(key + "x")
	fmt.Println(ok)
	// Output:
	// ci admin true
	// false
}

func TestGenerateKeyForm(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key := auth.GenerateKey()
		random, ok := strings.CutPrefix(key, "fb_")
		if !ok || len(random) != 43 {
			t.Fatalf("GenerateKey() = %q, want fb_ and 43 characters", key)
		}
		b, err := base64.RawURLEncoding.Strict().DecodeString(random)
		if err != nil || len(b) != 32 {
			t.Fatalf("GenerateKey() = %q does not hold 32 bytes: %v", key, err)
		}
		if seen[key] {
			t.Fatalf("GenerateKey gave %q twice", key)
		}
		seen[key] = true
	}
}

func TestAuthenticate(t *testing.T) {
	keys := auth.NewKeys()
	admin, ci := auth.GenerateKey(), auth.GenerateKey()
	keys.Add(admin, auth.Principal{Name: "admin", Role: "admin"})
	keys.Add(ci, auth.Principal{Name: "ci", Role: "deployer"})
	keys.Add("a key of one's own", auth.Principal{Name: "own"})
	keys.Add("", auth.Principal{Name: "nobody", Role: "admin"})

	tests := []struct {
		name, token, want string
		ok                bool
	}{
		{"first", admin, "admin", true},
		{"second", ci, "ci", true},
		{"form of one's own", "a key of one's own", "own", true},
		{"empty", "", "", false},
		{"unknown", auth.GenerateKey(), "", false},
		{"prefix of a key", admin[:len(admin)-1], "", false},
		{"key and more", admin + "A", "", false},
		{"other case", strings.ToUpper(admin), "", false},
		{"space before", " " + admin, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, ok := keys.Authenticate(tt.token)
			if ok != tt.ok || p.Name != tt.want {
				t.Errorf("Authenticate = %+v, %v; want %q, %v", p, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestAddAgainReplaces(t *testing.T) {
	keys := auth.NewKeys()
	keys.Add("k", auth.Principal{Name: "old", Role: "admin"})
	keys.Add("k", auth.Principal{Name: "new", Role: "reader"})
	if p, ok := keys.Authenticate("k"); !ok || p.Name != "new" || p.Role != "reader" {
		t.Errorf("Authenticate = %+v, %v; want the second principal", p, ok)
	}
}

// A key must not be found in anything that prints the set.
func TestKeysDoNotHoldTheKey(t *testing.T) {
	keys := auth.NewKeys()
	key := auth.GenerateKey()
	keys.Add(key, auth.Principal{Name: "admin"})
	if s := fmt.Sprintf("%+v %#v", keys, keys); strings.Contains(s, key[3:]) {
		t.Error("the printed set contains the key")
	}
}

func TestConcurrentUse(t *testing.T) {
	keys := auth.NewKeys()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("key-%d-%d", g, i)
				keys.Add(key, auth.Principal{Name: key})
				if p, ok := keys.Authenticate(key); !ok || p.Name != key {
					t.Errorf("Authenticate(%q) = %+v, %v", key, p, ok)
					return
				}
			}
		})
	}
	wg.Wait()
}
