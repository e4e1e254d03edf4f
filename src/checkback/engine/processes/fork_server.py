"""The fork server: a small process that has every kind imported and forks one child for each job.

Forking it takes a few milliseconds where a new Python takes hundreds. It is single-threaded and
imports neither BullMQ nor a door, so nothing of the worker's is copied into a child. It lives
exactly as long as its worker.

Run as ``python -m checkback.engine.processes.fork_server FD``; speaks JSON datagrams on that
socket, one request each: ``{"fork": token}`` with two descriptors (the child's control socket, its
output pipe) is answered by ``{"forked": token, "pid": n}``; ``{"exited": pid, "status": n}``
follows when a child has ended.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

from checkback.engine.processes import tree
from checkback.engine.processes.child import ChildSettings, run_child
from checkback.kinds import registry, sandboxing

MAX_DATAGRAM = 65536


class ForkServer:
    """Forks on request, reports ends, and kills what children leave behind."""

    def __init__(self, control: socket.socket, settings: ChildSettings) -> None:
        self._control = control
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        #: Open children: their pidfd by pid.
        self._children: dict[int, int] = {}

    def run(self) -> None:
        """Serve until the worker closes its end."""
        self._selector.register(self._control, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._serve_request():
                        return
                else:
                    self._reap(key.data)

    def _serve_request(self) -> bool:
        descriptors = array.array("i")
        message, ancillary, _, _ = self._control.recvmsg(MAX_DATAGRAM, socket.CMSG_SPACE(8))
        if not message:
            return False
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        request = json.loads(message)
        channel, output = descriptors
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(parent, channel, output)
        os.close(channel)
        os.close(output)
        pidfd = os.pidfd_open(pid)
        self._children[pid] = pidfd
        self._selector.register(pidfd, selectors.EVENT_READ, pid)
        self._tell({"forked": request["fork"], "pid": pid})
        return True

    def _become_child(self, parent: int, channel: int, output: int) -> None:
        status = 70
        try:
            tree.die_with_parent(parent)
            self._selector.close()
            self._control.close()
            _close_all_but(channel, output)
            run_child(socket.socket(fileno=channel), output, self._settings)
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            # Never back into the server's loop, nor through exit handlers that belong to the
            # server.
            os._exit(status)

    def _reap(self, pid: int) -> None:
        self._selector.unregister(self._children[pid])
        os.close(self._children.pop(pid))
        _, status = os.waitpid(pid, 0)
        self._kill_orphans()
        self._tell({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def _kill_orphans(self) -> None:
        """End what a dead child left: it hangs on us now, while a living child keeps its own
        orphans.
        """
        for pid in tree.children(os.getpid()):
            if pid not in self._children:
                tree.kill_tree(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())


def _close_all_but(*kept: int) -> None:
    """Close every descriptor but the standard ones and these: what else is open belongs to the
    server.
    """
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def main() -> None:
    """Load the kinds, say ``{"ready": true}``, serve."""
    tree.die_with_parent(int(sys.argv[2]))
    tree.adopt_orphans()
    # The worker decides what a Ctrl-C means for its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = ChildSettings.from_json(control.recv(MAX_DATAGRAM))
    try:
        registry.load_built_in()
        preloads = registry.preloads()
        if not settings.built_in:
            registry.load(settings.modules)
            preloads = [module for module in registry.preloads() if module not in preloads]
        registry.import_preloads(preloads)
        sandboxing.prepare()
    except Exception as error:
        problem = f"The module of kinds {error}" if isinstance(error, ImportError) else repr(error)
        control.send(json.dumps({"ready": False, "problem": problem[-8000:]}).encode())
        sys.exit(1)
    # What is imported stays: no child has to look through it for garbage, or to copy it by looking.
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": True}).encode())
    ForkServer(control, settings).run()


if __name__ == "__main__":
    main()
