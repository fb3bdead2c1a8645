# zaya chat on a terminal: chat_pty.py ZAYA NANO TINY SCRATCH. Types, and looks at what comes back.
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

zaya, nano, tiny, scratch = sys.argv[1:]
home = os.path.join(scratch, "pty-home")
os.makedirs(home)
PROMPT = b">\x1b[0m "


class Terminal:
    def __init__(self, *args, **more):
        env = {"HOME": home, "TERM": "xterm-256color", "PATH": os.environ["PATH"], **more}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "ZAYA_CPU"):
            if name in os.environ:
                env[name] = os.environ[name]
        self.seen = b""
        self.fd, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(terminal)
            os.execve(zaya, [zaya, "chat", *args], env)
        os.close(terminal)

    def until(self, what, seconds=100):
        """Everything up to and with `what`; what comes behind it is kept."""
        what = what if isinstance(what, bytes) else what.encode()
        end = time.time() + seconds
        while what not in self.seen:
            if time.time() > end:
                sys.exit(f"never came: {what!r}; there is: {self.seen!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    sys.exit(f"ended without {what!r}; there is: {self.seen!r}")
                self.seen += data
        at = self.seen.index(what) + len(what)
        got, self.seen = self.seen[:at], self.seen[at:]
        return got

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def interrupt(self, text):
        """Ctrl-C behind `text`, once that stands in the line: the key throws away what was not read yet."""
        self.type(text)
        self.until(text)
        self.type("\x03")

    def ask(self, text):
        """A line and Enter; all that is printed until the next prompt."""
        self.type(text + "\r")
        self.until(b"\x1b[?2004l")  # the line is taken
        return self.until(PROMPT)

    def leaves(self, code=0):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                break
            self.seen += data
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        check(status == code, f"exit code {status}", self.seen)
        return self.seen


def check(ok, *what):
    if not ok:
        sys.exit(f"failed: {what}")


def session(name):
    with open(os.path.join(home, ".local/share/zaya/sessions", name + ".json")) as f:
        return json.load(f)


def questions(name):
    return [m["content"] for m in session(name)["messages"] if m["role"] == "user"]


def conversation():
    t = Terminal("-m", nano, "--temp", "0", "--session", "one")
    t.until(PROMPT)
    got = t.ask("What is the capital of France?")
    check(b"The capital of France is Paris." in got and b"thought for " in got, got)
    check(b"<think>" not in got, got)
    # thinking shown, printed afterwards, switched off
    t.ask("/thinking show")
    check(b"thought for" not in t.ask("/retry"))
    check(len(t.ask("/thinking last")) > 20)
    t.ask("/thinking off")
    # history: up brings the question back; the line can be edited in the middle
    t.type("What is the capital of Ital?\x1b[D")
    t.ask("y")
    check(questions("one")[-1] == "What is the capital of Italy?", questions("one"))
    t.type("\x1b[A")
    t.until("What is the capital of Italy?")
    t.type("\x15")
    # pasted lines stay one message, short ones as they are, long ones behind a mark; Alt-Enter
    t.type("\x1b[200~first\r  second\x1b[201~\x1b\rthird")
    t.ask("")
    check(questions("one")[-1] == "first\n  second\nthird", questions("one"))
    t.type("\x1b[200~four\r\nfive\r\n\r\nsix\r\rseven\neight\x1b[201~")
    t.ask("")
    check(questions("one")[-1] == "four\nfive\n\nsix\n\nseven\neight", questions("one"))
    long = "\n".join(f"line {i}" for i in range(30))
    t.type("Look: \x1b[200~" + long.replace("\n", "\r") + "\x1b[201~")
    t.until("[paste 1: 30 lines]")
    t.ask(" done")
    check(questions("one")[-1] == "Look: " + long + " done", questions("one"))
    # backslash, block
    t.type("one\\\r")
    t.until(b"...\x1b[0m ")
    t.ask("two")
    check(questions("one")[-1] == "one\ntwo", questions("one"))
    # characters beyond ASCII, erased one by one
    t.ask("h\u00e9llo \u4e16\u754c\x7f!")
    check(questions("one")[-1] == "h\u00e9llo \u4e16!", questions("one"))
    # completion
    t.type("/thi\t")
    t.until("nking ")
    t.type("o\t")
    got = t.until(PROMPT + b"/thinking o")
    check(b"on" in got and b"off" in got, got)
    open(os.path.join(scratch, "to-complete.txt"), "w").close()
    t.type("\x15/file " + scratch + "/to-co\t")
    t.until("mplete.txt ")
    t.type("\x15")
    # edit: the last message stands in the line; Ctrl-C leaves it as it was
    t.type("/edit\r")
    t.until(PROMPT + "h\u00e9llo \u4e16!".encode())
    t.interrupt(" x")
    t.until("(the message stays as it was)")
    t.until(PROMPT)
    check(questions("one")[-1] == "h\u00e9llo \u4e16!", questions("one"))
    n = len(session("one")["messages"])
    t.ask("/undo")
    check(len(session("one")["messages"]) == n - 2)
    # Ctrl-C clears a line, twice at an empty one leaves
    t.interrupt("nothing")
    t.until(PROMPT)
    t.type("\x03")
    t.until("Ctrl-C again")
    t.until(PROMPT)
    t.type("\x03")
    t.leaves()
    check(len(session("one")["messages"]) == n - 2)


def resumed():
    t = Terminal("-m", nano, "--resume")
    got = t.until(PROMPT)
    check(b"one: " in got and b"two" in got, got)  # the last turn is shown
    t.type("\x1b[A\x1b[A")  # the history file was read
    t.until("/edit")
    t.type("\x15\x04")
    t.leaves()


def stopped():
    t = Terminal("-m", tiny, "--thinking", "off", "--seed", "3", "--no-cache-dir", NO_COLOR="1")
    t.until(b"> ")
    t.type("Tell me\r")
    t.until(b"\x1b[?2004l")
    while len(t.seen) < 40:  # the answer runs
        t.seen += os.read(t.fd, 4096)
    t.type("\x03")
    t.until("(stopped)")
    t.until(b"> ")
    # what was said stays; once the next prompt has been read ahead the program waits without using the processor
    used = None
    for _ in range(200):
        before, used = used, open(f"/proc/{t.pid}/stat").read().split()[13:15]
        if before == used:
            break
        time.sleep(0.5)
    check(before == used, "an idle chat uses the processor")
    t.type("/history\r")
    got = t.until(b"\x1b[?2004h")
    got += t.until(b"> ")
    check(b"> Tell me" in t.seen + got, got)
    # stopped by the shell and continued: the line is there again
    t.type("half a line")
    t.until("half a line")
    os.kill(t.pid, signal.SIGTSTP)
    t.until(b"\x1b[?2004l")
    os.waitpid(t.pid, os.WUNTRACED)
    os.kill(t.pid, signal.SIGCONT)
    t.until("half a line")
    t.type("\x15")
    # asked to end: it does, and the terminal is as it was
    os.kill(t.pid, signal.SIGTERM)
    check(t.leaves().endswith(b"goes on with it)\r\n"))


def private():
    before = sorted(os.walk(home))
    t = Terminal("-m", nano, "--private", "--thinking", "off")
    t.until(PROMPT)
    t.ask("Hello.")
    t.type("\x04")
    t.leaves()
    check(sorted(os.walk(home)) == before, "--private wrote something")


conversation()
resumed()
stopped()
private()
for folder, _, files in os.walk(home):
    for name in files:
        check(os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0, "others can read", folder, name)
