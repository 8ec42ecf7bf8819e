module example.com/go-reactor

go 1.24

require flagbase.dev/guest v0.0.0

// A project made by "flagbase fn init" carries the SDK's sources instead.
replace flagbase.dev/guest => ../../guest
