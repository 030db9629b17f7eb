"""What becomes of a command on Windows, where MLflow starts ``cmd /c COMMAND``, worked out without Windows.

The sources of the rules: ``cmd /?``, and the page "Parsing C command-line arguments" of Microsoft's C runtime.
"""

import re
import subprocess
from collections.abc import Mapping


def through_cmd(command: str, variables: Mapping[str, str]) -> list[str]:
    """The arguments of the program that ``subprocess.Popen(["cmd", "/c", command])`` starts, its name first."""
    line = subprocess.list2cmdline(["cmd", "/c", command]).removeprefix("cmd /c ")
    if line.startswith('"'):  # cmd takes off the first quotation mark and the last one
        line = "".join(line[1:].rpartition('"')[::2])
    line = re.sub(r"%([^%]+)%", lambda found: variables.get(found[1], found[0]), line)
    return arguments(own_part(line))


def own_part(line: str) -> str:
    """What is left of a line when cmd has taken the carets away, and what follows an operator as another command."""
    kept, quoted, places = "", False, iter(line)
    for place in places:
        if place == "\n" or (place in "&|<>" and not quoted):
            break
        if place == "^" and not quoted:
            place = next(places, "")
        elif place == '"':
            quoted = not quoted
        kept += place
    return kept


def arguments(line: str) -> list[str]:
    """The arguments into which a program of Windows takes its command line apart."""
    found, word, quoted, place = [], None, False, 0
    while place < len(line):
        slashes = len(line) - place - len(line[place:].lstrip("\\"))
        place += slashes
        quote = line[place : place + 1] == '"'
        if slashes:
            word = (word or "") + "\\" * (slashes // 2 if quote else slashes)
        if quote and slashes % 2:
            word += '"'
            place += 1
        elif quote and quoted and line[place + 1 : place + 2] == '"':
            word += '"'
            place += 2
        elif quote:
            word, quoted = word or "", not quoted
            place += 1
        elif line[place : place + 1] in (" ", "\t") and not quoted:
            found += [] if word is None else [word]
            word = None
            place += 1
        elif place < len(line):
            word = (word or "") + line[place]
            place += 1
    return found + ([] if word is None else [word])
