"""The jail of native programs: what is handed to a program of someone else, and nothing more.

`policy` says it, `host.program` starts it, `launch` is the process that shuts itself in and
becomes the program. Nothing in here loads trio: the launcher is started for each program.
"""
