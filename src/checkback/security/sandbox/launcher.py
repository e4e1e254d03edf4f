"""Start a program that ends with its parent, as nobody where we are root. Run as a script, by its
path.

``python -IS launcher.py PID_FILE PROGRAM ARGUMENT...`` becomes PROGRAM; with ``--same-user`` before
PID_FILE it keeps its user. Playwright takes the path of one executable and nothing to run before
it, hence a script instead of a function; what it starts would else outlive a job process that was
killed. It does what ``setpriv`` of util-linux does, without the need for it, and closes the gap in
which the parent dies before the signal is armed. Standard library only, and no import of this
package: it runs twice for each browser.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
SAME_USER = "--same-user"


def main(arguments: list[str]) -> int:
    """Become the program, or return the exit code of a shell that could not: 126."""
    parent = os.getppid()
    same_user = arguments[0] == SAME_USER
    pid_file, program, *rest = arguments[1:] if same_user else arguments
    with open(pid_file, "w") as file:
        file.write(str(os.getpid()))
    # A browser and its driver reserve far more than they use; their job's worker watches what they
    # hold.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    if not same_user:
        _become_expendable(os.path.dirname(os.path.abspath(pid_file)))
    if not die_with_parent(parent):
        return 126
    try:
        os.execv(program, [program, *rest])  # noqa: S606 - no shell is what we want
    except OSError as error:
        sys.stderr.write(f"{program}: {error.strerror}\n")
        return 126


def _become_expendable(folder: str) -> None:
    """What a page's word can fill with memory: the kernel ends it first, and it has no rights of
    root.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    # All imports are done by now: nobody may not even read the standard library in some homes.
    if os.geteuid() == 0:
        become_nobody()
    elif others_may_enter(folder):
        # The job's process may read what others may not, where its Python needs that; this program
        # does not.
        ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def become_nobody() -> None:
    """Give up every right of root, for good."""
    user, group = nobody()
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def others_may_enter(folder: str) -> bool:
    """Whether a user without rights of any kind may enter the folders around this one."""
    folder = os.path.dirname(folder)
    while os.stat(folder).st_mode & 0o001:
        if folder == os.path.dirname(folder):
            return True
        folder = os.path.dirname(folder)
    return False


def nobody() -> tuple[int, int]:
    """The user and group without rights of any kind."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def die_with_parent(parent: int) -> bool:
    """Ask the kernel to kill this process when ``parent`` dies; False when it has died already.

    The setting survives exec, but not a change of user: call it after that. Linux only; elsewhere a
    program has to notice by itself that its pipe has closed.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            return False
    return os.getppid() == parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
