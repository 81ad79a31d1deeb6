"""Which programs a script starts."""

from __future__ import annotations

import re
import shlex

# words of the shell itself
_BUILT_IN = frozenset(
    ("[", ":", "break", "cd", "command", "continue", "do", "done", "echo", "elif", "else", "esac", "exec", "exit",
     "export", "false", "fi", "for", "if", "in", "kill", "print", "pwd", "read", "return", "set", "shift",
     "test", "then", "trap", "true", "type", "unset", "until", "wait", "while", "{", "}", "!")
)  # fmt: skip
_RUNS_THE_NEXT = frozenset(["exec", "nohup", "setsid", "do", "then", "else", "if", "while", "until", "{", "!", "time"])
_SEPARATOR = re.compile(r"[();&|\n]+")


def programs(script: str) -> set[str]:
    """The names of a script's programs, those of `sh -c` and of a loop over names that are run among them."""
    found: set[str] = set()
    inner = True
    while inner:  # command substitutions, the innermost first
        inner = False
        for pattern in (r"\$\(([^()]*)\)", r"\$\(\([^()]*\)\)"):
            for match in re.finditer(pattern, script):
                found |= programs(match[1]) if match.lastindex else set()
            script, count = re.subn(pattern, "0", script)
            inner = inner or count > 0
    words = _split(script)
    loops = dict(re.findall(r"for (\w+) in ([^;\n]*)", script))
    starts, skip = True, False
    for at, word in enumerate(words):
        if skip:
            skip = False
        elif _SEPARATOR.fullmatch(word):
            starts = True
        elif re.fullmatch(r"\d*[<>]+|[<>]+&?", word):
            skip = True
        elif starts and not re.match(r"\w+=|\d+$", word):
            starts = word in _RUNS_THE_NEXT
            if word in ("setsid", "nohup", "time"):
                found.add(word)
            if word == "sh" and words[at + 1 : at + 2] == ["-c"]:
                found |= programs(words[at + 2].replace(" ; ", "\n"))
            if word.startswith("$"):
                found |= set(loops.get(word[1:], "").split())
            elif word not in _BUILT_IN | _RUNS_THE_NEXT and "/" not in word:
                found.add(word)
    return found


def _split(script: str) -> list[str]:
    lexer = shlex.shlex(script.replace("\n", " ; "), posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
