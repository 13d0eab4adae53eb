"""The prepared answers of the demonstration model."""

from __future__ import annotations

import re

import msgspec


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One answer and the words of a question that choose it."""

    words: str
    """A regular expression over the question in lower case."""
    reasoning: str
    text: str


NOTICE = "*This is the built-in demonstration model: the answer was prepared, no model wrote it.*\n\n"

MICROSERVICES = Prepared(
    words=r"micro-?service|architecture|monolith",
    reasoning=(
        "The question is about microservices. I should say what they are before I say when they help. "
        "A definition first: small services, each owning its data, deployed on their own. "
        "Then the price: calls over a network fail in ways that calls in a process do not, and data that one "
        "transaction used to keep together is now spread out. "
        "An honest answer ends with when not to use them. A short list will read better than long paragraphs."
    ),
    text=(
        "**Microservices** cut an application into small services. Each one does one job, owns its data, and is "
        "built and deployed by itself; they talk over the network.\n\n"
        "### What you gain\n\n"
        "- **Independent deployment.** A change in billing does not wait for search.\n"
        "- **Scaling where it is needed.** Only the busy service gets more machines.\n"
        "- **Clear ownership.** One team, one service, one on-call list.\n\n"
        "### What you pay\n\n"
        "- **The network.** Every call can be slow, fail, or arrive twice.\n"
        "- **Data.** There is no transaction over two services; you need events, retries and idempotent writes.\n"
        "- **Operation.** Ten services want ten pipelines, and tracing to see one request as a whole.\n\n"
        "### A rule of thumb\n\n"
        "Start with one well-cut program. Take a part out when it must scale, be deployed or be owned separately, "
        "and when its interface has stayed the same for a while. Services that must be deployed together are a "
        "monolith with network calls in the middle.\n"
    ),
)

CODE = Prepared(
    words=r"code|python|function|program|script|algorithm|fibonacci|sort|prime|class\b",
    reasoning=(
        "They want code. A small function that can be run as it stands is better than a sketch. "
        "Primes make a good example: the sieve of Eratosthenes is short and fast. "
        "Crossing out may start at the square of each prime, since smaller multiples are crossed out already. "
        "Let me check by hand with limit 10: cross out 4, 6, 8, 10, then 9; left are 2, 3, 5, 7. That is right."
    ),
    text=(
        "The sieve of Eratosthenes finds every prime up to a limit:\n\n"
        "```python\n"
        "def primes_up_to(limit: int) -> list[int]:\n"
        '    """Every prime number up to and including `limit`."""\n'
        "    is_prime = [False, False] + [True] * (limit - 1)\n"
        "    for n in range(2, int(limit**0.5) + 1):\n"
        "        if is_prime[n]:\n"
        "            for multiple in range(n * n, limit + 1, n):\n"
        "                is_prime[multiple] = False\n"
        "    return [n for n, prime in enumerate(is_prime) if prime]\n\n\n"
        "print(primes_up_to(50))\n"
        "```\n\n"
        "It prints `[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]`.\n\n"
        "Crossing out starts at `n * n`, because smaller multiples of `n` have a smaller prime factor and are gone "
        "already. The time grows as *n* log log *n*, the memory as *n*.\n"
    ),
)

MARKDOWN = Prepared(
    words=r"table|markdown|compare|comparison|list|format",
    reasoning=(
        "A comparison asks for a table. Three rows are enough to read at a glance. "
        "I will add a quotation, a task list and a link, so that the page can show how it draws each of them."
    ),
    text=(
        "| Structure | Look up | Insert | Keeps order |\n"
        "|---|---:|---:|:---:|\n"
        "| list | O(n) | O(1) at the end | yes |\n"
        "| dict | O(1) | O(1) | by insertion |\n"
        "| heap | O(1) for the least | O(log n) | no |\n\n"
        "> Choose by the question you ask most often, not by the one you ask first.\n\n"
        "1. Count how often each operation happens.\n"
        "2. Measure with *real* data.\n"
        "   - Small lists beat everything.\n"
        "   - Memory is an operation, too.\n"
        "3. ~~Guess.~~\n\n"
        "- [x] measured\n- [ ] guessed\n\n"
        "See the [complexity of Python's types](https://wiki.python.org/moin/TimeComplexity). HTML that a model writes "
        "stays text: <script>alert('never')</script> and <b>not bold</b>.\n"
    ),
)

GERMAN = Prepared(
    words=r"deutsch|german|unicode|emoji|erklär|\bwas ist\b|\bwie\b|größe|straße|übersetz|translate",
    reasoning=(
        "Die Frage ist auf Deutsch oder betrifft Unicode. Ich antworte auf Deutsch und zeige Zeichen aus mehreren "
        "Schriften: Umlaute, griechische Buchstaben, 漢字, العربية und ein Emoji aus mehreren Codepunkten 👩‍💻."
    ),
    text=(
        "**Unicode** gibt jedem Zeichen eine Nummer, den *Codepunkt*; **UTF-8** schreibt diese Nummern als Bytes.\n\n"
        "| Zeichen | Codepunkte | Bytes in UTF-8 |\n|---|---|---:|\n"
        "| ß | U+00DF | 2 |\n| Ω | U+03A9 | 2 |\n| 漢 | U+6F22 | 3 |\n| 😀 | U+1F600 | 4 |\n"
        "| 👩‍💻 | U+1F469 U+200D U+1F4BB | 11 |\n\n"
        "Ein Zeichen, das man sieht, kann also aus mehreren Codepunkten bestehen. Wer Text kürzt, schneidet deshalb "
        "zwischen Zeichen und nicht zwischen Bytes: „Straße“, „Größe“, «naïve», «Ωμέγα», «مرحبا» bleiben heil.\n"
    ),
)

_CHAPTERS = (
    ("One step", "A program that runs on one machine does one thing after the other, and what it knows is true."),
    ("Two machines", "As soon as there are two, a message may be late, lost, or there twice; nobody can tell which."),
    ("Numbers", "So each message gets a number. Who has seen seven and gets nine knows that eight is missing."),
    ("Logs", "The sender keeps what it sent for a while. Who lost the connection asks for everything after seven."),
    ("Once only", "A message that comes twice changes nothing the second time, because its number was seen before."),
    ("Generations", "A worker that was thought dead may wake up. Its generation is over, and nobody listens to it."),
    ("Time", "Clocks differ. What must be compared is measured by one clock, on one machine."),
    ("Pressure", "A reader that is too slow must not hold up the others: its messages are joined, or it is dropped."),
    ("Ends", "Every task ends exactly once. An end that everybody can rely on is worth more than speed."),
    ("Tests", "What was never killed in a test will be killed by life. Pull the plug, and count what is missing."),
)

LONG = Prepared(
    words=r"long|essay|detail|story|everything|1000|tutorial|guide",
    reasoning=" ".join(
        f"Chapter {number}, {title.lower()}: I need one plain sentence and one that follows from it. "
        "It should stand by itself and still lead to the next one."
        for number, (title, _) in enumerate(_CHAPTERS, 1)
    ),
    text="# How streams stay whole\n\n"
    + "\n".join(
        f"## {number}. {title}\n\n{sentence} "
        "That sounds small, and it is. Small rules that always hold are what large systems are made of: each can be "
        "tested by itself, and two of them together never surprise. The opposite is a clever rule that nearly always "
        "holds; it costs nothing for a year, and then a weekend.\n\n"
        "Think of a reader on a train. The connection goes in a tunnel and comes back; between the two, text was "
        "written. If the reader shows what comes next, a piece is missing in the middle, and nobody sees it. If it "
        "asks what it missed, the text is whole.\n"
        for number, (title, sentence) in enumerate(_CHAPTERS, 1)
    ),
)

GENERAL = Prepared(
    words="",
    reasoning=(
        "Somebody is trying out the page. I should say plainly what answers here, and how to get a real model. "
        "There are a few prepared answers that show what the page can draw; it helps to name the questions for them. "
        "While I think, the page shows a timer that the server measures, and this text as it grows."
    ),
    text=(
        "Hello! Nothing is set up yet, so I answer from a few prepared texts. They come through the very same path as "
        "a real model's: a streaming API, the worker, Redis, the socket, and this page.\n\n"
        "Ask one of these to see more:\n\n"
        "- *Explain microservices*\n- *Write Python code for prime numbers*\n- *Compare data structures in a table*\n"
        "- *Tell me a long story about streams*\n- *Was ist Unicode?*\n\n"
        "For real answers set `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `DEEPSEEK_API_KEY` or `OLLAMA_HOST` and start "
        "the server again, or write a config file.\n"
    ),
)

PREPARED = (MICROSERVICES, GERMAN, MARKDOWN, LONG, CODE)


def choose(question: str) -> Prepared:
    """The answer whose words stand in the question; a general one when none does."""
    text = question.lower()
    return next((answer for answer in PREPARED if re.search(answer.words, text)), GENERAL)
