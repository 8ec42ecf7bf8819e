// Package app puts flagbase together: configuration in, a running server out. It is the only place that
// knows all rooms of the house.
package app
