"""The standard library: definitions in the language itself, parsed when a program calls one."""
