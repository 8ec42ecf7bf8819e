package guest_test

import (
	"flagbase.dev/guest"
	"flagbase.dev/guest/internal/registry"
)

// Natively Main takes the event from stdin, which is empty here.
func Example() {
	// func init() {
	guest.HandleJSON(func(ctx *guest.Context, in struct{ Name string }) (map[string]string, error) {
		if in.Name == "" {
			in.Name = "world"
		}
		return map[string]string{"greeting": "Hello, " + in.Name}, nil
	})
	// }

	// func main() {
	guest.Main()
	// }

	registry.Event = nil // other tests of this package register their own
	// Output: {"greeting":"Hello, world"}
}
