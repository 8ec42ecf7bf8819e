package app

import "syscall"

// ownGroup keeps signals of a terminal, such as Ctrl-C, from a process: who started it ends it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
