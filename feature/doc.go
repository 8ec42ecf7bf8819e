// Package feature holds feature flags and evaluates them.
//
// A flag has variants, and evaluating it for a [Context] gives one of them: the
// first rule whose conditions all hold decides, else the flag's rollout, else
// its default variant; a disabled flag gives its off variant.
//
// The short form is a switch. With no variants of its own a flag has "on" (true)
// and "off" (false):
//
//	{"key": "new-checkout", "enabled": true}
//
// is on for everybody, and
//
//	{"key": "new-checkout", "enabled": true, "rollout": [{"variant": "on", "percent": 20}]}
//
// is on for the same fifth of the users every time it is asked. Raising the
// percentage only adds users; nobody who had the variant loses it.
//
// # Rollouts
//
// The place of a user in a rollout is the 32-bit murmur3 hash (x86 variant,
// seed 0) of the flag's key followed by the user's targeting key, as in flagd's
// fractional operator: the first weight whose running sum of percentages, as a
// part of 2^32, is above the hash is chosen. What the weights leave over gets
// the default variant. So does a context without a targeting key, since nothing
// about it would stay the same from one evaluation to the next.
//
// # Speed
//
// [Engine] compiles a flag when it is saved. Evaluation reads one atomic
// snapshot: no lock, no I/O, and no allocation in [Engine.EvaluateBool].
package feature
