// Package flag evaluates feature flags for the caller of the invocation.
package flag

import "flagbase.dev/guest/internal/abi"

// Bool evaluates a boolean flag. An unknown flag, and one whose variants are
// not booleans, is an error.
func Bool(key string) (bool, error) { return abi.FlagBool(key) }

// Enabled is Bool for where a failed evaluation means off.
func Enabled(key string) bool {
	on, err := abi.FlagBool(key)
	return err == nil && on
}

// Variant returns the name of the variant that the caller gets.
func Variant(key string) (string, error) { return abi.FlagVariant(key) }
