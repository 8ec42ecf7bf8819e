// Package project works on the folder of one function: it makes one (Init),
// says what a file or folder is (Detect), and builds it (Build).
//
// A project may carry a function.json:
//
//	{
//	  "name": "hello",        // 1 to 63 of a-z, 0-9 and hyphen; defaults to the folder's name
//	  "language": "go",       // go, javascript, typescript, assemblyscript, c, wat or wasm
//	  "entry": ".",           // the main package or source file; defaults by language
//	  "mode": "auto"          // Go only: auto, command or reactor
//	}
//
// It needs none: without it Detect looks at what the folder holds.
package project
