// Package secret reads the secrets that were granted to the function.
package secret

import "flagbase.dev/guest/internal/abi"

// Get returns the secret's value. A secret that does not exist or was not
// granted is an error. Ask when it is needed, not in init: a value kept from
// init would be frozen into the deployment.
func Get(name string) (string, error) { return abi.Secret(name) }
