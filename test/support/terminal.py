"""Runs a command on a terminal of its own and plays a script to it.

terminal.py COLUMNS ROWS STEPS COMMAND...     STEPS is a JSON list of
    {"await": REGEX}       what must come in the output from here on, within 20 s
    {"send": TEXT}         keys
    {"resize": [C, R]}
    {"signal": NAME}       such as TERM, to the command
    {"touch": FILE}        makes it, to tell others how far we are
Prints one JSON object: output, code (negative: by that signal), whether the terminal's modes are as they were.
"""
import fcntl, json, os, re, select, signal, struct, sys, termios, time

columns, rows, steps, command = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
master, slave = os.openpty()


def resize(columns, rows):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(columns, rows)
before = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    os.closerange(3, 256)
    os.execvp(command[0], command)

output, failure, status = "", None, None


def read(until, deadline):
    """Reads until the condition holds or the command has ended."""
    global output, status
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            output += os.read(master, 65536).decode("utf-8", "replace")
        if until():
            return True
        if status is None:
            pid, found = os.waitpid(child, os.WNOHANG)
            if pid == child:
                status = found
        elif not select.select([master], [], [], 0)[0]:
            return until()
    return False


for step in steps:
    if "await" in step:
        start = len(output)
        if not read(lambda: re.search(step["await"], output[start:]), time.monotonic() + 20):
            failure = f"no {step['await']!r}"
            break
    elif "send" in step:
        os.write(master, step["send"].encode())
    elif "resize" in step:
        resize(*step["resize"])
        os.kill(child, signal.SIGWINCH)
    elif "touch" in step:
        open(step["touch"], "w").close()
    elif "signal" in step:
        os.kill(child, getattr(signal, "SIG" + step["signal"]))
if not read(lambda: status is not None, time.monotonic() + 20) or failure:
    if status is None:
        failure = failure or "it does not end"
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
read(lambda: False, time.monotonic() + 0.1)
after = termios.tcgetattr(slave)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"output": output, "code": code, "restored": before == after, "failure": failure}))
