"""A tiny program between the supervisor and a server: drops rights, binds its life to its parent's, execs the server.

Run by path with `python -I -S`, so it may import only the standard library. It exists because code between
fork and exec (`preexec_fn`) is not safe in a process with threads, and because the kernel resets the death signal
when the user changes, so that it must be set after that.

Arguments: parent pid, death signal, user id or `-`, group id or `-`, then the command. With `=` before both ids the
user stays, and appears under them in a user namespace of its own.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000


def main(arguments: list[str]) -> None:
    """Execute the command as the given user, bound to die with the parent (if the kernel can do that)."""
    parent, death_signal, user, group, *command = arguments
    if user.startswith("="):
        _appear_as(user[1:], group[1:])
    elif user != "-":
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent):
            # The parent died before the death signal was set, so no signal will come.
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _appear_as(user: str, group: str) -> None:
    """Create a user namespace in which our own ids are these, and no other ids are mapped."""
    ids = ((f"{user} {os.geteuid()} 1", "uid_map"), (f"{group} {os.getegid()} 1", "gid_map"))
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for text, name in (("deny", "setgroups"), *ids):
        # Each map takes one write.
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
