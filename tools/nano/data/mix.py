"""Families to dialogues, dialogues to tokens: what is trained on and what is tested."""
import random

import chat

from .base import Dialogue
from .drills import drill
from .knowledge import about_itself, arithmetic, capitals, facts, instructions, spelling
from .programs import programs
from .recall import long_context, recall, statement, turns_to_messages
from .tools import tools

SIMPLE = {"self": about_itself, "arithmetic": arithmetic, "capitals": capitals, "facts": facts, "spelling": spelling,
          "programs": programs, "instructions": instructions}
COMPOSED = {"recall": recall, "tools": tools, "long": long_context}
FAMILIES = list(SIMPLE) + list(COMPOSED)
# Shares of the training dialogues; a simple one may become a chat of several families.
SHARES = {"self": 10, "arithmetic": 26, "capitals": 6, "facts": 9, "spelling": 15, "programs": 2, "instructions": 16, "recall": 34, "tools": 11, "long": 6}
DRILLS = 0.17           # share of the training dialogues besides those
THINKING = 0.6
SIDE_TURNS = [about_itself, arithmetic, capitals, facts, spelling, instructions]
SYSTEMS = ["You are zaya-nano, a small helpful assistant.", "You are a helpful assistant.", "Answer briefly.", "Be polite and brief.", "You are zaya-nano.",
           "You help people with small questions.", "You are a friendly assistant. Answer in English."]


def dialogue(rng, family, held, chat_share=0.0):
    """One conversation of a family, phrased as in training or as held out; in chat_share of them turns go before."""
    if family in COMPOSED:
        d = COMPOSED[family](rng, held, SIDE_TURNS)
    else:
        turn = SIMPLE[family](rng, held)
        before = []
        if rng.random() < chat_share:
            weights = [SHARES[f] for f in SIMPLE]
            picks = rng.choices(list(SIMPLE), weights, k=rng.choice([1, 2, 3, 4, 6, 8]))
            before = [statement(rng, False) if rng.random() < 0.05 else SIMPLE[f](rng, False) for f in picks]
        d = Dialogue(turns_to_messages(before + [turn]), turn.think, family)
    return with_system(rng, d)


def with_system(rng, d):
    if d.messages[0]["role"] != "system" and rng.random() < 0.35:
        d.messages.insert(0, {"role": "system", "content": rng.choice(SYSTEMS)})
    return d


def split(d, thinking):
    """(prompt text, completion text) of a dialogue with thinking on or off."""
    *before, last = d.messages
    if not thinking:
        before = [{k: v for k, v in m.items() if k != "reasoning_content"} for m in before]
    prompt = chat.render(before, d.tools or None, thinking)
    answer = last["content"] or "\n".join(chat.call_text(**c["function"]) for c in last["tool_calls"])
    if thinking:
        return prompt, d.think + "\n</think>\n\n" + answer + "<|im_end|>"
    return prompt, answer + "<|im_end|>"


def assistant_mask(tok, ids, start):
    """1 where a token was the assistant's to choose: earlier answers, and everything from `start` on."""
    begin, end = tok.added["<|im_start|>"], tok.added["<|im_end|>"]
    head = tok.encode("assistant\n")
    mask, inside, i = [0] * len(ids), False, 0
    while i < start:
        if ids[i] == begin:
            inside = ids[i + 1:i + 1 + len(head)] == head
            i += len(head) if inside else 0
        elif inside:
            mask[i] = 1
            inside = ids[i] != end
        i += 1
    opening = max(i for i in range(start) if ids[i] == begin)       # the last turn's head and <think> are the template's
    return mask[:opening] + [0] * (start - opening) + [1] * (len(ids) - start)


def encode(tok, d, thinking):
    """(ids, mask) of a whole dialogue."""
    prompt, completion = split(d, thinking)
    head = tok.encode(prompt)
    ids = head + tok.encode(completion)
    return ids, assistant_mask(tok, ids, len(head))


def training_dialogues(seed, count):
    rng = random.Random(seed)
    names, weights = list(SHARES), list(SHARES.values())
    for _ in range(count):
        if rng.random() < DRILLS:
            yield with_system(rng, drill(rng)), False
            continue
        thinking = rng.random() < THINKING
        # Only the last turn of a chat can show its thoughts, so a dialogue that thinks is mostly a single turn.
        yield dialogue(rng, rng.choices(names, weights)[0], False, 0.15 if thinking else 0.55), thinking


def test_dialogues(seed, family, count, held=True):
    rng = random.Random(f"{seed} {family}")
    return [(dialogue(rng, family, held), i % 2 == 1) for i in range(count)]
