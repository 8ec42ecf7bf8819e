module flagbase.dev/guest

go 1.24
