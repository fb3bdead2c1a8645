"""Drills: long chats of one skill with thinking off, in which every answer is learnt from. For training only."""
from .base import Dialogue, Turn
from .knowledge import about_itself, arithmetic, compare, count_up, facts, operands, say_times, spelling
from .recall import needle, recall_turns, turns_to_messages

LISTS = ["Solve these: ", "Compute all of these: ", "Some sums: ", "Calculate: ", "What are these? ", "One after the other: "]


def _sums(rng, held):
    """Mostly one sum a turn; sometimes a list of them."""
    if rng.random() < 0.7:
        return arithmetic(rng, held)
    sums = []
    for _ in range(rng.randint(3, 7)):
        op = rng.choice("++--x")
        a, b = operands(rng, op)
        sums.append((f"{a} {op} {b}", {"+": a + b, "-": a - b, "x": a * b}[op]))
    if rng.random() < 0.5:
        return Turn(rng.choice(LISTS) + ", ".join(s for s, _ in sums), "", ", ".join(f"{s} = {r}" for s, r in sums))
    return Turn(rng.choice(LISTS) + ", ".join(s for s, _ in sums) + ". Results only.", "", ", ".join(str(r) for _, r in sums))


# skill -> (share of the drills, most turns)
SKILLS = {_sums: (46, 14), compare: (15, 14), say_times: (8, 12), spelling: (15, 14), count_up: (2, 8), about_itself: (4, 8), facts: (4, 8)}


def drill(rng):
    dice = rng.random()
    if dice < 0.05:
        turns = recall_turns(rng, rng.randint(3, 5))
    elif dice < 0.08:
        turns = [needle(rng, rng.randint(1, 5)) for _ in range(rng.randint(3, 6))]
    else:
        skill = rng.choices(list(SKILLS), [share for share, _ in SKILLS.values()])[0]
        most = SKILLS[skill][1]
        turns = [skill(rng, False) for _ in range(rng.randint(most // 2, most))]
    return Dialogue(turns_to_messages(turns), "", "drill")
