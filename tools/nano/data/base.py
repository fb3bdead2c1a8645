"""What the families share: phrasings with some held out, small variations of wording, dialogues."""
from dataclasses import dataclass, field


class Phrases:
    """Ways to say one thing; those after the `|` line are held out of training."""

    def __init__(self, text):
        seen, held = text.split("|")
        rows = lambda part: [r.strip() for r in part.strip().split("\n") if r.strip()]
        self.seen, self.held = rows(seen), rows(held)

    def pick(self, rng, held):
        return rng.choice(self.held if held else self.seen)


@dataclass
class Turn:
    """A question with its one right answer, and the thoughts that lead there."""
    user: str
    think: str
    answer: str


@dataclass
class Dialogue:
    """A conversation that ends in the assistant turn under test; `think` belongs to that turn."""
    messages: list
    think: str
    family: str
    tools: list = field(default_factory=list)


PREFIXES = ["Hi! ", "Hello, ", "Please tell me: ", "Quick question: ", "Hey, ", "I have a question. ", "Can you help me? ", "Next: ", "OK. ", "Thanks. ", "So, "]
SUFFIXES = [" Thanks!", " Please.", " Thank you.", " I want to know."]


def vary(rng, text):
    """The same request as different people type it."""
    dice = rng.random()
    if dice < 0.10:
        return rng.choice(PREFIXES) + text
    if dice < 0.14:
        return text + rng.choice(SUFFIXES)
    if dice < 0.20:
        return text[0].lower() + text[1:]
    if dice < 0.24:
        return text.rstrip("?.!")
    return text


def article(word):
    return ("an " if word[0].lower() in "aeiou" else "a ") + word


def invented(rng, syllables, low=2, high=3):
    return "".join(rng.choice(syllables) for _ in range(rng.randint(low, high))).capitalize()


ONLY_NUMBER = Phrases("""
Answer with only the number.
Reply with only the number.
Just the number, please.
Only the number.
Give only the number.
Answer with just the number.
Number only.
Write only the number.
Say only the number.
Please answer with only the number.
Respond with just the number, nothing else.
|
Output only the number.
Please reply with just the number.
""")
ONLY_WORD = Phrases("""
Answer with one word.
Reply with one word.
One word only.
Just one word, please.
Answer with a single word.
Give a one word answer.
Use one word.
Answer in one word.
Say only the word.
Please answer with one word.
Respond with one word, nothing else.
|
Reply with a single word.
Please give just one word.
""")


def shorten(rng, held, question, full, short, kind):
    """Sometimes ask for the bare answer. Returns (question, answer, remark for the thoughts)."""
    if rng.random() < 0.4:
        return f"{question} {kind.pick(rng, held and rng.random() < 0.5)}", short, " Only the bare answer is wanted."
    return question, full, ""
