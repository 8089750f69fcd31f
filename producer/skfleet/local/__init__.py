"""The local stack: an AWS emulator, PostgreSQL and workers on this machine, under one state folder."""
