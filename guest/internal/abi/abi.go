// Package abi is the border to flagbase: on wasip1 the host module "flagbase",
// natively a Host that a test has installed. The packages above it turn its
// bytes and JSON into Go types.
package abi
