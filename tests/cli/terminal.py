#!/usr/bin/env python3
"""Runs a program on a terminal of its own and plays a script of keys against it.

  terminal.py [--columns N] [--timeout SECONDS] STEP… -- COMMAND…

A STEP is wait:TEXT (until the terminal has shown it since the step before), keys:TEXT (typed; \\r, \\n,
\\xNN as in Python), or sleep:SECONDS. Afterwards everything the terminal showed is printed, then
"[exit STATUS]" and "[echo on]" or "[echo off]": whether the program left the terminal's own echo and
line mode as they were. Exit status 1 when a text did not come in time.
"""

import os
import pty
import select
import struct
import sys
import termios
import time
import fcntl


def parse(arguments):
    columns, timeout, steps = 80, 20.0, []
    while arguments and arguments[0] != "--":
        word = arguments.pop(0)
        if word == "--columns":
            columns = int(arguments.pop(0))
        elif word == "--timeout":
            timeout = float(arguments.pop(0))
        else:
            kind, _, text = word.partition(":")
            steps.append((kind, text))
    return columns, timeout, steps, arguments[1:]


class Terminal:
    def __init__(self, command, columns, timeout):
        self.timeout, self.shown, self.seen = timeout, b"", 0
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.slave = slave  # kept open, so that its modes can be read at the end
        self.process = os.fork()
        if self.process == 0:
            os.close(self.master)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for number in (0, 1, 2):
                os.dup2(slave, number)
            os.execvp(command[0], command)

    def read(self, seconds):
        """True when something came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def wait_for(self, text):
        end = time.monotonic() + self.timeout
        while True:
            found = self.shown.find(text, self.seen)
            if found >= 0:
                self.seen = found + len(text)
                return True
            if time.monotonic() > end:
                return False
            self.read(0.1)

    def finish(self):
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.process, os.WNOHANG)
            if pid:
                while self.read(0.05):
                    pass
                return os.waitstatus_to_exitcode(status)
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)
        return "timeout"


def main():
    columns, timeout, steps, command = parse(sys.argv[1:])
    terminal = Terminal(command, columns, timeout)
    missing = None
    for kind, text in steps:
        if kind == "wait" and not terminal.wait_for(text.encode()):
            missing = text
            break
        if kind == "keys":
            os.write(terminal.master, text.encode("latin-1", "backslashreplace")
                     .decode("unicode_escape").encode("latin-1"))
        if kind == "sleep":
            time.sleep(float(text))
    status = terminal.finish()
    flags = termios.tcgetattr(terminal.slave)[3]
    sys.stdout.buffer.write(terminal.shown + b"\n")
    print(f"[exit {status}]")
    print("[echo on]" if flags & termios.ECHO and flags & termios.ICANON else "[echo off]")
    if missing is not None:
        print(f"[never shown: {missing}]")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
